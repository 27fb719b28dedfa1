"""How a stage ends: its time is logged, and its errors are sentences where they can be."""

from __future__ import annotations

import errno
import runpy
from pathlib import Path

import pytest

from dancestyle import params, stage
from dancestyle.video.errors import VideoError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_stage_has_its_last_time(folder: Path) -> None:
    for name in ("split", "train@rgb", "split"):
        stage.run(name, lambda: None)
    assert (folder / "logs/timings.csv").read_text() == "stage,seconds\ntrain@rgb,0.0\nsplit,0.0\n"


def test_a_log_of_something_else_is_written_anew(folder: Path) -> None:
    (folder / "logs").mkdir()
    (folder / "logs/timings.csv").write_text("what,ever\n1,2\n")
    stage.run("split", lambda: None)
    assert (folder / "logs/timings.csv").read_text() == "stage,seconds\nsplit,0.0\n"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (params.ParamsError("params.yaml: split.sead: unknown key"),
         "split: params.yaml: split.sead: unknown key"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "data/x.csv"),
         "split: data/x.csv: not found; `dvc repro split` makes what it needs first"),
        (PermissionError(errno.EACCES, "Permission denied", "data"), "split: data: Permission denied"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "a/b"), "split: a/b: Not a directory"),
        (VideoError("data/flow/a.mkv", "file not found"),
         "split: data/flow/a.mkv: file not found; `dvc checkout` or `dvc pull` brings back what a "
         "stage has made, `dvc repro` makes it"),
        (VideoError("data/flow/a.mkv", "no flow file"), "split: data/flow/a.mkv: no flow file"),
        (OSError(errno.ENOSPC, "No space left on device"),
         "split: the disk is full; free some space and run the same command again"),
    ],
)  # fmt: skip
def test_what_a_person_can_mend_is_a_sentence(
    folder: Path, error: Exception, sentence: str
) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        stage.run("split", fail)
    assert ended.value.code == sentence
    assert not (folder / "logs").exists(), "a run that failed has no time"


@pytest.mark.parametrize("error", [ValueError("x"), RuntimeError("x"), KeyError("x"), OSError("x")])
def test_a_defect_keeps_its_traceback(error: Exception) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        stage.run("split", fail)


@pytest.mark.parametrize(
    ("given", "name", "found"),
    [
        ([], "train", "found nothing"),
        (["depth"], "train@depth", "found 'depth'"),
        (["rgb", "flow"], "train@rgb", "found 'rgb flow'"),
    ],
)
def test_a_stage_that_needs_a_name_says_which_there_are(
    given: list[str], name: str, found: str
) -> None:
    def main(which: str) -> None:
        raise AssertionError(which)

    with pytest.raises(SystemExit) as ended:
        stage.run_one("train", main, lambda: ("rgb", "flow"), arguments=given)
    assert ended.value.code == (
        f"{name}: python -m stages.train takes one name, {found}; there are: rgb, flow"
    )


def test_a_stage_with_its_name_runs(folder: Path) -> None:
    done: list[str] = []
    stage.run_one("train", done.append, lambda: ("rgb", "flow"), arguments=["flow"])
    assert done == ["flow"] and "train@flow" in (folder / "logs/timings.csv").read_text()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("train", "there are: rgb, flow"),
        ("finetune", "params.yaml: finetune.runs has: r50_scheduled, r50_nl_scheduled, r50_nl_optimal"),
        ("pretrain", "params.yaml: pretrain.nets has: inception_2d, resnet_2d, r50, r50_nl"),
    ],
)  # fmt: skip
def test_the_names_are_those_of_params(
    name: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    monkeypatch.setattr("sys.argv", [f"stages/{name}.py"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(f"stages.{name}", run_name="__main__")
    assert (
        ended.value.code
        == f"{name}: python -m stages.{name} takes one name, found nothing; {sentence}"
    )


def test_ctrl_c_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        stage.run("split", stop)
    assert ended.value.code == 130
    assert capsys.readouterr().err == "split: stopped before it was done\n"
