"""Which bytes a table's clips are: lists of digests that stages depend on in place of folders.

A stage that reads the clips of one split must run again when one of those has changed, and not when a
clip of another split has come. So beside the tables there are lists of what their clips hold, in
the format of ``sha256sum``: ``sha256sum -c LIST`` in the project's folder compares.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from dancestyle import files

FOLDER = Path("data/content")
_LINE = re.compile(r"([0-9a-f]{64})  (.+)", re.DOTALL)


class ContentError(ValueError):
    """A list that cannot be read or lacks a clip; the message says what to run."""


def write(
    path: Path | str, digests: Mapping[str, str], wanted: Iterable[str] | None = None
) -> None:
    """Write a list, sorted by file.

    Args:
        path: of the list.
        digests: file -> hexadecimal SHA-256 of its content.
        wanted: the files to list; by default all.

    Raises:
        ContentError: there is no digest of a wanted file, or a name has several lines.
    """
    names = sorted(digests if wanted is None else set(wanted))
    absent = [name for name in names if name not in digests]
    if absent:
        raise ContentError(
            f"{path}: nothing is known of the content of {absent[0]}"
            f"{f' and {len(absent) - 1} more' if absent[1:] else ''}; run the stage that makes it"
        )
    broken = [name for name in names if "\n" in name or "\r" in name]
    if broken:
        raise ContentError(f"{path}: {broken[0]!r} has a line end in its name; rename the file")
    files.write_text(path, "".join(f"{digests[name]}  {name}\n" for name in names))


def read(path: Path | str) -> dict[str, str]:
    """File -> hexadecimal SHA-256, of a list.

    Raises:
        ContentError: it is missing, or a line is not of the format.
    """
    if not Path(path).is_file():
        raise ContentError(f"{path}: not found; run the stage that writes it first")
    found: dict[str, str] = {}
    lines = Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    for number, line in enumerate(lines if lines != [""] else [], start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise ContentError(
                f"{path}: line {number}: must be a SHA-256, two spaces and a file, found '{line}'"
            )
        found[match[2]] = match[1]
    return found
