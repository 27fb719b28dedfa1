"""DVC runs the tiny project: what is run again and what is not, compared, shared and told.

All tests look at one run of the whole pipeline; none of them changes it.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from dvc.repo import Repo
from tiny_project import ROOT, clone, commit_all, dvc, edit_params, git

from dancestyle import clips, params, split
from dancestyle.video.writer import write_clip

pytestmark = pytest.mark.slow

RUN = "r50_scheduled"
TRAINING = ("train", "val", "subset1_train", "subset2_train")
PRETRAIN = {f"pretrain@{net}" for net in ("inception_2d", "resnet_2d", "r50", "r50_nl")}
TRAIN = {"train@rgb", "train@flow"}

# A key of each section, another value of it, and the stages that read the section.
READERS: dict[str, tuple[str, Any, set[str]]] = {
    "machine": ("machine.workers", 2, set()),
    "input": ("input.stride", 2, PRETRAIN | TRAIN | {"tune", f"finetune@{RUN}", "report"}),
    "sample": ("sample.seed", 2, {"sample"}),
    "build_dataset": ("build_dataset.crf", 20, {"build_dataset", "actions", "augment", "report"}),
    "split": ("split.seed", 2, {"split", "report"}),
    "augment": ("augment.share", 0.2, {"augment", "report"}),
    "flow": ("flow.bound", 5.0, {"flow", "train@flow", "report"}),
    "tune": ("tune.seed", 7, {"tune", "report"}),
    "actions": ("actions.source.name", "kinetics", {"actions"}),
    "pretrain": ("pretrain.lr", 1e-4, PRETRAIN | {"report"}),
    "train": ("train.epochs", 2, TRAIN | {"tune", "report"}),
    "finetune": ("finetune.batch_size", 4, {f"finetune@{RUN}", "evaluate", "report"}),
    "evaluate": ("evaluate.num_clips", 2, {"evaluate", "report"}),
    "confusion_matrix": ("confusion_matrix.pairs", 3, {"confusion_matrix"}),
    "report": ("report.title", "Another", {"report"}),
}


def stages_run(said: str) -> list[str]:
    """The stages that DVC says it runs, by their names alone."""
    found = re.findall(r"^Running stage '(?:.*:)?([\w@]+)'", said, flags=re.MULTILINE)
    return [str(name) for name in found]


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def workspace(tiny_run: Path, tmp_path: Path) -> Path:
    """A clone that shares the run's DVC cache, with all its outputs."""
    here = clone(tiny_run, tmp_path / "workspace")
    dvc(here, "config", "--local", "cache.dir", str(tiny_run / ".dvc/cache"))
    dvc(here, "checkout", "--quiet")
    return here


@pytest.fixture
def fresh(tiny_run: Path, tmp_path: Path) -> Path:
    """A clone as anybody gets it: results of git, nothing of DVC."""
    return clone(tiny_run, tmp_path / "fresh")


@pytest.fixture
def params_again(tiny_run: Path) -> Iterator[Path]:
    """The run itself; its params are put back afterwards."""
    before = (tiny_run / "params.yaml").read_bytes()
    yield tiny_run
    (tiny_run / "params.yaml").write_bytes(before)


def test_results_are_in_git_and_data_in_dvc(tiny_run: Path) -> None:
    in_git = set(git(tiny_run, "ls-files").split())
    for name in ("evaluate", "evaluate_details", "dataset", "split", "flow", "tune", "train_rgb",
                 "train_flow", "confusions", "pretrain_r50", f"finetune_{RUN}"):  # fmt: skip
        assert f"metrics/{name}.json" in in_git
    for path in ("plots/train/rgb.csv", "plots/confusion_matrix.png", "plots/report.html",
                 "metrics/report.md", "dvc.lock", "data/sample/dvc.lock"):  # fmt: skip
        assert path in in_git
    below = {path for path in in_git if path.startswith(("data/", "models/"))}
    assert below == {"data/none.txt", "data/sample/dvc.yaml", "data/sample/dvc.lock"}
    assert (tiny_run / "models/i3d_flow.ckpt").stat().st_size > 10**7


def test_the_second_run_has_nothing_to_do(tiny_run: Path) -> None:
    assert "up to date" in dvc(tiny_run, "repro")
    assert git(tiny_run, "status", "--porcelain") == ""


def test_every_section_has_its_readers_here() -> None:
    assert list(READERS) == list(params.SECTIONS)


@pytest.mark.parametrize("section", READERS)
def test_a_key_reruns_the_stages_that_read_it(
    params_again: Path, section: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, value, readers = READERS[section]
    edit_params(params_again, {name: value})
    monkeypatch.chdir(params_again)
    with Repo(".") as repo:
        changed = repo.status()
    assert {stage.rsplit(":", 1)[-1] for stage in changed} == readers


def test_another_net_is_an_entry_of_params(workspace: Path) -> None:
    """Trained on the general actions, fine-tuned, scored; the nets and runs that are there stay."""
    content = yaml.safe_load((workspace / "params.yaml").read_text(encoding="utf-8"))
    nets, runs = content["pretrain"]["nets"], content["finetune"]["runs"]
    nets["r3d_18"] = {"weights": None, "start": "data/none.txt", "data": "data/actions"}
    runs["other"] = {**runs[RUN], "net": "r3d_18", "freeze": "none"}
    edit_params(workspace, {"pretrain.nets": nets, "finetune.runs": runs})
    ran = stages_run(dvc(workspace, "repro"))
    assert set(ran[:2]) == {"pretrain@r3d_18", "finetune@other"}
    assert ran[2:] == ["evaluate", "confusion_matrix", "report"]
    scores = read_json(workspace / "metrics/evaluate.json")
    assert {"finetune_other", "baseline_r3d_18", f"finetune_{RUN}"} <= set(scores)
    speeds = ["logs/training/other.csv", "-x", "epoch", "-y", "clips_per_second"]
    dvc(workspace, "plots", "show", *speeds, "--out", "shown")
    assert "clips_per_second" in (workspace / "shown/index.html").read_text(encoding="utf-8")


def test_what_follows_runs_too_and_nothing_else(workspace: Path) -> None:
    edit_params(workspace, {"confusion_matrix.pairs": 3})
    assert stages_run(dvc(workspace, "repro")) == ["confusion_matrix", "report"]
    assert len(read_json(workspace / "metrics/confusions.json")["pairs"]) <= 3
    changed = git(workspace, "status", "--porcelain").split()[1::2]
    tops = {path.split("/")[0] for path in changed}
    assert tops == {"params.yaml", "dvc.lock", "metrics", "plots"}

    git(workspace, "checkout", "--quiet", "params.yaml")
    again = dvc(workspace, "repro")
    assert "Stage 'confusion_matrix' is cached - skipping run" in again
    assert stages_run(again) == ["report"], "of no use to DVC's run-cache, and quick"
    assert git(workspace, "status", "--porcelain") == ""


def a_test_video(
    workspace: Path, config: params.Split, tables: dict[str, list[clips.Clip]]
) -> tuple[str, str]:
    """A style, and the id of a video of it that comes into the test set and moves no other.

    With three videos a style the least numbers of each may well move one.
    """
    table = clips.read(workspace / "data/dataset/clips.csv")
    seen = (workspace / "data/dataset/seen.csv").read_text(encoding="utf-8").splitlines()[1:]
    names = (f"video{number:06d}" for number in itertools.count())
    video = next(name for name in names if split.place(config.seed, name) < config.test)
    for clip in tables["test"]:
        new = replace(clip, clip_id=f"{video}_000000_000001", video_id=video)
        dealt = split.deal([*table, new], config, seen).tables
        if all(dealt[name] == tables[name] for name in TRAINING) and new in dealt["test"]:
            return clip.label, video
    raise AssertionError("every new video moves another")


def test_a_new_clip_of_the_test_set_trains_nothing_again(workspace: Path) -> None:
    """A video more, from a second source: its split's readers run, and no training."""
    tables = {name: clips.read(workspace / f"data/splits/{name}.csv") for name in split.NAMES}
    content = yaml.safe_load((workspace / "params.yaml").read_text(encoding="utf-8"))
    label, video = a_test_video(workspace, params.validate("split", content["split"]), tables)
    frames = np.random.default_rng(0).integers(0, 255, (25, 40, 48, 3), np.uint8)
    write_clip(workspace / f"more/{video}_000000_000001.mp4", frames)
    row = f'"{label}",{video},0,1,train\n'
    (workspace / "more/list.csv").write_text(f"label,youtube_id,time_start,time_end,split\n{row}")
    more = {
        "kind": "kinetics",
        "name": "more",
        "annotations": ["more/list.csv"],
        "videos": ["more"],
    }
    edit_params(workspace, {"build_dataset.sources": [*content["build_dataset"]["sources"], more]})

    ran = stages_run(dvc(workspace, "repro"))
    # `actions` and `augment` read the section of params that names the sources.
    made = ["build_dataset", "actions", "split", "augment", "flow"]
    assert sorted(ran) == sorted([*made, "evaluate", "confusion_matrix", "report"])
    for name in TRAINING:
        assert clips.read(workspace / f"data/splits/{name}.csv") == tables[name], name
    predicted = (workspace / "data/predictions/two_stream.csv").read_text(encoding="utf-8")
    assert video in predicted
    assert "up to date" in dvc(workspace, "repro")


def test_another_remark_reruns_nothing_and_another_module_its_readers(workspace: Path) -> None:
    module = workspace / "dancestyle/evaluation/report.py"
    text = module.read_text(encoding="utf-8")
    module.write_text(f"# A remark.\n{text}\n\n# Another one.\n", encoding="utf-8")
    assert stages_run(dvc(workspace, "repro")) == ["code"]
    module.write_text(f"{text}\n\n_MORE = 1\n", encoding="utf-8")
    assert stages_run(dvc(workspace, "repro")) == ["code", "report"]


def test_another_clone_makes_the_same_bytes(fresh: Path, tiny_run: Path) -> None:
    """With another number of processes; it has the lock file and no cache, so all of it must run."""
    edit_params(fresh, {"machine.workers": 2})
    ran = stages_run(dvc(fresh, "repro", "actions", "tune"))
    assert set(ran) == {
        "code", "sample", "build_dataset", "actions", "split", "augment", "flow",
        "pretrain@inception_2d", "tune",
    }  # fmt: skip
    for name in ("dvc.lock", "data/sample/dvc.lock"):
        ours, theirs = (yaml.safe_load((at / name).read_text()) for at in (fresh, tiny_run))
        assert ours["stages"] == theirs["stages"], name
    assert git(fresh, "status", "--porcelain").split() == ["M", "params.yaml"]


def test_a_clone_shows_its_results_before_anything_has_run(fresh: Path, tmp_path: Path) -> None:
    shown = json.loads(dvc(fresh, "metrics", "show", "--json"))[""]["data"]
    top1 = shown["metrics/evaluate.json"]["data"]["two_stream"]["top1"]
    assert top1 == read_json(fresh / "metrics/evaluate.json")["two_stream"]["top1"]
    dvc(fresh, "plots", "show", "--out", str(tmp_path / "shown"))
    page = (tmp_path / "shown/index.html").read_text(encoding="utf-8")
    for plot in ("plots/train/rgb.csv", "confusion_matrix.png", "plots/dataset/class_balance.csv"):
        assert plot.rsplit("/")[-1].split(".")[0] in page, plot
    assert git(fresh, "status", "--porcelain") == ""


def test_an_experiment_is_run_and_shown(workspace: Path) -> None:
    said = dvc(workspace, "exp", "run", "-n", "longer", "-S", "train.epochs=2", "train@flow")
    assert stages_run(said) == ["tune", "train@flow"]
    rows = json.loads(dvc(workspace, "exp", "show", "--json"))
    (experiment,) = rows[-1]["experiments"]
    assert experiment["name"] == "longer"
    data = experiment["revs"][0]["data"]
    assert data["params"]["params.yaml"]["data"]["train"]["epochs"] == 2
    assert data["metrics"]["metrics/train_flow.json"]["data"]["epochs"] == 2


def test_branches_compare(workspace: Path, tmp_path: Path) -> None:
    git(workspace, "checkout", "--quiet", "-b", "rgb")
    edit_params(workspace, {"confusion_matrix.model": "i3d_rgb"})
    dvc(workspace, "repro")
    edit_params(workspace, {"evaluate.num_crops": 3})
    dvc(workspace, "repro", "evaluate")
    commit_all(workspace, "The confusions of one stream")
    bare = clone(workspace, tmp_path / "bare")
    found = json.loads(dvc(bare, "metrics", "diff", "origin/main", "rgb", "--json"))
    assert any(one["diff"] for one in found["metrics/evaluate.json"].values())
    changed = dvc(bare, "params", "diff", "origin/main")
    assert re.search(r"confusion_matrix\.model.*two_stream.*i3d_rgb", changed)


def test_results_are_shared_through_a_remote(workspace: Path, tmp_path: Path) -> None:
    """As README.md says: what is in git is pulled, and `augment` comes out of the run-cache."""
    dvc(workspace, "remote", "add", "--default", "team", str(tmp_path / "shared"))
    commit_all(workspace, "Where our results are")
    git(workspace, "checkout", "--quiet", "-b", "more")
    edit_params(workspace, {"augment.share": 0.3})
    assert stages_run(dvc(workspace, "repro", "augment")) == ["augment"]
    commit_all(workspace, "More changed copies")
    git(workspace, "checkout", "--quiet", "main")
    dvc(workspace, "push", "--quiet", "--all-branches", "--run-cache")

    theirs = clone(workspace, tmp_path / "theirs")
    dvc(theirs, "pull", "--quiet", "--run-cache")
    assert "up to date" in dvc(theirs, "repro")
    assert git(theirs, "status", "--porcelain") == ""
    table = theirs / "data/augmented/clips.csv"
    few = len(table.read_text(encoding="utf-8").splitlines())
    edit_params(theirs, {"augment.share": 0.3})
    said = dvc(theirs, "repro", "--pull", "augment")
    assert "Stage 'augment' is cached - skipping run" in said
    assert stages_run(said) == []
    assert len(table.read_text(encoding="utf-8").splitlines()) > few


@pytest.mark.parametrize(
    ("values", "target", "sentence"),
    [
        ({"report": {"titel": "x"}}, "report",
         "params.yaml: report.titel: unknown key; remove it or correct its spelling"),
        ({"confusion_matrix.pairs": 0}, "confusion_matrix",
         "params.yaml: confusion_matrix.pairs: Input should be greater than or equal to 1, found 0"),
        ({"confusion_matrix.model": "nobody"}, "confusion_matrix",
         "data/predictions/nobody.csv: not found"),
        ({"build_dataset.sources": [{"kind": "folder", "root": "nowhere"}]}, "build_dataset",
         "nowhere"),
        ({"build_dataset.watch.first": "nowhere"}, "build_dataset", "nowhere"),
    ],
)  # fmt: skip
def test_a_mistake_is_a_sentence(
    workspace: Path, values: dict[str, Any], target: str, sentence: str
) -> None:
    edit_params(workspace, values)
    said = dvc(workspace, "repro", target, fails=True)
    assert sentence in said
    assert "Traceback" not in said


def test_the_readme_s_recipe_for_own_videos_works(fresh: Path) -> None:
    """Its very lines; only the videos are tiny, and so the sizes that go with them."""
    block = re.search(
        r"<!-- own videos -->\n```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL
    )
    assert block
    recipe = {
        f"{section}.{key}": value
        for section, keys in yaml.safe_load(block[1]).items()
        for key, value in keys.items()
    }
    rng = np.random.default_rng(0)
    for number in range(24):
        style = ("voguing", "waacking")[number % 2]
        frames = rng.integers(0, 255, (20, 48, 48, 3), np.uint8)
        write_clip(fresh / f"my_videos/{style}/party/{number}.mp4", frames)
    subset = {"clips": 8, "train": 0.5}
    tiny = {"split.subset1": subset, "split.subset2": subset, "build_dataset.short_side": 48}
    edit_params(fresh, {**recipe, **tiny})
    assert stages_run(dvc(fresh, "repro", "split")) == ["code", "build_dataset", "split"]
    assert read_json(fresh / "metrics/dataset.json")["clips"] == 24
    assert set(read_json(fresh / "metrics/split.json")["clips_per_label"]) == {
        "voguing",
        "waacking",
    }
