"""Progress that is a bar on a terminal and a line now and then in a log."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def progress(
    items: Iterable[Item], total: int | None = None, desc: str = "", unit: str = "clip"
) -> Iterator[Item]:
    """Pass ``items`` on, showing how many are done, how fast, and the time left."""
    interval = 0.2 if sys.stderr.isatty() else 15.0
    yield from tqdm(
        items,
        total=total,
        desc=desc,
        unit=unit,
        mininterval=interval,
        miniters=1,
        dynamic_ncols=sys.stderr.isatty(),
    )
