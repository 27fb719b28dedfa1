"""The training loop: it learns, keeps the best epoch, goes on after a kill, explains failures."""

from __future__ import annotations

import csv
import itertools
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from dancestyle import params
from dancestyle.nets.base import NativeInput, VideoNet
from dancestyle.seeds import rng
from dancestyle.training import tasks
from dancestyle.training.checkpoints import to_bytes
from dancestyle.training.data import train_loader, view_loader
from dancestyle.training.fit import FitResult, Keys, fit
from dancestyle.training.module import Classifier, NotANumberError, TrainingError
from dancestyle.training.recipe import Recipe, clip_gradient, make_optimiser, schedule_factor

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


def train(
    tmp_path,
    recipe=RECIPE,
    on_epoch=None,
    net=None,
    data=None,
    val=None,
    kind=Classifier,
    dvclive=False,
    finish=True,
    keys=None,
) -> tuple[nn.Module, FitResult]:
    net = net or TinyNet()
    result = fit(
        kind(net, 2, recipe),
        train_loader(data or Toy(), recipe.seed, recipe.batch_size, workers=0),
        view_loader(val or Toy(8), recipe.batch_size, workers=0),
        recipe,
        "toy",
        on_epoch=on_epoch,
        work_dir=tmp_path / "work",
        log_dir=tmp_path / "logs",
        dvclive=dvclive,
        keys=keys or Keys(),
    )
    if finish:
        result.finish()
    return net, result


def epoch_rows(tmp_path) -> list[dict[str, str]]:
    with (tmp_path / "logs/training/toy.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_learns_and_returns_the_best_epoch(tmp_path):
    _, result = train(tmp_path)
    assert len(result.history) == RECIPE.epochs
    assert result.best["val_top1"] == max(row["val_top1"] for row in result.history) == 1.0
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]
    assert not list((tmp_path / "work").iterdir()), "a finished training leaves nothing to resume"


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


@pytest.mark.parametrize("stop", [False, True])
def test_killed_before_anything_is_written_it_trains_nothing_again(tmp_path, capsys, stop):
    epochs: list[float] = []

    def on_epoch(row: dict[str, float]) -> bool:
        epochs.append(row["epoch"])
        return stop and row["epoch"] == 2

    recipe = replace(RECIPE, ema=0.9)
    whole, expected = train(tmp_path, recipe, on_epoch, finish=False)
    trained = list(epochs)
    capsys.readouterr()
    net, result = train(tmp_path, recipe, on_epoch)
    assert epochs == trained == ([1, 2] if stop else [1, 2, 3, 4])
    assert "toy: trained before, taken from" in capsys.readouterr().out
    assert result == expected and result.stopped is stop
    assert to_bytes(net.state_dict()) == to_bytes(whole.state_dict())
    assert [row["epoch"] for row in epoch_rows(tmp_path)] == [str(int(n)) for n in epochs]
    assert not list((tmp_path / "work").iterdir())
    train(tmp_path, recipe, on_epoch)
    assert epochs == 2 * trained, "once finished, it is trained anew"


def test_killed_while_its_record_is_written_it_trains_nothing_again(tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    metrics, plots = tmp_path / "toy.json", tmp_path / "toy.csv"
    _, result = train(tmp_path, finish=False)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(tasks.files, "write_text", fail)
        tasks.write_record(result, metrics, plots)
    epochs: list[float] = []
    _, again = train(tmp_path, on_epoch=lambda row: epochs.append(row["epoch"]), finish=False)
    tasks.write_record(again, metrics, plots)
    assert not epochs and len(plots.read_text(encoding="utf-8").splitlines()) == 1 + RECIPE.epochs
    assert not list((tmp_path / "work").iterdir())


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


class Spoilt(Toy):
    """Pictures that are not numbers, from one epoch (from 0) on; or always, for validation."""

    def __init__(self, epoch: int, length: int = 24) -> None:
        super().__init__(length)
        self.epoch = epoch

    def __getitem__(self, key):
        x, label = super().__getitem__(key)
        return (
            x * float("nan") if not isinstance(key, tuple) or key[0] >= self.epoch else x
        ), label


def test_nan_keeps_the_last_good_checkpoint_and_says_where(tmp_path):
    with pytest.raises(
        NotANumberError, match=r"toy: the loss became nan in step 0 of epoch 3"
    ) as e:
        train(tmp_path, data=Spoilt(2))
    assert [row["epoch"] for row in e.value.history] == [1, 2]
    with pytest.raises(NotANumberError) as again:
        train(tmp_path, data=Spoilt(2))
    assert again.value.history == e.value.history, "also where it went on from there"
    (kept,) = (tmp_path / "work").glob("toy-*/last.ckpt")
    assert f"Epoch 2 is kept in {kept}" in str(e.value)
    content = torch.load(kept, weights_only=False)
    assert content["epoch"] == 1
    assert all(tensor.isfinite().all() for tensor in content["state_dict"].values())
    # As docs/training.md says, these are the net's.
    TinyNet().load_state_dict(content["callbacks"]["_Keeper"]["best_weights"])


def test_the_learning_rate_of_an_epoch_is_that_of_its_last_step(tmp_path):
    recipe = replace(RECIPE, schedule="multistep", milestones=(2,), optimiser="sgd")
    _, result = train(tmp_path, recipe)
    assert [row["lr"] for row in result.history] == pytest.approx([0.01, 0.01, 0.001, 0.001])


def test_an_epoch_that_ruined_the_weights_is_not_kept(tmp_path):
    """The loss of the last step was still a number; what the step did to the weights was not."""

    class Ruined(Classifier):
        def optimizer_step(self, *arguments, **more):
            super().optimizer_step(*arguments, **more)
            self.count = getattr(self, "count", 0) + 1
            if self.count == 12:
                self.net.head.weight.data.fill_(float("inf"))

    with pytest.raises(TrainingError, match=r"a weight became.*epoch 2 at a learning.*Epoch 1 is"):
        train(tmp_path, kind=Ruined)
    with pytest.raises(TrainingError, match=r"the validation loss became.*no finished epoch"):
        train(tmp_path / "other", val=Spoilt(0, 8))


def test_out_of_memory_names_what_to_lower(tmp_path):
    class Greedy(TinyNet):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to ...")

    with pytest.raises(
        TrainingError,
        match="toy: out of memory with batches of 4 snippets of 2 frames of 4 x 4 pixels; in "
        r"params.yaml lower pretrain.batch_size \(and raise pretrain.loop.accumulate.*\) or "
        r"input.resnet.frames or input.resnet.size",
    ):
        train(tmp_path, net=Greedy(), keys=tasks.keys_of("pretrain", OWN, resnet=True))


def test_out_of_memory_before_anything_was_read(tmp_path):
    class Huge(Toy):
        def __getitem__(self, key):
            raise MemoryError

    with pytest.raises(TrainingError, match="toy: out of memory before the first batch; in params"):
        train(tmp_path, data=Huge())


OWN = params.Input(
    frames=8, stride=1, size=32, flow_bound=1.0, resnet={"frames": 4, "stride": 2, "size": 48}
)


@pytest.mark.parametrize(
    ("keys", "batch_size", "first"),
    [
        (tasks.keys_of("train", OWN), "train.batch_size", "input.frames"),
        (tasks.keys_of("finetune", OWN, True), "finetune.batch_size", "input.resnet.frames"),
        (
            tasks.keys_of("finetune", OWN.model_copy(update={"resnet": None}), True),
            "finetune.batch_size",
            "input.frames",
        ),
        (
            tasks.keys_of("pretrain", OWN.for_resnets, True, "pretrain.stills_batch_size"),
            "pretrain.stills_batch_size",
            "input.resnet.frames",
        ),
    ],
)
def test_the_keys_are_those_that_the_training_reads(keys, batch_size, first):
    assert (keys.batch_size, keys.snippet[0]) == (batch_size, first)


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
    for kind in ("sgd", "adam", "adamw"):
        optimiser = make_optimiser(TinyNet(), replace(RECIPE, optimiser=kind, head_multiplier=10))
        assert [g["lr"] for g in optimiser.param_groups] == pytest.approx([0.01, 0.1])


def test_stages_learn_slower_the_lower_they_are():
    recipe = replace(RECIPE, layer_decay=0.5, head_multiplier=4)
    optimiser = make_optimiser(StagedNet(), recipe)
    assert [g["lr"] for g in optimiser.param_groups] == pytest.approx([0.01, 0.005, 0.0025, 0.04])
    sizes = [sum(p.numel() for p in g["params"]) for g in optimiser.param_groups]
    assert sizes == [20, 20, 16, 10], "each in one group"


def test_sgd_takes_its_momentum_from_the_recipe():
    (group, _) = make_optimiser(
        TinyNet(), replace(RECIPE, optimiser="sgd", momentum=0.5, nesterov=False)
    ).param_groups
    assert group["momentum"] == 0.5 and not group["nesterov"]
    plain = make_optimiser(TinyNet(), replace(RECIPE, optimiser="sgd", momentum=0.0))
    assert not plain.param_groups[0]["nesterov"], "torch refuses to look ahead without momentum"


class Plain(nn.Module):
    """No dropout and no BatchNorm, so that only the mean gradient matters."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head = nn.Conv3d(3, 4, 2), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean(dim=(2, 3, 4)))


def test_accumulated_batches_are_one_large_batch(tmp_path):
    whole, _ = train(tmp_path / "8", replace(RECIPE, batch_size=8), net=Plain())
    parts, _ = train(tmp_path / "4", replace(RECIPE, batch_size=4, accumulate=2), net=Plain())
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_a_clipped_gradient_moves_nothing_far(tmp_path):
    recipe = replace(RECIPE, optimiser="sgd", clip_gradient=1e-6, weight_decay=0.0)
    for limit, still in ((1e-6, True), (0.0, False)):
        net, _ = train(tmp_path, replace(recipe, clip_gradient=limit), net=Plain())
        moved = max(
            float((a - b).detach().abs().max())
            for a, b in zip(net.parameters(), Plain().parameters(), strict=True)
        )
        assert (moved < 1e-5) == still


@pytest.mark.parametrize("largest", [1e-3, 1e3])
@pytest.mark.parametrize("odd", [1.0, float("nan"), float("inf")])
def test_clipping_is_that_of_torch(largest, odd):
    ours, torchs = Plain(), Plain()
    for net in (ours, torchs):
        net(torch.ones(1, 3, 4, 4, 4)).square().sum().backward()
        net.head.weight.grad.mul_(odd)
        net.head.bias.grad = None
    clip_gradient(ours, largest)
    torch.nn.utils.clip_grad_norm_(torchs.parameters(), largest)
    for one, other in zip(ours.parameters(), torchs.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None)
        if one.grad is not None:
            torch.testing.assert_close(one.grad, other.grad, atol=0, rtol=0, equal_nan=True)


def test_the_moving_average_is_what_is_kept(tmp_path):
    steps: list[dict[str, Tensor]] = []

    class Watched(Classifier):
        def optimizer_step(self, *arguments, **more):
            super().optimizer_step(*arguments, **more)
            steps.append({k: v.clone() for k, v in self.net.state_dict().items()})

    recipe = replace(RECIPE, epochs=1, ema=0.75)
    net, result = train(tmp_path, recipe, kind=Watched)
    average = {k: v.double() for k, v in steps[0].items()}
    for step in steps[1:]:
        average = {k: 0.75 * v + 0.25 * step[k].double() for k, v in average.items()}
    assert len(steps) == 6
    for key, value in net.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, average[key].float(), atol=1e-5, rtol=1e-4)
    assert not torch.equal(net.head.weight, steps[-1]["head.weight"])
    net.eval()
    with torch.no_grad():
        x, y = zip(*(Toy(8)[n] for n in range(8)), strict=True)
        loss = nn.functional.cross_entropy(net(torch.stack(x)), torch.tensor(y))
    assert result.best["val_loss"] == pytest.approx(float(loss), rel=1e-4), "and validated"


def test_the_moving_average_goes_on_after_a_kill(tmp_path):
    recipe = replace(RECIPE, ema=0.9)
    whole, expected = train(tmp_path / "whole", recipe)

    def kill(row: dict[str, float]) -> None:
        if row["epoch"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(BaseException):  # noqa: B017
        train(tmp_path / "cut", recipe, on_epoch=kill)
    net, result = train(tmp_path / "cut", recipe)
    assert result == expected and same_weights(net, whole)


class Stubborn(Toy):
    """Labels at random: nothing to learn, so that validation soon stops getting better."""

    def __getitem__(self, key):
        index = key[1] if isinstance(key, tuple) else key
        return torch.zeros(3, 2, 4, 4), int(rng(1, index).integers(2))


def test_patience_stops_and_the_best_epoch_is_kept(tmp_path):
    recipe = replace(RECIPE, epochs=30, patience=2, schedule="constant", optimiser="sgd", lr=0.5)
    whole, result = train(tmp_path, recipe, data=Stubborn(), val=Stubborn(8))
    assert len(result.history) == result.best_epoch + 2 < 30

    def kill(row: dict[str, float]) -> None:
        if row["epoch"] == len(result.history):
            raise KeyboardInterrupt

    with pytest.raises(BaseException):  # noqa: B017
        train(tmp_path / "cut", recipe, on_epoch=kill, data=Stubborn(), val=Stubborn(8))
    net, again = train(tmp_path / "cut", recipe, data=Stubborn(), val=Stubborn(8))
    assert again == result and same_weights(net, whole), "killed in the epoch that stops it"


def test_a_caller_can_stop_it(tmp_path):
    _, result = train(tmp_path, on_epoch=lambda row: row["epoch"] == 2)
    assert [row["epoch"] for row in result.history] == [1, 2]


class StagedNet(VideoNet):
    native = NativeInput(2, 1, 4)
    stages = (("stem", ("a",)), ("res2", ("b",)), ("res3", ("c",)))
    feature_size = 4

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.c = nn.Conv3d(3, 4, 1), nn.Conv3d(4, 4, 1), nn.Conv3d(4, 4, 1)
        self._set_head(2, 0.0)

    def features(self, x: Tensor) -> Tensor:
        return self.c(self.b(self.a(x)).relu()).relu().mean(dim=(2, 3, 4))


def test_stages_are_set_free_one_after_the_other(tmp_path):
    seen: dict[int, dict[str, Tensor]] = {}
    net = StagedNet()
    start = {key: value.clone() for key, value in net.state_dict().items()}

    def watch(row: dict[str, float]) -> None:
        seen[int(row["epoch"])] = {k: v.clone() for k, v in net.state_dict().items()}

    recipe = replace(RECIPE, unfreeze=((1, "res2"), (2, "stem"), (4, "none")), schedule="constant")
    whole, expected = train(tmp_path, recipe, on_epoch=watch, net=net)
    states = [start, *(seen[epoch] for epoch in (1, 2, 3, 4))]
    moved = [
        "".join(
            name for name in "abc" if not torch.equal(old[f"{name}.weight"], new[f"{name}.weight"])
        )
        for old, new in itertools.pairwise(states)
    ]
    assert moved == ["c", "bc", "bc", "abc"]

    def kill(row: dict[str, float]) -> None:
        if row["epoch"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(BaseException):  # noqa: B017
        train(tmp_path / "cut", recipe, on_epoch=kill, net=StagedNet())
    again, result = train(tmp_path / "cut", recipe, net=StagedNet())
    assert result == expected and same_weights(again, whole)


def test_class_weights_multiply_the_loss_of_their_clips():
    weights = torch.tensor([0.5, 2.0])
    module = Classifier(TinyNet(), 2, replace(RECIPE, label_smoothing=0.1), weights)
    outputs, targets = torch.randn(5, 2), torch.tensor([0, 1, 1, 0, 1])
    each = [
        float(weights[t] * nn.functional.cross_entropy(o, t, label_smoothing=0.1))
        for o, t in zip(outputs, targets, strict=True)
    ]
    assert float(module._training_loss(outputs, targets)) == pytest.approx(sum(each) / 5)
    assert float(module.loss(outputs, targets)) == pytest.approx(
        float(nn.functional.cross_entropy(outputs, targets))
    ), "validation is not weighted"


def test_speed_goes_to_the_logs_and_not_into_the_results(tmp_path, capfd):
    _, result = train(tmp_path, dvclive=True)
    rows = epoch_rows(tmp_path)
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert all(float(row["clips_per_second"]) > 0 for row in rows)
    figures = {"epoch", "train_loss", "val_loss", "val_top1", "val_top5", "lr"}
    assert set(result.history[0]) == figures == set(rows[0]) - {"clips_per_second"}
    live = tmp_path / "logs/dvclive/toy"
    curve = (live / "plots/metrics/val_loss.tsv").read_text(encoding="utf-8").splitlines()
    assert len(curve) == 1 + RECIPE.epochs
    said = capfd.readouterr()
    assert said.out.count("toy epoch ") == RECIPE.epochs and "it/s" not in said.err + said.out


def test_the_logs_go_on_after_a_kill(tmp_path):
    def kill(row: dict[str, float]) -> None:
        if row["epoch"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(BaseException):  # noqa: B017
        train(tmp_path, on_epoch=kill, dvclive=True)
    train(tmp_path, dvclive=True)
    assert [row["epoch"] for row in epoch_rows(tmp_path)] == ["1", "2", "3", "4"]
    curve = tmp_path / "logs/dvclive/toy/plots/metrics/val_loss.tsv"
    assert len(curve.read_text(encoding="utf-8").splitlines()) == 1 + RECIPE.epochs
