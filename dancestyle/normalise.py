"""One source clip -> one normalised clip: steady rate, fixed short side, H.264, short GOP.

:func:`normalise` is the work that the clip map does for every clip of the dataset;
:func:`pose_file` the one for the poses of a clip that is stored as frames.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from dancestyle.clipmap import Item
from dancestyle.files import atomic_path
from dancestyle.sources.base import SourceClip
from dancestyle.sources.lets_dance import read_poses
from dancestyle.video import duration
from dancestyle.video.errors import VideoError
from dancestyle.video.reader import MAX_PIXELS, decode, resize
from dancestyle.video.source import check_memory, target_size
from dancestyle.video.writer import write_clip

ShortClips = Literal["loop", "repeat_last", "reject"]
_PICTURES = ("pillow",)
"""What decodes the pictures of a clip that is stored as frames."""


def item_of(clip: SourceClip) -> Item:
    """What the clip map needs to know of a source clip."""
    if clip.frames:
        inputs = tuple(str(Path(clip.origin) / name) for name in clip.frames)
        args = {"numbers": list(clip.numbers), "fps": clip.fps}
        return Item(clip.clip_id, inputs, args, _PICTURES)
    return Item(clip.clip_id, (clip.origin,), {"start": clip.start, "end": clip.end})


def pose_item_of(clip: SourceClip) -> Item:
    """The same for the poses; the first input is the first frame, for its size."""
    assert clip.poses is not None
    paths = [Path(clip.poses) / f"{Path(name).stem}.json" for name in clip.frames]
    there = [path.is_file() for path in paths]
    return Item(
        clip.clip_id,
        (
            str(Path(clip.origin) / clip.frames[0]),
            *(str(p) for p, found in zip(paths, there, strict=True) if found),
        ),
        {"numbers": list(clip.numbers), "there": there, "fps": clip.fps},
        _PICTURES,
    )


def normalise(
    item: Item,
    path: Path,
    *,
    fps: float,
    short_side: int,
    max_seconds: float,
    min_frames: int,
    short_clips: ShortClips,
    crf: int,
    gop: int,
) -> dict[str, Any]:
    """Write the normalised clip; return its frames, width, height, and the hash of the file.

    The hash finds duplicates: the same frames give the same file. ``notes`` tell what is not in the
    clip: pictures that cannot be read, and what lies beyond ``max_seconds``.

    Raises:
        ValueError: the clip cannot be used; VideoError has the reason in a few words.
    """
    if "numbers" in item.args:
        frames, notes = assemble(
            item.inputs,
            item.args["numbers"],
            item.args["fps"],
            fps=fps,
            short_side=short_side,
            max_seconds=max_seconds,
        )
    else:
        frames = decode(
            item.inputs[0],
            fps=fps,
            start=item.args["start"],
            end=item.args["end"],
            short_side=short_side,
            max_seconds=max_seconds,
            max_frames=math.ceil(max_seconds * fps) + 1,
        )
        full = len(frames) + 1 >= max_seconds * fps
        notes = beyond(item, fps, max_seconds) if full else []
    order = lengthened(len(frames), min_frames, short_clips)
    if order is None:
        raise VideoError(item.inputs[0], f"too short: {len(frames)} of {min_frames} frames")
    count = write_clip(path, (frames[index] for index in order), fps=fps, crf=crf, gop=gop)
    return {
        "frames": count,
        "width": frames.shape[2],
        "height": frames.shape[1],
        **({"notes": notes} if notes else {}),
    }


def beyond(item: Item, fps: float, max_seconds: float) -> list[str]:
    """A note of what a video goes on for after ``max_seconds``, by its own account."""
    start, end = item.args["start"], item.args["end"]
    try:
        length = duration.seconds(item.inputs[0])
    except VideoError:
        return ["cut at max_seconds: how much is not known"]
    rest = (length if end is None else min(end, length)) - start - max_seconds
    return [_cut(round(rest * fps))] if rest > duration.DOUBT else []


def _cut(frames: int) -> str:
    return f"cut at max_seconds: {frames} frames"


def lengthened(frames: int, least: int, how: ShortClips) -> list[int] | None:
    """Indices of a clip's frames such that there are ``least`` of them; None to reject it.

    >>> lengthened(3, 5, "loop"), lengthened(3, 5, "repeat_last")
    ([0, 1, 2, 0, 1], [0, 1, 2, 2, 2])
    """
    if frames >= least:
        return list(range(frames))
    if how == "reject":
        return None
    return [i % frames if how == "loop" else min(i, frames - 1) for i in range(least)]


def assemble(
    paths: Sequence[str],
    numbers: Sequence[int],
    source_fps: float,
    *,
    fps: float,
    short_side: int,
    max_seconds: float,
) -> tuple[np.ndarray, list[str]]:
    """Numbered pictures -> uint8 (T, H, W, 3) RGB at a steady rate, and notes of what is lost.

    A picture's time is its number; where one is missing or cannot be read, the nearest in time
    stands in, so that the dance keeps its tempo.

    Raises:
        VideoError: no picture can be read, or they are too large.
    """
    left = dict(zip(numbers, paths, strict=True))
    seconds = (numbers[-1] - numbers[0] + 1) / source_fps
    count = round(min(seconds, max_seconds) * fps) or 1
    rest = round(seconds * fps) - count
    notes = [_cut(rest)] if rest > 0 else []
    wanted = [numbers[0] + index * source_fps / fps for index in range(count)]
    pictures: dict[int, np.ndarray] = {}
    frames: list[np.ndarray] = []
    size: tuple[int, int] | None = None
    for time in wanted:
        while left:
            number = nearest(list(left), time)
            if number not in pictures:
                picture = read_picture(left[number])
                if picture is None:
                    del left[number]
                    notes.append(f"unreadable picture: frame {number}")
                    continue
                if size is None:
                    height, width = picture.shape[:2]
                    size = target_size(left[number], height, width, short_side)
                    check_memory(left[number], count, size)
                pictures = {number: resize(picture, size)}  # only the last one can be next again
            frames.append(pictures[number])
            break
    if not frames:
        raise VideoError(Path(paths[0]).parent, "no readable frame")
    return np.stack(frames), notes


def nearest(numbers: Sequence[int], time: float) -> int:
    """The number nearest to a time, the earlier of two; ``numbers`` rise."""
    place = int(np.searchsorted(numbers, time))
    around = numbers[max(0, place - 1) : place + 1]
    return min(around, key=lambda number: (abs(number - time), number))


def read_picture(path: Path | str) -> np.ndarray | None:
    """A picture file as uint8 (H, W, 3) RGB, None if it cannot be read or is absurdly large."""
    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("ignore")
            if image.width * image.height > MAX_PIXELS:
                return None
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def pose_file(item: Item, path: Path) -> Mapping[str, Any]:
    """Write the poses of a clip as one ``.npz``.

    ``joints`` float32 (frames, persons, 17, 2), as shares of the image, NaN where nothing was
    found; ``times`` float32 (frames,), seconds from the clip's first frame.
    """
    picture = read_picture(item.inputs[0])
    if picture is None:
        raise VideoError(item.inputs[0], "no readable frame")
    height, width = picture.shape[:2]
    given = iter(item.inputs[1:])
    files = [Path(next(given)) if there else Path() for there in item.args["there"]]
    joints, unreadable = read_poses(files, width, height)
    numbers = np.asarray(item.args["numbers"])
    times = ((numbers - numbers[0]) / item.args["fps"]).astype(np.float32)
    with atomic_path(path) as temporary, temporary.open("wb") as handle:
        np.savez_compressed(handle, joints=joints, times=times)
    notes = [f"unreadable poses: frame {numbers[place]}" for place in unreadable]
    facts = {"frames": len(times), "persons": joints.shape[1]}
    return {**facts, "notes": notes} if notes else facts
