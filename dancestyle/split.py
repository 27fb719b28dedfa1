"""Clips dealt to train, validation and test, and to the two subsets for fine-tuning.

By video (the default): a video's place is a number between 0 and 1 that is drawn from a hash of the
seed and its id. Below ``test`` it is a test video, below ``test + val`` a validation video, else a
training video. A place depends on nothing but the seed and the id, so a dataset may grow or shrink
and every other video stays where it is. That is also the only way: a rule under which nothing moves
whatever is added must decide a video without looking at the others. The price is that shares are
met on average, for all and for every style (a place knows nothing of the style), not exactly.

Small datasets need more: ``min_val`` and ``min_test`` clips of each style. Where a style has fewer,
its videos with the next places are taken for it, so mostly the same ones again when it has grown. A
style that has enough by itself moves none, and with both at 0 none ever moves; the metrics count
them.

Two edges: a new file with the content of an old one joins two videos to one, and a new list of
Kinetics-400 ids takes videos out of the test set; both may move videos.

By clip: the study's procedure, plain random, which puts clips of one video on both sides.

Subsets are drawn from the clips of the Kinetics sources, each with equal probability: the training
part from the clips of train and validation, the testing part from those of test. So no model is
ever scored on a video it was trained on, and all models can be compared on the one test split.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dancestyle import seeds
from dancestyle.clips import Clip
from dancestyle.params import Split, Subset

SPLITS = ("train", "val", "test")
SUBSETS = ("subset1", "subset2")
NAMES = (*SPLITS, *(f"{subset}_{part}" for subset in SUBSETS for part in ("train", "test")))
"""Of the tables that the stage writes."""

_NOT_KINETICS = frozenset({"lets_dance", "folder"})


class SplitError(ValueError):
    """Sizes that the data cannot give; the message names the key of params."""


@dataclass(frozen=True)
class Dealt:
    """What :func:`deal` gives.

    Attributes:
        tables: clips by the name of the table, each sorted by clip_id
        moved: videos in val or test for the sake of ``min_val`` or ``min_test``
        seen_moved: videos that were kept out of test since Kinetics-400 nets have seen them
        warnings: sentences for whoever runs it
    """

    tables: dict[str, list[Clip]]
    moved: int = 0
    seen_moved: int = 0
    warnings: list[str] = field(default_factory=list)


def place(seed: int, name: str) -> float:
    """The place of a video: in [0, 1), uniform, the same for ever."""
    return seeds.derive(seed, "split", name) / 2**63


def deal(clips: Sequence[Clip], config: Split, seen: Collection[str] = ()) -> Dealt:
    """Deal ``clips`` as params say.

    Args:
        clips: of the whole dataset.
        seen: ids of the clips that Kinetics-400 nets have been trained on.

    Raises:
        SplitError: no clips, a split that must have clips gets none, or a subset is too large.
    """
    if not clips:
        raise SplitError("no clips to deal; run build_dataset first")
    clips = sorted(clips, key=lambda clip: clip.clip_id)
    barred = frozenset(seen) if config.exclude_seen else frozenset()
    by_unit = _by_video(clips) if config.by == "video" else {c.clip_id: [c] for c in clips}
    barred_units = {u for u, group in by_unit.items() if any(c.clip_id in barred for c in group)}
    moved = 0
    if config.by == "video":
        home, seen_moved = _by_place(by_unit, config, barred_units)
        moved += _fill(home, by_unit, config, "val", set())
        moved += _fill(home, by_unit, config, "test", barred_units)
    else:
        home, seen_moved = _at_random(list(by_unit), config, barred_units)
    tables: dict[str, list[Clip]] = {name: [] for name in SPLITS}
    for unit, group in by_unit.items():
        tables[home[unit]] += group
    for name in SPLITS:
        tables[name].sort(key=lambda clip: clip.clip_id)
        share = getattr(config, name)
        if share and not tables[name]:
            raise SplitError(
                f"split.{name}: {share} of {len(by_unit)} videos came to none; raise it, or "
                f"set split.min_{name}"
                if name != "train"
                else f"split.train: no videos left to train on; raise it above {share}"
            )
    dealt = Dealt(tables, moved, seen_moved)
    for subset in SUBSETS:
        _draw(dealt, subset, getattr(config, subset), config.seed)
    _warn(dealt, config)
    return dealt


def _by_video(clips: Iterable[Clip]) -> dict[str, list[Clip]]:
    videos: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        videos[clip.video_id].append(clip)
    return dict(videos)


def _by_place(
    videos: Mapping[str, list[Clip]], config: Split, barred: Collection[str]
) -> tuple[dict[str, str], int]:
    home: dict[str, str] = {}
    kept_out = 0
    for video in videos:
        here = place(config.seed, video)
        home[video] = (
            "test" if here < config.test else "val" if here < config.test + config.val else "train"
        )
        if home[video] == "test" and video in barred:
            home[video] = "train"
            kept_out += 1
    return home, kept_out


def _at_random(
    units: Sequence[str], config: Split, barred: Collection[str]
) -> tuple[dict[str, str], int]:
    """Exact numbers of clips; a barred one trades places with the next that is not."""
    order = [units[i] for i in seeds.rng(config.seed, "split by clip").permutation(len(units))]
    numbers = {name: round(getattr(config, name) * len(units)) for name in ("test", "val")}
    first = set(order[: numbers["test"]])
    order = [u for u in order if u not in barred] + [u for u in order if u in barred]
    names = ["test"] * numbers["test"] + ["val"] * numbers["val"]
    names += ["train"] * (len(units) - len(names))
    home = dict(zip(order, names, strict=False))
    for unit in barred:
        if home[unit] == "test":  # more barred clips than there is room elsewhere
            home[unit] = "train"
    return home, len(first & set(barred))


def _fill(
    home: dict[str, str],
    videos: Mapping[str, list[Clip]],
    config: Split,
    name: str,
    barred: Collection[str],
) -> int:
    """Move videos to val or test until it has its least of each label; how many were moved.

    They come from train, of which a quarter of a label's videos and at least one stays, and if
    that is not enough from the other of val and test, which keeps its own least.
    """
    least = {"val": config.min_val, "test": config.min_test}
    other = "val" if name == "test" else "test"
    moved = 0
    by_label: dict[str, list[str]] = defaultdict(list)
    for video in sorted(videos, key=lambda video: (place(config.seed, video), video)):
        for label in sorted({clip.label for clip in videos[video]}):
            by_label[label].append(video)
    for label, ordered in sorted(by_label.items()):
        size = {v: sum(clip.label == label for clip in videos[v]) for v in ordered}
        have = {s: sum(size[v] for v in ordered if home[v] == s) for s in SPLITS}
        training = sum(home[video] == "train" for video in ordered)
        for donor, video in [(d, v) for d in ("train", other) for v in ordered if home[v] == d]:
            if have[name] >= least[name]:
                break
            if video in barred:
                continue
            if donor == "train":
                if training <= math.ceil(len(ordered) / 4):
                    continue
                training -= 1
            elif have[donor] - size[video] < least[donor]:
                continue
            home[video] = name
            have[donor] -= size[video]
            have[name] += size[video]
            moved += 1
    return moved


def _draw(dealt: Dealt, name: str, config: Subset, seed: int) -> None:
    """Add a subset's two tables."""
    tables = dealt.tables
    pools = {"train": tables["train"] + tables["val"], "test": tables["test"]}
    if not all(any(clip.source not in _NOT_KINETICS for clip in pool) for pool in pools.values()):
        dealt.warnings.append(f"split.{name}: no Kinetics clips, so it is drawn from all clips")
    else:
        pools = {p: [c for c in pool if c.source not in _NOT_KINETICS] for p, pool in pools.items()}
    training = round(config.clips * config.train)
    wanted = {"train": training, "test": config.clips - training}
    for part, pool in pools.items():
        if wanted[part] > len(pool):
            share = config.train if part == "train" else 1 - config.train
            most = math.floor(len(pool) / share)
            raise SplitError(
                f"split.{name}.clips: {config.clips} clips at split.{name}.train {config.train} "
                f"need {wanted[part]} to {part}, and there are {len(pool)}; lower it to at most "
                f"{most}"
            )
        if not wanted[part]:
            raise SplitError(
                f"split.{name}.train: {config.train} of {config.clips} clips leaves none to {part}"
            )
        # The order by hash is a random one, and hardly changes when the dataset grows.
        order = sorted(
            pool, key=lambda clip: (seeds.derive(seed, name, clip.clip_id), clip.clip_id)
        )
        tables[f"{name}_{part}"] = sorted(order[: wanted[part]], key=lambda clip: clip.clip_id)


def leaking(parts: Iterable[Iterable[Clip]]) -> set[str]:
    """Videos with clips in more than one of ``parts``."""
    seen: Counter[str] = Counter()
    for part in parts:
        seen.update({clip.video_id for clip in part})
    return {video for video, count in seen.items() if count > 1}


def _warn(dealt: Dealt, config: Split) -> None:
    leaks = leaking(dealt.tables[name] for name in SPLITS)
    if config.by == "clip":
        dealt.warnings.append(
            f"split.by: clip puts {len(leaks)} videos into more than one split, so test accuracy "
            "says too much; split.by: video does not"
        )
    labels = {clip.label for table in dealt.tables.values() for clip in table}
    for name in SPLITS:
        absent = sorted(labels - {clip.label for clip in dealt.tables[name]})
        if absent:
            dealt.warnings.append(f"split.{name}: no clip of {', '.join(absent)}")


def metrics(
    dealt: Dealt, config: Split, labels: Sequence[str], seen: Collection[str]
) -> dict[str, Any]:
    """Clips by table and label, leaks, and what was moved."""
    tables = dealt.tables
    total = sum(len(tables[name]) for name in SPLITS)
    counts = {name: Counter(clip.label for clip in table) for name, table in tables.items()}
    return {
        "by": config.by,
        "clips": {name: len(tables[name]) for name in NAMES},
        "share": {name: round(len(tables[name]) / total, 4) for name in SPLITS},
        "videos": {name: len({clip.video_id for clip in tables[name]}) for name in NAMES},
        "leaking_videos": len(leaking(tables[name] for name in SPLITS)),
        "leaking_videos_of_subsets": {
            subset: len(leaking([tables[f"{subset}_train"], tables["test"]])) for subset in SUBSETS
        },
        "videos_moved_for_minimum": dealt.moved,
        "seen_by_kinetics400": {
            "kept_out_of_test": dealt.seen_moved,
            **{name: sum(clip.clip_id in seen for clip in tables[name]) for name in SPLITS},
        },
        "smallest_label": {name: min(counts[name][label] for label in labels) for name in SPLITS},
        "clips_per_label": {
            label: {name: counts[name][label] for name in NAMES} for label in labels
        },
    }


def annotation_list(clips: Sequence[Clip]) -> str:
    """MMAction2's list of videos: ``path label_id`` a line."""
    return "".join(f"{clip.path} {clip.label_id}\n" for clip in clips)
