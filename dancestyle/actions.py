"""The general-action clips that stand in for Kinetics-400: any label, normalised like the dataset."""

from __future__ import annotations

from pathlib import Path

from dancestyle.clips import Clip, Rejected
from dancestyle.dataset import normalise_clips
from dancestyle.params import BuildDataset, KineticsSource
from dancestyle.sources import kinetics
from dancestyle.sources.base import printable


def build(
    source: KineticsSource,
    config: BuildDataset,
    out_dir: Path,
    *,
    workers: int = 0,
    cluster: str | None = None,
) -> tuple[list[Clip], list[Rejected]]:
    """Normalise every labelled clip of a Kinetics-like source into ``<out_dir>/clips``.

    Raises:
        SourceError: the source cannot be read.
    """
    found = kinetics.read(source.annotations, source.videos, source.name, labels=None)
    places = out_dir / "clips"
    report = normalise_clips(
        found.clips, places, config, name="actions", workers=workers, cluster=cluster
    )
    good = [clip for clip in found.clips if clip.clip_id in report.done]
    labels = sorted({clip.label for clip in good})
    rejected = list(found.rejected)
    for clip in found.clips:
        if clip.clip_id in report.failed:
            reason = report.failed[clip.clip_id]
            rejected.append(Rejected(clip.source, printable(clip.origin), clip.label, reason))
    rows = []
    for clip in good:
        facts = report.done[clip.clip_id]
        rows.append(
            Clip(
                clip_id=clip.clip_id,
                video_id=clip.video_id,
                source=clip.source,
                label=clip.label,
                label_id=labels.index(clip.label),
                path=(places / f"{clip.clip_id}.mp4").as_posix(),
                frames=int(facts["frames"]),
                fps=config.fps,
                width=int(facts["width"]),
                height=int(facts["height"]),
            )
        )
    return rows, rejected
