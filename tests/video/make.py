"""Video files with known content and known oddities, made with PyAV."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition


def picture(index: int, height: int = 64, width: int = 96) -> np.ndarray:
    """Frame ``index``: grey whose level tells the index, a red corner top left, blue top right."""
    image = np.full((height, width, 3), 20 + 4 * (index % 58), np.uint8)
    image[: height // 4, : width // 4] = (220, 20, 20)
    image[: height // 4, -(width // 4) :] = (20, 20, 220)
    return image


def index_of(image: np.ndarray) -> int:
    """The index that :func:`picture` was given, from the middle of a decoded frame."""
    height, width = image.shape[:2]
    return round((float(image[height // 2, width // 2].mean()) - 20) / 4)


def write(
    path: Path,
    count: int = 30,
    rate: Fraction | int = 25,
    ticks: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    height: int = 64,
    width: int = 96,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    colour_range: int | None = None,
    gop: int = 250,
    bframes: int = 2,
    audio: bool = False,
    quality: str = "6",
) -> Path:
    """A file of ``count`` pictures; ``ticks`` are their presentation times in ``time_base``."""
    base = time_base or 1 / Fraction(rate)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.time_base = base
        stream.gop_size = gop
        if codec == "libx264":
            stream.max_b_frames = bframes
            stream.options = {"crf": quality}
        if colour_range is not None:
            stream.codec_context.color_range = colour_range
        if audio:
            _beep(container)
        for i in range(count):
            frame = av.VideoFrame.from_ndarray(picture(i, height, width), format="rgb24")
            frame = frame.reformat(format=pix_fmt, dst_color_range=colour_range)
            frame.pts, frame.time_base = (ticks[i] if ticks else i), base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_audio(path: Path) -> Path:
    """A file with nothing but sound."""
    with av.open(str(path), "w") as container:
        _beep(container)
    return path


def write_sound_with_cover(path: Path) -> Path:
    """A file of sound with a picture of its cover, which is a video stream of one frame."""
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=44100, layout="mono")
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 96, 64, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        container.start_encoding()
        frame = av.VideoFrame.from_ndarray(picture(1), format="rgb24").reformat(format="yuvj420p")
        container.mux([*cover.encode(frame), *cover.encode()])
        _silence(container, sound)
    return path


def _beep(container: av.container.OutputContainer) -> None:
    _silence(container, container.add_stream("aac", rate=44100, layout="mono"))


def _silence(container: av.container.OutputContainer, stream: av.AudioStream) -> None:
    samples = np.zeros((1, 44100), np.float32)
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
    frame.sample_rate = 44100
    container.mux(stream.encode(frame))
    container.mux(stream.encode())


def rotate(path: Path, degrees: int) -> Path:
    """Set the display matrix of an MP4's first track: ``degrees`` clockwise when shown."""
    matrices = {
        0: (1, 0, 0, 1),
        90: (0, 1, -1, 0),
        180: (-1, 0, 0, -1),
        270: (0, -1, 1, 0),
    }
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40  # the matrix of a version 0 track header
    a, b, c, d = (value << 16 for value in matrices[degrees])
    values = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    content[at : at + 36] = b"".join(v.to_bytes(4, "big", signed=True) for v in values)
    path.write_bytes(bytes(content))
    return path
