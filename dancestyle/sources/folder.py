"""Anybody's own videos: one folder a style, videos of any length and format anywhere below it.

``<root>/<style>/**/*.{mp4,avi,mkv,mov,webm,...}``. The styles need not be the study's: the names of
the folders are the labels. A video longer than a clip is cut into several, which share its
``video_id``, so that a split never divides it. Files of other suffixes are rejected, hidden ones left
out.
"""

from __future__ import annotations

import hashlib
import math
import re
from itertools import pairwise
from pathlib import Path

from dancestyle.clips import Rejected
from dancestyle.labels import normalise
from dancestyle.sources.base import (
    VIDEO_SUFFIXES,
    Found,
    SourceClip,
    SourceError,
    printable,
    split_suffix,
    walk,
)
from dancestyle.video import duration

NAME = "folder"
MAX_NAME = 100
"""Longest readable part of a clip id; file systems allow 255 bytes for a name."""
SLACK = 0.05
"""A video that is longer than a clip by at most this share of it is one clip, where it may be."""


def safe_name(relative: str) -> str:
    """A relative path as a name that is safe for a file, readable, and unlike any other path's.

    >>> safe_name("salsa/my first class.mp4")
    'salsa-my-first-class-22ee6f19'
    """
    digest = hashlib.sha256(relative.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    stem = split_suffix(relative, VIDEO_SUFFIXES) or relative
    words = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-")[-MAX_NAME:].strip("-")
    return f"{words}-{digest}" if words else digest


def pieces(
    seconds: float, clip_seconds: float, longest: float = math.inf
) -> list[tuple[float, float | None]]:
    """``(start, end)`` of the clips of a video, in seconds.

    All are equally long, ``clip_seconds`` at most (or up to :data:`SLACK` more, but not more than
    ``longest``), so that nothing of the video is left over but what its claim may be wrong by. The
    last clip has no end, since the duration is only what the file claims.

    >>> pieces(24, 10)
    [(0.0, 8.0), (8.0, 16.0), (16.0, None)]
    >>> pieces(10.4, 10), pieces(10.4, 10, 10)
    ([(0.0, None)], [(0.0, 5.2), (5.2, None)])
    """
    count = max(1, math.ceil(seconds / clip_seconds - SLACK))
    count += seconds / count > longest + duration.DOUBT
    borders = [round(number * seconds / count, 3) for number in range(count)]
    return [*pairwise(borders), (borders[-1], None)]


def read(
    root: str,
    clip_seconds: float = 10.0,
    workers: int = 0,
    cache: Path | None = None,
    max_seconds: float = math.inf,
) -> Found:
    """The clips of all videos in the folders of ``root``.

    Args:
        root: the folder.
        clip_seconds: length of a clip; a longer video gives several.
        workers: processes that open the videos to see how long they are; 0 takes one a core.
        cache: where that is remembered; see :func:`dancestyle.video.duration.of_files`.
        max_seconds: where a clip is going to be cut, ``clip_seconds`` or more.

    Raises:
        SourceError: ``root`` is not there or holds no folder with a video.
    """
    found = Found()
    if not Path(root).is_dir():
        raise SourceError(
            f"build_dataset.sources (folder): root: {root} is not a folder; correct the path"
        )
    videos: list[tuple[Path, str]] = []
    others: list[Rejected] = []
    for folder, names in walk(root):
        for name in names:
            parts = (folder / name).relative_to(root).parts
            label = printable(normalise(parts[0])) if len(parts) > 1 else ""
            if split_suffix(name, VIDEO_SUFFIXES) is None:
                reason = f"no suffix of a video: '{printable(Path(name).suffix)}'"
                others.append(Rejected(NAME, printable(folder / name), label, reason))
            elif label:
                videos.append((folder / name, label))
            else:
                reason = "not in a folder that names its style"
                found.rejected.append(Rejected(NAME, printable(folder / name), "", reason))
    lengths = duration.of_files([path for path, _ in videos], workers, cache)
    for (path, label), length in zip(videos, lengths, strict=True):
        if isinstance(length, str):
            found.rejected.append(Rejected(NAME, printable(path), label, length))
            continue
        video_id = safe_name("/".join(path.relative_to(root).parts))
        found.clips += [
            SourceClip(f"{video_id}_{n:03d}", video_id, NAME, label, str(path), start, end)
            for n, (start, end) in enumerate(pieces(length, clip_seconds, max_seconds))
        ]
    if not found.clips and not found.rejected:
        raise SourceError(
            f"build_dataset.sources (folder): root: no videos in {root}; it needs a folder "
            "for each style with videos in it"
        )
    found.rejected += others
    found.clips.sort(key=lambda clip: clip.clip_id)
    found.counts = {"videos": len({clip.video_id for clip in found.clips})}
    return found
