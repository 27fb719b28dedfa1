"""An open video file: its frames as they come, their times, and its damage."""

from __future__ import annotations

import errno
import math
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import av
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from dancestyle.video.errors import VideoError
from dancestyle.video.rgb import Image, to_rgb, upright_size

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
    """An open file: its first video stream, decoded frame by frame, damage counted.

    Args:
        max_pixels: a frame larger than this is refused, before it is decoded.
        pixel_format: as in :func:`open_file`.
    """

    def __init__(
        self, path: Path | str, max_pixels: int = MAX_PIXELS, pixel_format: str | None = None
    ) -> None:
        self.path = str(path)
        self._max_pixels = max_pixels
        self.container = open_file(path, pixel_format)
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


def written_here(pixel_format: str) -> dict[str, str]:
    """Options for opening a file of this project's, which is MP4 or Matroska.

    FFmpeg decodes frames to find their pixel format and order, which is most of the time that opening
    takes. Without that, size and times are what the header says, which may be damaged, and a Matroska
    file's first time is not known. Frames themselves come as they are.
    """
    return {"pixel_format": pixel_format, "skip_frame": "all", "probesize": "32"}


def open_file(path: Path | str, pixel_format: str | None = None) -> av.container.InputContainer:
    """Open a file that must be a video, and no playlist that names other files.

    Args:
        pixel_format: of a file that this project has written, such as ``yuv420p``: see
            :func:`written_here`. None: FFmpeg finds it.

    Raises:
        VideoError: it is missing, empty, or nothing that holds video.
    """
    try:
        found = _status(path)
        if not stat.S_ISREG(found.st_mode):
            raise VideoError(path, "not a file")
        if not found.st_size:
            raise VideoError(path, "empty file")
        options = _OPEN_OPTIONS | (written_here(pixel_format) if pixel_format else {})
        return av.open(str(path), options=options, metadata_errors="ignore")
    except (av.FFmpegError, OSError, MemoryError, UnicodeError) as error:
        if isinstance(error, PermissionError):
            raise VideoError(path, "not readable") from None
        raise VideoError(path, "not a video that can be opened") from None


def _status(path: Path | str) -> os.stat_result:
    try:
        return Path(path).stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last: no name of any file
        raise VideoError(path, "file not found") from None
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link to itself
            raise VideoError(path, "file not found") from None
        raise


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
