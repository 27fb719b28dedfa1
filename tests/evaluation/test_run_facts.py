"""How a run went stays out of the committed page and is in the copy."""

import json
import shutil
import subprocess
from pathlib import Path

import made_up_run
import pytest

from dancestyle import files
from dancestyle.evaluation import report, run_facts


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("run")
    made_up_run.write(root, ["polka", "salsa dancing", "zumba"], resamples=2)
    files.write_text(root / "plots/report.html", report.html(report.build(root, "Dancing")))
    record = json.loads((root / "metrics/train_rgb.json").read_text())
    files.write_json(root / "metrics/train_rgb.json", {"clips": 120, **record})
    files.write_text(root / "params.yaml", "tune: {clips: 96}\n")
    timings = "stage,seconds\ntune,10.0\nsplit,0.1\ntrain@rgb,480.0\naugment,4\nevaluate,22.0\n"
    files.write_text(root / "logs/timings.csv", timings)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@localhost"]
    for command in (["init", "-q"], ["add", "params.yaml"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], cwd=root, check=True)
    return root


def test_clips_a_second_follow_from_metrics_and_times(root: Path) -> None:
    found = {row["stage"]: row for row in run_facts.stages(root)}
    assert found["train@rgb"] == {
        "stage": "train@rgb", "seconds": 480.0, "clips": 960, "clips_per_second": 2.0
    }  # fmt: skip
    assert found["tune"]["clips"] == 6 * 96  # 3 trials of 2 epochs
    assert found["augment"]["clips"] == 20
    assert found["evaluate"]["clips"] == 7 * 30  # both streams, 3 fine-tuned, 2 general
    assert found["split"]["clips"] is None


def test_the_copy_has_what_the_page_has_not(root: Path) -> None:
    page = (root / "plots/report.html").read_text()
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True
    ).stdout.strip()
    copy = run_facts.write(root).read_text()
    assert (root / "plots/report.html").read_text() == page
    assert head in copy and "files changed" not in copy
    assert head not in page
    assert copy.count('href="#run"') == copy.count('id="run"') == 1
    assert "480.0" in copy and "480.0" not in page
    assert "Where</figcaption>" in copy and "&lt;section" not in copy
    (root / "params.yaml").write_text("tune: {clips: 1}\n")
    assert "and 1 files changed since" in run_facts.write(root).read_text()
    assert json.loads((root / "logs/run.json").read_text())["commit"]["id"] == head


def test_without_times_or_git_the_rest_is_there(root: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run_facts.write(tmp_path)
    shutil.copytree(root / "plots", tmp_path / "plots")
    copy = run_facts.write(tmp_path).read_text()
    assert "not in a git repository" in copy
    assert "Time and clips" not in copy
