"""The Optuna study over learning rate, dropout and optimiser (the study's Tables 2 and 3).

The journal file makes it resumable: finished trials are not run again, and a trial that was cut off
is put back into the queue with its own hyperparameters.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from dancestyle import files
from dancestyle.clips import Clip
from dancestyle.params import Input, Machine, Train, Tune
from dancestyle.training.fit import FitResult
from dancestyle.training.module import TrainingError
from dancestyle.training.streams import stream_net, stream_recipe
from dancestyle.training.tasks import input_spec, train_classifier

NAME = "dancestyle"
COLUMNS = ("trial", "epoch", "lr", "dropout", "optimiser", "train_loss", "val_loss", "val_top1")


def open_study(journal: Path, params: Tune) -> optuna.Study:
    """The study in a journal file, made anew if there is none.

    Trials that a killed run left half done are set to failed and queued again.
    """
    journal.parent.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=NAME,
        storage=JournalStorage(JournalFileBackend(str(journal))),
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=params.seed, n_startup_trials=params.trials),
        load_if_exists=True,
    )
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params, skip_if_exists=False)
    return study


def suggest(trial: Trial, params: Tune) -> dict[str, Any]:
    """The hyperparameters of a trial."""
    return {
        "lr": trial.suggest_float("lr", *params.lr, log=True),
        "dropout": trial.suggest_float("dropout", *params.dropout),
        "optimiser": trial.suggest_categorical("optimiser", list(params.optimisers)),
    }


def run_study(
    journal: Path,
    train: Sequence[Clip],
    val: Sequence[Clip],
    labels: Sequence[str],
    weights_2d: Path | str,
    params: Tune,
    train_params: Train,
    size: Input,
    settings: Machine,
) -> optuna.Study:
    """Run the trials that are still to be run.

    A trial is scored by its best epoch's validation top-1; a trial whose loss becomes NaN scores 0.
    """
    study = open_study(journal, params)

    def objective(trial: Trial) -> float:
        chosen = suggest(trial, params)
        print(
            f"trial {trial.number}: lr {chosen['lr']:.3g}, dropout {chosen['dropout']:.3f}, "
            f"{chosen['optimiser']}",
            flush=True,
        )
        net = stream_net(params.stream, len(labels), weights_2d, train_params, chosen["dropout"])
        spec = input_spec(params.stream, size, net.native)
        recipe = stream_recipe(train_params, chosen, params.epochs, params.batch_size)
        try:
            result: FitResult = train_classifier(
                net,
                len(labels),
                train,
                val,
                spec,
                recipe,
                f"tune-{trial.number}",
                settings,
                limit=params.clips,
            )
        except TrainingError as error:
            if "the loss became" not in str(error):
                raise
            print(f"trial {trial.number}: {error}", flush=True)
            return 0.0
        trial.set_user_attr("history", result.history)
        return result.best["val_top1"]

    while (left := params.trials - len(finished(study))) > 0:
        study.optimize(objective, n_trials=left)
    return study


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """The completed trials, by number."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def best_trial(study: optuna.Study) -> FrozenTrial:
    """The trial of the highest validation top-1; of equals, the lowest validation loss."""

    def rank(trial: FrozenTrial) -> tuple[float, float]:
        losses = [row["val_loss"] for row in trial.user_attrs.get("history", [])]
        return trial.value or 0.0, -min(losses, default=float("inf"))

    return max(finished(study), key=rank)


def table_csv(study: optuna.Study) -> str:
    """A row a trial and epoch, the source of the study's Tables 2 and 3."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for number, trial in enumerate(finished(study)):
        for row in trial.user_attrs.get("history", []):
            chosen = (f"{trial.params['lr']:.6g}", f"{trial.params['dropout']:.4f}")
            figures = [f"{row[key]:.6g}" for key in COLUMNS[5:]]
            writer.writerow(
                [number, int(row["epoch"]), *chosen, trial.params["optimiser"], *figures]
            )
    return text.getvalue()


def write_results(study: optuna.Study, best: Path, metrics: Path, table: Path) -> None:
    """``best.yaml`` for the stages that follow, the metrics and the table."""
    top = best_trial(study)
    chosen = {
        "lr": float(f"{top.params['lr']:.6g}"),
        "dropout": round(top.params["dropout"], 4),
        "optimiser": top.params["optimiser"],
    }
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
                    "lr": float(f"{trial.params['lr']:.6g}"),
                    "dropout": round(trial.params["dropout"], 4),
                    "optimiser": trial.params["optimiser"],
                    "val_top1": round(trial.value or 0.0, 4),
                }
                for trial in trials
            ],
        },
    )
    files.write_text(table, table_csv(study))


def fingerprint_of(
    train: Sequence[Clip], val: Sequence[Clip], weights_2d: Path, *settings: object
) -> str:
    """A name for a study: another one as soon as clips, weights or params differ."""
    digest = hashlib.sha256(weights_2d.read_bytes() if weights_2d.exists() else b"")
    clips = [(clip.clip_id, clip.label_id) for clip in (*train, *val)]
    digest.update(repr((clips, *settings)).encode())
    return digest.hexdigest()[:16]


def clean_journal(study: optuna.Study) -> str:
    """The finished trials as an Optuna journal, without times and worker names.

    The journal of the run itself differs from run to run; this one is the same for the same trials,
    and ``optuna.load_study`` and Optuna's dashboard read it just as well.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.log"
        copy = optuna.create_study(
            study_name=NAME,
            storage=JournalStorage(JournalFileBackend(str(path))),
            direction="maximize",
        )
        for trial in finished(study):
            copy.add_trial(
                optuna.trial.create_trial(
                    params=trial.params,
                    distributions=trial.distributions,
                    value=trial.value,
                    user_attrs=trial.user_attrs,
                )
            )
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        line["worker_id"] = "worker"
        for key in line:
            if key.startswith("datetime"):
                line[key] = "2000-01-01T00:00:00.000000"
    return "".join(json.dumps(line) + "\n" for line in lines)
