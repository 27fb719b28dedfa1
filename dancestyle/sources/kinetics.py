"""A Kinetics release on disk: annotation lists, and clips in any of the usual folder layouts.

Lists are CSV with the columns ``label,youtube_id,time_start,time_end,split``, older ones with
``is_cc``, labels quoted or not; the held-out test list has no ``label``. Clips are files named
``<youtube_id>_<start>_<end>.<suffix>`` (seconds, six digits each) anywhere under the given folders:
by split and label, with ``_`` for spaces, or flat. Files under a folder ``replacement*`` win over
others of the same name, which are known to be corrupted.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dancestyle.clips import Rejected
from dancestyle.labels import STYLES, normalise
from dancestyle.sources.base import (
    VIDEO_SUFFIXES,
    Found,
    SourceClip,
    SourceError,
    printable,
    split_suffix,
    walk,
)

Key = tuple[str, int, int]
"""youtube id, start and end in whole seconds: what a clip is known by"""

_SPLITS = {"validate": "val", "validation": "val"}
# From the right: a YouTube id may itself contain "_" and digits.
_STEM = re.compile(r"(?P<id>.+)_(?P<start>[0-9]+)_(?P<end>[0-9]+)", re.DOTALL)


@dataclass(frozen=True)
class Listed:
    """One row of an annotation list; ``label`` is None in a list that has no labels."""

    key: Key
    label: str | None
    split: str


def stem_of(key: Key) -> str:
    """The file name of a clip, without suffix.

    >>> stem_of(("-a_b-c_1-2_3", 5, 15))
    '-a_b-c_1-2_3_000005_000015'
    """
    youtube_id, start, end = key
    return f"{youtube_id}_{start:06d}_{end:06d}"


def parse_stem(stem: str) -> Key | None:
    """The inverse of :func:`stem_of`, or None for another kind of name."""
    match = _STEM.fullmatch(stem)
    return (match["id"], int(match["start"]), int(match["end"])) if match else None


def read(
    annotations: Sequence[str],
    videos: Sequence[str],
    name: str = "kinetics700",
    labels: Sequence[str] | None = STYLES,
) -> Found:
    """The clips that are listed, there, and of one of ``labels`` (None: of any).

    Rows of other labels are counted, not rejected. A listed clip without a file is rejected as
    ``missing``, a file that no list names as ``not listed``, a file of a list without labels as
    ``no label in the list``, and one that another file replaces as ``superseded``.

    Raises:
        SourceError: a list or folder does not exist, or a list lacks a column.
    """
    found = Found()
    files = _files(videos, name, found)
    wanted = None if labels is None else {normalise(label) for label in labels}
    counts = dict.fromkeys(("listed", "other_labels", "listed_twice", "unlabelled_without_file"), 0)
    chosen: dict[Key, Listed] = {}
    unlabelled: dict[Key, Listed] = {}
    others: set[Key] = set()  # files that are listed, but not wanted
    for annotation in annotations:
        for row in _rows(annotation, name, found):
            counts["listed"] += 1
            if row.label is None:
                unlabelled.setdefault(row.key, row)
            elif wanted is not None and row.label not in wanted:
                counts["other_labels"] += 1
                if row.key in files:
                    others.add(row.key)
            elif row.key in chosen:
                counts["listed_twice"] += 1
                first = chosen[row.key].label
                if first != row.label:
                    reason = f"listed already: as '{first}'"
                    found.rejected.append(Rejected(name, stem_of(row.key), row.label, reason))
            else:
                chosen[row.key] = row

    for key, row in sorted(chosen.items()):
        assert row.label is not None
        if key not in files:
            found.rejected.append(Rejected(name, stem_of(key), row.label, "missing"))
            continue
        found.clips.append(_clip(row, row.label, name, files[key], found))
    for key in sorted(set(unlabelled) - set(chosen) - others):
        if key in files:
            reason = "no label in the list"
            found.rejected += [Rejected(name, printable(p), "", reason) for p in files[key]]
        else:
            counts["unlabelled_without_file"] += 1
    for key in sorted(set(files) - set(chosen) - set(unlabelled) - others):
        found.rejected += [Rejected(name, printable(p), "", "not listed") for p in files[key]]
    found.counts = counts
    return found


def read_ids(path: Path | str) -> set[str]:
    """YouTube ids from a Kinetics annotation list, or from a plain list with an id a line.

    Raises:
        SourceError: the file does not exist or holds no ids.
    """
    key = "build_dataset.kinetics400_ids"
    if not Path(path).is_file():
        raise SourceError(f"{key}: {path} not found; correct the path, or set it to null")
    with Path(path).open(encoding="utf-8-sig", errors="replace", newline="") as handle:
        rows = [[cell.strip() for cell in row] for row in csv.reader(handle) if row]
    column = 0
    if rows and "youtube_id" in (header := [cell.lower() for cell in rows[0]]):
        column = header.index("youtube_id")
        rows = rows[1:]
    ids = {row[column] for row in rows if len(row) > column and row[column]}
    if not ids:
        raise SourceError(f"{key}: {path} holds no ids")
    # "<id>_<start>_<end>" is how clips are often listed.
    return {parsed[0] if (parsed := parse_stem(text)) else text for text in ids}


def _clip(row: Listed, label: str, name: str, paths: list[Path], found: Found) -> SourceClip:
    """The clip of a list's row, from the best of the files that carry its name."""

    def rank(path: Path) -> tuple[bool, bool, str]:
        folders = [normalise(part) for part in path.parts[:-1]]
        return not _is_replacement(path), label not in folders, str(path)

    best, *rest = sorted(paths, key=rank)
    for path in rest:
        reason = f"superseded: by {printable(best)}"
        found.rejected.append(Rejected(name, printable(path), label, reason))
    return SourceClip(
        clip_id=stem_of(row.key),
        video_id=row.key[0],
        source=name,
        label=label,
        origin=str(best),
        split=row.split,
    )


def _is_replacement(path: Path) -> bool:
    return any(part.lower().startswith("replacement") for part in path.parts[:-1])


def _files(videos: Sequence[str], name: str, found: Found) -> dict[Key, list[Path]]:
    files: dict[Key, list[Path]] = {}
    for root in videos:
        if not Path(root).is_dir():
            raise SourceError(
                f"build_dataset.sources ({name}): videos: {root} is not a folder; correct the path"
            )
        for folder, names in walk(root):
            for file in names:
                stem = split_suffix(file, VIDEO_SUFFIXES)
                if stem is None:
                    continue
                key = parse_stem(stem)
                if key is None or not _is_file_name(stem_of(key)):
                    reason = "file name is not <youtube id>_<start>_<end>"
                    found.rejected.append(Rejected(name, printable(folder / file), "", reason))
                elif (folder / file) not in files.setdefault(key, []):
                    files[key].append(folder / file)
    return files


def _is_file_name(text: str) -> bool:
    """YouTube ids are ASCII; anything else could be a hostile name."""
    return text.isascii() and text.isprintable() and "/" not in text and "\\" not in text


def _cells(reader: Iterator[list[str]], path: str) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise SourceError(f"{path}: not a list of comma-separated values: {error}") from None


def _rows(path: str, name: str, found: Found) -> Iterator[Listed]:
    if not Path(path).is_file():
        raise SourceError(
            f"build_dataset.sources ({name}): annotations: {path} not found; correct the path"
        )
    with Path(path).open(encoding="utf-8-sig", errors="replace", newline="") as handle:
        reader = csv.reader(handle, skipinitialspace=True)
        header = [cell.strip().lower() for cell in next(reader, [])]
        missing = [c for c in ("youtube_id", "time_start", "time_end") if c not in header]
        if missing:
            raise SourceError(
                f"{path}: line 1: column {', '.join(missing)} missing; a Kinetics list has "
                "label,youtube_id,time_start,time_end,split"
            )
        names: dict[str, str] = {}  # few labels, many rows
        for cells in _cells(reader, path):
            if not any(cell.strip() for cell in cells):
                continue
            row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
            key = _key(row)
            label = None
            if written := row.get("label"):
                label = names[written] = names.get(written) or normalise(written)
            if key is None:
                reason = "the list's row cannot be read"
                place = f"{path}: line {reader.line_num}"
                found.rejected.append(Rejected(name, place, label or "", reason))
                continue
            split = row.get("split", "").lower() or Path(path).stem.lower()
            yield Listed(key, label, _SPLITS.get(split, split))


def _key(row: dict[str, str]) -> Key | None:
    """What a row names, or None; seconds may be written as 5 or 5.0."""
    try:
        start, end = float(row["time_start"]), float(row["time_end"])
        key = row["youtube_id"], int(start), int(end)
    except (KeyError, ValueError, OverflowError):
        return None
    return key if key[0] and 0 <= start < end and _is_file_name(key[0]) else None
