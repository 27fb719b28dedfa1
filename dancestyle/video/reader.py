"""Frames of any video file, by time.

:func:`decode` reads files as they are found: it never trusts the header's frame count, takes the
frame whose presentation time is nearest, and turns everything that is wrong with a file into a
:class:`VideoError` with a short reason. :class:`ClipReader` is the fast way into the clips that
:func:`dancestyle.video.writer.write_clip` has written: any frames, decoding only from the keyframe
before them.

Decoding uses one thread: the work is spread over clips, by processes, and one thread gives the same
frames on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from dancestyle.video.errors import VideoError

__all__ = ["ClipReader", "VideoError", "decode", "even_size"]

Image = np.ndarray
"""uint8 (H, W, 3), RGB"""

MAX_FRAMES = 3000
"""Most frames that :func:`decode` gives: two minutes at 25 a second."""
MAX_PIXELS = 8192 * 4608
"""Largest frame that is decoded: a little above 8K television."""
MAX_BYTES = 2 << 30
"""Most memory that :func:`decode` fills with frames."""
MAX_DAMAGE = 0.5
"""Largest share of undecodable packets; a file above it is rejected, below it plays with gaps."""

# Containers that hold video. FFmpeg would otherwise also try playlists, subtitles and plain text,
# which may name other files or render text as pictures.
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,flv,asf,"
    "gif,ogg,rm,swf,dv,nut,ivf,mxf,wtv,vob,y4m,yuv4mpegpipe,mjpeg,apng,av1,obu,live_flv"
)
_OPEN_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}


def decode(
    path: Path | str,
    fps: float = 25.0,
    start: float = 0.0,
    end: float | None = None,
    short_side: int | None = None,
    max_frames: int = MAX_FRAMES,
    max_pixels: int = MAX_PIXELS,
    max_seconds: float | None = None,
) -> np.ndarray:
    """The frames of a video at a steady rate: uint8 (T, H, W, 3), RGB.

    Frame ``k`` is the one whose presentation time is nearest to ``start + k / fps``, the earlier of
    two equally near. Time is in seconds from the first frame of the file. Rotation metadata is
    applied, colours come out right for limited and full range.

    Args:
        fps: frames a second that come out, whatever the file has.
        start: seconds from the first frame.
        end: seconds from the first frame at which to stop; None reads to the last frame.
        short_side: pixels; the frame is resized so that its shorter side has this many and both
            sides are even. None keeps the size.
        max_frames: a file that gives more frames than this is refused, not cut.
        max_pixels: a frame larger than this is refused, before it is decoded.
        max_seconds: cuts at ``start + max_seconds``, as ``end`` does.

    Raises:
        VideoError: the file is missing, empty, no video, too large, too long, too damaged, or has
            no frame between ``start`` and ``end``.
    """
    if fps <= 0 or start < 0:
        raise ValueError(f"fps must be positive and start not negative, found {fps}, {start}")
    if max_seconds is not None:
        end = start + max_seconds if end is None else min(end, start + max_seconds)
    with _Source(path, max_pixels) as source:
        picked = _pick(source, fps, start, end, max_frames)
        frames = source.images(picked, short_side, max_frames)
    if not frames:
        raise VideoError(path, "no frames" if start == 0 else f"no frames after {start:g} s")
    return np.stack(frames)


def even_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """``(height, width)`` with the shorter side at ``short_side`` and both rounded to even."""
    scale = short_side / min(height, width)
    even = [max(2, 2 * round(side * scale / 2)) for side in (height, width)]
    return even[0], even[1]


def resize(image: Image, size: tuple[int, int]) -> Image:
    """``image`` at ``size`` (height, width): area averaging down, bilinear up."""
    if image.shape[:2] == size:
        return image
    smaller = size[0] <= image.shape[0] and size[1] <= image.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(image, (size[1], size[0]), interpolation=how)


def _pick(
    source: _Source, fps: float, start: float, end: float | None, max_frames: int
) -> Iterator[tuple[av.VideoFrame, int]]:
    """Frames of ``source`` with how many times each is wanted, in order of time."""
    # Bounds the work for a file with many frames but little time. 16 in for each frame out.
    budget = 16 * max_frames + 4096
    wanted = 0  # frames given so far
    previous: av.VideoFrame | None = None
    before = step = 0.0

    def until(limit: float, closed: bool) -> int:
        """How many more frames are due up to a time (including it, if ``closed``)."""
        if end is not None and limit >= end:
            limit, closed = end - 0.5 / fps, False
        due = (limit - start) * fps
        if not math.isfinite(due) or due > max_frames + 1:
            due = max_frames + 1.0
        count = math.floor(due + 1e-6) + 1 if closed else math.ceil(due - 1e-6)
        return max(0, count - wanted)

    for seen, (time, duration, frame) in enumerate(source.frames(start)):
        if seen > budget:
            raise VideoError(source.path, f"more than {budget} frames")
        if previous is not None:
            count = until((before + time) / 2, closed=True)
            if count:
                yield previous, count
                wanted += count
            step = time - before
        previous, before = frame, time
        last = duration if 0 < duration <= 1 else step
        if end is not None and before >= end:
            break
    if previous is not None:
        # The last frame stays for its duration; a rest of less than half a frame is dropped.
        tail = before + min(1.0, last or 1 / fps) - 0.5 / fps
        count = until(tail, closed=False) or int(wanted == 0 and before + last > start)
        if count:
            yield previous, count


class _Source:
    """An open file: its first video stream, decoded frame by frame, damage counted."""

    def __init__(self, path: Path | str, max_pixels: int = MAX_PIXELS) -> None:
        self.path = str(path)
        self._max_pixels = max_pixels
        self._container = _open(path)
        self._reformatter = VideoReformatter()
        try:
            self._stream = self._video_stream()
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> _Source:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._container.close()

    def _video_stream(self) -> av.VideoStream:
        streams = [s for s in self._container.streams.video if s.codec_context is not None]
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
        clock = _Clock(self._stream)
        first = True
        for frame in self._decode():
            time = clock.time(frame)
            if first:
                first = False
                if start > 1.0 and self._seek(clock.zero + start):
                    break
            yield time, clock.seconds(frame.duration), frame
        else:
            return
        clock.restart()
        for frame in self._decode():
            yield clock.time(frame), clock.seconds(frame.duration), frame

    def _seek(self, seconds: float) -> bool:
        """Go to the keyframe before a time of the stream; False if the file cannot."""
        base = self._stream.time_base
        if base is None:
            return False
        try:
            self._container.seek(int(seconds / base), stream=self._stream, backward=True)
        except (av.FFmpegError, OSError, OverflowError):
            return False
        return True

    def _decode(self) -> Iterator[av.VideoFrame]:
        packets = broken = given = 0
        for packet in self._packets():
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

    def _packets(self) -> Iterator[av.Packet]:
        """Until the end of the file, or until the container breaks off."""
        packets = self._container.demux(self._stream)
        strangers = 0
        while strangers < 10_000:
            try:
                yield next(packets)
            except IndexError:  # PyAV: a packet of a stream that was not there at opening
                strangers += 1
                packets = self._container.demux(self._stream)
            except (StopIteration, av.FFmpegError, OSError):
                return

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
            image = to_rgb(frame, self._reformatter)
            if size is None:
                height, width = image.shape[:2]
                size = even_size(height, width, short_side) if short_side else (height, width)
            images.extend([resize(image, size)] * count)
            if len(images) * size[0] * size[1] * 3 > MAX_BYTES:
                raise VideoError(self.path, "too many pixels in all; give an end or a short_side")
        return images


class _Clock:
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


def _open(path: Path | str) -> av.container.InputContainer:
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


def to_rgb(frame: av.VideoFrame, reformatter: VideoReformatter) -> Image:
    """A decoded frame as RGB, with its rotation applied."""
    rgb = reformatter.reformat(
        frame, format="rgb24", interpolation=Interpolation.BICUBIC, threads=1
    )
    image = rgb.to_ndarray()
    turns = round(frame.rotation / 90) % 4  # counter-clockwise, as np.rot90
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


class ClipReader:
    """Random access to a clip of the dataset: steady rate, no B-frames, many keyframes.

    The file stays open until :meth:`close`, and the next read opens it again. An object may be sent
    to another process, where it opens the file anew.

    Attributes:
        frames: number of frames
        fps: frames a second
        width: pixels
        height: pixels
    """

    def __init__(self, path: Path | str) -> None:
        self.path = str(path)
        self._source: _Source | None = None
        self._open()

    def _open(self) -> _Source:
        if self._source is not None:
            return self._source
        source = self._source = _Source(self.path)
        stream = source._stream
        self._container, self._stream = source._container, stream
        self.fps = float(stream.average_rate or 25)
        self.width, self.height = stream.codec_context.width, stream.codec_context.height
        base = stream.time_base
        if base is None or not stream.average_rate:
            raise VideoError(self.path, "no steady frame rate; not a clip of the dataset")
        self._ticks = float(1 / (stream.average_rate * base))  # of a frame
        self._zero = stream.start_time or 0
        keyframes: list[int] = []
        self.frames = stream.frames
        if self.frames:
            entries = [e for e in stream.index_entries if e.is_keyframe]
            keyframes = sorted(self._index(e.timestamp) for e in entries)
        if not keyframes:
            # A container without a table of frames (Matroska): read the packets, decode nothing.
            packets = [p for p in self._container.demux(stream) if p.pts is not None]
            self.frames = len(packets)
            keyframes = sorted(self._index(p.pts or 0) for p in packets if p.is_keyframe)
            self._rewind(0)
        self._keyframes = np.asarray(keyframes)
        self._next = 0  # index of the frame that decoding gives next
        self._decoder = source._decode()
        return source

    def _index(self, ticks: int) -> int:
        return round((ticks - self._zero) / self._ticks)

    def _rewind(self, index: int) -> None:
        target = self._zero + round(index * self._ticks)
        self._container.seek(target, stream=self._stream, backward=True)

    def read(self, indices: Sequence[int], size: tuple[int, int] | None = None) -> np.ndarray:
        """The frames at ``indices`` (any order, repeats allowed): uint8 (len, H, W, 3), RGB.

        Args:
            indices: from 0 to ``frames - 1``.
            size: (height, width) of the result in pixels; None keeps the clip's.

        Raises:
            IndexError: an index outside of the clip.
            VideoError: the file is damaged.
        """
        source = self._open()
        wanted = sorted({int(index) for index in indices})
        if not wanted:
            raise IndexError(f"{self.path}: no frames asked for")
        if wanted[0] < 0 or wanted[-1] >= self.frames:
            raise IndexError(
                f"{self.path}: frames {wanted[0]} to {wanted[-1]} asked for, has 0 to "
                f"{self.frames - 1}"
            )
        images: dict[int, Image] = {}
        for index in wanted:
            image = to_rgb(self._frame(index), source._reformatter)
            images[index] = resize(image, size) if size else image
        return np.stack([images[int(index)] for index in indices])

    def _frame(self, index: int) -> av.VideoFrame:
        """The decoded frame at ``index``, going on from the last one or from a nearer keyframe."""
        place = int(np.searchsorted(self._keyframes, index, side="right")) - 1
        keyframe = int(self._keyframes[place]) if place >= 0 else 0
        if not self._next <= index or keyframe > self._next:
            self._rewind(max(keyframe, 0))
            self._decoder = self._source._decode() if self._source else iter(())
        for frame in self._decoder:
            found = self._index(frame.pts if frame.pts is not None else 0)
            self._next = found + 1
            if found >= index:
                return frame
        raise VideoError(self.path, f"frame {index} cannot be decoded")

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        if self._source is not None:
            self._source._container.close()
            self._source = None

    def __enter__(self) -> ClipReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[type[ClipReader], tuple[str]]:
        return type(self), (self.path,)
