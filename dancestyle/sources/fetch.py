"""What fetching needs, from wherever: the list of wanted clips, downloads that go on, patience.

``python -m dancestyle fetch kinetics --help`` is the way in; :mod:`dancestyle.sources.fetch_cvdf`
takes CVDF's tar parts, :mod:`dancestyle.sources.fetch_youtube` the videos themselves.
"""

from __future__ import annotations

import csv
import http.client
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TypeVar

from dancestyle import files
from dancestyle.labels import STYLES, normalise
from dancestyle.sources.base import Found
from dancestyle.sources.kinetics import Key, Listed, _files, _rows, stem_of

CHUNK = 1 << 20
_AGENT = {"User-Agent": "dancestyle"}

Result = TypeVar("Result")


class Unavailable(ValueError):
    """Not to be had, now or later: asking again is of no use."""


class Interrupted(ValueError):
    """Not to be had just now; ``after`` is how many seconds the server asks to wait, if it does."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


@dataclass(frozen=True)
class Patience:
    """How often to try, and how long to wait in between: ``wait``, twice that, four times, ...

    Attributes:
        attempts: most tries
        wait: seconds before the second try; up to half as much again is added at random, so that
            several workers do not all come back at once
        longest: seconds, most that is waited at a time
    """

    attempts: int = 5
    wait: float = 2.0
    longest: float = 300.0

    def keep_trying(self, work: Callable[[], Result]) -> Result:
        """Call ``work`` until it does not raise :class:`Interrupted`, or the tries are used up."""
        for attempt in range(self.attempts):
            try:
                return work()
            except Interrupted as error:
                if attempt + 1 >= self.attempts:
                    raise
                pause = self.wait * 2**attempt * (1 + random.random() / 2)
                time.sleep(min(self.longest, max(pause, error.after)))
        raise ValueError(f"attempts must be 1 or more, found {self.attempts}")


def wanted_clips(annotations: Sequence[str], labels: Iterable[str] = STYLES) -> dict[Key, Listed]:
    """The rows of annotation lists that have one of ``labels``, by what the clip is known by."""
    names = {normalise(label) for label in labels}
    rows = (row for path in annotations for row in _rows(path, "fetch", Found()))
    return {row.key: row for row in rows if row.label in names}


def clips_there(out: Path) -> dict[Key, list[Path]]:
    """The files of each clip below a folder, whoever brought them."""
    return _files([str(out)], "fetch", Found()) if out.is_dir() else {}


def download(url: str, path: Path, patience: Patience, timeout: float = 60.0) -> int:
    """Download to ``path`` and return its size in bytes.

    What has arrived is kept in ``<path>.part`` and the next try, or the next run, goes on from
    there. The file takes its name only when its size is the one that the server told.

    Raises:
        Unavailable: the server says that there is no such file, or that it may not be had.
        Interrupted: no luck in all tries.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    patience.keep_trying(lambda: _download_once(url, part, timeout))
    size = part.stat().st_size
    part.replace(path)
    return size


def _download_once(url: str, part: Path, timeout: float) -> None:
    have = part.stat().st_size if part.exists() else 0
    headers = _AGENT | ({"Range": f"bytes={have}-"} if have else {})
    try:
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            goes_on = answer.status == 206
            length = answer.headers.get("Content-Length")
            before = have if goes_on else 0
            total = before + int(length) if length is not None else None
            with part.open("ab" if goes_on else "wb") as handle:
                while chunk := answer.read(CHUNK):
                    handle.write(chunk)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            # Nothing is left to send: the part is whole, or it is longer than the file.
            if error.headers.get("Content-Range", "").endswith(f"/{have}"):
                return
            part.unlink(missing_ok=True)
            raise Interrupted("the file has changed on the server") from None
        if error.code in (408, 425, 429) or error.code >= 500:
            after = error.headers.get("Retry-After", "")
            seconds = float(after) if after.isdigit() else 0.0
            raise Interrupted(f"HTTP {error.code}", seconds) from None
        raise Unavailable(f"HTTP {error.code}") from None
    except (OSError, http.client.HTTPException) as error:
        if getattr(error, "errno", None) == 28:
            raise  # the disk is full: no use in trying again
        raise Interrupted(f"{type(error).__name__}: {error}") from None
    arrived = part.stat().st_size
    if total is not None and arrived != total:
        if arrived > total:
            part.unlink()
        raise Interrupted(f"broke off after {arrived} of {total} bytes")


@dataclass(frozen=True, order=True)
class Missing:
    """One clip that could not be had; ``final`` is "yes" if asking again is of no use."""

    clip: str
    label: str
    final: str
    reason: str


class MissingTable:
    """``unavailable.csv``: every clip that could not be had, with its reason; kept between runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._rows: dict[str, Missing] = {}
        if path.is_file():
            with path.open(encoding="utf-8", newline="") as handle:
                for row in csv.DictReader(handle):
                    missing = Missing(**row)
                    self._rows[missing.clip] = missing

    def final(self) -> set[str]:
        """Clips that need not be asked for again."""
        return {name for name, row in self._rows.items() if row.final == "yes"}

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def add(self, rows: Iterable[Listed], reason: str, final: bool) -> None:
        """Note clips."""
        words = " ".join(reason.split())
        with self._lock:
            for row in rows:
                name = stem_of(row.key)
                self._rows[name] = Missing(name, row.label or "", "yes" if final else "no", words)
            self._write()

    def drop(self, names: Iterable[str]) -> None:
        """Forget clips that are there now."""
        with self._lock:
            there = [name for name in names if name in self._rows]
            for name in there:
                del self._rows[name]
            if there:
                self._write()

    def _write(self) -> None:
        def cell(text: str) -> str:
            return '"' + text.replace('"', '""') + '"' if set(text) & set(',"') else text

        lines = [",".join(field.name for field in fields(Missing))]
        lines += [",".join(map(cell, astuple(row))) for row in sorted(self._rows.values())]
        files.write_text(self.path, "\n".join(lines) + "\n")
