"""What a finished study leaves behind: the best trial, tables, and a journal without times."""

from __future__ import annotations

import csv
import io
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from dancestyle import files

NAME = "dancestyle"
FIGURES = ("train_loss", "val_loss", "val_top1")
NO_EPOCH = {"epoch": 1, "train_loss": math.nan, "val_loss": math.nan, "val_top1": 0.0}


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that were trained to their end or given up, in the order of the plan."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    return sorted(trials, key=lambda trial: trial.user_attrs.get("slot", trial.number))


def best_trial(study: optuna.Study) -> FrozenTrial:
    """The trial of the highest validation top-1; of equals, the lowest validation loss."""

    def rank(trial: FrozenTrial) -> tuple[float, float]:
        losses = [row["val_loss"] for row in trial.user_attrs.get("history", [])]
        return trial.value or 0.0, -min(losses, default=float("inf"))

    complete = [trial for trial in finished(study) if trial.state == TrialState.COMPLETE]
    return max(complete, key=rank)


def hyperparameters(trial: FrozenTrial) -> dict[str, Any]:
    """What a trial trained with, as rounded as it is written everywhere."""
    rounded: dict[str, Any] = {
        "lr": float(f"{trial.params['lr']:.6g}"),
        "dropout": round(trial.params["dropout"], 4),
    }
    for key, value in trial.params.items():
        if key not in rounded:
            rounded[key] = float(f"{value:.6g}") if isinstance(value, float) else value
    return rounded


def table_csv(study: optuna.Study) -> str:
    """A row a trial and epoch, the source of the study's Tables 2 and 3.

    A trial whose loss became NaN in its first epoch has that one, with nan for losses.
    """
    trials = finished(study)
    keys = list(hyperparameters(trials[0]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "epoch", *keys, *FIGURES])
    for number, trial in enumerate(trials):
        chosen = _cells(hyperparameters(trial))
        for row in trial.user_attrs.get("history") or [NO_EPOCH]:
            figures = [f"{row[key]:.6g}" for key in FIGURES]
            writer.writerow([number, int(row["epoch"]), *chosen, *figures])
    return text.getvalue()


def _cells(values: dict[str, Any]) -> list[str]:
    return [
        f"{value:.4f}"
        if key == "dropout"
        else f"{value:.6g}"
        if isinstance(value, float)
        else str(value)
        for key, value in values.items()
    ]


def write_results(study: optuna.Study, best: Path, metrics: Path, table: Path) -> None:
    """``best.yaml`` for the stages that follow, the metrics and the table."""
    top = best_trial(study)
    chosen = hyperparameters(top)
    files.write_text(best, yaml.safe_dump(chosen, sort_keys=False))
    trials = finished(study)
    files.write_json(
        metrics,
        {
            "best_trial": trials.index(top),
            "best_val_top1": round(top.value or 0.0, 4),
            **chosen,
            "trials": [
                {
                    **hyperparameters(trial),
                    "val_top1": round(trial.value or 0.0, 4),
                    **({"pruned": True} if trial.state == TrialState.PRUNED else {}),
                }
                for trial in trials
            ],
        },
    )
    files.write_text(table, table_csv(study))


def copy_study(study: optuna.Study, storage: JournalStorage | None = None) -> optuna.Study:
    """The finished trials alone, numbered in the order of the plan."""
    copy = optuna.create_study(study_name=NAME, storage=storage, direction="maximize")
    for trial in finished(study):
        history = trial.user_attrs.get("history", [])
        copy.add_trial(
            optuna.trial.create_trial(
                state=trial.state,
                params=trial.params,
                distributions=trial.distributions,
                value=trial.value,
                user_attrs={"history": history},
                intermediate_values={int(row["epoch"]): row["val_top1"] for row in history},
            )
        )
    return copy


def clean_journal(study: optuna.Study) -> str:
    """The finished trials as an Optuna journal, without times and worker names.

    The journal of the run itself differs from run to run; this one is the same for the same trials,
    and ``optuna.load_study`` and Optuna's dashboard read it just as well.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.log"
        copy_study(study, JournalStorage(JournalFileBackend(str(path))))
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        line["worker_id"] = "worker"
        for key in line:
            if key.startswith("datetime"):
                line[key] = "2000-01-01T00:00:00.000000"
    return "".join(json.dumps(line) + "\n" for line in lines)
