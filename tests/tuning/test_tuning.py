"""The study: the same trials whoever runs them, killed or not; what it searches; what it leaves."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from matplotlib.figure import Figure
from optuna.trial import TrialState

from dancestyle import params, tuning, tuning_plots, tuning_results
from dancestyle.training import machine, streams
from dancestyle.training.module import NotANumberError, TrainingError
from dancestyle.training.tasks import loader_workers

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import fake_study  # noqa: E402


@pytest.fixture(autouse=True)
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FAKE_NOTES", str(tmp_path / "ran.txt"))
    monkeypatch.setattr(tuning, "stream_net", fake_study.fake_net)
    monkeypatch.setattr(tuning, "train_classifier", fake_study.fake_training)
    fake_study.FAILING.clear()
    fake_study.SEEN.clear()
    return tmp_path / "ran.txt"


def run(tmp_path: Path, **changes: Any) -> optuna.Study:
    return tuning.run_study(tmp_path / "study.log", fake_study.task(**changes))


def results(study: optuna.Study, folder: Path) -> dict[str, str]:
    best, metrics, table = folder / "best.yaml", folder / "tune.json", folder / "trials.csv"
    tuning_results.write_results(study, best, metrics, table)
    files = {path.name: path.read_text(encoding="utf-8") for path in (best, metrics, table)}
    return files | {"journal": tuning_results.clean_journal(study)}


def test_the_random_trials_are_those_that_optuna_draws_for_the_seed(tmp_path: Path) -> None:
    sampler = optuna.samplers.TPESampler(seed=3, n_startup_trials=4)
    plain = optuna.create_study(sampler=sampler, direction="maximize")
    config = fake_study.task().params
    plain.optimize(lambda trial: tuning.suggest(trial, config)["lr"], n_trials=4)
    assert tuning.plan(config) == [trial.params for trial in plain.trials]
    study = run(tmp_path)
    assert [t.params for t in tuning_results.finished(study)] == tuning.plan(config)


def test_every_trial_and_epoch_has_a_row(tmp_path: Path) -> None:
    written = results(run(tmp_path), tmp_path)
    rows = list(csv.DictReader(written["trials.csv"].splitlines()))
    assert not any(None in row.values() or "" in row.values() for row in rows), "every cell"
    assert [(row["trial"], row["epoch"]) for row in rows] == [
        (str(trial), str(epoch)) for trial in range(4) for epoch in (1, 2, 3)
    ]
    assert list(rows[0])[:5] == ["trial", "epoch", "lr", "dropout", "optimiser"]
    metrics, best = json.loads(written["tune.json"]), yaml.safe_load(written["best.yaml"])
    top = max(metrics["trials"], key=lambda trial: trial["val_top1"])
    assert best == {key: top[key] for key in ("lr", "dropout", "optimiser")}
    assert metrics["trials"].index(top) == metrics["best_trial"]
    journal = tmp_path / "again.log"
    journal.write_text(written["journal"], encoding="utf-8")
    storage = tuning.storage_of(journal, None)
    loaded = optuna.load_study(study_name=tuning_results.NAME, storage=storage)
    assert [set(trial.intermediate_values) for trial in loaded.trials] == [{1, 2, 3}] * 4


def test_killed_it_goes_on_and_ends_the_same(tmp_path: Path, notes: Path) -> None:
    whole = results(run(tmp_path / "whole"), tmp_path)
    notes.unlink()
    fake_study.FAILING["2:2"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut")
    assert notes.read_text().split() == ["0", "1", "2"]
    assert results(run(tmp_path / "cut"), tmp_path) == whole
    assert notes.read_text().split() == ["0", "1", "2", "3", "2"], "finished ones are not run again"


def test_a_training_is_kept_until_the_study_knows_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(optuna.Study, "tell", fail)
        run(tmp_path)
    assert [path.name for path in tmp_path.glob("work-*")] == ["work-0"]
    assert len(tuning_results.finished(run(tmp_path))) == 4
    assert not list(tmp_path.glob("work-*"))


@pytest.mark.parametrize("changes", [{}, {"random_trials": 2, "trials": 6}])
def test_the_same_twice(tmp_path: Path, changes: dict[str, Any]) -> None:
    first = results(run(tmp_path / "a", **changes), tmp_path)
    assert results(run(tmp_path / "b", **changes), tmp_path) == first


def test_learning_trials_go_on_the_same_after_a_kill(tmp_path: Path) -> None:
    changes = {"random_trials": 2, "trials": 6}
    whole = results(run(tmp_path / "whole", **changes), tmp_path)
    fake_study.FAILING["4:1"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", **changes)
    assert results(run(tmp_path / "cut", **changes), tmp_path) == whole


def test_nan_scores_nothing_and_other_errors_stop(tmp_path: Path) -> None:
    fake_study.FAILING["1:2"] = NotANumberError("the loss became nan")
    study = run(tmp_path / "a")
    trial = tuning_results.finished(study)[1]
    assert trial.value == 0.0 and len(trial.user_attrs["history"]) == 1
    fake_study.FAILING["1:1"] = NotANumberError("the loss became nan")
    written = results(run(tmp_path / "c"), tmp_path)
    rows = [r for r in csv.DictReader(written["trials.csv"].splitlines()) if r["trial"] == "1"]
    figures = [[row[key] for key in ("epoch", *tuning_results.FIGURES)] for row in rows]
    assert figures == [["1", "nan", "nan", "0"]], "no trial is without a row"
    fake_study.FAILING["1:2"] = TrainingError("out of memory")
    with pytest.raises(TrainingError, match="out of memory"):
        run(tmp_path / "b")


def start(journal: Path, *options: str, seconds: float = 0.5) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(HERE / "fake_study.py"), str(journal), *options],
        env=os.environ | {"PYTHONPATH": str(HERE.parents[1]), "FAKE_SECONDS": str(seconds)},
        start_new_session=True,
    )


def wait_for(path: Path, lines: int) -> None:
    for _ in range(1200):
        if path.exists() and len(path.read_text().split()) >= lines:
            return
        time.sleep(0.1)
    raise AssertionError(f"{path} never had {lines} lines")


@pytest.mark.slow
def test_workers_share_the_trials_and_take_over_from_the_dead(tmp_path: Path, notes: Path) -> None:
    """Three processes, one of them killed without warning in its first trial."""
    expected = tuning_results.clean_journal(run(tmp_path / "alone"))
    notes.unlink()
    victim = start(tmp_path / "study.log", seconds=300)
    wait_for(notes, 1)
    others = [start(tmp_path / "study.log", "workers=2")]
    wait_for(notes, 2)
    os.killpg(victim.pid, signal.SIGKILL)
    victim.wait()
    others.append(start(tmp_path / "study.log"))
    for other in others:
        assert other.wait(timeout=600) == 0
    ran = notes.read_text().split()
    assert ran[0] == "0" and sorted(ran) == ["0", "0", "1", "2", "3"]
    finished = [path.read_text(encoding="utf-8") for path in tmp_path.glob("finished*.log")]
    assert finished == [expected] * 2


@pytest.mark.parametrize(
    ("gpus", "visible", "expected"),
    [
        (2, None, ["0", "1", "0"]),
        (2, "4, 6", ["4", "6", "4"]),
        (1, "GPU-8932f937", ["GPU-8932f937"] * 3),
        (2, "3,1,-1,2", ["3", "1", "3"]),  # CUDA takes none behind one that is not there
        (0, None, [None] * 3),
        (0, "", [None] * 3),
    ],
)
def test_each_worker_has_a_gpu_in_turn(
    gpus: int, visible: str | None, expected: list[str | None]
) -> None:
    assert [machine.own_gpu(number, gpus, visible) for number in range(3)] == expected


@pytest.mark.parametrize("visible", [None, "5,7,8"])
def test_workers_start_with_the_gpu_that_is_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None
) -> None:
    started: list[str | None] = []

    class Worker:
        def __init__(self, **_: Any) -> None:
            pass

        def start(self) -> None:
            started.append(os.environ.get("CUDA_VISIBLE_DEVICES"))

        def join(self) -> None:
            pass

        terminate = join

    class Context:
        Process = Worker

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(tuning.torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(tuning.multiprocessing, "get_context", lambda _: Context)
    run(tmp_path, workers=4)
    assert started == (["1", "2", "0"] if visible is None else ["7", "8", "5"])
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == visible


@pytest.mark.parametrize(("asked", "loaders"), [(0, 4), (24, 12)])
def test_workers_share_the_loaders(
    asked: int, loaders: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("dancestyle.pool.cores", lambda: 64)
    settings = params.load("machine", HERE.parents[1] / "params.yaml").model_copy(
        update={"workers": asked}
    )
    given: list[int] = []

    def note(*arguments: Any, **more: Any) -> Any:
        given.append(loader_workers(arguments[7]))
        return fake_study.fake_training(*arguments, **more)

    monkeypatch.setattr(tuning, "train_classifier", note)
    task = fake_study.task(workers=2)
    study = tuning.open_study(tuning.storage_of(tmp_path / "log", None), "s", task.params)
    tuning._take_turns(study, replace(task, settings=settings), number=0)
    assert set(given) == {loaders}


def test_trials_of_the_living_are_left_alone(tmp_path: Path) -> None:
    study = tuning.open_study(
        tuning.storage_of(tmp_path / "study.log", None), "s", fake_study.task().params
    )
    trial = study.ask()
    cases = {
        "here": ({"host": tuning.socket.gethostname(), "pid": 1, "time": 0.0}, False),
        "away": ({"host": "elsewhere", "pid": 1, "time": time.time() - 60}, False),
        "gone": ({"host": "elsewhere", "pid": 1, "time": time.time() - 2 * tuning.LEASE}, True),
    }
    for name, (sign, abandoned) in cases.items():
        trial.set_user_attr("alive", sign)
        tuning.release_abandoned(study)
        assert (study.trials[0].state == TrialState.FAIL) == abandoned, name
    again = study.trials[-1]
    assert again.state == TrialState.WAITING and again.user_attrs == {"slot": 0}


def test_a_database_will_do(tmp_path: Path) -> None:
    changes = {"storage": f"sqlite:///{tmp_path / 'study.db'}"}
    expected = results(run(tmp_path / "file"), tmp_path)
    assert results(run(tmp_path, **changes), tmp_path) == expected
    assert not (tmp_path / "study.log").exists()


def test_poor_trials_are_given_up_where_params_say_so(tmp_path: Path) -> None:
    kept = run(tmp_path / "kept", trials=12)
    assert {trial.state for trial in tuning_results.finished(kept)} == {TrialState.COMPLETE}
    study = run(tmp_path / "pruned", trials=12, pruner="median")
    pruned = [t for t in tuning_results.finished(study) if t.state == TrialState.PRUNED]
    assert 0 < len(pruned) < 11
    assert all(len(trial.user_attrs["history"]) < 3 for trial in pruned)
    assert tuning_results.best_trial(study).params == tuning_results.best_trial(kept).params
    metrics = json.loads(results(study, tmp_path)["tune.json"])
    assert sum(trial.get("pruned", False) for trial in metrics["trials"]) == len(pruned)


SPACE = {
    "weight_decay": {"low": 1e-6, "high": 1e-2, "log": True},
    "batch_size": [4, 16],
    "label_smoothing": {"low": 0.0, "high": 0.3},
    "jitter": [0.0, 0.4],
}


def test_further_keys_reach_the_training_and_the_stages_that_follow(tmp_path: Path) -> None:
    study = run(tmp_path, space=SPACE)
    for seen, trial in zip(fake_study.SEEN, tuning_results.finished(study), strict=True):
        recipe, chosen = seen["recipe"], trial.params
        assert seen["keys"].batch_size == "tune.space.batch_size"
        assert chosen["batch_size"] in (4, 16) and 1e-6 <= chosen["weight_decay"] <= 1e-2
        for key in ("weight_decay", "batch_size", "label_smoothing"):
            assert getattr(recipe, key) == chosen[key], key
        assert seen["augmentation"].jitter == chosen["jitter"]
    results(study, tmp_path)
    best = streams.read_best(tmp_path / "best.yaml")
    assert set(best) == {"lr", "dropout", "optimiser", *SPACE}
    config = fake_study.task().train_params
    recipe = streams.stream_recipe(config, best, 5, 2)
    assert recipe.batch_size == best["batch_size"] and recipe.epochs == 5
    assert streams.stream_augmentation(config, best).jitter == best["jitter"]
    assert streams.stream_augmentation(config, best).mirror == config.augmentation.mirror


@pytest.mark.parametrize(
    ("space", "complaint"),
    [
        ({"colour": [1, 2]}, "tune.space"),
        ({"jitter": []}, "tune.space"),
        ({"jitter": {"low": 1.0, "high": 0.0}}, "low must be below high"),
        ({"noise": {"low": 0.0, "high": 1.0, "log": True}}, "above 0"),
        ({"batch_size": {"low": 2, "high": 8}}, "space.batch_size must be a list"),
    ],
)
def test_a_wrong_space_is_refused(space: dict[str, Any], complaint: str) -> None:
    with pytest.raises(params.ParamsError, match=complaint):
        fake_study.task(space=space)


def test_another_study_for_other_clips_and_params_but_not_for_more_workers() -> None:
    name = tuning.name_of(fake_study.task())
    assert tuning.name_of(fake_study.task(workers=3, storage="sqlite://")) == name
    assert tuning.name_of(fake_study.task(epochs=4)) != name


def test_plots_and_their_tables(tmp_path: Path) -> None:
    study = run(tmp_path, trials=6)
    for folder in ("a", "b"):
        tuning_plots.write_plots(study, tmp_path / folder, seed=1)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    stems = ("history", "importance", "slice")
    assert names == [f"{stem}.{end}" for stem in stems for end in ("csv", "png")]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name

    def rows(stem: str) -> list[dict[str, str]]:
        with (tmp_path / "a" / f"{stem}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    best = [float(row["best_so_far"]) for row in rows("history")]
    assert best == sorted(best) and len(best) == 6
    assert rows("importance")[0]["hyperparameter"] == "lr", "top-1 depends on nothing else"
    assert len(rows("slice")) == 6 * 3


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (2e-4, 1e-3, [2e-4, 5e-4, 1e-3]),
        (1e-5, 1e-2, [1e-5, 1e-3]),
        (3e-4, 4e-4, [3e-4 * 0.99, 4e-4 * 1.01]),
        (1e-9, 1.0, [1e-9, 1e-5, 1e-1]),
    ],
)
def test_few_numbers_stand_on_a_logarithmic_axis(low, high, expected) -> None:
    panels = Figure().subplots(1, 2)
    panels[0].set_xscale("log")
    panels[0].set_xlim(low * 0.99, high * 1.01)
    before = list(panels[1].get_xticks())
    tuning_plots._number_sparsely(panels)
    assert list(panels[0].get_xticks()) == pytest.approx(expected)
    assert list(panels[1].get_xticks()) == before


def test_trials_that_do_not_differ_have_no_importance(tmp_path: Path) -> None:
    study = run(tmp_path, trials=1)
    tuning_plots.write_plots(study, tmp_path / "plots", seed=1)
    text = (tmp_path / "plots/importance.csv").read_text(encoding="utf-8")
    assert text == "hyperparameter,importance\n"
    assert (tmp_path / "plots/importance.png").stat().st_size > 1000
