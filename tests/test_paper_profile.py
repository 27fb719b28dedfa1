"""params/paper.yaml: the keys of params.yaml with the study's values, complete and loadable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from dancestyle import params
from dancestyle.labels import LETS_DANCE_TO_STYLE
from dancestyle.nets.published import PUBLISHED

ROOT = Path(__file__).parents[1]
PAPER = ROOT / "params/paper.yaml"

# Mappings whose keys are values: data of the user, not names that the code knows.
FREE = {"flow.options", "finetune.runs", "input.resnet", "actions.source"}


def keys(content: dict[str, Any], above: str = "") -> set[str]:
    found = set()
    for key, value in content.items():
        name = f"{above}{key}"
        found.add(name)
        if isinstance(value, dict) and name not in FREE:
            found |= keys(value, f"{name}.")
    return found


def load(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_same_keys() -> None:
    assert keys(load(PAPER)) == keys(load(ROOT / "params.yaml"))
    assert list(load(PAPER)) == list(params.SECTIONS)


@pytest.mark.parametrize("section", params.SECTIONS)
def test_every_section_loads(section: str) -> None:
    assert params.load(section, PAPER)


def test_every_model_key_is_written_out() -> None:
    """A key with a default is easily forgotten in a profile, and then nobody finds it."""
    for path in (PAPER, ROOT / "params.yaml"):
        for name, content in load(path).items():
            known = set(params.SECTIONS[name].model_fields)
            assert set(content) == known, f"{path.name}: {name}"


def test_the_weights_are_published_ones_of_the_right_nets() -> None:
    entries = params.load("pretrain", PAPER).nets
    weights = {name: entry.weights for name, entry in entries.items()}
    nets = {"inception_2d": "i3d_inception", "resnet_2d": "i3d_r50"}
    nets |= {"r50": "i3d_r50", "r50_nl": "i3d_r50_nl"}
    assert {name: PUBLISHED[file].net for name, file in weights.items()} == nets
    resnets = params.load("input", PAPER).for_resnets
    for name in ("r50", "r50_nl"):
        native = PUBLISHED[weights[name]].input
        assert (native.frames, native.stride, native.size) == (
            resnets.frames,
            resnets.stride,
            resnets.size,
        )


def test_the_study_s_values() -> None:
    split, tune = params.load("split", PAPER), params.load("tune", PAPER)
    assert (split.train, split.val, split.test) == (0.90, 0.05, 0.05)
    assert (split.subset1.clips, split.subset1.train) == (1500, 0.93)
    assert (split.subset2.clips, split.subset2.train) == (525, 0.90)
    assert (tune.trials, tune.epochs, tune.lr, tune.dropout) == (4, 10, (1e-5, 1e-2), (0.2, 0.7))
    assert set(tune.optimisers) == {"adam", "sgd"}
    size, dataset = params.load("input", PAPER), params.load("build_dataset", PAPER)
    assert (size.frames, size.stride, size.size, dataset.fps) == (64, 1, 224, 25)
    finetune = params.load("finetune", PAPER)
    assert (finetune.scheduled_lr, finetune.scheduled_milestones) == (1e-4, [4, 8])
    train = params.load("train", PAPER)
    assert (train.lr, train.dropout, train.optimiser) == (7.87e-4, 0.2966, "sgd")
    assert (train.epochs, train.schedule, train.use_tuned) == (10, "constant", True)
    runs = finetune.runs.values()
    assert [(run.net, run.subset, run.schedule) for run in runs] == [
        ("r50", "subset1", "scheduled"),
        ("r50_nl", "subset2", "scheduled"),
        ("r50_nl", "subset2", "optimal"),
    ]
    kinetics, lets_dance = dataset.sources
    assert kinetics.kind == "kinetics"
    assert lets_dance.class_map == LETS_DANCE_TO_STYLE


def test_the_resnets_input_is_the_common_one_unless_named() -> None:
    own = {"frames": 8, "stride": 2, "size": 32}
    size = params.load("input", PAPER)
    assert size.model_copy(update={"resnet": None}).for_resnets.frames == size.frames
    other = size.model_copy(update={"resnet": params.Snippet(**own)}).for_resnets
    assert (other.frames, other.stride, other.size) == (8, 2, 32)
    assert other.flow_bound == size.flow_bound
