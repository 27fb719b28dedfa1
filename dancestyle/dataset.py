"""The sources joined to one dataset: read, normalised, duplicates found, counted."""

from __future__ import annotations

import functools
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dancestyle import clipmap, normalise
from dancestyle.clips import Clip, Rejected
from dancestyle.labels import STYLES
from dancestyle.params import BuildDataset, FolderSource, KineticsSource, Source
from dancestyle.sources import folder, kinetics, lets_dance
from dancestyle.sources.base import Found, SourceClip, printable
from dancestyle.video import duration, errors, reader, writer

CODE = clipmap.code_version(normalise, lets_dance, duration, errors, reader, writer)
"""Of all that a normalised clip depends on."""
DURATIONS = Path(".cache/durations.json")
"""How long the videos of a folder are, so that they need not be opened again to know it."""


class DatasetError(ValueError):
    """The sources hold nothing that can be used; the message says why."""


@dataclass(frozen=True)
class Dataset:
    """What :func:`build` gives.

    Attributes:
        labels: the label set; a label's place is its id
        clips: sorted by clip_id
        rejected: every input that did not become a clip
        seen: clip ids of videos that Kinetics-400 nets have been trained on
        duplicates: groups of clip ids with the same content
        counts: facts of each source, by its name
        digests: hexadecimal SHA-256 of each clip, by its path
    """

    labels: list[str]
    clips: list[Clip]
    rejected: list[Rejected]
    seen: list[str]
    duplicates: list[list[str]]
    counts: dict[str, dict[str, int]]
    digests: dict[str, str]


def read_sources(
    sources: Iterable[Source], workers: int = 0, max_seconds: float = math.inf
) -> dict[str, Found]:
    """What each source holds, by its name; a clip id that two of them have is the first one's.

    ``max_seconds`` is where clips are going to be cut.
    """
    found: dict[str, Found] = {}
    owner: dict[str, str] = {}
    for source in sources:
        name = source.name if isinstance(source, KineticsSource) else source.kind
        if name in found:
            raise DatasetError(
                f"build_dataset.sources: two sources are called '{name}'; join their folders, or "
                "give a Kinetics source another name"
            )
        one = found[name] = _read(source, workers, max_seconds)
        kept = []
        for clip in one.clips:
            first = owner.setdefault(clip.clip_id, name)
            if first == name:
                kept.append(clip)
            else:
                reason = f"already there: from {first}"
                one.rejected.append(Rejected(name, clip.clip_id, clip.label, reason))
        one.clips = kept
    return found


def _read(source: Source, workers: int, max_seconds: float) -> Found:
    if isinstance(source, KineticsSource):
        return kinetics.read(source.annotations, source.videos, source.name)
    if isinstance(source, FolderSource):
        return folder.read(source.root, source.clip_seconds, workers, DURATIONS, max_seconds)
    return lets_dance.read(source.root, source.class_map, source.fps)


def normalise_clips(
    clips: Sequence[SourceClip],
    out_dir: Path | str,
    config: BuildDataset,
    *,
    name: str,
    workers: int = 0,
    cluster: str | None = None,
) -> clipmap.Report:
    """``<out_dir>/<clip_id>.mp4`` for every clip that can be; see :func:`normalise.normalise`."""
    keys = {"fps", "short_side", "max_seconds", "min_frames", "short_clips", "crf", "gop"}
    options = config.model_dump(include=keys)
    return clipmap.run(
        [normalise.item_of(clip) for clip in clips],
        functools.partial(normalise.normalise, **options),
        name=name,
        out_dir=out_dir,
        suffix=".mp4",
        params=options,
        version=CODE,
        workers=workers,
        cluster=cluster,
    )


def build(
    config: BuildDataset, out_dir: Path | str, *, workers: int = 0, cluster: str | None = None
) -> Dataset:
    """Make the dataset in ``<out_dir>/clips`` (and ``poses``) and say what is in it.

    Raises:
        SourceError: a source cannot be read.
        DatasetError: two sources share a name.
    """
    seen_ids = kinetics.read_ids(config.kinetics400_ids) if config.kinetics400_ids else set()
    found = read_sources(config.sources, workers, config.max_seconds)
    everything = [clip for one in found.values() for clip in one.clips]
    rejected = [row for one in found.values() for row in one.rejected]
    places = Path(out_dir) / "clips"
    report = normalise_clips(
        everything, places, config, name="dataset", workers=workers, cluster=cluster
    )
    poses = clipmap.run(
        [normalise.pose_item_of(c) for c in everything if c.poses and c.clip_id in report.done],
        normalise.pose_file,
        name="poses",
        out_dir=Path(out_dir) / "poses",
        suffix=".npz",
        params={},
        version=CODE,
        workers=workers,
        cluster=cluster,
    )
    for source_clip in everything:
        if source_clip.clip_id in report.failed:
            where = source_clip.clip_id if source_clip.frames else printable(source_clip.origin)
            reason = report.failed[source_clip.clip_id]
            rejected.append(Rejected(source_clip.source, where, source_clip.label, reason))
        if source_clip.clip_id in poses.failed:
            reason = f"poses: {poses.failed[source_clip.clip_id]}"
            row = Rejected(source_clip.source, source_clip.clip_id, source_clip.label, reason)
            rejected.append(row)
    good = [clip for clip in everything if clip.clip_id in report.done]
    labels = label_set(good)
    rows = [_row(clip, labels, report.done[clip.clip_id], places, config.fps) for clip in good]
    joined, duplicates = join_duplicates(rows, report.digests)
    return Dataset(
        labels=labels,
        clips=sorted(joined, key=lambda clip: clip.clip_id),
        rejected=sorted(rejected),
        seen=seen_clips(rows, joined, seen_ids),
        duplicates=duplicates,
        counts={name: one.counts for name, one in found.items()},
        digests={clip.path: report.digests[clip.clip_id] for clip in joined},
    )


def label_set(clips: Sequence[SourceClip]) -> list[str]:
    """The 19 styles if a dance dataset is among the sources; else the labels that there are.

    Folders with styles of their own beside a dance dataset: all labels that have a clip.
    """
    own = {clip.label for clip in clips}
    if own <= set(STYLES) and any(clip.source != folder.NAME for clip in clips):
        return list(STYLES)
    return sorted(own)


def _row(
    clip: SourceClip, labels: Sequence[str], facts: Mapping[str, Any], places: Path, fps: float
) -> Clip:
    return Clip(
        clip_id=clip.clip_id,
        video_id=clip.video_id,
        source=clip.source,
        label=clip.label,
        label_id=labels.index(clip.label),
        path=(places / f"{clip.clip_id}.mp4").as_posix(),
        frames=int(facts["frames"]),
        fps=fps,
        width=int(facts["width"]),
        height=int(facts["height"]),
    )


def join_duplicates(
    clips: Sequence[Clip], hashes: Mapping[str, str]
) -> tuple[list[Clip], list[list[str]]]:
    """Give clips of the same content the same ``video_id``, and with them all of their videos.

    The same video under two names would leak from one split into another. The smallest of the ids
    stands for all. Returns the clips and the groups of equal clips.
    """
    parent: dict[str, str] = {clip.video_id: clip.video_id for clip in clips}

    def root(video: str) -> str:
        while parent[video] != video:
            parent[video] = parent[parent[video]]
            video = parent[video]
        return video

    groups: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        groups[hashes[clip.clip_id]].append(clip)
    for group in groups.values():
        for clip in group[1:]:
            low, high = sorted([root(group[0].video_id), root(clip.video_id)])
            parent[high] = low
    equal = [sorted(clip.clip_id for clip in group) for group in groups.values() if len(group) > 1]
    return [replace(clip, video_id=root(clip.video_id)) for clip in clips], sorted(equal)


def seen_clips(before: Sequence[Clip], joined: Sequence[Clip], ids: set[str]) -> list[str]:
    """Ids of the clips whose video, or a duplicate of it, is in a list of video ids."""
    seen = {new.video_id for old, new in zip(before, joined, strict=True) if old.video_id in ids}
    return sorted(clip.clip_id for clip in joined if clip.video_id in seen)


def metrics(dataset: Dataset) -> dict[str, Any]:
    """The facts of the dataset: the study's Table 1, rejects by reason, imbalance."""
    sources = list(dataset.counts)
    by_label = Counter((clip.label, clip.source) for clip in dataset.clips)
    totals = {label: sum(by_label[label, s] for s in sources) for label in dataset.labels}
    filled = [count for count in totals.values() if count]
    reasons = Counter((row.source, row.reason.split(":")[0]) for row in dataset.rejected)
    label_of = {clip.clip_id: clip.label for clip in dataset.clips}
    return {
        "clips": len(dataset.clips),
        "videos": len({clip.video_id for clip in dataset.clips}),
        "frames": sum(clip.frames for clip in dataset.clips),
        "minutes": round(sum(clip.frames / clip.fps for clip in dataset.clips) / 60, 3),
        "labels": len(dataset.labels),
        "clips_per_label": {
            label: {**{s: by_label[label, s] for s in sources}, "all": totals[label]}
            for label in dataset.labels
        },
        "imbalance": {
            "largest": max(filled, default=0),
            "smallest": min(filled, default=0),
            "ratio": round(max(filled) / min(filled), 3) if filled else 0.0,
            "labels_without_clips": sum(count == 0 for count in totals.values()),
        },
        "sources": {
            source: {
                "clips": sum(by_label[label, source] for label in dataset.labels),
                "rejected": sum(n for (s, _), n in reasons.items() if s == source),
                **dataset.counts[source],
            }
            for source in sources
        },
        "rejected": {
            source: {r: n for (s, r), n in sorted(reasons.items()) if s == source}
            for source in sources
        },
        "duplicates": {
            "groups": len(dataset.duplicates),
            "clips": sum(map(len, dataset.duplicates)),
            "clip_ids": dataset.duplicates,
            "groups_with_two_labels": sum(
                len({label_of[clip_id] for clip_id in group}) > 1 for group in dataset.duplicates
            ),
        },
        "seen_by_kinetics400": len(dataset.seen),
    }
