"""How a stage script runs: its errors are sentences, its time is logged."""

from __future__ import annotations

import csv
import errno
import io
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from dancestyle.files import write_text

TIMINGS = Path("logs/timings.csv")


class ArgumentError(ValueError):
    """A stage was started without the name that it needs, or with one that there is not."""


def run(name: str, main: Callable[[], None]) -> None:
    """Call ``main``; an error that a person can act on becomes a sentence and exit status 1.

    Errors that this project raises on purpose are ``ValueError`` (params, tables, videos, models) or
    ``RuntimeError`` of its own kinds; files that are not there or may not be read or written speak for
    themselves; anything else is a defect and keeps its traceback. Ctrl-C is no error either (status
    130). The seconds taken are kept in ``logs/timings.csv``, which git ignores: they are no result.
    """
    start = time.monotonic()
    try:
        main()
    except KeyboardInterrupt:
        print(f"{name}: stopped before it was done", file=sys.stderr)
        sys.exit(130)
    except (ValueError, RuntimeError) as error:
        if not type(error).__module__.startswith("dancestyle"):
            raise
        sys.exit(f"{name}: {error}{_help(error)}")
    except OSError as error:
        sentence = _sentence(name, error)
        if sentence is None:
            raise
        sys.exit(f"{name}: {sentence}")
    # Of several processes that torchrun has started, the first writes.
    if os.environ.get("RANK", "0") == "0":
        _log(name, time.monotonic() - start)


def run_one(
    name: str,
    main: Callable[[str], None],
    known: Callable[[], Iterable[str]],
    where: str = "there are",
    arguments: Sequence[str] | None = None,
) -> None:
    """:func:`run` for a stage that does one of several things: ``python -m stages.NAME WHICH``.

    Args:
        name: of the stage.
        main: called with what is to be done.
        known: what there is; it may read params.
        where: what stands before that in the error, such as the key of params.
        arguments: of the command line, by default this process's.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)

    def checked() -> None:
        names = list(known())
        if len(given) != 1 or given[0] not in names:
            found = f"found '{' '.join(given)}'" if given else "found nothing"
            raise ArgumentError(
                f"python -m stages.{name} takes one name, {found}; {where}: "
                f"{', '.join(names) or 'none'}"
            )
        main(given[0])

    run("@".join([name, *given[:1]]), checked)


def _help(error: Exception) -> str:
    """What to do about a clip, or its flow, that a table names and that is not there."""
    if getattr(error, "reason", "") != "file not found":
        return ""
    return "; `dvc checkout` or `dvc pull` brings back what a stage has made, `dvc repro` makes it"


def _sentence(name: str, error: OSError) -> str | None:
    """What to do about it; None where nobody can tell from the error alone."""
    if error.errno == errno.ENOSPC:
        return "the disk is full; free some space and run the same command again"
    if not error.filename:
        return None
    if isinstance(error, FileNotFoundError):
        return f"{error.filename}: not found; `dvc repro {name}` makes what it needs first"
    if isinstance(
        error, PermissionError | NotADirectoryError | IsADirectoryError | FileExistsError
    ):
        return f"{error.filename}: {error.strerror}"
    return None


def _log(name: str, seconds: float) -> None:
    rows: dict[str, str] = {}
    try:
        with TIMINGS.open(encoding="utf-8", newline="") as file:
            rows = {row["stage"]: row["seconds"] for row in csv.DictReader(file)}
    except (FileNotFoundError, KeyError):
        pass  # a log of something else is written anew
    rows.pop(name, None)
    rows[name] = f"{seconds:.1f}"
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["stage", "seconds"])
    writer.writerows(rows.items())
    write_text(TIMINGS, text.getvalue())
