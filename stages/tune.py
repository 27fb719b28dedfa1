"""Search learning rate, dropout and optimiser with Optuna: ``python -m stages.tune``.

Reads the train and validation splits and the inflated Inception's 2D weights; writes
``models/tune/study.log`` (Optuna's journal), ``models/tune/best.yaml``, ``metrics/tune.json``, and
``plots/tune/trials.csv`` with Optuna's history, importance and slice plots beside it. Started again
elsewhere meanwhile, on the same disk or database, it takes over some of the trials.
"""

from __future__ import annotations

from pathlib import Path

from dancestyle import clips, files, labels, params, stage, tuning, tuning_plots, tuning_results

# Unfinished studies live outside the outs, which DVC deletes before it runs a stage.
WORK = Path(".cache/tune")
OUT = Path("models/tune")
PLOTS = Path("plots/tune")


def main() -> None:
    config: params.Tune = params.load("tune")
    task = tuning.Task(
        clips.read("data/splits/train.csv"),
        clips.read("data/splits/val.csv"),
        labels.read("data/dataset/labels.txt"),
        Path("models/pretrained/inception_2d.ckpt"),
        config,
        params.load("train"),
        params.load("input"),
        params.load("machine"),
    )
    journal = WORK / f"{tuning.name_of(task)}.log"
    study = tuning_results.copy_study(tuning.run_study(journal, task))
    tuning_results.write_results(
        study, OUT / "best.yaml", Path("metrics/tune.json"), PLOTS / "trials.csv"
    )
    tuning_plots.write_plots(study, PLOTS, config.seed)
    files.write_text(OUT / "study.log", tuning_results.clean_journal(study))
    journal.unlink(missing_ok=True)
    print((OUT / "best.yaml").read_text(encoding="utf-8"), end="")


if __name__ == "__main__":
    stage.run("tune", main)
