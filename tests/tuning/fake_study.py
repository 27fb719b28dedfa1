"""A study whose trainings are a formula: ``python fake_study.py JOURNAL [KEY=VALUE ...]``.

Each trial notes its slot in ``ran.txt`` beside the journal, and the finished study is written there
as a journal without times. ``seconds=S`` is how long an epoch takes.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from dancestyle import params, tuning, tuning_results
from dancestyle.clips import Clip
from dancestyle.nets.base import NativeInput
from dancestyle.training.fit import FitResult
from dancestyle.training.module import NotANumberError

TUNE: dict[str, Any] = {
    "seed": 3,
    "stream": "rgb",
    "trials": 4,
    "epochs": 3,
    "clips": None,
    "batch_size": 8,
    "lr": (1e-5, 1e-2),
    "dropout": (0.2, 0.7),
    "optimisers": ["adam", "sgd"],
    "space": {},
    "random_trials": None,
    "pruner": "none",
    "workers": 1,
    "storage": None,
}
SECONDS = float(os.environ.get("FAKE_SECONDS", 0))
FAILING: dict[str, BaseException] = {}  # by "slot:epoch"
SEEN: list[dict[str, Any]] = []


def made_up_clips(count: int) -> list[Clip]:
    return [
        Clip(f"c{n}", f"v{n}", "folder", "ab"[n % 2], n % 2, f"c{n}.mp4", 50, 25.0, 48, 32)
        for n in range(count)
    ]


def task(**changes: Any) -> tuning.Task:
    def section(name: str) -> Any:
        return params.load(name, Path(__file__).parents[2] / "params.yaml")

    return tuning.Task(
        made_up_clips(4),
        made_up_clips(2),
        ["a", "b"],
        Path("none.ckpt"),
        params.validate("tune", TUNE | changes),
        section("train"),
        section("input"),
        section("machine").model_copy(update={"workers": 1}),
    )


def fake_net(*arguments: Any) -> nn.Module:
    net = nn.Module()
    net.native = NativeInput(4, 1, 32)  # type: ignore[assignment]
    return net


def fake_training(
    net: nn.Module, classes: int, train: Any, val: Any, spec: Any, recipe: Any, name: str,
    settings: Any, limit: Any, augmentation: Any, on_epoch: Any, dvclive: bool, keys: Any,
) -> FitResult:  # fmt: skip
    """Top-1 depends on the learning rate alone and rises by epoch."""
    slot = int(name.removeprefix("tune-"))
    SEEN.append({"recipe": recipe, "augmentation": augmentation, "name": name, "keys": keys})
    with Path(os.environ["FAKE_NOTES"]).open("a", encoding="utf-8") as file:
        file.write(f"{slot}\n")
    history: list[dict[str, float]] = []
    work_dir = Path(os.environ["FAKE_NOTES"]).with_name(f"work-{slot}")
    work_dir.mkdir(exist_ok=True)
    for epoch in range(1, recipe.epochs + 1):
        time.sleep(SECONDS)
        if f"{slot}:{epoch}" in FAILING:
            error = FAILING.pop(f"{slot}:{epoch}")
            if isinstance(error, NotANumberError):
                error.history = history
            raise error
        top1 = min(1.0, recipe.lr * 100) * epoch / recipe.epochs
        row = {"epoch": epoch, "train_loss": 3 - top1, "val_loss": 3.1 - top1, "val_top1": top1}
        history.append({**row, "val_top5": top1, "lr": recipe.lr})
        if on_epoch(history[-1]):
            return FitResult(history, len(history), True, work_dir)
    return FitResult(history, len(history), False, work_dir)


tuning.stream_net = fake_net  # type: ignore[assignment]
tuning.train_classifier = fake_training  # type: ignore[assignment]


def main(journal: Path, options: Sequence[str]) -> None:
    os.environ.setdefault("FAKE_NOTES", str(journal.with_name("ran.txt")))
    changes = {key: int(value) for key, value in (option.split("=") for option in options)}
    study = tuning.run_study(journal, task(**changes))
    text = tuning_results.clean_journal(study)
    journal.with_name(f"finished{os.getpid()}.log").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
