"""The parameters of a run beside those of the paper profile, as a table of the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dancestyle.evaluation.tables import Table

Values = Mapping[str, Any]


def table(ours: Values, paper: Values | None) -> Table:
    """One row a key, in the order of ``ours``.

    Args:
        ours: sections of ``params.yaml`` by name.
        paper: the same of ``params/paper.yaml``; None where it is not there.
    """
    theirs = dict(_flat(paper)) if paper is not None else {}
    rows = tuple(
        (key, _shown(value), *((_shown(theirs.get(key)),) if paper is not None else ()))
        for key, value in _flat(ours)
    )
    return Table(
        "Parameters",
        ("key", "this run", *(("paper profile",) if paper is not None else ())),
        rows,
        "The paper profile holds the study's values where they are known, and the values of the "
        "papers that it builds on elsewhere.",
        text=("this run", "paper profile"),
    )


def _flat(values: Values, above: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and what they hold; lists of mappings, such as sources, are left out."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{key}.")
        elif not (isinstance(value, list | tuple) and any(isinstance(v, Mapping) for v in value)):
            yield f"{above}{key}", value


def _shown(value: Any) -> str:
    """A value as YAML has it, without quotes."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(_shown(one) for one in value)
    if isinstance(value, Mapping):
        return ""
    return str(value)
