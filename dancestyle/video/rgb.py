"""Decoded frames to RGB: one by one, or many as one tall picture."""

from __future__ import annotations

from collections.abc import Iterable

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

Image = np.ndarray
"""uint8 (H, W, 3), RGB"""
Box = tuple[int, int, int, int]
"""A part of a picture: top, left, height, width in pixels"""

_BATCH = 8 << 20
"""Pixels that are converted at once."""
_MOST = 64
"""Frames that are converted at once."""
_NOT_NAMED = 2
"""Of colour primaries, transfer and matrix: "unspecified" (ITU-T H.273)."""


def upright_size(frame: av.VideoFrame) -> tuple[int, int]:
    """``(height, width)`` of a decoded frame when its rotation is applied."""
    turned = round(frame.rotation / 90) % 2
    return (frame.width, frame.height) if turned else (frame.height, frame.width)


def to_rgb(
    frame: av.VideoFrame, reformatter: VideoReformatter, size: tuple[int, int] | None = None
) -> Image:
    """A decoded frame as RGB, with its rotation applied, at ``size`` (height, width).

    To half its size or less it is shrunk before its colours are converted, which takes a quarter of
    the time that it takes afterwards; else as :func:`resize` does.
    """
    turns = round(frame.rotation / 90) % 4  # counter-clockwise, as np.rot90
    height, width = upright_size(frame)
    how, target = Interpolation.BICUBIC, (frame.height, frame.width)
    if size is not None and 2 * size[0] <= height and 2 * size[1] <= width:
        how, target = Interpolation.AREA, (size[::-1] if turns % 2 else size)
    image: Image = _convert(frame, reformatter, target, how)
    image = np.ascontiguousarray(np.rot90(image, turns)) if turns else image
    return resize(image, size) if size else image


def _convert(
    frame: av.VideoFrame, reformatter: VideoReformatter, size: tuple[int, int], how: Interpolation
) -> Image:
    """A frame as RGB at ``size`` (height, width), as it lies.

    Where it names colours that FFmpeg does not know, they are taken for those that a frame has that
    names none.
    """

    def convert() -> Image:
        height, width = size
        rgb = reformatter.reformat(
            frame, width, height, format="rgb24", interpolation=how, threads=1
        )
        return np.asarray(rgb.to_ndarray(), np.uint8)

    try:
        return convert()
    except av.FFmpegError:
        frame.colorspace = frame.color_primaries = frame.color_trc = _NOT_NAMED
        return convert()


def resize(image: Image, size: tuple[int, int]) -> Image:
    """``image`` at ``size`` (height, width): area averaging down, bilinear up."""
    if image.shape[:2] == size:
        return image
    smaller = size[0] <= image.shape[0] and size[1] <= image.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(image, (size[1], size[0]), interpolation=how)


def rgb_batch(
    frames: Iterable[av.VideoFrame],
    count: int,
    reformatter: VideoReformatter,
    box: Box | None = None,
) -> np.ndarray:
    """Frames (one or more) as RGB, uint8 (T, H, W, 3), or the part of them that is in a box.

    Frames in ``yuv420p`` are laid under each other as they come and converted as one tall picture,
    and only the part in the box: the same pixels as one by one, for less than half of the time.

    Args:
        count: how many frames there are going to be, so that memory is taken once.

    Raises:
        ValueError: a box outside of the picture.
    """
    parts: list[np.ndarray] = []
    whole = (0, 0)
    tall: _Tall | None = None
    mixed = False  # frames of several kinds: then each is converted by itself
    for place, frame in enumerate(frames):
        if not place:
            whole = upright_size(frame)
            top, left, height, width = chosen = box or (0, 0, *whole)
            if (
                min(chosen) < 0
                or 0 in chosen[2:]
                or top + height > whole[0]
                or left + width > whole[1]
            ):
                raise ValueError(f"box {chosen} is outside of a picture of {whole[0]} x {whole[1]}")
        if tall is not None and not tall.takes(frame):
            parts.append(tall.rgb(reformatter))
            mixed |= not tall.is_full
            tall = None
        if tall is None and not mixed and _is_plain(frame) and upright_size(frame) == whole:
            most = min(_MOST, _BATCH // (frame.width * frame.height), count - place)
            tall = _Tall(frame, max(most, 1), chosen)
        if tall is not None:
            tall.add(frame)
        else:
            image = to_rgb(frame, reformatter, whole)
            parts.append(image[None, top : top + height, left : left + width])
    if tall is not None:
        parts.append(tall.rgb(reformatter))
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _is_plain(frame: av.VideoFrame) -> bool:
    """Whether a frame may be laid under another one."""
    return (
        frame.format.name == "yuv420p"
        and not frame.rotation
        and not frame.interlaced_frame
        and frame.width % 2 == frame.height % 2 == 0
    )


class _Tall:
    """The ``box`` of plain frames that are alike, under each other, to be converted as one picture.

    A frame is copied as soon as it is decoded, when it is still in the processor's cache, and the
    decoder can use its memory for the next one.
    """

    def __init__(self, like: av.VideoFrame, count: int, box: Box) -> None:
        top, left = box[0] % 2, box[1] % 2  # of the box in what is kept; chroma has half the lines
        height, width = ((side + odd + 1) & ~1 for side, odd in ((box[2], top), (box[3], left)))
        self._kind = _kind(like)
        self._box = (slice(top, top + box[2]), slice(left, left + box[3]))
        self._count, self._filled = count, 0
        self._picture = av.VideoFrame(width, count * height, "yuv420p")
        self._picture.colorspace, self._picture.color_range = like.colorspace, like.color_range
        self._planes: list[tuple[np.ndarray, tuple[slice, slice]]] = []
        for plane, half in zip(self._picture.planes, (1, 2, 2), strict=True):
            places = pixels(plane)[: count * height // half, : width // half]
            rows = slice((box[0] - top) // half, (box[0] - top + height) // half)
            columns = slice((box[1] - left) // half, (box[1] - left + width) // half)
            self._planes.append((places.reshape(count, height // half, -1), (rows, columns)))

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another frame."""
        return self._filled == self._count

    def takes(self, frame: av.VideoFrame) -> bool:
        """Whether there is room for a frame, and it is like the others."""
        return not self.is_full and _kind(frame) == self._kind

    def add(self, frame: av.VideoFrame) -> None:
        """Lay a frame under the others."""
        for plane, (places, cut) in zip(frame.planes, self._planes, strict=True):
            places[self._filled] = pixels(plane)[cut]
        self._filled += 1

    def rgb(self, reformatter: VideoReformatter) -> np.ndarray:
        """The frames so far: uint8 (T, H, W, 3)."""
        size = (self._picture.height, self._picture.width)
        images = _convert(self._picture, reformatter, size, Interpolation.BICUBIC)
        images = images.reshape(self._count, -1, size[1], 3)
        if not self.is_full:  # the next frame is of another kind
            images = images[: self._filled].copy()
        return images[:, *self._box]


def _kind(frame: av.VideoFrame) -> tuple[object, ...]:
    """What frames that are converted together have in common."""
    lies = (frame.width, frame.height, frame.rotation, frame.interlaced_frame)
    return *lies, frame.format.name, frame.colorspace, frame.color_range


def pixels(plane: av.video.plane.VideoPlane) -> np.ndarray:
    """A plane's bytes, not copied: uint8 (rows, bytes a row), padding included."""
    return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
