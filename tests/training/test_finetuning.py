"""Fine-tuning runs: their recipes, what they freeze and when, and that any net will do."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dancestyle import nets, params
from dancestyle.clips import Clip
from dancestyle.nets.published import PUBLISHED
from dancestyle.training import finetuning, pretraining
from dancestyle.training.checkpoints import ModelMeta, load_model, save_model
from dancestyle.training.data import InputSpec
from dancestyle.training.module import TrainingError
from dancestyle.video.writer import write_clip

ROOT = Path(__file__).parents[2]
BEST = {"lr": 0.002, "dropout": 0.4, "optimiser": "sgd"}
RUN = {"net": "r50", "subset": "subset1", "schedule": "scheduled", "freeze": "res2", "epochs": 3}
STAGES = ("stem", "res2", "res3", "res4", "res5")


def finetune_params(runs: dict[str, Any] | None = None, **changes: Any) -> params.Finetune:
    plain = params.load("finetune", ROOT / "params.yaml").model_dump()
    return params.validate("finetune", plain | changes | {"runs": runs or {"one": RUN}})


def recipe_of(
    best: dict[str, Any] = BEST, changes: dict[str, Any] | None = None, **run: Any
) -> Any:
    config = finetune_params({"one": RUN | run}, **(changes or {}))
    return finetuning.run_recipe(config, config.runs["one"], best, STAGES)


def test_scheduled_falls_at_the_milestones_and_optimal_keeps_what_tuning_found() -> None:
    scheduled = recipe_of(changes={"scheduled_lr": 1e-4, "scheduled_milestones": [4, 8]})
    assert (scheduled.lr, scheduled.schedule, scheduled.milestones) == (1e-4, "multistep", (4, 8))
    optimal = recipe_of(schedule="optimal")
    assert (optimal.lr, optimal.optimiser, optimal.schedule) == (0.002, "sgd", "constant")
    tuned = recipe_of(BEST | {"weight_decay": 0.5, "batch_size": 64}, schedule="optimal")
    assert tuned.weight_decay == 0.5 and tuned.batch_size == optimal.batch_size


def test_params_of_the_loop_and_of_a_run_reach_the_recipe() -> None:
    loop = finetune_params().loop.model_dump() | {"accumulate": 2, "ema": 0.9, "balance": "weights"}
    recipe = recipe_of(
        changes={"loop": loop, "weight_decay": 0.1, "label_smoothing": 0.2, "head_multiplier": 5},
        layer_decay=0.5,
        unfreeze={3: "none", 2: "stem"},
    )
    assert (recipe.accumulate, recipe.ema, recipe.balance) == (2, 0.9, "weights")
    assert (recipe.weight_decay, recipe.label_smoothing, recipe.head_multiplier) == (0.1, 0.2, 5)
    assert recipe.layer_decay == 0.5
    assert recipe.unfreeze == ((1, "res2"), (2, "stem"), (3, "none"))
    assert recipe_of().unfreeze == ()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"freeze": "res9"}, "net r50 has no stage 'res9'.*none, stem, res2"),
        ({"unfreeze": {2: "top"}}, "no stage 'top' to freeze up to in epoch 2"),
        ({"unfreeze": {2: "res4"}}, "stages that fall from freeze on; found res2 in epoch 1, res4"),
        ({"unfreeze": {1: "stem"}}, "must name epochs from 2 on"),
    ],
)
def test_a_run_that_cannot_be_frozen_so_is_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(TrainingError, match=complaint):
        recipe_of(**changes)


@pytest.mark.parametrize("key", [{"subset": "subset3"}, {"layer_decay": 0.0}, {"thaw": 1}])
def test_params_of_a_run_are_checked(key: dict[str, Any]) -> None:
    with pytest.raises(params.ParamsError, match=f"finetune.runs.one.{next(iter(key))}"):
        finetune_params({"one": RUN | key})


def test_a_run_has_the_splits_of_its_subset() -> None:
    config = finetune_params({"one": RUN})
    splits = config.runs["one"].train_split, config.runs["one"].test_split
    assert splits == ("subset1_train", "subset1_test")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    root = tmp_path_factory.mktemp("clips")
    found = []
    for n in range(16):
        frames = np.random.default_rng(n).integers(0, 256, (8, 40, 48, 3), np.uint8)
        write_clip(root / f"c{n}.mp4", frames)
        path, label = str(root / f"c{n}.mp4"), n % 2
        found.append(Clip(f"c{n}", f"v{n}", "folder", "ab"[label], label, path, 8, 25.0, 48, 40))
    return found


def test_a_net_from_a_file_is_trained_in_training_mode(
    clips: list[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is loaded in evaluation mode, in which dropout is off and BatchNorm counts nothing."""
    monkeypatch.chdir(tmp_path)
    net = nets.create("r3d_18", 5)
    save_model("general.ckpt", net, ModelMeta("r3d_18", tuple("vwxyz"), InputSpec("rgb", 8, 1, 32)))
    low, *_ = net.stage_names()
    run = {
        "net": "r3d_18",
        "subset": "subset1",
        "schedule": "scheduled",
        "freeze": low,
        "epochs": 1,
    }
    config = finetune_params({"one": run}, batch_size=4, freeze_norm=False)
    size = params.load("input", ROOT / "params.yaml")
    finetuning.finetune(
        "one",
        config.runs["one"],
        clips,
        ["a", "b"],
        "general.ckpt",
        BEST,
        config,
        size.model_copy(update={"frames": 8, "stride": 1, "size": 32}),
        params.load("machine", ROOT / "params.yaml").model_copy(update={"workers": 1}),
        "out.ckpt",
    )
    after, before = load_model("out.ckpt").net.state_dict(), net.state_dict()
    frozen = tuple(f"{module}." for module in dict(net.stages)[low])
    means = [key for key in before if key.endswith("running_mean")]
    assert {key.startswith(frozen) for key in means} == {True, False}
    for key in means:
        assert torch.equal(before[key], after[key]) == key.startswith(frozen), key


@pytest.mark.parametrize(("schedule", "dropout"), [("scheduled", 0.5), ("optimal", 0.4)])
def test_optimal_takes_the_tuned_dropout(
    schedule: str,
    dropout: float,
    clips: list[Clip],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before the head, where the net has its own otherwise."""
    seen: list[float] = []

    def train(net: nets.VideoNet, *_: Any, **__: Any) -> None:
        seen.append(net.dropout.p)

    monkeypatch.setattr(finetuning, "train_classifier", train)
    net = nets.create("r3d_18", 5, dropout=0.5)
    spec = InputSpec("rgb", 8, 1, 32)
    general, out = tmp_path / "general.ckpt", tmp_path / "out.ckpt"
    save_model(general, net, ModelMeta("r3d_18", tuple("vwxyz"), spec, {"dropout": 0.5}))
    run = {
        "net": "r3d_18",
        "subset": "subset1",
        "schedule": schedule,
        "freeze": "none",
        "epochs": 1,
    }
    config = finetune_params({"one": run})
    size, settings = (params.load(name, ROOT / "params.yaml") for name in ("input", "machine"))
    finetuning.finetune(
        "one", config.runs["one"], clips, ["a", "b"], general, BEST, config, size, settings, out
    )
    assert seen == [dropout]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r3d_18", "slowfast_r50", "i3d_r50_nl"])
def test_any_net_is_fine_tuned_stage_by_stage(
    name: str, clips: list[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    net = nets.create(name, 5)
    start = {key: value.clone() for key, value in net.state_dict().items()}
    spec = InputSpec("rgb", 8, 1, 32)
    save_model("general.ckpt", net, ModelMeta(name, tuple("vwxyz"), spec))
    low, *_, top = net.stage_names()
    run = {"net": name, "subset": "subset1", "schedule": "optimal", "freeze": top, "epochs": 2}
    config = finetune_params(
        {"one": run | {"unfreeze": {2: low}, "layer_decay": 0.5}}, batch_size=4, freeze_norm=True
    )
    size = params.load("input", ROOT / "params.yaml")
    result = finetuning.finetune(
        "one",
        config.runs["one"],
        clips,
        ["a", "b"],
        "general.ckpt",
        BEST | {"lr": 0.01},
        config,
        size.model_copy(update={"frames": 8, "stride": 1, "size": 32}),
        params.load("machine", ROOT / "params.yaml").model_copy(update={"workers": 1}),
        "out.ckpt",
    )
    assert len(result.history) == 2
    model = load_model("out.ckpt")
    assert model.meta.labels == ("a", "b") and model.meta.net == name
    for stage, modules in net.stages:
        changed = any(
            not torch.equal(start[key], value)
            for key, value in model.net.state_dict().items()
            if key.startswith(tuple(f"{module}." for module in modules))
        )
        assert changed == (result.best_epoch == 2 and stage != low), stage


@pytest.mark.parametrize("classes", [400, 174])
def test_other_published_nets_are_converted(
    classes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Kinetics-400's head as a baseline; with another, only what is below it is of use."""
    monkeypatch.syspath_prepend(ROOT / "tests/nets")
    from foreign_files import mmaction2

    published = tmp_path / "slow.pth"
    torch.save({"meta": {}, "state_dict": mmaction2(nets.create("slow_r50", classes))}, published)
    size = params.load("input", ROOT / "params.yaml").for_resnets
    out, plots = tmp_path / "slow_r50.ckpt", tmp_path / "slow_r50.csv"
    pretraining.convert("slow_r50", str(published), size, out, tmp_path / "slow.json", plots)
    model = load_model(out)
    assert model.meta.net == "slow_r50"
    assert len(model.meta.labels) == (400 if classes == 400 else 1)
    assert list(csv.DictReader(plots.open(encoding="utf-8"))) == []


def test_a_published_file_brings_the_options_of_its_net(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / "tests/nets")
    from foreign_files import pytorchvideo

    published = tmp_path / PUBLISHED["pytorchvideo/i3d_r50"].file_name
    options = {"time_strides": (1, 1, 2)}
    weights = pytorchvideo(nets.create("i3d_r50", 400, time_strides=(1, 1, 2)), pool=True)
    torch.save({"model_state": weights}, published)
    size = params.load("input", ROOT / "params.yaml").for_resnets
    out = tmp_path / "r50.ckpt"
    pretraining.convert("r50", str(published), size, out, tmp_path / "a.json", tmp_path / "a.csv")
    model = load_model(out)
    assert {key: tuple(value) for key, value in model.meta.options.items()} == options
    assert model.net.time_strides == (1, 1, 2)


def test_weights_for_flow_are_sent_to_the_flow_stream(tmp_path: Path) -> None:
    size = params.load("input", ROOT / "params.yaml")
    paths = tmp_path / "a.ckpt", tmp_path / "a.json", tmp_path / "a.csv"
    with pytest.raises(TrainingError, match=r"takes flow.*train\.checkpoints\.flow"):
        pretraining.convert("i3d_inception", "piergiaj/flow_imagenet", size, *paths)


def test_a_net_that_nobody_knows_is_named() -> None:
    with pytest.raises(TrainingError, match=r"no net 'resnet9'; there are: inception_2d.*r50.*c3d"):
        pretraining.net_name("resnet9")


def made_up(videos: int) -> list[Clip]:
    return [
        Clip(f"c{n}", f"v{n // 2}", "folder", "a", 0, "c.mp4", 8, 25.0, 48, 40)
        for n in range(2 * videos)
    ]


def test_whole_videos_are_held_out_and_always_some() -> None:
    for seed in range(20):
        train, val = pretraining.hold_out(made_up(100), seed)
        assert 0.05 < len(val) / 200 < 0.27
        assert not {clip.video_id for clip in train} & {clip.video_id for clip in val}
        assert len(pretraining.hold_out(made_up(3), seed)[1]) >= 2
    assert pretraining.hold_out(made_up(9), 1) == pretraining.hold_out(made_up(9), 1)
