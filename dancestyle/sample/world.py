"""The whole sample: every part in its place."""

from __future__ import annotations

import shutil
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dancestyle import clipmap, files, seeds
from dancestyle.clipmap import ClipMapError, Item, Work
from dancestyle.params import Machine, Sample
from dancestyle.sample.layouts import kinetics, lets_dance
from dancestyle.sample.layouts.jobs import film, film_frames
from dancestyle.sample.stills import chunks, film_stills, join
from dancestyle.video import x264


def make_world(root: Path, sample: Sample, machine: Machine) -> None:
    """Film the sample into ``root``; the same params give the same bytes.

    What is filmed is kept by the clip map: more clips, or a run that was killed, cost only what is
    not there yet.

    Args:
        root: gets the folders ``kinetics700``, ``lets_dance``, ``kinetics400`` and ``stills``;
            what is in them is replaced.
        sample: sizes and seed.
        machine: processes, or a cluster.

    Raises:
        ClipMapError: something could not be filmed, or the disk is full.
    """
    studio = _Studio(machine, _version())
    sizes = kinetics.Sizes(
        sample.seed,
        sample.videos_per_style,
        sample.clips_per_video,
        sample.short_side,
        sample.seconds,
    )
    styles_root = _cleared(root / "kinetics700")
    styles = kinetics.plan_styles(styles_root, sizes)
    kinetics.annotate(styles_root, styles)
    _film_videos(studio, "kinetics700", styles)

    frames_root = _cleared(root / "lets_dance")
    clips = lets_dance.plan(
        frames_root, sample.seed, sample.lets_dance_videos_per_class, sample.short_side
    )
    for archive in studio.make(film_frames, [clip.item for clip in clips], "lets_dance", ".zip"):
        with zipfile.ZipFile(archive) as content:
            content.extractall(frames_root)
    lets_dance.damage(frames_root, clips)

    sizes = kinetics.Sizes(
        sample.seed, sample.general_clips_per_label, 1, sample.short_side, sample.seconds
    )
    actions_root = _cleared(root / "kinetics400")
    actions = kinetics.plan_actions(actions_root, sizes, styles)
    kinetics.annotate(actions_root, actions)
    _film_videos(studio, "kinetics400", actions)

    parts = studio.make(film_stills, chunks(sample.seed, sample.stills), "stills", ".npz")
    join(parts, _cleared(root / "stills") / "stills.npz")


@dataclass(frozen=True)
class _Studio:
    """Where things are filmed: by the clip map, each part of the sample in a store of its own."""

    machine: Machine
    version: str

    def make(self, work: Work, items: Sequence[Item], part: str, suffix: str) -> list[Path]:
        """Where the results of all items are kept, in the order of the items."""
        name = f"sample_{part}"
        report = clipmap.run(
            items,
            work,
            name=name,
            out_dir=None,
            suffix=suffix,
            params={},
            version=self.version,
            workers=self.machine.workers,
            cluster=self.machine.cluster,
        )
        for item_id, reason in report.failed.items():
            raise ClipMapError(f"{name}: {item_id} could not be filmed: {reason}")
        return [clipmap.STORE / name / f"{item.id}{suffix}" for item in items]


def _film_videos(studio: _Studio, part: str, entries: Sequence[kinetics.Entry]) -> None:
    jobs = kinetics.jobs(entries)
    kept = studio.make(film, [job.item for job in jobs], part, ".mp4")
    for job, path in zip(jobs, kept, strict=True):
        files.link(path, job.path)


def _cleared(folder: Path) -> Path:
    """The folder, empty."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def _version() -> str:
    """Of all code that pictures depend on."""
    own = [module for name, module in sys.modules.items() if name.startswith("dancestyle.sample.")]
    return clipmap.code_version(*own, seeds, x264)
