"""The sample as Kinetics: annotation lists, and files cut from "YouTube videos"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dancestyle.files import write_text
from dancestyle.sample.choreography import ACTIONS, STYLES
from dancestyle.sample.layouts.jobs import RATES, VideoJob, random_size, youtube_id
from dancestyle.seeds import rng as named_rng

# Dance labels that Kinetics-700 has and Kinetics-400 has not.
_NEW_IN_700 = ("cumbia", "mosh pit dancing", "shoot dance", "square dancing")
VAL_SHARE = 0.15
TEST_CLIPS = 4
_OVERLAP = 5  # Kinetics-400 clips that are cut from a Kinetics-700 video
# What is wrong with some files: every one of these happens in the wild.
_DAMAGES = ("truncated", "empty", "text", "missing", "unlisted", "turned", "short")


@dataclass(frozen=True)
class Sizes:
    """How large a Kinetics part is made: see the section ``sample`` of params.yaml."""

    seed: int
    videos: int
    clips_per_video: int
    short_side: int
    seconds: float


@dataclass(frozen=True)
class Entry:
    """One line of an annotation list and the file that belongs to it."""

    label: str
    youtube_id: str
    start: int
    end: int
    split: str
    job: VideoJob


def _entry(
    root: Path, sizes: Sizes, label: str, youtube: str, moment: int, split: str, damage: str = ""
) -> Entry:
    rng = named_rng(sizes.seed, "file", label, youtube, moment)
    rate = RATES[rng.integers(len(RATES))]
    start = int(rng.integers(0, 20)) + moment * 30
    end = start + max(1, round(sizes.seconds))
    folder = root / split if split == "test" else root / split / label
    frames = 10 if damage == "short" else max(2, round(sizes.seconds * rate))
    job = VideoJob(
        path=folder / f"{youtube}_{start:06d}_{end:06d}.mp4",
        seed=sizes.seed,
        label=label,
        video=youtube,
        moment=moment,
        frames=frames,
        rate=rate,
        size=random_size(rng, sizes.short_side),
        crf=int(rng.integers(18, 27)),
        damage=damage,
    )
    return Entry(label, youtube, start, end, split, job)


def plan_styles(root: Path, sizes: Sizes) -> list[Entry]:
    """The Kinetics-700 part: the 19 styles, a few clips of the held-out test list, odd files."""
    entries = []
    for label in STYLES:
        for number in range(sizes.videos):
            youtube = youtube_id(sizes.seed, "kinetics700", label, number)
            rng = named_rng(sizes.seed, "video of", label, number)
            split = "val" if rng.random() < VAL_SHARE else "train"
            for moment in range(int(rng.integers(1, sizes.clips_per_video + 1))):
                entries.append(_entry(root, sizes, label, youtube, moment, split))
    labels = list(STYLES)
    for number in range(TEST_CLIPS):
        youtube = youtube_id(sizes.seed, "held out", number)
        entries.append(_entry(root, sizes, labels[number * 5 % 19], youtube, 0, "test"))
    for number, damage in enumerate(_DAMAGES):
        youtube = youtube_id(sizes.seed, "odd 700", damage)
        label = labels[(number * 7 + 3) % 19]
        entries.append(_entry(root, sizes, label, youtube, 0, "train", damage))
    return entries


def plan_actions(root: Path, sizes: Sizes, styles: list[Entry]) -> list[Entry]:
    """The Kinetics-400 part: everyday actions and the dances it has; some videos in common.

    Args:
        root: where it goes.
        sizes: ``videos`` is the number of clips a label here, one a video.
        styles: the Kinetics-700 part; the first of its training videos of some labels occur again,
            most in Kinetics-400's validation list, the last two in its training list.
    """
    entries = []
    dances = [label for label in STYLES if label not in _NEW_IN_700]
    shared = {}
    for label in dances[:_OVERLAP]:
        known = [
            entry.youtube_id for entry in styles if entry.label == label and entry.split == "train"
        ]
        if known:
            shared[label] = known[0]
    for label in sorted([*ACTIONS, *dances]):
        for number in range(sizes.videos):
            youtube = youtube_id(sizes.seed, "kinetics400", label, number)
            split = "val" if number % 7 == 6 else "train"
            if number == 0 and label in shared:
                youtube = shared[label]
                split = "val" if label in dances[: _OVERLAP - 2] else "train"
            entries.append(_entry(root, sizes, label, youtube, 0, split))
    for number, damage in enumerate(("truncated", "missing")):
        youtube = youtube_id(sizes.seed, "odd 400", damage)
        entries.append(_entry(root, sizes, sorted(ACTIONS)[number], youtube, 0, "train", damage))
    return entries


def annotate(root: Path, entries: list[Entry]) -> None:
    """Write the annotation lists in the forms that they have in the wild.

    The training list quotes labels with spaces, the validation list is of the older form with
    ``is_cc``, the test list has no labels.
    """
    head = {
        "train": "label,youtube_id,time_start,time_end,split",
        "val": "label,youtube_id,time_start,time_end,split,is_cc",
        "test": "youtube_id,time_start,time_end,split",
    }
    names = {"train": "train.csv", "val": "validate.csv", "test": "test.csv"}
    for split, columns in head.items():
        chosen = [e for e in entries if e.split == split and e.job.damage != "unlisted"]
        if not chosen and split == "test":
            continue
        lines = [columns]
        for number, entry in enumerate(sorted(chosen, key=lambda e: (e.label, e.job.path))):
            label = f'"{entry.label}"' if number % 3 == 0 and split == "train" else entry.label
            times = f"{entry.youtube_id},{entry.start},{entry.end}"
            lines.append(
                {
                    "train": f"{label},{times},train",
                    "val": f"{label},{times},val,0",
                    "test": f"{times},test",
                }[split]
            )
        write_text(root / "annotations" / names[split], "\n".join(lines) + "\n")


def jobs(entries: Sequence[Entry]) -> list[VideoJob]:
    """The files to film; listed ones that shall be missing are left out."""
    return [
        replace(
            entry.job, damage="" if entry.job.damage in ("short", "unlisted") else entry.job.damage
        )
        for entry in entries
        if entry.job.damage != "missing"
    ]
