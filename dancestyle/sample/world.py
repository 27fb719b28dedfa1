"""The whole sample: every part in its place."""

from __future__ import annotations

from pathlib import Path

from dancestyle.params import Sample
from dancestyle.sample.layouts import kinetics, lets_dance
from dancestyle.sample.layouts.jobs import film, film_frames, run
from dancestyle.sample.stills import write_stills


def make_world(root: Path, sample: Sample, workers: int = 0) -> None:
    """Film the sample into ``root``; the same params give the same bytes.

    Args:
        root: gets the folders ``kinetics700``, ``lets_dance``, ``kinetics400`` and ``stills``.
        sample: sizes and seed.
        workers: processes; 0 takes one a core.
    """
    styles_root, actions_root = root / "kinetics700", root / "kinetics400"
    sizes = kinetics.Sizes(
        sample.seed,
        sample.videos_per_style,
        sample.clips_per_video,
        sample.short_side,
        sample.seconds,
    )
    styles = kinetics.plan_styles(styles_root, sizes)
    kinetics.annotate(styles_root, styles)
    run(film, kinetics.jobs(styles), workers, "kinetics700")

    frames = lets_dance.plan(
        root / "lets_dance", sample.seed, sample.lets_dance_videos_per_class, sample.short_side
    )
    run(film_frames, frames, workers, "lets_dance")
    lets_dance.damage(root / "lets_dance", frames)

    sizes = kinetics.Sizes(
        sample.seed, sample.general_clips_per_label, 1, sample.short_side, sample.seconds
    )
    actions = kinetics.plan_actions(actions_root, sizes, styles)
    kinetics.annotate(actions_root, actions)
    run(film, kinetics.jobs(actions), workers, "kinetics400")

    write_stills(root / "stills" / "stills.npz", sample.seed, sample.stills, workers)
