"""How a run went, added to a copy of the report: ``python -m dancestyle.evaluation.run_facts``.

``plots/report.html`` is a result and is committed: the same inputs give the same bytes, from a clean
run as from one that had only a part to do. Which commit it was, on what machine, and how long each
stage took is none, so it goes into ``logs/``, which git ignores: ``logs/run.json`` and
``logs/report.html``, the page with one more section. Run it right after ``dvc repro``, on the same
machine; ``make repro`` does.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from dancestyle import files
from dancestyle.evaluation import report
from dancestyle.evaluation.names import STILL, TWO_STREAM
from dancestyle.evaluation.tables import Table

PAGE = Path("plots/report.html")
TIMINGS = Path("logs/timings.csv")
PACKAGES = ("torch", "pytorch-lightning", "numpy", "opencv-contrib-python-headless", "av", "dvc")


def facts(root: Path | str = ".") -> dict[str, Any]:
    """Commit, machine, versions, and the seconds and clips of each stage's last run."""
    root = Path(root)
    return {
        "commit": commit(root),
        "machine": machine(),
        "versions": {"python": platform.python_version(), **_versions()},
        "stages": stages(root),
    }


def commit(root: Path) -> dict[str, Any]:
    """The commit that is checked out, and whether files that git knows differ from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    found = git("rev-parse", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no").splitlines()
    return {"id": found, "changed_files": len(changed)} if found else {}


def machine() -> dict[str, Any]:
    """Processor, cores that may be used, memory, GPUs and system."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found: dict[str, Any] = {
        "processor": _processor(),
        "cores": cores,
        "system": platform.platform(terse=True),
    }
    if hasattr(os, "sysconf"):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        found["memory_gib"] = round(memory / 2**30, 1)
    found["gpus"] = _gpus()
    return found


def stages(root: Path) -> list[dict[str, Any]]:
    """Each stage's seconds, and the clips that went through it and how many a second, where known.

    A clip that is seen in several epochs or by several models counts each time.
    """
    try:
        with (root / TIMINGS).open(encoding="utf-8", newline="") as handle:
            seconds = {row["stage"]: float(row["seconds"]) for row in csv.DictReader(handle)}
    except (OSError, KeyError, TypeError, ValueError):
        return []
    work = dict(_work(root))
    rows = []
    for stage, spent in seconds.items():
        clips = work.get(stage)
        rate = round(clips / spent, 2) if clips and spent else None
        rows.append({"stage": stage, "seconds": spent, "clips": clips, "clips_per_second": rate})
    return rows


def _work(root: Path) -> Iterator[tuple[str, int]]:
    """Clips by stage, out of the metrics that are there."""

    def read(name: str) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads((root / "metrics" / name).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return content

    yield "build_dataset", int(read("dataset.json").get("clips", 0))
    parts = read("split.json").get("clips", {})
    yield "flow", int(read("flow.json").get("clips", 0))
    for path in sorted((root / "metrics").glob("*_*.json")):
        stage, name = path.stem.split("_", 1)
        found = read(path.name)
        if stage in ("train", "finetune", "pretrain") and "clips" in found and "epochs" in found:
            yield f"{stage}@{name}", int(found["clips"]) * int(found["epochs"])
    trained = int(read("train_rgb.json").get("clips", 0))
    yield "augment", max(trained - int(parts.get("train", 0)), 0)
    yield "tune", _tuned(root, int(parts.get("train", 0)))
    scores = read("evaluate.json")
    nets = [name for name in scores if name not in (TWO_STREAM, "ensemble", *STILL)]
    yield "evaluate", sum(int(scores[name]["clips"]) for name in nets)


def _tuned(root: Path, train: int) -> int:
    """Training clips that all trials saw together."""
    try:
        with (root / "plots/tune/trials.csv").open(encoding="utf-8", newline="") as handle:
            epochs = sum(1 for _ in csv.DictReader(handle))
        limit = yaml.safe_load((root / "params.yaml").read_text("utf-8"))["tune"]["clips"]
    except (OSError, KeyError, TypeError, yaml.YAMLError):
        return 0
    return epochs * min(train, limit or train)


def section(found: Mapping[str, Any]) -> report.Section:
    """The facts as a section of the report."""
    of_commit, about = found["commit"], found["machine"]
    changed = of_commit.get("changed_files", 0)
    rows = [
        ("commit", of_commit.get("id", "not in a git repository")
         + (f", and {changed} files changed since" if changed else "")),
        ("processor", f"{about['processor']}, {about['cores']} cores"),
        ("memory", f"{about['memory_gib']} GiB" if "memory_gib" in about else ""),
        ("GPUs", ", ".join(about["gpus"]) or "none"),
        ("system", about["system"]),
        *((name, version) for name, version in found["versions"].items()),
    ]  # fmt: skip
    timings = sorted(found["stages"], key=lambda row: -row["seconds"])
    total = sum(row["seconds"] for row in timings)
    items: list[Table | report.Picture] = [
        Table("Where", ("what", "value"), tuple(rows), text=("value",))
    ]
    if timings:
        items.append(
            Table(
                "Time and clips of each stage",
                ("stage", "seconds", "clips", "clips a second"),
                (
                    *(
                        (
                            row["stage"],
                            f"{row['seconds']:.1f}",
                            str(row["clips"] or ""),
                            str(row["clips_per_second"] or ""),
                        )
                        for row in timings
                    ),
                    ("all", f"{total:.1f}", "", ""),
                ),
                "Each stage's last run, which takes over what it can from the runs before. A clip "
                "counts each time that a stage sees it: once an epoch, once a model.",
            )
        )
    return report.Section("run", "This run", items=items)


def write(root: Path | str = ".") -> Path:
    """Write ``logs/run.json`` and ``logs/report.html``; the path of the latter.

    Raises:
        FileNotFoundError: there is no report yet.
    """
    root = Path(root)
    page = (root / PAGE).read_text(encoding="utf-8")
    found = facts(root)
    files.write_json(root / "logs/run.json", found)
    out = root / "logs/report.html"
    files.write_text(out, report.html_with(page, section(found)))
    return out


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _gpus() -> list[str]:
    """Names of the GPUs, asked of the driver: loading torch for it would take seconds."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split("\n")[:-1] if done.returncode == 0 else []


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    try:
        made = write()
    except FileNotFoundError:
        sys.exit(f"{PAGE}: not found; `dvc repro` makes it")
    print(f"The report with this run's commit, machine and times: {made.resolve().as_uri()}")
