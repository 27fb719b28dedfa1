"""Clips as this project stores them: H.264 with a short, steady distance of keyframes."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from dancestyle.files import atomic_path
from dancestyle.video import x264

FOR_NETS = "no-psy=1:subme=3"
"""Noise that pleases the eye is left out, and motion is searched for a little more closely than
``veryfast`` does: 8 % smaller and 4 % quicker to decode than without, the error of optical flow is the
same (``python -m benchmarks.clip_encoding``)."""


def write_clip(
    path: Path | str,
    frames: Iterable[np.ndarray] | np.ndarray,
    fps: float = 25.0,
    crf: int = 18,
    gop: int = 16,
    preset: str = "veryfast",
    tune: str | None = "fastdecode",
    x264_params: str = FOR_NETS,
) -> int:
    """Write frames as an H.264 MP4 file (yuv420p) and return how many there were.

    Every ``gop``-th frame is a keyframe and there are no B-frames, so that reading frame ``i``
    decodes at most ``gop`` frames. The same frames give the same bytes: one thread, no dates. The
    file appears whole or not at all.

    Args:
        path: ends in ``.mp4`` (or another suffix that FFmpeg knows and that takes H.264).
        frames: uint8 (H, W, 3) each, RGB, all of one size, H and W even (as
            :func:`dancestyle.video.reader.decode` gives them with ``short_side``).
        fps: frames a second.
        crf: 0 (lossless but for the colour conversion) to 51 (worst).
        gop: frames from one keyframe to the next.
        preset: of x264; slower ones make smaller files.
        tune: of x264; ``fastdecode`` leaves out what takes long to decode.
        x264_params: more of x264's parameters, ``a=1:b=2``; those that steady keyframes and the same
            bytes need come after them.

    Raises:
        ValueError: no frames, frames of differing or odd size, or not uint8.
    """
    with atomic_path(path) as temporary:
        return _write(temporary, frames, fps, crf, gop, preset, tune, x264_params)


def _write(
    path: Path,
    frames: Iterable[np.ndarray],
    fps: float,
    crf: int,
    gop: int,
    preset: str,
    tune: str | None,
    x264_params: str,
) -> int:
    count = 0
    shape: tuple[int, ...] = ()
    options = {"fflags": "+bitexact", "movflags": "+faststart"}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.pix_fmt = "yuv420p"
        stream.gop_size = gop
        stream.max_b_frames = 0
        stream.thread_count = 1
        stream.options = {
            "crf": str(crf),
            "preset": preset,
            **({"tune": tune} if tune else {}),
            "flags": "+bitexact",
            "x264-params": (
                f"{x264_params}:keyint={gop}:min-keyint={gop}:scenecut=0:bframes=0:threads=1:"
                f"{x264.EXACT}"
            ),
        }
        for image in frames:
            if not shape:
                shape = _checked(image)
                stream.height, stream.width = shape[:2]
            if image.shape != shape or image.dtype != np.uint8:
                raise ValueError(
                    f"frame {count} is {image.dtype} {image.shape}, the first is uint8 {shape}"
                )
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            container.mux(stream.encode(frame))
            count += 1
        if not count:
            raise ValueError(f"{path.name}: no frames to write")
        container.mux(stream.encode())
    return count


def _checked(image: np.ndarray) -> tuple[int, ...]:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"frames must be uint8 (H, W, 3), found {image.dtype} {image.shape}")
    if image.shape[0] % 2 or image.shape[1] % 2:
        raise ValueError(
            f"frames must have even sides, found {image.shape[1]}x{image.shape[0]}; crop a row or "
            "column, or decode with short_side"
        )
    return image.shape
