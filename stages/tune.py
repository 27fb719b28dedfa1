"""Search learning rate, dropout and optimiser with Optuna: ``python -m stages.tune``.

Reads the train and validation splits and the inflated Inception's 2D weights; writes
``models/tune/study.log`` (Optuna's journal), ``models/tune/best.yaml``, ``metrics/tune.json`` and
``plots/tune/trials.csv``.
"""

from __future__ import annotations

from pathlib import Path

from dancestyle import clips, files, params, stage, tuning
from dancestyle.labels import labels_of

# Unfinished studies live outside the outs, which DVC deletes before it runs a stage.
WORK = Path(".cache/tune")
OUT = Path("models/tune")
WEIGHTS_2D = Path("models/pretrained/inception_2d.ckpt")


def main() -> None:
    config: params.Tune = params.load("tune")
    train_config: params.Train = params.load("train")
    size, settings = params.load("input"), params.load("machine")
    labels = labels_of(clips.read("data/dataset/clips.csv"))
    train, val = clips.read("data/splits/train.csv"), clips.read("data/splits/val.csv")
    mark = tuning.fingerprint_of(train, val, WEIGHTS_2D, config, train_config, size)
    journal = WORK / f"{mark}.log"
    study = tuning.run_study(
        journal, train, val, labels, WEIGHTS_2D, config, train_config, size, settings
    )
    tuning.write_results(
        study, OUT / "best.yaml", Path("metrics/tune.json"), Path("plots/tune/trials.csv")
    )
    files.write_text(OUT / "study.log", tuning.clean_journal(study))
    journal.unlink()
    print((OUT / "best.yaml").read_text(encoding="utf-8"), end="")


if __name__ == "__main__":
    stage.run("tune", main)
