"""What is to be filmed, as plain values that any process can take over."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import numpy as np

from dancestyle.progress import progress
from dancestyle.sample.clip import make_clip
from dancestyle.sample.encode import turn_video, write_jpeg, write_video
from dancestyle.sample.processes import processes
from dancestyle.sample.skeleton import COCO
from dancestyle.seeds import rng as named_rng

RATES = (Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30))
_SHAPES = ((4, 3), (4, 3), (16, 9), (3, 2), (1, 1), (3, 4), (9, 16))
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

Job = TypeVar("Job")


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


def youtube_id(seed: int, *names: object) -> str:
    """Eleven characters that look like a YouTube video's name, for whatever ``names`` name."""
    return "".join(named_rng(seed, "youtube", *names).choice(list(_ALPHABET), 11))


def random_size(rng: np.random.Generator, short_side: int) -> tuple[int, int]:
    """Even (width, height): any common shape, the short side up to half as much again."""
    across, high = _SHAPES[rng.integers(len(_SHAPES))]
    short = short_side * rng.uniform(1.0, 1.5)
    scale = short / min(across, high)
    return 2 * round(across * scale / 2), 2 * round(high * scale / 2)


def film(job: VideoJob) -> Path:
    """Film, encode and, where the job says so, damage one video file."""
    rendered = make_clip(
        job.seed,
        job.label,
        job.video,
        job.moment,
        np.arange(job.frames) / float(job.rate),
        job.size,
    )
    frames = rendered.frames
    if job.damage == "turned":  # stored on its side, with a note to players
        frames = np.ascontiguousarray(np.rot90(frames, 1, axes=(1, 2)))
    write_video(job.path, frames, job.rate, job.crf)
    if job.damage == "turned":
        turn_video(job.path)
    elif job.damage == "truncated":
        content = job.path.read_bytes()
        job.path.write_bytes(content[: len(content) * 6 // 10])
    elif job.damage == "empty":
        job.path.write_bytes(b"")
    elif job.damage == "text":
        job.path.write_text("<html><title>Video unavailable</title></html>\n", encoding="utf-8")
    return job.path


def film_frames(job: FramesJob) -> Path:
    """Film one clip as JPEG frames and pose files."""
    rendered = make_clip(
        job.seed, job.label, job.stem[:11], job.moment, np.arange(job.frames) / 25, job.size
    )
    width, height = job.size
    for index in range(job.frames):
        if index + 1 in job.missing:
            continue
        name = f"{job.stem}_{index + 1:04d}"
        write_jpeg(job.root / "rgb" / job.folder / f"{name}.jpg", rendered.frames[index], 90)
        persons: list[list[object]] = []
        for points in rendered.keypoints[index]:
            inside = np.all((points >= 0) & (points < (width, height)), axis=-1)
            if inside.mean() > 0.5:
                places = np.round(points, 1).tolist()
                persons.append(
                    [f"person{len(persons)}", *([n, p] for n, p in zip(COCO, places, strict=True))]
                )
        if persons:  # a frame in which nobody was found has no file
            pose = job.root / "densepose" / job.folder / f"{name}.json"
            pose.parent.mkdir(parents=True, exist_ok=True)
            pose.write_text(json.dumps(persons) + "\n", encoding="utf-8")
    return job.root / "rgb" / job.folder


def run(work: Callable[[Job], Path], jobs: Sequence[Job], workers: int, desc: str) -> None:
    """Do ``work`` for every job on ``workers`` processes; the files do not depend on how many."""
    if workers == 1:
        for _ in progress(map(work, jobs), total=len(jobs), desc=desc):
            pass
        return
    with processes(workers) as pool:
        for _ in progress(pool.map(work, jobs, chunksize=4), total=len(jobs), desc=desc):
            pass
