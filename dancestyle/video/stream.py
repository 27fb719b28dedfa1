"""A video of any length in bounded memory: its frames one by one, and in pieces of equal length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from dancestyle.video.errors import VideoError
from dancestyle.video.reader import pick
from dancestyle.video.rgb import Image, to_rgb, upright_size
from dancestyle.video.source import MAX_BYTES, Source, even_size

MAX_SECONDS = 4 * 3600.0
"""Longest video that is read; a file with wrong times may claim centuries."""


def frames(
    path: Path | str, fps: float, short_side: int, max_seconds: float = MAX_SECONDS
) -> Iterator[Image]:
    """The frames that :func:`dancestyle.video.reader.decode` gives, one at a time.

    Args:
        path: any video file.
        fps: frames a second that come out.
        short_side: pixels of their shorter side.
        max_seconds: a longer video is refused when it gets there.

    Raises:
        VideoError: as in ``decode``.
    """
    limit = round(max_seconds * fps)
    given = 0
    size: tuple[int, int] | None = None
    with Source(path) as source:
        for frame, count in pick(source, fps, 0.0, None, limit):
            if given + count > limit:
                raise VideoError(path, f"longer than {max_seconds:g} s")
            size = size or even_size(*upright_size(frame), short_side)
            if size[0] * size[1] > MAX_BYTES >> 10:
                raise VideoError(path, f"frames of {size[1]}x{size[0]} are too large")
            with source.colours():
                image = to_rgb(frame, source.reformatter, size)
            for _ in range(count):
                yield image
            given += count
    if not given:
        raise VideoError(path, "no frames")


def pieces(images: Iterable[Image], length: int, least: int) -> Iterator[tuple[int, np.ndarray]]:
    """Consecutive pieces (index of the first frame, uint8 (T, H, W, 3)), ``length`` frames each.

    What is left at the end is made whole with frames before it, so that every piece but that of a
    short video is full; fewer than ``least`` frames left are dropped.

    >>> import numpy as np
    >>> frames = [np.full((1, 1, 3), n, np.uint8) for n in range(7)]
    >>> [(first, part[:, 0, 0, 0].tolist()) for first, part in pieces(frames, 3, 1)]
    [(0, [0, 1, 2]), (3, [3, 4, 5]), (4, [4, 5, 6])]
    """
    waiting: list[Image] = []
    before: np.ndarray | None = None
    first = 0
    for image in images:
        waiting.append(image)
        if len(waiting) == length:
            before = np.stack(waiting)
            waiting = []
            yield first, before
            first += length
    if before is None and waiting:
        yield 0, np.stack(waiting)
    elif before is not None and len(waiting) >= max(least, 1):
        rest = len(waiting)
        yield first + rest - length, np.concatenate([before[rest:], np.stack(waiting)])
