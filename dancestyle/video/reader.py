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

import bisect
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import av
import numpy as np

from dancestyle.video.errors import VideoError
from dancestyle.video.rgb import Box, resize, rgb_batch
from dancestyle.video.source import MAX_PIXELS, Source, even_size

__all__ = ["MAX_PIXELS", "ClipReader", "VideoError", "decode", "even_size", "pick", "resize"]

MAX_FRAMES = 3000
"""Most frames that :func:`decode` gives: two minutes at 25 a second."""


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
    with Source(path, max_pixels) as source:
        picked = pick(source, fps, start, end, max_frames)
        frames = source.images(picked, short_side, max_frames)
    if not frames:
        raise VideoError(path, "no frames" if start == 0 else f"no frames after {start:g} s")
    return np.stack(frames)


def pick(
    source: Source, fps: float, start: float, end: float | None, max_frames: int
) -> Iterator[tuple[av.VideoFrame, int]]:
    """Frames of ``source`` with how many times each is wanted, in order of time.

    Arguments as in :func:`decode`; whoever takes them counts, and stops at ``max_frames``.
    """
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
        self._source: Source | None = None
        self._open()

    def _open(self) -> Source:
        if self._source is not None:
            return self._source
        source = self._source = Source(self.path, pixel_format="yuv420p")
        stream = source.stream
        self._container, self._stream = source.container, stream
        self.fps = float(stream.average_rate or 25)
        self.width, self.height = stream.codec_context.width, stream.codec_context.height
        base = stream.time_base
        if base is None or not stream.average_rate:
            raise VideoError(self.path, "no steady frame rate; not a clip of the dataset")
        self._ticks = float(1 / (stream.average_rate * base))  # of a frame
        self._zero = stream.start_time or 0
        self.frames = stream.frames
        self._keyframes: list[int] | None = None  # None: the file has a table of frames
        if not self.frames or not len(stream.index_entries):
            # A container without a table of frames (Matroska): read the packets, decode nothing.
            packets = [(p.pts, p.is_keyframe) for p in source.packets() if p.pts is not None]
            self.frames = len(packets)
            self._zero = min((pts for pts, _ in packets), default=0)
            self._keyframes = sorted(
                self._index(pts) for pts, is_keyframe in packets if is_keyframe
            )
            self._rewind(0)
        self._next = 0  # index of the frame that decoding gives next
        self._decoder = source.decode()
        return source

    def _index(self, ticks: int) -> int:
        return round((ticks - self._zero) / self._ticks)

    def _keyframe(self, index: int) -> int:
        """The last keyframe up to a frame, 0 if there is none."""
        if self._keyframes is not None:
            place = bisect.bisect_right(self._keyframes, index)
            return self._keyframes[place - 1] if place else 0
        entries = self._stream.index_entries
        place = entries.search_timestamp(self._time(index), backward=True)
        return max(self._index(entries[place].timestamp), 0) if place >= 0 else 0

    def _time(self, index: int) -> int:
        """When a frame is shown, in ticks of the stream."""
        return self._zero + round(index * self._ticks)

    def _rewind(self, index: int) -> None:
        target = self._time(index)
        try:
            self._container.seek(target, stream=self._stream, backward=True)
        except (av.FFmpegError, OSError, OverflowError) as error:
            raise VideoError(self.path, f"damaged: no way to frame {index}: {error}") from None

    def read(
        self,
        indices: Sequence[int] | np.ndarray,
        size: tuple[int, int] | None = None,
        box: Box | None = None,
    ) -> np.ndarray:
        """The frames at ``indices`` (any order, repeats allowed): uint8 (len, H, W, 3), RGB.

        Args:
            indices: from 0 to ``frames - 1``.
            size: (height, width) of the result in pixels; None keeps the clip's.
            box: (top, left, height, width) of the part that is wanted, in pixels of the clip. What
                is outside of it is not converted, which saves time; the pixels are the same.

        Raises:
            IndexError: an index outside of the clip.
            ValueError: a box outside of the picture.
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
        frames = map(self._frame, wanted)
        with source.colours():
            images = rgb_batch(frames, len(wanted), source.reformatter, box)
        if size and images.shape[1:3] != size:
            images = np.stack([resize(image, size) for image in images])
        if len(wanted) == len(indices) and np.array_equal(wanted, indices):
            return images
        return images[np.searchsorted(wanted, np.asarray(indices))]

    def _frame(self, index: int) -> av.VideoFrame:
        """The decoded frame at ``index``, going on from the last one or from a nearer keyframe."""
        if index != self._next:
            keyframe = self._keyframe(index)
            if not self._next <= index or keyframe > self._next:
                self._rewind(keyframe)
                self._decoder = self._source.decode() if self._source else iter(())
        for frame in self._decoder:
            found = self._index(frame.pts if frame.pts is not None else 0)
            self._next = found + 1
            if found >= index:
                if (frame.height, frame.width) != (self.height, self.width):
                    size, said = f"{frame.width}x{frame.height}", f"{self.width}x{self.height}"
                    raise VideoError(
                        self.path, f"damaged: frames of {size}, its header says {said}"
                    )
                return frame
        raise VideoError(self.path, f"frame {index} cannot be decoded")

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        if self._source is not None:
            self._source.container.close()
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
