"""Train one stream of the I3D: ``python -m stages.train rgb`` or ``flow``.

Reads the train and validation splits, the offline augmented clips, the Inception's 2D weights and
what tuning found; writes ``models/i3d_STREAM.ckpt``, ``metrics/train_STREAM.json`` and
``plots/train/STREAM.csv`` (the study's Figure 3).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dancestyle import clips, labels, params, stage
from dancestyle.training import parallel, streams
from dancestyle.training.data import CHANNELS
from dancestyle.training.tasks import write_record


def main(stream: str) -> None:
    config: params.Train = params.load("train")
    size, settings = params.load("input"), params.load("machine")
    parallel.spread(settings, "stages.train", stream)
    train, val = clips.read("data/splits/train.csv"), clips.read("data/splits/val.csv")
    if config.use_augmented:
        train += clips.read("data/augmented/clips.csv")
    best = {"lr": config.lr, "dropout": config.dropout, "optimiser": config.optimiser}
    if config.use_tuned:
        best = streams.read_best("models/tune/best.yaml")
    result = streams.train_stream(
        stream,
        train,
        val,
        labels.read("data/dataset/labels.txt"),
        "models/pretrained/inception_2d.ckpt",
        best,
        config,
        size,
        settings,
        f"models/i3d_{stream}.ckpt",
        flow=how_flow_was_made() if stream == "flow" else None,
    )
    write_record(
        result,
        Path(f"metrics/train_{stream}.json"),
        Path(f"plots/train/{stream}.csv"),
        clips=len(train),
        **best,
    )


def how_flow_was_made() -> dict[str, Any]:
    """Kept with the model, so that the flow of another video can be computed alike."""
    config: params.Flow = params.load("flow")
    return config.model_dump(include={"method", "options", "short_side"})


if __name__ == "__main__":
    stage.run_one("train", main, lambda: CHANNELS)
