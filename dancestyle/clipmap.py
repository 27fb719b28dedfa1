"""For each clip, do this: incremental, parallel, one failure never another's.

(Skeleton: signatures are final, the body follows.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Work = Callable[["Item", Path], Mapping[str, Any] | None]
"""Writes an item's result to the path and returns JSON facts of it (frames, width, ...).

Must be a function of a module or ``functools.partial`` of one, since it goes to other processes, and
its result may depend on nothing but the item, the ``params`` and the code that ``version`` names.
Raise ``ValueError`` (VideoError has a ``reason``) for an item that cannot be done."""


@dataclass(frozen=True)
class Item:
    """One piece of work.

    Attributes:
        id: unique; the result is ``<out_dir>/<id><suffix>``, so it must be safe as a file name
        inputs: files that the result is made from; their content is part of the key
        args: anything JSON-able that ``work`` needs and that the result depends on
    """

    id: str
    inputs: tuple[str, ...] = ()
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Report:
    """What came out.

    Attributes:
        done: id -> the facts that ``work`` returned, for every item with a result, sorted by id
        failed: id -> a short reason, sorted by id
        reused, computed, removed: counts of items
    """

    done: dict[str, dict[str, Any]]
    failed: dict[str, str]
    reused: int
    computed: int
    removed: int


def run(
    items: Sequence[Item],
    work: Work,
    *,
    name: str,
    out_dir: Path | str,
    suffix: str,
    params: Mapping[str, Any],
    version: str,
    workers: int = 0,
    cluster: str | None = None,
) -> Report:
    """Make ``<out_dir>/<id><suffix>`` for every item, reusing what is already there and right."""
    raise NotImplementedError
