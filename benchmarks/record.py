"""Where the results of a benchmark go: ``benchmarks/results/<name>.md``, with the command."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

from dancestyle import files, pool

RESULTS = Path(__file__).parent / "results"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows as Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows)]
    return "\n".join(lines)


def claim(words: str, found: float, least: float | None = None, most: float | None = None) -> str:
    """A line that says what was to hold, what was found, and whether it does."""
    holds = (least is None or found >= least) and (most is None or found <= most)
    goal = f"at least {least:g}" if least is not None else f"at most {most:g}"
    return f"- {words}: **{found:.3g}** (goal: {goal}{'' if holds else '; **not met**'})"


def machine(packages: Sequence[str] = ()) -> str:
    """The machine in words, and versions of packages."""
    found = []
    for package in packages:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            found.append(f"{package} not there")
    parts = [f"{pool.cores()} cores", f"Python {platform.python_version()}", *found]
    return f"Machine: {', '.join(parts)}."


def show(
    name: str,
    title: str,
    parts: Sequence[str],
    packages: Sequence[str],
    write: bool,
    file: str = "",
) -> None:
    """Print a result and, if asked to, keep it in ``benchmarks/results/<file or name>.md``."""
    words = [word for word in sys.argv[1:] if word != "--write"]
    command = f"python -m benchmarks.{name} {shlex.join(shorten(word) for word in words)}".strip()
    text = "\n\n".join([f"# {title}", f"`{command}`", machine(packages), *parts]) + "\n"
    print(text, flush=True)
    if write:
        files.write_text(RESULTS / f"{file or name}.md", text)


def shorten(word: str) -> str:
    """A path without the folders that only this machine has."""
    return f"/.../{Path(word).name}" if Path(word).is_absolute() else word
