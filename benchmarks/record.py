"""Where the results of a benchmark go: ``benchmarks/results/<name>.md``, with the command."""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

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


def runs_so_far(path: Path) -> dict[str, Any]:
    """What a killed benchmark has kept, if it was with the params.yaml that is there now."""
    if not path.exists():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    return dict(content["runs"]) if content["params"] == _params() else {}


def keep_runs(path: Path, runs: dict[str, Any]) -> None:
    """Keep them for :func:`runs_so_far`."""
    files.write_json(path, {"params": _params(), "runs": runs})


def _params() -> str:
    content = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    content.pop("machine")
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


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
    """A path out of the project without the folders that only this machine has."""
    outside = Path(word).is_absolute() or ".." in Path(word).parts
    return f"/.../{Path(word).name}" if outside else word
