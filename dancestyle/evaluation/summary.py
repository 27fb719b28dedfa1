"""A run in a few lines, for the end of a terminal: ``python -m dancestyle.evaluation.summary``.

Every model's top-1, mean per-class accuracy and number of test clips; where the report is; and,
from ``logs/timings.csv`` if it is there, where the time went.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

from dancestyle.evaluation.names import model_name
from dancestyle.evaluation.tables import percent

SCORES = Path("metrics/evaluate.json")
REPORT = Path("plots/report.html")
TIMINGS = Path("logs/timings.csv")


def summary(root: Path | str = ".") -> str:
    """The lines, for the run in folder ``root``."""
    root = Path(root)
    parts = [_models(root / SCORES)]
    if (root / REPORT).exists():
        parts.append(f"The report: {(root / REPORT).resolve().as_uri()}\n")
    parts.append(_timings(root / TIMINGS))
    return "\n".join(part for part in parts if part)


def _models(path: Path) -> str:
    try:
        scores = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"No results yet: {path} is not there. `dvc repro` makes it.\n"
    names = {model: model_name(model) for model in scores}
    width = max([5, *(len(name) for name in names.values())])
    lines = [f"{'model':{width}}   top-1   mean per class   test clips"]
    lines += [
        f"{name:{width}} {percent(scores[model]['top1']):>7} "
        f"{percent(scores[model]['mean_class_accuracy']):>16} {scores[model]['clips']:>12}"
        for model, name in names.items()
    ]
    return "\n".join(lines) + "\n"


def _timings(path: Path) -> str:
    """Seconds a stage, the longest first; a stage that was run again counts with its last run."""
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            seconds = {row["stage"]: float(row["seconds"]) for row in csv.DictReader(handle)}
    except FileNotFoundError:
        return ""
    except (KeyError, TypeError, ValueError):
        return f"{path} cannot be read, so where the time went is not known.\n"
    if not seconds:
        return ""
    total = sum(seconds.values())
    width = max(5, *(len(stage) for stage in seconds))
    lines = [f"{'stage':{width}}     time   share   (each stage's last run)"]
    for stage, spent in sorted(seconds.items(), key=lambda item: (-item[1], item[0])):
        share = f"{100 * spent / total:.0f} %" if total else ""
        lines.append(f"{stage:{width}} {_minutes(spent):>8} {share:>7}")
    lines.append(f"{'all':{width}} {_minutes(total):>8}")
    return "\n".join(lines) + "\n"


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


if __name__ == "__main__":
    sys.stdout.write(summary())
