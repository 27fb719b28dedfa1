"""The training loop: it learns, keeps the best epoch, goes on after a kill, explains failures."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from dancestyle.seeds import rng
from dancestyle.training.data import train_loader, view_loader
from dancestyle.training.fit import FitResult, fit
from dancestyle.training.module import Classifier, Recipe, TrainingError, schedule_factor

RECIPE = Recipe(seed=3, epochs=4, batch_size=4, lr=0.01, precision="fp32")


class Toy(Dataset):
    """Clips whose class is their mean; noise depends on the epoch as augmentation does."""

    def __init__(self, length: int = 24) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, int]:
        index = key[1] if isinstance(key, tuple) else key
        noise = rng(0, key).normal(size=(3, 2, 4, 4)).astype("float32") * 0.1
        return torch.from_numpy(noise) + index % 2, index % 2


class TinyNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv3d(3, 4, 2), nn.BatchNorm3d(4), nn.ReLU())
        self.dropout, self.head = nn.Dropout(0.3), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.dropout(self.body(x).mean(dim=(2, 3, 4))))


def train(tmp_path, recipe=RECIPE, on_epoch=None, net=None) -> tuple[nn.Module, FitResult]:
    net = net or TinyNet()
    result = fit(
        Classifier(net, 2, recipe),
        train_loader(Toy(), recipe.seed, recipe.batch_size, workers=0),
        view_loader(Toy(8), recipe.batch_size, workers=0),
        recipe,
        "toy",
        on_epoch=on_epoch,
        work_dir=tmp_path,
    )
    return net, result


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_learns_and_returns_the_best_epoch(tmp_path):
    _, result = train(tmp_path)
    assert len(result.history) == RECIPE.epochs
    assert result.best["val_top1"] == max(row["val_top1"] for row in result.history) == 1.0
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]
    assert not list(tmp_path.iterdir()), "a finished training leaves nothing to resume"


def test_the_same_twice(tmp_path):
    one, first = train(tmp_path / "a")
    other, second = train(tmp_path / "b")
    assert first == second
    assert same_weights(one, other)


@pytest.mark.parametrize("killed_after", [1, 3])
def test_killed_it_goes_on_to_the_same_weights(tmp_path, killed_after):
    whole, expected = train(tmp_path / "whole")
    epochs: list[float] = []

    class Killed(BaseException):
        pass

    def kill(row: dict[str, float]) -> None:
        if row["epoch"] == killed_after + 1:
            raise Killed

    with pytest.raises(BaseException):  # noqa: B017 - Lightning may wrap it
        train(tmp_path / "cut", on_epoch=kill)
    net, result = train(tmp_path / "cut", on_epoch=lambda row: epochs.append(row["epoch"]))
    assert epochs == list(range(killed_after + 1, RECIPE.epochs + 1)), "finished epochs are kept"
    assert result == expected
    assert same_weights(net, whole)


def test_other_settings_start_afresh(tmp_path):
    def stop(row: dict[str, float]) -> None:
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(BaseException):  # noqa: B017
        train(tmp_path, on_epoch=stop)
    epochs: list[float] = []
    train(tmp_path, replace(RECIPE, lr=0.02), on_epoch=lambda row: epochs.append(row["epoch"]))
    assert epochs == [1, 2, 3, 4]


def test_nan_stops_with_step_and_rate(tmp_path):
    net = TinyNet()
    with torch.no_grad():
        net.head.weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"step 0 of epoch 1 at a learning rate of"):
        train(tmp_path, net=net)


def test_out_of_memory_names_what_to_lower(tmp_path):
    class Greedy(TinyNet):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to ...")

    with pytest.raises(TrainingError, match=r"\(4, 3, 2, 4, 4\).*lower batch_size"):
        train(tmp_path, net=Greedy())


def test_schedules():
    def rates(schedule: str, **changes: object) -> list[float]:
        recipe = replace(RECIPE, schedule=schedule, epochs=10, **changes)
        return [schedule_factor(recipe, step, 10) for step in range(100)]

    assert set(rates("constant")) == {1.0}
    steps = rates("multistep", milestones=(4, 8))
    assert [steps[i] for i in (0, 39, 40, 79, 80)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    for schedule in ("one_cycle", "cosine"):
        curve = rates(schedule)
        top = max(range(100), key=curve.__getitem__)
        assert 15 <= top <= 25 and max(curve) <= 1
        assert curve[:top] == sorted(curve[:top]) and curve[top:] == sorted(curve[top:])[::-1]
        assert curve[-1] < 0.01


def test_the_head_learns_faster():
    from dancestyle.training.module import make_optimiser

    for kind in ("sgd", "adam", "adamw"):
        optimiser = make_optimiser(TinyNet(), replace(RECIPE, optimiser=kind, head_multiplier=10))
        assert [g["lr"] for g in optimiser.param_groups] == pytest.approx([0.01, 0.1])
