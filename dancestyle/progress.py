"""Progress: a bar on a terminal, nothing elsewhere."""

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
    yield from tqdm(
        items,
        total=total,
        desc=desc,
        unit=unit,
        mininterval=0.2,
        dynamic_ncols=True,
        disable=not sys.stderr.isatty(),
    )
