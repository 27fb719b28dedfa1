"""Let's Dance on disk: frames of 16 dance classes, a pose file beside each.

``rgb/<class>/<youtube_id>_<SSS>_<FFFF>.jpg``: SSS is where in the video the clip starts, FFFF
counts its frames from 1; numbers are missing here and there. Some copies nest ``rgb/rgb/``. Poses
are ``densepose/<class>/<same stem>.json``. The frame rate is not stored, so it is a key in params.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dancestyle.clips import Rejected
from dancestyle.labels import LETS_DANCE_CLASSES, STYLES, normalise
from dancestyle.sources.base import (
    IMAGE_SUFFIXES,
    Found,
    SourceClip,
    SourceError,
    printable,
    split_suffix,
)

NAME = "lets_dance"

KEYPOINTS: tuple[str, ...] = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
"""The 17 of COCO, in its order."""

_STEM = re.compile(r"(?P<id>.+)_(?P<start>[0-9]+)_(?P<frame>[0-9]+)", re.DOTALL)
_KEY = "build_dataset.sources (lets_dance)"


def parse_stem(stem: str) -> tuple[str, str, int] | None:
    """``(youtube id, start as written, frame number)`` of a frame's name, or None.

    >>> parse_stem("02WOiWd3Z-0_052_0301")
    ('02WOiWd3Z-0', '052', 301)
    """
    match = _STEM.fullmatch(stem)
    return (match["id"], match["start"], int(match["frame"])) if match else None


def checked_map(class_map: Mapping[str, str | None]) -> dict[str, str | None]:
    """The class map with normalised styles.

    Raises:
        SourceError: one of the 16 classes is missing, a class is unknown, or a style is.
    """
    missing = [name for name in LETS_DANCE_CLASSES if name not in class_map]
    unknown = [name for name in class_map if name not in LETS_DANCE_CLASSES]
    if missing or unknown:
        raise SourceError(
            f"{_KEY}: class_map must name each of the 16 classes once, null for no style; "
            f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}"
        )
    result = {name: style and normalise(style) for name, style in class_map.items()}
    wrong = [f"{name}: {style}" for name, style in result.items() if style and style not in STYLES]
    if wrong:
        raise SourceError(
            f"{_KEY}: class_map: no such style: {', '.join(wrong)}; the styles are "
            f"{', '.join(STYLES)}"
        )
    return result


def read(root: str, class_map: Mapping[str, str | None], fps: float = 25.0) -> Found:
    """The clips of all classes that have a style; the others are rejected with that reason.

    ``counts`` says how many frames there are, and how many numbers are missing between the first
    and the last frame of a clip.

    Raises:
        SourceError: the folder is not there, or the class map does not fit (:func:`checked_map`).
    """
    styles = checked_map(class_map)
    found = Found()
    counts = dict.fromkeys(("frames", "missing_frames", "clips_with_gaps", "clips_with_poses"), 0)
    rgb, poses = _part(root, "rgb"), _part(root, "densepose")
    if rgb is None and any((Path(root) / dance).is_dir() for dance in LETS_DANCE_CLASSES):
        rgb = Path(root)
    if rgb is None:
        raise SourceError(f"{_KEY}: root: no folder {Path(root) / 'rgb'}; correct the path")
    taken: dict[str, str] = {}
    for folder in sorted(rgb.iterdir()):
        if not folder.is_dir():
            if not folder.name.startswith("."):
                stray = "a file beside the folders of the classes"
                found.rejected.append(Rejected(NAME, printable(folder), "", stray))
            continue
        name = normalise(folder.name)
        groups = _groups(folder, name, found)
        for clip_id, frames in sorted(groups.items()):
            numbers = sorted(frames)
            reason = None
            if name not in styles:
                reason = f"unknown class: '{name}'"
            elif styles[name] is None:
                reason = f"no style in class_map: class '{name}'"
            elif clip_id in taken:
                reason = f"in two classes: also in '{taken[clip_id]}'"
            if reason:
                found.rejected.append(Rejected(NAME, clip_id, name, reason))
                continue
            taken[clip_id] = name
            gaps = numbers[-1] - numbers[0] + 1 - len(numbers)
            pose_folder = poses / folder.name if poses else None
            has_poses = pose_folder is not None and any(
                (pose_folder / f"{Path(frames[n]).stem}.json").is_file() for n in numbers
            )
            counts["frames"] += len(numbers)
            counts["missing_frames"] += gaps
            counts["clips_with_gaps"] += gaps > 0
            counts["clips_with_poses"] += has_poses
            found.clips.append(
                SourceClip(
                    clip_id=clip_id,
                    video_id=clip_id.rsplit("_", 1)[0],
                    source=NAME,
                    label=styles[name] or "",
                    origin=str(folder),
                    frames=tuple(frames[number] for number in numbers),
                    numbers=tuple(numbers),
                    fps=fps,
                    poses=str(pose_folder) if has_poses else None,
                )
            )
    found.clips.sort(key=lambda clip: clip.clip_id)
    found.counts = counts
    return found


def _part(root: str, name: str) -> Path | None:
    """``root/name/name`` or ``root/name``, whichever is there."""
    paths = (Path(root) / name / name, Path(root) / name)
    return next((path for path in paths if path.is_dir()), None)


def _groups(folder: Path, label: str, found: Found) -> dict[str, dict[int, str]]:
    """clip id -> frame number -> file name."""
    groups: dict[str, dict[int, str]] = defaultdict(dict)
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        stem = split_suffix(path.name, IMAGE_SUFFIXES)
        if stem is None or path.is_dir():
            reason = "a folder among the frames" if path.is_dir() else "no picture by its suffix"
            found.rejected.append(Rejected(NAME, printable(path), label, reason))
            continue
        parsed = parse_stem(stem)
        if parsed is None or printable(stem) != stem:
            reason = "file name is not <youtube id>_<start>_<frame>"
            found.rejected.append(Rejected(NAME, printable(path), label, reason))
            continue
        youtube_id, start, number = parsed
        first = groups[f"{youtube_id}_{start}"].setdefault(number, path.name)
        if first != path.name:
            reason = f"the same frame twice: {first}"
            found.rejected.append(Rejected(NAME, printable(path), label, reason))
    return groups


def read_poses(paths: list[Path], width: int, height: int) -> tuple[np.ndarray, list[int]]:
    """Poses of frames: float32 (frames, persons, 17, 2), coordinates as shares of the image.

    NaN stands for a missing person, keypoint or file (a frame with nobody may lack its file), and
    for a file that is there and cannot be read. The places of these in ``paths`` come second.

    Args:
        paths: a JSON file a frame: a list of persons ``["personN", ["nose", [x, y]], ...]``.
        width: of the frames, in pixels, as the coordinates are.
        height: of the frames, in pixels.
    """
    read = [_people(path) for path in paths]
    people = [people or [] for people in read]
    persons = max(map(len, people), default=0)
    joints = np.full((len(paths), persons, len(KEYPOINTS), 2), np.nan, np.float32)
    for frame, list_of_joints in enumerate(people):
        for person, keypoints in enumerate(list_of_joints):
            for name, (x, y) in keypoints.items():
                joints[frame, person, KEYPOINTS.index(name)] = x / width, y / height
    return joints, [place for place, people in enumerate(read) if people is None]


def _people(path: Path) -> list[dict[str, tuple[float, float]]] | None:
    """The keypoints of each person, nobody where there is no file; None if it cannot be read."""
    if not path.is_file():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, list):
        return None
    people: list[dict[str, tuple[float, float]]] = []
    for person in content:
        joints: dict[str, tuple[float, float]] = {}
        for item in person if isinstance(person, list) else []:
            try:
                name, (x, y) = item
                point = float(x), float(y)
            except (TypeError, ValueError):
                continue  # the person's name, or a keypoint that was not seen
            if name in KEYPOINTS:
                joints[name] = point
        people.append(joints)
    return people
