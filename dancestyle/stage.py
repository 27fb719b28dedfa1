"""How a stage script runs: its errors are sentences, its time is logged."""

from __future__ import annotations

import csv
import errno
import sys
import time
from collections.abc import Callable
from pathlib import Path

TIMINGS = Path("logs/timings.csv")


def run(name: str, main: Callable[[], None]) -> None:
    """Call ``main``; an error that a person can act on becomes a sentence and exit status 1.

    Errors that this project raises on purpose are ``ValueError`` (params, tables, videos, models) or
    ``RuntimeError`` of its own kinds; anything else is a defect and keeps its traceback. The seconds
    taken are appended to ``logs/timings.csv``, which git ignores: they are no result.
    """
    start = time.monotonic()
    try:
        main()
    except (ValueError, RuntimeError) as error:
        if not type(error).__module__.startswith("dancestyle"):
            raise
        sys.exit(f"{name}: {error}")
    except OSError as error:
        if error.errno == errno.ENOSPC:
            sys.exit(f"{name}: the disk is full; free some space and run the same command again")
        if isinstance(error, FileNotFoundError) and error.filename:
            sys.exit(
                f"{name}: {error.filename}: not found; `dvc repro {name}` makes what it needs first"
            )
        raise
    _log(name, time.monotonic() - start)


def _log(name: str, seconds: float) -> None:
    TIMINGS.parent.mkdir(exist_ok=True)
    rows: dict[str, str] = {}
    if TIMINGS.exists():
        with TIMINGS.open(encoding="utf-8", newline="") as file:
            rows = {row["stage"]: row["seconds"] for row in csv.DictReader(file)}
    rows.pop(name, None)
    rows[name] = f"{seconds:.1f}"
    with TIMINGS.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["stage", "seconds"])
        writer.writerows(rows.items())
