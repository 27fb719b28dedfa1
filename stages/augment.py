"""Make changed copies of training clips: ``python -m stages.augment``.

Reads ``data/splits/train.csv``; writes ``data/augmented/clips/``, ``data/augmented/clips.csv`` and what
the copies hold, ``data/content/rgb_augmented.sha256``.
"""

from __future__ import annotations

from pathlib import Path

from dancestyle import augment, clips, content, params, stage

OUT = Path("data/augmented")


def main() -> None:
    config: params.Augment = params.load("augment")
    dataset: params.BuildDataset = params.load("build_dataset")
    machine: params.Machine = params.load("machine")
    made, digests = augment.augment(
        clips.read("data/splits/train.csv"),
        config,
        OUT / "clips",
        crf=dataset.crf,
        gop=dataset.gop,
        workers=machine.workers,
        cluster=machine.cluster,
    )
    clips.write(OUT / "clips.csv", made)
    content.write(content.FOLDER / "rgb_augmented.sha256", digests)
    print(f"{len(made)} changed copies")


if __name__ == "__main__":
    stage.run("augment", main)
