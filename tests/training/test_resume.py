"""DVC and the training below it are killed without warning: ``dvc repro`` again goes on."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOY = Path(__file__).with_name("toy_run.py")
STAGE = """
stages:
  train:
    cmd: {python} {toy} models/toy.pt epochs=5 norm=1 dropout=0.3 ema=0.8 kill=4 late=1
    outs:
      - models/toy.pt
"""


def dvc(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=project,
        env=environment | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        start_new_session=True,  # what the training kills is this whole group, DVC included
    )


def read_epochs(project: Path) -> list[int]:
    with (project / "models/logs/training/toy.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    speeds = [bool(row["clips_per_second"]) for row in rows]
    assert speeds == [False, False, False, True, True], "the first three are of the killed run"
    return [int(row["epoch"]) for row in rows]


@pytest.mark.slow
def test_repro_again_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    weights = []
    for name in ("whole", "cut"):
        project = tmp_path / name
        (project / "models").mkdir(parents=True)
        stage = STAGE.format(python=sys.executable, toy=TOY)
        (project / "dvc.yaml").write_text(stage, encoding="utf-8")
        assert dvc(project, "init", "--no-scm", "-q").returncode == 0
        marker, late = project / "models/toy.killed", project / "models/toy.late"
        if name == "whole":
            for each in (marker, late):
                each.touch()  # as if it had been killed already
        else:
            assert dvc(project, "repro").returncode == -signal.SIGKILL
            assert marker.exists() and not (project / "models/toy.pt").exists()
            (unfinished,) = (project / ".cache/fit").iterdir()
            assert (unfinished / "last.ckpt").exists()
            assert dvc(project, "repro").returncode == -signal.SIGKILL
            assert late.exists() and not (project / "models/toy.pt").exists()
            assert read_epochs(project) == [1, 2, 3, 4, 5], "it went on"
        done = dvc(project, "repro")
        assert done.returncode == 0, done.stdout + done.stderr
        said = [line for line in done.stdout.splitlines() if line.startswith("toy")]
        if name == "cut":
            assert "trained before" in said[0] and len(said) == 1, "no epoch again"
        assert not list((project / ".cache/fit").iterdir()), "nothing is left over"
        weights.append((project / "models/toy.pt").read_bytes())
    assert weights[0] == weights[1], "bit for bit"
