"""An open video file: its frames as they come, their times, and its damage."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import av
import cv2
import numpy as np
from av.stream import Disposition
from av.video.reformatter import Interpolation, VideoReformatter

from dancestyle.video.errors import VideoError

Image = np.ndarray
"""uint8 (H, W, 3), RGB"""
Box = tuple[int, int, int, int]
"""A part of a picture: top, left, height, width in pixels"""

MAX_PIXELS = 8192 * 4608
"""Largest frame that is decoded: a little above 8K television."""
MAX_BYTES = 2 << 30
"""Most memory that one file's frames may fill."""
MAX_SIDE = 16_384
"""Longest side of a resized frame: what H.264 is encoded with takes no more."""
MAX_DAMAGE = 0.5
"""Largest share of undecodable packets; a file above it is rejected, below it plays with gaps."""

# Containers that hold video. FFmpeg would otherwise also try playlists, subtitles and plain text,
# which may name other files or render text as pictures.
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,flv,asf,"
    "gif,ogg,rm,swf,dv,nut,ivf,mxf,wtv,vob,y4m,yuv4mpegpipe,mjpeg,apng,av1,obu,live_flv"
)
_OPEN_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
_TELLS_WHAT_IS_NEEDED = frozenset(["h264", "hevc"])
"""Decoders in whose streams every frame says whether others are built on it. (MPEG-4 in AVI packs
two frames into one packet, and dropping one shifts the times of the others.)"""
_BATCH = 8 << 20
"""Pixels that are converted at once."""
_NOT_NAMED = 2
"""Of colour primaries, transfer and matrix: "unspecified" (ITU-T H.273)."""
_MOST_AHEAD = 64 << 20
"""Most bytes of packets that are read ahead to see which of them need no decoding."""


def video_streams(container: av.container.InputContainer) -> list[av.VideoStream]:
    """The streams that move: a file of sound may carry its cover as a stream of one picture."""
    return [
        stream
        for stream in container.streams.video
        if stream.codec_context is not None and not stream.disposition & Disposition.attached_pic
    ]


class Source:
    """An open file: its first video stream, decoded frame by frame, damage counted."""

    def __init__(self, path: Path | str, max_pixels: int = MAX_PIXELS) -> None:
        self.path = str(path)
        self._max_pixels = max_pixels
        self.container = open_file(path)
        self.reformatter = VideoReformatter()
        try:
            self.stream = self._video_stream()
        except BaseException:
            self.container.close()
            raise

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.container.close()

    def _video_stream(self) -> av.VideoStream:
        streams = video_streams(self.container)
        if not streams:
            raise VideoError(self.path, "no video stream")
        stream = streams[0]
        self._check_size(stream.codec_context.width, stream.codec_context.height)
        stream.thread_type = "NONE"
        stream.codec_context.thread_count = 1
        # A stream may change its size on the way; the decoder's own limit counts padding too.
        limit = min(2 * self._max_pixels + (1 << 20), (1 << 31) - 1)
        stream.codec_context.options = {"max_pixels": str(limit)}
        return stream

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._max_pixels:
            raise VideoError(self.path, f"frames of {width}x{height} are too large")

    def frames(self, start: float) -> Iterator[tuple[float, float, av.VideoFrame]]:
        """(seconds from the first frame, duration in seconds or 0, frame), time never falling.

        Begins at or before ``start``, not necessarily with the first frame.
        """
        clock = Clock(self.stream)
        first = True
        for frame in self.decode():
            time = clock.time(frame)
            if first:
                first = False
                if start > 1.0 and self._seek(clock.zero + start):
                    break
            yield time, clock.seconds(frame.duration), frame
        else:
            return
        clock.restart()
        for frame in self.decode(self._ticks(clock.zero + start)):
            yield clock.time(frame), clock.seconds(frame.duration), frame

    def _seek(self, seconds: float) -> bool:
        """Go to the keyframe before a time of the stream; False if the file cannot."""
        ticks = self._ticks(seconds)
        if ticks is None:
            return False
        try:
            self.container.seek(ticks, stream=self.stream, backward=True)
        except (av.FFmpegError, OSError, OverflowError):
            return False
        return True

    def _ticks(self, seconds: float) -> int | None:
        """A time of the stream in its own unit, if it has one."""
        return int(seconds / self.stream.time_base) if self.stream.time_base else None

    def decode(self, wanted: int | None = None) -> Iterator[av.VideoFrame]:
        """Frames from where the file stands; undecodable packets are left out.

        Args:
            wanted: ticks of the first moment that matters. Of the frames before it, those that no
                other frame is built on may be left out, but for the last two.

        Raises:
            VideoError: half of the packets or more, or all frames, are lost.
        """
        packets = broken = given = 0
        for packet in self.packets() if wanted is None else self._hurry(wanted):
            packets += 1
            try:
                frames = packet.decode()
            except (av.FFmpegError, MemoryError):
                broken += 1
                if packets > 32 and broken > MAX_DAMAGE * packets:
                    break
                continue
            for frame in frames:
                self._check_size(frame.width, frame.height)
                given += 1
                yield frame
        if broken > MAX_DAMAGE * packets:
            raise VideoError(self.path, f"damaged: {broken} of {packets} packets undecodable")
        if packets and not given:
            raise VideoError(self.path, "no decodable frame")

    def packets(self) -> Iterator[av.Packet]:
        """Until the end of the file, or until the container breaks off."""
        packets = self.container.demux(self.stream)
        strangers = 0
        while strangers < 10_000:
            try:
                yield next(packets)
            except IndexError:  # PyAV: a packet of a stream that was not there at opening
                strangers += 1
                packets = self.container.demux(self.stream)
            except (StopIteration, av.FFmpegError, OSError):
                return

    def _hurry(self, wanted: int) -> Iterator[av.Packet]:
        """As :meth:`packets`; the decoder is told which frames before ``wanted`` may be dropped.

        That leaves the other frames as they are, and takes a good third less time on the way from a
        keyframe far away. Only the packets up to ``wanted`` are read ahead, and where their times
        do not tell what comes last before it, nothing is dropped.
        """
        packets = self.packets()
        ahead: list[av.Packet] = []
        size = 0
        for packet in packets:
            ahead.append(packet)
            size += packet.size + 1000
            if packet.dts is None or packet.dts > wanted or size > _MOST_AHEAD:
                break
        decoder = self.stream.codec_context
        limit = -math.inf
        if decoder.name in _TELLS_WHAT_IS_NEEDED:
            limit = _droppable_until([packet.pts for packet in ahead], wanted)
        for packet in ahead:
            hurry = packet.pts is not None and packet.pts < limit
            decoder.skip_frame = "NONREF" if hurry else "DEFAULT"
            yield packet
        decoder.skip_frame = "DEFAULT"
        yield from packets

    def images(
        self,
        picked: Iterator[tuple[av.VideoFrame, int]],
        short_side: int | None,
        max_frames: int,
    ) -> list[Image]:
        """RGB images, upright, all of the first one's size; a repeated frame is one array."""
        images: list[Image] = []
        size: tuple[int, int] | None = None
        for frame, count in picked:
            if len(images) + count > max_frames:
                raise VideoError(self.path, f"more than {max_frames} frames; give an end")
            if size is None:
                size = upright_size(frame)
                size = target_size(self.path, *size, short_side) if short_side else size
            check_memory(self.path, len(images) + count, size)
            with self.colours():
                images.extend([to_rgb(frame, self.reformatter, size)] * count)
        return images

    @contextmanager
    def colours(self) -> Iterator[None]:
        """Around a conversion of frames to RGB: what FFmpeg cannot convert is a ``VideoError``."""
        try:
            yield
        except av.FFmpegError as error:
            raise VideoError(self.path, f"no way to its colours: {error}") from None


class Clock:
    """Presentation times of decoded frames, in seconds from the first, never falling.

    A decoder gives frames in the order of presentation, so times that fall are wrong. Files without
    presentation times (AVI) then have usable decoding times: FFmpeg's own rule, whichever of the
    two has been wrong less often.
    """

    def __init__(self, stream: av.VideoStream) -> None:
        self._base = float(stream.time_base or 0) or 1 / 1000
        rate = stream.average_rate or stream.guessed_rate
        self._step = float(1 / rate) if rate else 1 / 25
        self.zero = math.nan
        self.restart()

    def restart(self) -> None:
        """Forget the order of times: the file is read from another place."""
        self._last = self._last_pts = self._last_dts = -math.inf
        self._faulty_pts = self._faulty_dts = 0

    def seconds(self, ticks: int | None) -> float:
        """A number of the stream's ticks in seconds, 0 if unknown."""
        return ticks * self._base if ticks else 0.0

    def time(self, frame: av.VideoFrame) -> float:
        """The time of the next frame."""
        if frame.pts is not None:
            self._faulty_pts += frame.pts <= self._last_pts
            self._last_pts = frame.pts
        if frame.dts is not None:
            self._faulty_dts += frame.dts <= self._last_dts
            self._last_dts = frame.dts
        ticks = frame.pts
        if frame.pts is None or (frame.dts is not None and self._faulty_pts > self._faulty_dts):
            ticks = frame.dts
        if ticks is not None:
            absolute = ticks * self._base
        else:
            absolute = self._last + self._step if math.isfinite(self._last) else 0.0
        absolute = max(absolute, self._last)
        self._last = absolute
        if math.isnan(self.zero):
            self.zero = absolute
        return absolute - self.zero


def open_file(path: Path | str) -> av.container.InputContainer:
    """Open a file that must be a video, and no playlist that names other files.

    Raises:
        VideoError: it is missing, empty, or nothing that holds video.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise VideoError(path, "file not found" if not path.exists() else "not a file")
        if path.stat().st_size == 0:
            raise VideoError(path, "empty file")
        return av.open(str(path), options=dict(_OPEN_OPTIONS), metadata_errors="ignore")
    except (av.FFmpegError, OSError, MemoryError, UnicodeError) as error:
        if isinstance(error, PermissionError):
            raise VideoError(path, "not readable") from None
        raise VideoError(path, "not a video that can be opened") from None


def _droppable_until(times: Iterable[int | None], wanted: int) -> float:
    """The time before which frames may be dropped: that of the last but one up to ``wanted``.

    >>> _droppable_until([0, 30, 10, 20, 40], 35), _droppable_until([0, None, 20], 35)
    (20, -inf)
    """
    before: list[int] = []
    for time in times:
        if time is None:
            return -math.inf
        if time <= wanted:
            before.append(time)
    if len(set(before)) != len(before) or len(before) < 2 or min(before) != before[0]:
        return -math.inf
    return sorted(before)[-2]


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


def even_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """``(height, width)`` with the shorter side at ``short_side`` and both rounded to even."""
    scale = short_side / min(height, width)
    even = [max(2, 2 * round(side * scale / 2)) for side in (height, width)]
    return even[0], even[1]


def target_size(path: Path | str, height: int, width: int, short_side: int) -> tuple[int, int]:
    """:func:`even_size` of a file's frames, before anything of that size is made.

    Raises:
        VideoError: a long and narrow frame, which would become huge.
    """
    size = even_size(height, width, short_side)
    if max(size) > MAX_SIDE or size[0] * size[1] > MAX_PIXELS:
        found = f"{width}x{height} would become {size[1]}x{size[0]}"
        raise VideoError(path, f"too large at this short_side: {found}")
    return size


def check_memory(path: Path | str, frames: int, size: tuple[int, int]) -> None:
    """Refuse frames of ``size`` (height, width) that would fill more memory than a file may."""
    if frames * size[0] * size[1] * 3 > MAX_BYTES:
        raise VideoError(path, "too many pixels in all; give an end or a smaller short_side")


def resize(image: Image, size: tuple[int, int]) -> Image:
    """``image`` at ``size`` (height, width): area averaging down, bilinear up."""
    if image.shape[:2] == size:
        return image
    smaller = size[0] <= image.shape[0] and size[1] <= image.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(image, (size[1], size[0]), interpolation=how)


def rgb_batch(
    frames: Iterable[av.VideoFrame], reformatter: VideoReformatter, box: Box | None = None
) -> np.ndarray:
    """Frames (one or more) as RGB, uint8 (T, H, W, 3), or the part of them that is in a box.

    Frames in ``yuv420p`` are laid under each other and converted as one tall picture, and only the
    part in the box: the same pixels as one by one, for less than half of the time.

    Raises:
        ValueError: a box outside of the picture.
    """
    parts: list[np.ndarray] = []
    frames = iter(frames)
    whole = (0, 0)
    chosen = (0, 0, 0, 0)
    for first in frames:
        if not parts:
            whole = upright_size(first)
            chosen = box or (0, 0, *whole)
            top, left, height, width = chosen
            if (
                min(chosen) < 0
                or 0 in chosen[2:]
                or top + height > whole[0]
                or left + width > whole[1]
            ):
                raise ValueError(f"box {chosen} is outside of a picture of {whole[0]} x {whole[1]}")
        most = max(1, min(64, _BATCH // (first.width * first.height)))
        some = [first, *itertools.islice(frames, most - 1)]
        if upright_size(first) == whole and all(_is_plain(frame, first) for frame in some):
            parts.append(_convert_tall(some, reformatter, chosen))
        else:
            images = [to_rgb(frame, reformatter, whole) for frame in some]
            parts.append(np.stack(images)[:, top : top + height, left : left + width])
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _is_plain(frame: av.VideoFrame, like: av.VideoFrame) -> bool:
    """Whether a frame is what :func:`_convert_tall` takes, and may be laid under another one."""
    return (
        frame.format.name == "yuv420p"
        and not frame.rotation
        and (frame.width, frame.height) == (like.width, like.height)
        and frame.width % 2 == frame.height % 2 == 0
        and (frame.colorspace, frame.color_range) == (like.colorspace, like.color_range)
    )


def _convert_tall(
    frames: list[av.VideoFrame], reformatter: VideoReformatter, box: Box
) -> np.ndarray:
    """The ``box`` of frames in ``yuv420p`` as RGB, by one conversion."""
    top, left = box[0] % 2, box[1] % 2  # of the box in what is converted; chroma has half the lines
    height, width = ((side + odd + 1) & ~1 for side, odd in ((box[2], top), (box[3], left)))
    tall = av.VideoFrame(width, len(frames) * height, "yuv420p")
    tall.colorspace, tall.color_range = frames[0].colorspace, frames[0].color_range
    for level, target in enumerate(tall.planes):
        half = 1 if level == 0 else 2
        rows = slice((box[0] - top) // half, (box[0] - top + height) // half)
        columns = slice((box[1] - left) // half, (box[1] - left + width) // half)
        places = pixels(target)[: len(frames) * height // half, : width // half]
        for frame, place in zip(
            frames, places.reshape(len(frames), height // half, -1), strict=True
        ):
            place[:] = pixels(frame.planes[level])[rows, columns]
    size = (tall.height, tall.width)
    images = _convert(tall, reformatter, size, Interpolation.BICUBIC)
    images = images.reshape(len(frames), height, width, 3)
    return images[:, top : top + box[2], left : left + box[3]]


def pixels(plane: av.video.plane.VideoPlane) -> np.ndarray:
    """A plane's bytes, not copied: uint8 (rows, bytes a row), padding included."""
    return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
