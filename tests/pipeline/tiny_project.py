"""A project made tiny, in a git repository of its own, and DVC run in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]

# What a clone holds, as far as the pipeline needs it: not what an earlier run has left here.
FOLDERS = ("dancestyle", "stages", "params", "data", ".dvc")
FILES = ("dvc.yaml", "params.yaml", ".gitignore", ".dvcignore")

# Who commits, also where git has not been told.
SOMEBODY = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Somebody"), ("EMAIL", "somebody@example.org"))
}

TINY: dict[str, Any] = {
    "machine.workers": 1,
    "input.frames": 8,
    "input.size": 32,
    "sample.videos_per_style": 3,
    "sample.clips_per_video": 1,
    "sample.lets_dance_videos_per_class": 1,
    "sample.general_clips_per_label": 1,
    "sample.stills": 40,
    "sample.short_side": 40,
    "sample.seconds": 1.0,
    "build_dataset.short_side": 40,
    "build_dataset.min_frames": 16,
    "split.min_val": 1,
    "split.min_test": 1,
    "split.subset1.clips": 24,
    "split.subset2.clips": 20,
    "tune.trials": 1,
    "tune.epochs": 1,
    "tune.clips": 8,
    "pretrain.stills_epochs": 1,
    "pretrain.stills_batch_size": 8,
    "pretrain.epochs": 1,
    "pretrain.non_local_epochs": 1,
    "pretrain.freeze_norm": False,  # after a few stills the statistics are not worth keeping
    "train.epochs": 1,
    "train.flow_epochs": None,
    "finetune.runs": {
        "r50_scheduled": {
            "net": "r50",
            "subset": "subset1",
            "schedule": "scheduled",
            "freeze": "res3",
            "epochs": 1,
        }
    },
    "evaluate.num_clips": 1,
    "evaluate.bootstrap": 20,
}


def set_keys(content: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """``content`` with the values of dotted names; a name that is not there is an error."""
    for name, value in values.items():
        *above, last = name.split(".")
        inner = content
        for key in above:
            inner = inner[key]
        assert last in inner, name
        inner[last] = value
    return content


def edit_params(project: Path, values: Mapping[str, Any], source: str = "params.yaml") -> None:
    """Make ``params.yaml`` what ``source`` says, but for some values."""
    content = yaml.safe_load((project / source).read_text(encoding="utf-8"))
    text = yaml.safe_dump(set_keys(content, values), sort_keys=False)
    (project / "params.yaml").write_text(text, encoding="utf-8")


def copy_project(here: Path) -> Path:
    """The project's own files; of those that git ignores (data, caches) none."""
    git_files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *FOLDERS, *FILES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for name in git_files:
        if (ROOT / name).is_file():  # a file that was removed and not yet committed is not
            (here / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, here / name)
    return here


def run(
    project: Path, *command: str, fails: bool = False, environment: Mapping[str, str] | None = None
) -> str:
    """What a command prints, with this interpreter first on the path; its failure is the test's.

    With ``fails`` it has to fail; errors are then part of what is returned.
    """
    bin_folder = Path(sys.executable).parent
    done = subprocess.run(
        command,
        cwd=project,
        env={
            **os.environ,
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(project),
            "DVC_NO_ANALYTICS": "1",
            "OMP_NUM_THREADS": "1",
            **SOMEBODY,
            **(environment or {}),
        },
        capture_output=True,
        text=True,
    )
    said = f"{done.stdout}\n{done.stderr}"
    assert (done.returncode != 0) is fails, f"{command}: {said[-9000:]}"
    return said if fails else done.stdout


def dvc(project: Path, *arguments: str, fails: bool = False) -> str:
    """What ``dvc`` prints."""
    return run(project, sys.executable, "-m", "dvc", *arguments, fails=fails)


def git(project: Path, *arguments: str) -> str:
    """What ``git`` prints."""
    return run(project, "git", *arguments)


def commit_all(project: Path, message: str) -> None:
    """Everything that git does not ignore, committed."""
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", message)


def clone(project: Path, here: Path) -> Path:
    """A fresh clone, with no cache of DVC's."""
    git(project, "clone", "--quiet", str(project), str(here))
    return here
