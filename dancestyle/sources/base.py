"""What every source gives: clips as they lie on disk, and what was left out.

The reason of a reject is ``<kind>`` or ``<kind>: <details>``; the metrics count kinds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dancestyle.clips import Rejected

VIDEO_SUFFIXES = frozenset(
    "." + suffix
    for suffix in (
        *("3g2", "3gp", "asf", "avi", "divx", "dv", "f4v", "flv", "gif", "h264", "h265", "hevc"),
        *("ivf", "m1v", "m2ts", "m2v", "m4v", "mj2", "mjpeg", "mkv", "mov", "mp4", "mpe", "mpeg"),
        *("mpg", "mts", "mxf", "nut", "ogm", "ogv", "qt", "rm", "rmvb", "swf", "ts", "vob"),
        *("webm", "wmv", "wtv", "y4m"),
    )
)
"""Files with another suffix are not taken for videos."""

IMAGE_SUFFIXES = frozenset([".bmp", ".jpeg", ".jpg", ".png", ".webp"])


class SourceError(ValueError):
    """A source that cannot be read at all; the message names the params key to correct."""


@dataclass(frozen=True)
class SourceClip:
    """One clip before it is normalised.

    Attributes:
        clip_id: unique within the source, safe as a file name
        video_id: the video it was cut from
        source: name of the dataset
        label: normalised name of the style
        origin: a video file; for a clip of frames, the folder that holds them
        start: seconds into the file
        end: seconds into the file at which to stop; None goes on to its end
        frames: of a clip of frames, their file names within ``origin``, in order
        numbers: of a clip of frames, their numbers; a gap in them is a missing frame
        fps: of a clip of frames, frames a second
        poses: folder with a pose file a frame, if there is one
        split: the dataset's own split, where it names one
    """

    clip_id: str
    video_id: str
    source: str
    label: str
    origin: str
    start: float = 0.0
    end: float | None = None
    frames: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    fps: float | None = None
    poses: str | None = None
    split: str = ""


@dataclass
class Found:
    """All that a source holds.

    Attributes:
        clips: sorted by clip_id
        rejected: what did not become a clip, and why
        counts: other facts worth a number in the metrics, by name
    """

    clips: list[SourceClip] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def printable(path: Path | str) -> str:
    """A path as text that is valid UTF-8, whatever bytes its name is made of."""
    return os.fsencode(str(path)).decode("utf-8", "backslashreplace")


def walk(root: Path | str) -> Iterator[tuple[Path, list[str]]]:
    """Every folder under ``root`` with its file names, in a steady order.

    Links are followed, each folder is entered once, hidden files and folders are left out.
    """
    seen: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Path(folder), sorted(name for name in names if not name.startswith("."))


def split_suffix(name: str, suffixes: frozenset[str]) -> str | None:
    """The name without its suffix if that is one of ``suffixes``, else None.

    A video suffix left by a download tool before the real one (``x.mp4.mkv``) goes as well.
    """
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 (names, not paths; called very often)
    if suffix.lower() not in suffixes:
        return None
    inner, suffix = os.path.splitext(stem)  # noqa: PTH122
    return inner if inner and suffix.lower() in suffixes else stem
