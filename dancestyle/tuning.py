"""The Optuna study over learning rate, dropout, optimiser and what else params name.

A journal file, or a database, makes it resumable and lets several workers share it: finished trials
are not run again, and a trial that was cut off goes on from its last epoch. Which trials are random is
settled by the seed alone, whoever runs them.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import torch
from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from dancestyle.clips import Clip
from dancestyle.params import Input, Machine, Range, Train, Tune
from dancestyle.seeds import derive
from dancestyle.training import machine, parallel
from dancestyle.training.data import stored_size
from dancestyle.training.module import NotANumberError, TrainingError
from dancestyle.training.streams import TUNED_BATCH, stream_augmentation, stream_net, stream_recipe
from dancestyle.training.tasks import input_spec, keys_of, loaders, train_classifier

# Seconds between two signs of life of a trial, and without one until others take it over.
BEAT, LEASE = 30.0, 300.0
VISIBLE = "CUDA_VISIBLE_DEVICES"
DONE = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class Task:
    """What the trials of a study train, and on what."""

    train: Sequence[Clip]
    val: Sequence[Clip]
    labels: Sequence[str]
    weights_2d: Path
    params: Tune
    train_params: Train
    size: Input
    settings: Machine


def name_of(task: Task) -> str:
    """A name for the study of a task: another one as soon as clips, weights or params differ.

    How many work on it, and where it is stored, make no difference.
    """
    weights = task.weights_2d.read_bytes() if task.weights_2d.exists() else b""
    digest = hashlib.sha256(weights)
    stream = task.params.stream
    clips = [(c.clip_id, c.label_id, stored_size(c, stream)) for c in (*task.train, *task.val)]
    params = task.params.model_dump(exclude={"workers", "storage"})
    digest.update(repr((clips, params, task.train_params, task.size)).encode())
    return digest.hexdigest()[:16]


def suggest(trial: Trial, params: Tune) -> dict[str, Any]:
    """The hyperparameters of a trial."""
    chosen: dict[str, Any] = {
        "lr": trial.suggest_float("lr", *params.lr, log=True),
        "dropout": trial.suggest_float("dropout", *params.dropout),
        "optimiser": trial.suggest_categorical("optimiser", list(params.optimisers)),
    }
    for key, space in params.space.items():
        if isinstance(space, Range):
            chosen[key] = trial.suggest_float(key, space.low, space.high, log=space.log)
        else:
            chosen[key] = trial.suggest_categorical(key, list(space))
    return chosen


def _sampler(params: Tune, seed: int) -> optuna.samplers.BaseSampler:
    return optuna.samplers.TPESampler(
        seed=seed,
        n_startup_trials=params.random_trials or params.trials,
        constant_liar=params.workers > 1,
    )


def _pruner(params: Tune) -> optuna.pruners.BasePruner:
    if params.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=1)
    if params.pruner == "halving":
        return optuna.pruners.SuccessiveHalvingPruner()
    return optuna.pruners.NopPruner()


def open_study(storage: BaseStorage | str, name: str, params: Tune) -> optuna.Study:
    """The study of a name, made anew if there is none, with its random trials in the queue.

    Whoever makes it fills the queue; the others wait until that is done.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = _pruner(params)
    try:
        study = optuna.create_study(
            study_name=name, storage=storage, direction="maximize", pruner=pruner
        )
    except DuplicatedStudyError:
        study = optuna.load_study(study_name=name, storage=storage, pruner=pruner)
        waited = 0
        while "planned" not in study.user_attrs and waited < 30:
            time.sleep(1)
            waited += 1
    if "planned" not in study.user_attrs:
        for slot, chosen in enumerate(plan(params)):
            study.enqueue_trial(chosen, user_attrs={"slot": slot}, skip_if_exists=True)
        study.set_user_attr("planned", True)
    return study


def plan(params: Tune) -> list[dict[str, Any]]:
    """The hyperparameters of the random trials, the same whoever will run them and in what order."""
    study = optuna.create_study(sampler=_sampler(params, params.seed))
    count = min(params.random_trials or params.trials, params.trials)
    return [suggest(study.ask(), params) for _ in range(count)]


def storage_of(journal: Path, url: str | None) -> BaseStorage | str:
    """Where the study is kept: a database, or the journal file."""
    if url is not None:
        return url
    journal.parent.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(str(journal)))


def run_study(journal: Path, task: Task) -> optuna.Study:
    """Run the trials that are still to be run, ``tune.workers`` side by side, and wait for the rest.

    A trial is scored by its best epoch's validation top-1; a trial whose loss becomes NaN scores 0.

    Raises:
        TrainingError: a training that cannot go on, other than by a NaN.
    """
    if parallel.world() > 1:
        raise TrainingError(
            "tune: trials run side by side, each on one device: set tune.workers in params.yaml and "
            "start it without torchrun"
        )
    study = open_study(storage_of(journal, task.params.storage), name_of(task), task.params)
    spawn = multiprocessing.get_context("spawn")
    count = task.params.workers
    others = [spawn.Process(target=_help, args=(journal, task, k)) for k in range(1, count)]
    for number, other in enumerate(others, start=1):
        with _gpu_for(number):
            other.start()
    try:
        _take_turns(study, task, number=0)
        for other in others:
            other.join()
    finally:
        for other in others:
            other.terminate()
    return study


@contextmanager
def _gpu_for(number: int) -> Iterator[None]:
    """Let a process that is started meanwhile see one GPU, its own; this one keeps the first.

    It is settled by the environment that the process begins with, since Lightning always takes the
    first GPU that it sees, and CUDA looks only once.
    """
    before = os.environ.get(VISIBLE)
    own = machine.own_gpu(number, torch.cuda.device_count(), before)
    if own is not None:
        os.environ[VISIBLE] = own
    try:
        yield
    finally:
        if before is not None:
            os.environ[VISIBLE] = before
        else:
            os.environ.pop(VISIBLE, None)


def _help(journal: Path, task: Task, number: int) -> None:
    study = open_study(storage_of(journal, task.params.storage), name_of(task), task.params)
    _take_turns(study, task, number)


def _take_turns(study: optuna.Study, task: Task, number: int) -> None:
    """Run trials until none is left; ``number`` is this worker's among those of this machine."""
    params, settings = task.params, task.settings
    if params.workers > 1:
        settings = settings.model_copy(update={"workers": loaders(settings, params.workers)})
        if not torch.cuda.is_available():
            torch.set_num_threads(max(machine.cores() // params.workers, 1))
    while True:
        multiprocessing.active_children()  # reaps the dead, which would look alive for ever
        release_abandoned(study)
        trials = study.get_trials(deepcopy=False)
        done = sum(trial.state in DONE for trial in trials)
        running = sum(trial.state == TrialState.RUNNING for trial in trials)
        if done >= params.trials:
            return
        if done + running >= params.trials:
            time.sleep(1)
            continue
        own = (number,) if number else ()
        seed = derive(params.seed, "trial", done + running, *own) % 2**32
        study.sampler = _sampler(params, seed)
        trial = study.ask()
        before = [t for t in study.get_trials(deepcopy=False) if t.number < trial.number]
        taken = sum(t.state in (*DONE, TrialState.RUNNING) for t in before)
        if taken >= params.trials:  # another worker has taken the last one at the same moment
            study.tell(trial, state=TrialState.FAIL)
            continue
        with _alive(trial):
            if "slot" not in trial.user_attrs:
                trial.set_user_attr("slot", taken)
            _run_trial(study, trial, task, settings)


def _run_trial(study: optuna.Study, trial: Trial, task: Task, settings: Machine) -> None:
    params, slot = task.params, trial.user_attrs["slot"]
    chosen = suggest(trial, params)
    shown = {k: f"{v:.3g}" if isinstance(v, float) else v for k, v in chosen.items()}
    print(
        f"trial {slot}: {', '.join(f'{key} {value}' for key, value in shown.items())}", flush=True
    )
    net = stream_net(
        params.stream, len(task.labels), task.weights_2d, task.train_params, chosen["dropout"]
    )
    recipe = stream_recipe(task.train_params, chosen, params.epochs, params.batch_size)
    history: list[dict[str, float]] = []

    def on_epoch(row: dict[str, float]) -> bool:
        history.append(row)
        trial.report(row["val_top1"], int(row["epoch"]))
        return trial.should_prune() and row["epoch"] < params.epochs

    batch = TUNED_BATCH if "batch_size" in chosen else "tune.batch_size"
    value, result = 0.0, None
    try:
        result = train_classifier(
            net,
            len(task.labels),
            task.train,
            task.val,
            input_spec(params.stream, task.size, net.native),
            recipe,
            f"tune-{slot}",
            settings,
            limit=params.clips,
            augmentation=stream_augmentation(task.train_params, chosen),
            on_epoch=on_epoch,
            dvclive=False,
            keys=keys_of("train", task.size, batch_size=batch),
        )
        told = {int(row["epoch"]) for row in history}
        history, value = result.history, result.best["val_top1"]
        for row in history:  # of an earlier run that was cut off
            if int(row["epoch"]) not in told:
                trial.report(row["val_top1"], int(row["epoch"]))
    except NotANumberError as error:
        print(f"trial {slot}: {error}", flush=True)
        history = error.history  # with the epochs of an earlier run that was cut off
    trial.set_user_attr("history", history)
    if result is not None and result.stopped:
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, value)
    # Only now: a worker that is killed before leaves the trial to one that trains nothing again.
    if result is not None:
        result.finish()


@contextmanager
def _alive(trial: Trial) -> Iterator[None]:
    """Give a sign of life now and then, so that nobody else takes the trial for abandoned."""
    over = threading.Event()

    def beat() -> None:
        while True:
            sign = {"host": socket.gethostname(), "pid": os.getpid(), "time": time.time()}
            try:
                trial.set_user_attr("alive", sign)
            except UpdateFinishedTrialError:  # finished, or taken for abandoned, in the meantime
                return
            if over.wait(BEAT):
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def release_abandoned(study: optuna.Study) -> None:
    """Put trials whose worker is gone back into the queue, with their hyperparameters."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if not _abandoned(trial):
            continue
        try:
            study.tell(trial.number, state=TrialState.FAIL)
        except (UpdateFinishedTrialError, ValueError):  # finished or put back by another meanwhile
            continue
        chosen = trial.system_attrs.get("fixed_params", trial.params)
        attributes = {key: trial.user_attrs[key] for key in ("slot",) if key in trial.user_attrs}
        study.enqueue_trial(chosen, user_attrs=attributes)


def _abandoned(trial: FrozenTrial) -> bool:
    sign = trial.user_attrs.get("alive")
    if sign is None:
        started = trial.datetime_start
        return started is not None and time.time() - started.timestamp() > LEASE
    if sign["host"] == socket.gethostname():
        return sign["pid"] == os.getpid() or not _lives(sign["pid"])
    return time.time() - float(sign["time"]) > LEASE


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
