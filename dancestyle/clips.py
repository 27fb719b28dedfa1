"""The clip table: the only table that stages pass to each other, and the table of rejects.

Both are CSV, UTF-8, ``\\n`` line ends, sorted, so that the same clips are the same bytes.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path

from dancestyle import files
from dancestyle.labels import labels_of

__all__ = [
    "Clip",
    "ClipTableError",
    "Rejected",
    "labels_of",
    "read",
    "read_rejected",
    "write",
    "write_rejected",
]


class ClipTableError(ValueError):
    """A clip table that cannot be used; the message names the file, the line and the column."""


@dataclass(frozen=True)
class Clip:
    """One normalised clip.

    ``video_id`` is the unit that a split never divides. ``path`` is relative to the project.
    ``frames``, ``fps``, ``width`` and ``height`` are as decoded, never as a header claims.
    """

    clip_id: str
    video_id: str
    source: str
    label: str
    label_id: int
    path: str
    frames: int
    fps: float
    width: int
    height: int


@dataclass(frozen=True, order=True)
class Rejected:
    """One input that did not become a clip, and why; ``label`` is empty where it is not known."""

    source: str
    path_or_id: str
    label: str
    reason: str


CLIP_COLUMNS: tuple[str, ...] = tuple(field.name for field in fields(Clip))
REJECTED_COLUMNS: tuple[str, ...] = tuple(field.name for field in fields(Rejected))
_WHOLE = ("label_id", "frames", "width", "height")


def write(path: Path | str, clips: Iterable[Clip]) -> None:
    """Write a clip table, sorted by ``clip_id``.

    Raises:
        ClipTableError: two clips share a ``clip_id``, or a field is empty or out of range.
    """
    ordered = sorted(clips, key=lambda clip: clip.clip_id)
    for number, clip in enumerate(ordered, start=2):
        for column, value in asdict(clip).items():
            problem = _problem(column, value)
            if problem:
                raise ClipTableError(f"{path}: line {number}: column {column}: {problem}")
    for number, (one, other) in enumerate(itertools.pairwise(ordered), start=3):
        if one.clip_id == other.clip_id:
            raise ClipTableError(
                f"{path}: line {number}: column clip_id: '{one.clip_id}' occurs twice, as "
                f"{one.path} and {other.path}"
            )
    _write_rows(path, CLIP_COLUMNS, (astuple(clip) for clip in ordered))


def read(path: Path | str) -> list[Clip]:
    """Read a clip table.

    Raises:
        ClipTableError: the file is missing, has other columns than it should, or a value that does
            not fit; the message names the line and the column.
    """
    clips: list[Clip] = []
    lines: dict[str, int] = {}
    for number, row in _read_rows(path, CLIP_COLUMNS):
        values: dict[str, str | int | float] = {}
        for column, text in row.items():
            values[column] = _parse(path, number, column, text)
        clip = Clip(**values)  # type: ignore[arg-type]
        if clip.clip_id in lines:
            raise ClipTableError(
                f"{path}: line {number}: column clip_id: '{clip.clip_id}' stands already in line "
                f"{lines[clip.clip_id]}"
            )
        lines[clip.clip_id] = number
        clips.append(clip)
    return clips


def write_rejected(path: Path | str, rejected: Iterable[Rejected]) -> None:
    """Write the table of rejects, sorted by all of its columns."""
    _write_rows(path, REJECTED_COLUMNS, (astuple(row) for row in sorted(rejected)))


def read_rejected(path: Path | str) -> list[Rejected]:
    """Read the table of rejects; errors as in :func:`read`."""
    return [Rejected(**row) for _, row in _read_rows(path, REJECTED_COLUMNS)]


def _parse(path: Path | str, number: int, column: str, text: str) -> str | int | float:
    value: str | int | float = text
    try:
        if column in _WHOLE:
            value = int(text)
        elif column == "fps":
            value = float(text)
    except ValueError:
        raise ClipTableError(
            f"{path}: line {number}: column {column}: not a number: '{text}'"
        ) from None
    problem = _problem(column, value)
    if problem:
        raise ClipTableError(f"{path}: line {number}: column {column}: {problem}")
    return value


def _problem(column: str, value: str | int | float) -> str | None:
    """What is wrong with a value, in words, or ``None``."""
    if isinstance(value, str):
        if not value:
            return "empty"
        if column == "clip_id" and ("/" in value or "\0" in value or value in {".", ".."}):
            return f"'{value}' is not safe as a file name"
        if column == "path" and Path(value).is_absolute():
            return f"'{value}' must be relative to the project"
        return None
    if column == "label_id":
        return None if value >= 0 else f"must be 0 or more, found {value}"
    return None if 0 < value < float("inf") else f"must be above 0, found {value}"


def _write_rows(
    path: Path | str, columns: Sequence[str], rows: Iterable[tuple[object, ...]]
) -> None:
    lines = [",".join(map(_quoted, row)) for row in [tuple(columns), *rows]]
    files.write_text(path, "\n".join(lines) + "\n")


def _quoted(value: object) -> str:
    """A CSV field, quoted if it must be (``csv.writer`` forgets a bare ``\\r``)."""
    text = str(value)
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text


def _read_rows(path: Path | str, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    if not Path(path).is_file():
        raise ClipTableError(f"{path}: not found; run the stage that writes it first")
    with Path(path).open(encoding="utf-8", newline="") as handle:
        reader = csv.reader(handle, strict=True)
        try:
            header = next(reader, [])
            if sorted(header) != sorted(columns):
                raise ClipTableError(
                    f"{path}: line 1: the columns must be {','.join(columns)}, "
                    f"found {','.join(header)}"
                )
            for row in reader:
                if len(row) != len(header):
                    raise ClipTableError(
                        f"{path}: line {reader.line_num}: {len(header)} columns expected, "
                        f"found {len(row)}"
                    )
                yield reader.line_num, dict(zip(header, row, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            line = reader.line_num + isinstance(error, UnicodeDecodeError)
            raise ClipTableError(f"{path}: line {line}: not CSV: {error}") from None
