""".ci/compare_metrics.py: what may differ from the committed metrics and what must not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_project import ROOT, commit_all, git

METRICS: dict[str, Any] = {
    "dataset.json": {"clips": 380, "minutes": 18.75, "rejected": {"kinetics700": {"empty": 1}}},
    "flow.json": {"method": "dis", "mean_magnitude": 0.5},
    "evaluate.json": {
        "two_stream": {"top1": 0.85, "nll": 0.6, "clips": 190, "subset": {"top1": 0.8, "clips": 40}}
    },
    "confusions.json": {"pairs": [{"labels": ["salsa", "swing"], "count": 3}]},
}
Compare = Callable[..., tuple[int, str]]


@pytest.fixture
def compare(tmp_path: Path) -> Compare:
    """Commits metrics, changes one value of the files, and compares."""
    metrics = tmp_path / "metrics"
    metrics.mkdir()
    for name, content in METRICS.items():
        (metrics / name).write_text(json.dumps(content))
    git(tmp_path, "init", "--quiet")
    commit_all(tmp_path, "A run")

    def change(file: str = "", key: str = "", value: Any = None, *options: str) -> tuple[int, str]:
        if file:
            content = json.loads((metrics / file).read_text())
            *above, last = key.split(".")
            inner = content
            for name in above:
                inner = inner[int(name)] if isinstance(inner, list) else inner[name]
            inner[last] = value
            (metrics / file).write_text(json.dumps(content))
        done = subprocess.run(
            [sys.executable, ROOT / ".ci/compare_metrics.py", *options],
            cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip
        assert done.stderr == ""
        return done.returncode, done.stdout

    return change


def test_the_same_metrics(compare: Compare) -> None:
    assert compare() == (0, "All 4 metrics files are exactly the committed ones.\n")


@pytest.mark.parametrize(
    ("file", "key", "value", "status"),
    [
        ("dataset.json", "clips", 381, 1),
        ("dataset.json", "minutes", 18.751, 1),
        ("dataset.json", "rejected.kinetics700.empty", None, 1),
        ("dataset.json", "rejected.lets_dance", {}, 1),
        ("flow.json", "mean_magnitude", 0.504, 0),
        ("flow.json", "mean_magnitude", 0.52, 1),
        ("flow.json", "method", "tvl1", 1),
        ("evaluate.json", "two_stream.top1", 0.66, 0),
        ("evaluate.json", "two_stream.top1", 0.64, 1),
        ("evaluate.json", "two_stream.top1", 0.96, 0),
        ("evaluate.json", "two_stream.top1", None, 1),
        ("evaluate.json", "two_stream.nll", 0.9, 0),
        ("evaluate.json", "two_stream.clips", 189, 1),
        ("evaluate.json", "two_stream.subset.top1", 0.6, 0),
        ("evaluate.json", "two_stream.subset.clips", 41, 1),
        ("evaluate.json", "another", {"top1": 0.5}, 1),
        ("confusions.json", "pairs.0.count", 4, 0),
        ("confusions.json", "more", 1, 0),
    ],
)
def test_what_differs_is_printed_and_judged(
    compare: Compare, file: str, key: str, value: Any, status: int
) -> None:
    found, said = compare(file, key, value)
    assert found == status
    assert f"{file}: {key}" in said
    assert ("must not be" in said) is bool(status)


def test_exact_allows_nothing(compare: Compare) -> None:
    assert compare("evaluate.json", "two_stream.nll", 0.601, "--exact")[0] == 1


def test_files_that_are_missing_or_new(compare: Compare, tmp_path: Path) -> None:
    shutil.move(tmp_path / "metrics/flow.json", tmp_path / "metrics/flows.json")
    status, said = compare()
    assert status == 1
    assert "flow.json: committed, and not written" in said
    assert "flows.json: written, and not committed" in said


def test_no_committed_metrics_are_a_failure(compare: Compare, tmp_path: Path) -> None:
    git(tmp_path, "rm", "--quiet", "-r", "metrics")
    commit_all(tmp_path, "None")
    assert compare() == (1, "HEAD has no metrics; commit those of a run\n")
