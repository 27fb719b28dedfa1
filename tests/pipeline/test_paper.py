"""The whole pipeline from params/paper.yaml, made smaller by ``dvc exp run -S KEY=VALUE``.

``SMALLER`` is all that is changed, beside where the weights lie: frames and pixels, numbers of clips,
views at test time, epochs, and a process for clip work. What is not named there is the study's.

The datasets are the sample's dancers, filmed anew where the real datasets would lie; the published
weights are files in their publishers' formats with made-up numbers.
"""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from tiny_project import ROOT, commit_all, copy_project, dvc, git

from dancestyle import nets
from dancestyle.nets.base import initialise
from dancestyle.sample.layouts import kinetics, lets_dance
from dancestyle.sample.layouts.jobs import film, film_frames

SIDE = 40

SMALLER: dict[str, Any] = {
    # processes
    "machine.workers": 1,
    # frames and pixels
    "input.frames": 8,
    "input.size": 32,
    "input.resnet.frames": 8,
    "input.resnet.size": 32,
    "build_dataset.short_side": SIDE,
    "build_dataset.min_frames": 16,
    # clips: of three videos a style, a twentieth is none
    "split.min_val": 1,
    "split.min_test": 1,
    "split.subset1.clips": 30,
    "split.subset2.clips": 20,
    "tune.clips": 8,
    # views
    "evaluate.num_clips": 2,
    "evaluate.num_crops": 1,
    # epochs
    "tune.epochs": 1,
    "train.epochs": 1,
    "finetune.runs.r50_scheduled.epochs": 1,
    "finetune.runs.r50_nl_scheduled.epochs": 1,
    "finetune.runs.r50_nl_optimal.epochs": 1,
}


def film_datasets(data: Path) -> None:
    """Kinetics-700, Let's Dance and the list of Kinetics-400, as params/paper.yaml names them."""
    sizes = kinetics.Sizes(seed=1, videos=3, clips_per_video=1, short_side=SIDE, seconds=1.0)
    styles = kinetics.plan_styles(data / "kinetics700", sizes)
    kinetics.annotate(data / "kinetics700", styles)
    for job in kinetics.jobs(styles):
        film(job.item, job.path)
    clips = lets_dance.plan(data / "lets_dance", 1, 1, SIDE)
    for clip in clips:
        film_frames(replace(clip, frames=26, missing=(5,)).item, data / "frames.zip")
        with zipfile.ZipFile(data / "frames.zip") as content:
            content.extractall(data / "lets_dance")
    (data / "kinetics400").mkdir()
    ids = [entry.youtube_id for entry in styles if entry.split == "train"][:4]
    (data / "kinetics400" / "train.csv").write_text("\n".join(["youtube_id", *ids]) + "\n")


def write_weights(folder: Path, mmaction2: Any) -> None:
    folder.mkdir()
    torch.manual_seed(0)
    for name, make in (
        ("inception_2d", lambda: torchvision.models.googlenet(init_weights=False)),
        ("resnet_2d", torchvision.models.resnet50),
    ):
        net = make()
        initialise(net)
        torch.save(net.state_dict(), folder / f"{name}.pth")
    for name, net_name in (("r50", "i3d_r50"), ("r50_nl", "i3d_r50_nl")):
        weights = mmaction2(nets.create(net_name, 400))
        torch.save({"meta": {"epoch": 100}, "state_dict": weights}, folder / f"{name}.pth")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the project with the paper profile chosen, and its data; the weights beside it."""
    here = copy_project(tmp_path / "project")
    shutil.copy(here / "params/paper.yaml", here / "params.yaml")
    git(here, "init", "--quiet", "--initial-branch", "paper")
    commit_all(here, "The study's values")
    film_datasets(here / "data")
    monkeypatch.syspath_prepend(ROOT / "tests/nets")
    from foreign_files import mmaction2

    write_weights(tmp_path / "weights", mmaction2)
    yield here
    shutil.rmtree(tmp_path, ignore_errors=True)  # over 1 GB


@pytest.mark.slow
def test_the_whole_pipeline(project: Path) -> None:
    weights = project.parent / "weights"
    places = {f"pretrain.nets.{name}.weights": weights / f"{name}.pth" for name in NETS}
    changes = [f"--set-param={key}={value}" for key, value in (SMALLER | places).items()]
    dvc(project, "config", "--local", "cache.type", "hardlink,copy")
    dvc(project, "exp", "run", *changes)
    assert set(changed_params(project)) == {*SMALLER, *places}, "and nothing else"

    def read(name: str) -> Any:
        return json.loads((project / "metrics" / name).read_text(encoding="utf-8"))

    sources = {row["source"] for row in read_csv(project / "data/dataset/clips.csv")}
    assert sources == {"kinetics700", "lets_dance"}
    assert read("flow.json")["method"] == "tvl1" and read("flow.json")["bound"] == 20
    assert len(read("tune.json")["trials"]) == 4
    for name, count in (("r50", 320), ("r50_nl", 380)):
        facts = read(f"pretrain_{name}.json")
        assert facts["source"] == "mmaction2" and facts["loaded"] == count
    assert set(read("evaluate.json")) == {
        "i3d_rgb",
        "i3d_flow",
        "two_stream",
        "finetune_r50_scheduled",
        "finetune_r50_nl_scheduled",
        "finetune_r50_nl_optimal",
        "ensemble",
        "baseline_r50",
        "baseline_r50_nl",
        "colour_histogram",
        "single_frame",
    }
    inputs = {name: model_input(project / f"models/{name}.ckpt") for name in INPUTS}
    assert inputs == INPUTS
    assert (project / "plots/report.html").stat().st_size > 10_000
    left = {path.name for path in (project / "data/sample").iterdir()}
    assert left <= {"dvc.yaml", "dvc.lock"}, "the sample is not filmed for the real datasets"
    assert "up to date" in dvc(project, "repro")


def changed_params(project: Path) -> list[str]:
    """Keys of params.yaml that differ from the study's, by what DVC says."""
    return list(json.loads(dvc(project, "params", "diff", "--json"))["params.yaml"])


NETS = ("inception_2d", "resnet_2d", "r50", "r50_nl")
INPUTS = {
    "i3d_flow": (8, 1, 32),
    "i3d_rgb": (8, 1, 32),
    "finetune/r50_scheduled": (8, 2, 32),
    "finetune/r50_nl_optimal": (8, 2, 32),
    "pretrained/r50": (8, 2, 32),
}


def model_input(path: Path) -> tuple[int, int, int]:
    from dancestyle.training.checkpoints import read_weights

    spec = read_weights(path)["input"]
    return spec["frames"], spec["stride"], spec["size"]


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
