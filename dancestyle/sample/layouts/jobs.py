"""What is to be filmed, as plain values that any process can take over."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from dancestyle.clipmap import Item
from dancestyle.sample.clip import make_clip
from dancestyle.sample.encode import jpeg, turn_video, write_video, write_zip
from dancestyle.sample.skeleton import COCO
from dancestyle.seeds import rng as named_rng

RATES = (Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30))
_SHAPES = ((4, 3), (4, 3), (16, 9), (3, 2), (1, 1), (3, 4), (9, 16))
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@dataclass(frozen=True)
class VideoJob:
    """One video file to be filmed.

    Attributes:
        path: where it goes.
        seed: of the world.
        label: what is danced.
        video: the "YouTube video" it is cut from.
        moment: which of its clips.
        frames, rate, size, crf: length, frames a second, (width, height), H.264 quality.
        damage: what happens to the file afterwards; empty for nothing.
    """

    path: Path
    seed: int
    label: str
    video: str
    moment: int
    frames: int
    rate: Fraction
    size: tuple[int, int]
    crf: int
    damage: str = ""

    @property
    def item(self) -> Item:
        """What :func:`film` needs to know of it, for the clip map."""
        args = asdict(self) | {"rate": str(self.rate)}
        del args["path"]
        return Item(self.path.stem, args=args)


@dataclass(frozen=True)
class FramesJob:
    """One clip to be filmed as JPEG frames with a pose file beside each.

    Attributes:
        root: folder that holds ``rgb`` and ``densepose``.
        stem: ``<id>_<SSS>``; the frame's number follows.
        missing: frames that shall not be there, counted from 1.
        other attributes: as in :class:`VideoJob`.
    """

    root: Path
    folder: str
    stem: str
    seed: int
    label: str
    moment: int
    frames: int
    size: tuple[int, int]
    missing: tuple[int, ...]

    @property
    def item(self) -> Item:
        """What :func:`film_frames` needs to know of it, for the clip map."""
        args = asdict(self)
        del args["root"]
        return Item(self.stem, args=args)


def youtube_id(seed: int, *names: object) -> str:
    """Eleven characters that look like a YouTube video's name, for whatever ``names`` name."""
    return "".join(named_rng(seed, "youtube", *names).choice(list(_ALPHABET), 11))


def random_size(rng: np.random.Generator, short_side: int) -> tuple[int, int]:
    """Even (width, height): any common shape, the short side up to half as much again."""
    across, high = _SHAPES[rng.integers(len(_SHAPES))]
    short = short_side * rng.uniform(1.0, 1.5)
    scale = short / min(across, high)
    return 2 * round(across * scale / 2), 2 * round(high * scale / 2)


def film(item: Item, path: Path) -> dict[str, Any]:
    """Film, encode and, where the job says so, damage one video file."""
    args = item.args
    rate, damage = Fraction(args["rate"]), args["damage"]
    rendered = make_clip(
        args["seed"],
        args["label"],
        args["video"],
        args["moment"],
        np.arange(args["frames"]) / float(rate),
        tuple(args["size"]),
    )
    frames = rendered.frames
    if damage == "turned":  # stored on its side, with a note to players
        frames = np.ascontiguousarray(np.rot90(frames, 1, axes=(1, 2)))
    write_video(path, frames, rate, args["crf"])
    if damage == "turned":
        turn_video(path)
    elif damage == "truncated":
        content = path.read_bytes()
        path.write_bytes(content[: len(content) * 6 // 10])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("<html><title>Video unavailable</title></html>\n", encoding="utf-8")
    return {}


def film_frames(item: Item, path: Path) -> dict[str, Any]:
    """Film one clip as JPEG frames and pose files, in one archive of files as they shall lie."""
    args = item.args
    width, height = args["size"]
    rendered = make_clip(
        args["seed"],
        args["label"],
        args["stem"][:11],
        args["moment"],
        np.arange(args["frames"]) / 25,
        (width, height),
    )
    files: dict[str, bytes] = {}
    for index in range(args["frames"]):
        if index + 1 in args["missing"]:
            continue
        name = f"{args['folder']}/{args['stem']}_{index + 1:04d}"
        files[f"rgb/{name}.jpg"] = jpeg(rendered.frames[index], 90)
        persons: list[list[object]] = []
        for points in rendered.keypoints[index]:
            inside = np.all((points >= 0) & (points < (width, height)), axis=-1)
            if inside.mean() > 0.5:
                places = np.round(points, 1).tolist()
                persons.append(
                    [f"person{len(persons)}", *([n, p] for n, p in zip(COCO, places, strict=True))]
                )
        if persons:  # a frame in which nobody was found has no file
            files[f"densepose/{name}.json"] = f"{json.dumps(persons)}\n".encode()
    write_zip(path, files)
    return {}
