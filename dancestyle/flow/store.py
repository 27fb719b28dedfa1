"""Flow on disk: one file a clip, 8 bits a component, any field read as cheaply as any other.

A displacement ``v`` in pixels is stored as ``128 + round(127 * v / bound)``, clipped to 1..255. So
128 is exactly zero, and ``256 - code`` changes the sign: a mirrored copy is made from the codes,
without loss. (The usual ``255 * (v + bound) / (2 * bound)`` has no code for zero, and so turns a
picture at rest into one that drifts.)

Both components of a field make one grey picture, x above y, and the pictures are kept losslessly in
Matroska, each a keyframe: by FFV1, which takes least room, or by H.264, which is read in less than
half of the time. ``docs/flow.md`` compares these with other formats.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal, cast

import av
import cv2
import numpy as np

from dancestyle.files import atomic_path
from dancestyle.flow.methods import resize
from dancestyle.video.errors import VideoError
from dancestyle.video.rgb import pixels
from dancestyle.video.source import written_here

SUFFIX = ".mkv"
BOUND = 20.0
"""Pixels; the I3D paper truncates there."""
MAX_PIXELS = 2 * 4096 * 4096
"""Largest picture (two components) that a file may hold."""
Codec = Literal["ffv1", "h264"]
_ENCODERS: dict[Codec, tuple[str, dict[str, str]]] = {
    "ffv1": ("ffv1", {"level": "3", "coder": "range_tab", "slicecrc": "0"}),
    # Without arithmetic coding: that is what takes long to read.
    "h264": (
        "libx264",
        {"qp": "0", "preset": "medium", "x264-params": "cabac=0:keyint=1:threads=1"},
    ),
}
"""Of either codec the encoder and its options."""
_RATE = 25  # only names the fields: field i is at i / 25 s, whatever the clip's rate
_ZERO = 128


def path_of(clip_id: str, folder: Path | str) -> Path:
    """Where the flow of a clip is stored."""
    return Path(folder) / f"{clip_id}{SUFFIX}"


def encode(fields: np.ndarray, bound: float = BOUND) -> np.ndarray:
    """Displacements in pixels, any shape, to uint8 codes; beyond ``bound`` they are truncated."""
    scaled = np.rint(np.nan_to_num(fields) * np.float32(127 / bound))
    return (np.clip(scaled, -127, 127) + _ZERO).astype(np.uint8)


def decode(codes: np.ndarray, bound: float = BOUND, count: int = 1) -> np.ndarray:
    """uint8 codes to displacements in pixels, float32; the error is at most ``bound / 254``.

    Of sums of ``count`` codes, to the mean of their displacements.
    """
    fields = codes.astype(np.float32)
    fields -= np.float32(_ZERO * count)
    fields *= np.float32(bound / 127 / count)
    return fields


def write(
    path: Path | str, fields: Iterable[np.ndarray], bound: float = BOUND, codec: Codec = "ffv1"
) -> int:
    """Store fields float32 (H, W, 2) in pixels and return how many there were.

    Raises:
        ValueError: no fields, or fields of differing shape.
    """
    return write_codes(path, (encode(field, bound) for field in fields), bound, codec)


def write_codes(
    path: Path | str, codes: Iterable[np.ndarray], bound: float, codec: Codec = "ffv1"
) -> int:
    """Store fields that are codes already: uint8 (H, W, 2). The same codes give the same bytes."""
    with atomic_path(path) as temporary:
        return _write(temporary, list(codes), bound, codec)


def _write(path: Path, codes: Sequence[np.ndarray], bound: float, codec: Codec) -> int:
    if not codes:
        raise ValueError("no flow to write: a clip of one frame has none")
    height, width, _ = codes[0].shape
    encoder, settings = _ENCODERS[codec]
    options = {"fflags": "+bitexact"}
    with av.open(str(path), "w", format="matroska", options=options) as container:
        container.metadata["bound"] = repr(float(bound))
        container.metadata["fields"] = str(len(codes))
        stream = cast(av.VideoStream, container.add_stream(encoder, rate=_RATE))
        stream.width, stream.height, stream.pix_fmt = width, 2 * height, "gray"
        stream.gop_size = 1
        stream.thread_count = 1
        stream.options = {**settings, "flags": "+bitexact"}
        for i, code in enumerate(codes):
            if code.shape != (height, width, 2):
                raise ValueError(f"field {i} is {code.shape}, the first is {codes[0].shape}")
            planes = np.concatenate([code[..., 0], code[..., 1]])  # (2H, W)
            frame = av.VideoFrame.from_ndarray(planes, format="gray")
            frame.pts, frame.time_base = i, Fraction(1, _RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return len(codes)


class FlowReader:
    """The flow of one clip.

    Args:
        path: of the file.
        threads: that decode a field together.

    Attributes:
        fields: number of fields, one less than the clip has frames
        width: pixels
        height: pixels
        bound: pixels at which displacements are truncated
        codec: of the file

    Raises:
        VideoError: the file is missing, or was not written by this module.
    """

    def __init__(self, path: Path | str, threads: int = 1) -> None:
        self.path, self._threads = str(path), threads
        try:
            options = {"protocol_whitelist": "file", "format_whitelist": "matroska,webm"}
            options |= written_here("gray")
            self._container = av.open(self.path, options=options, metadata_errors="ignore")
        except (av.FFmpegError, OSError):
            found = Path(path).exists()
            raise VideoError(path, "no flow file" if found else "file not found") from None
        try:
            self._stream = self._container.streams.video[0]
            tags = {key.lower(): value for key, value in self._container.metadata.items()}
            self.bound = float(tags["bound"])
            self.fields = int(tags["fields"])
            codec = self._stream.codec_context  # None where FFmpeg does not know the codec
            if codec is None or codec.name not in _ENCODERS:
                raise ValueError
            self.codec: Codec = "ffv1" if codec.name == "ffv1" else "h264"
            if codec.width * codec.height > MAX_PIXELS:
                raise ValueError
            codec.options = {"max_pixels": str(2 * MAX_PIXELS)}  # a damaged field may claim more
            if not 0 < self.bound < math.inf or self.fields < 1:
                raise ValueError
        except (IndexError, KeyError, ValueError):
            self._container.close()
            raise VideoError(path, "no flow file") from None
        self._stream.thread_type = "SLICE" if threads > 1 else "NONE"
        codec.thread_count = threads
        self.width, self.height = codec.width, codec.height // 2
        self._ticks = float(Fraction(1, _RATE) / (self._stream.time_base or Fraction(1, 1000)))
        self._next = 0
        self._packets = self._container.demux(self._stream)

    def read(
        self, indices: Sequence[int] | np.ndarray, size: tuple[int, int] | None = None
    ) -> np.ndarray:
        """The fields at ``indices`` (any order, repeats allowed): float32 (len, H, W, 2), pixels.

        Args:
            indices: from 0 to ``fields - 1``.
            size: (height, width) of the result; the vectors are scaled with it, as they are in
                pixels of the result. None keeps the stored size.

        Raises:
            IndexError: an index outside of the clip.
            VideoError: the file is damaged.
        """
        fields = decode(self.read_codes(indices), self.bound)
        if size is None or size == (self.height, self.width):
            return fields
        return np.stack([resize(field, size) for field in fields])

    def read_codes(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """The codes at ``indices``: uint8 (len, H, W, 2)."""
        places = {int(index): place for place, index in enumerate(indices)}
        wanted = sorted(places)
        if not wanted or wanted[0] < 0 or wanted[-1] >= self.fields:
            raise IndexError(f"{self.path}: fields {wanted} asked for, has 0 to {self.fields - 1}")
        codes = np.empty((len(indices), self.height, self.width, 2), np.uint8)
        try:
            for index in wanted:
                self._read_field(index, codes[places[index]])
        except (av.FFmpegError, OSError, OverflowError) as error:
            raise VideoError(self.path, f"damaged: {error}") from None
        for place, index in enumerate(indices):
            if places[int(index)] != place:
                codes[place] = codes[places[int(index)]]
        return codes

    def _read_field(self, index: int, target: np.ndarray) -> None:
        if not self._next <= index <= self._next + 16:
            self._container.seek(round(index * self._ticks), stream=self._stream, backward=True)
            self._packets = self._container.demux(self._stream)
        for packet in self._packets:
            if packet.pts is None:
                break
            found = round(packet.pts / self._ticks)
            self._next = found + 1
            if found < index:
                continue  # every field stands alone, so those before it need no decoding
            for frame in packet.decode():
                if (frame.height, frame.width) != (2 * self.height, self.width):
                    break
                planes = _grey(frame)  # (2H, W)
                if planes is None:
                    break
                cv2.merge((planes[: self.height], planes[self.height :]), dst=target)
                return
        self._next = self.fields  # nothing follows: the next read has to seek
        raise VideoError(self.path, f"field {index} cannot be decoded")

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def __enter__(self) -> FlowReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[type[FlowReader], tuple[str, int]]:
        return type(self), (self.path, self._threads)


def _grey(frame: av.VideoFrame) -> np.ndarray | None:
    """The brightness of a frame, uint8 (H, W), not copied; None of a frame of another format.

    FFmpeg gives grey H.264 colour planes, which say nothing.
    """
    plane = frame.planes[0]
    if frame.format.name not in ("gray", "yuv420p") or plane.line_size < frame.width:
        return None
    return pixels(plane)[: frame.height, : frame.width]


def _hflip(codes: np.ndarray) -> np.ndarray:
    flipped = codes[..., :, ::-1, :].copy()
    flipped[..., 0] = 0 - flipped[..., 0]  # uint8: 256 - code
    return flipped


def _vflip(codes: np.ndarray) -> np.ndarray:
    flipped = codes[..., ::-1, :, :].copy()
    flipped[..., 1] = 0 - flipped[..., 1]
    return flipped


Mirror = Literal["hflip", "vflip"]
_MIRRORS: dict[Mirror, Callable[[np.ndarray], np.ndarray]] = {"hflip": _hflip, "vflip": _vflip}


def mirror_codes(codes: np.ndarray, how: Mirror) -> np.ndarray:
    """The codes (..., H, W, 2) of the mirrored clip: flipped, and one component negated."""
    return _MIRRORS[how](codes)


def mirror(source: Path | str, target: Path | str, how: Mirror) -> int:
    """Store the flow of a clip's mirrored copy, from the stored flow of the clip, without loss."""
    with FlowReader(source) as reader:
        codes = reader.read_codes(range(reader.fields))
        return write_codes(target, mirror_codes(codes, how), reader.bound, reader.codec)
