"""The tiny project, once without and once with its results."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_project import TINY, commit_all, copy_project, dvc, edit_params, git


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The project at the tiniest sizes, committed, with nothing run."""
    folder = tmp_path_factory.mktemp("tiny")
    here = copy_project(folder / "project")
    edit_params(here, TINY)
    with (here / ".dvc/config").open("a") as config:  # else every clone copies its 600 MB of models
        config.write("[cache]\n    type = hardlink,copy\n")
    git(here, "init", "--quiet", "--initial-branch", "main")
    commit_all(here, "A tiny project")
    yield here
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def tiny_run(tiny: Path) -> Path:
    """The same after ``dvc repro``, its results committed."""
    dvc(tiny, "repro")
    commit_all(tiny, "Its results")
    return tiny
