"""The label sets: the study's 19 styles, and how other datasets name them.

A label set is passed around as a list of names, in the order of the label ids, and stored as a text
file with a name a line. The default is :data:`STYLES`; a folder of one's own videos brings its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from dancestyle import files

STYLES: tuple[str, ...] = (
    "belly dancing",
    "breakdancing",
    "country line dancing",
    "cumbia",
    "dancing ballet",
    "dancing charleston",
    "dancing gangnam style",
    "dancing macarena",
    "jumpstyle dancing",
    "krumping",
    "mosh pit dancing",
    "robot dancing",
    "salsa dancing",
    "shoot dance",
    "square dancing",
    "swing dancing",
    "tango dancing",
    "tap dancing",
    "zumba",
)
"""The dance classes of Kinetics-700-2020, spelt as there; a style's place is its label id."""

KINETICS400_STYLES: tuple[str, ...] = tuple(
    style
    for style in STYLES
    if style not in {"cumbia", "mosh pit dancing", "shoot dance", "square dancing"}
)
"""The 15 styles that Kinetics-400 has too."""

LETS_DANCE_CLASSES: tuple[str, ...] = (
    "ballet",
    "break",
    "cha",
    "flamenco",
    "foxtrot",
    "jive",
    "latin",
    "pasodoble",
    "quickstep",
    "rumba",
    "samba",
    "square",
    "swing",
    "tango",
    "tap",
    "waltz",
)

_LETS_DANCE_KNOWN = {
    "ballet": "dancing ballet",
    "break": "breakdancing",
    "square": "square dancing",
    "swing": "swing dancing",
    "tango": "tango dancing",
    "tap": "tap dancing",
}

LETS_DANCE_TO_STYLE: dict[str, str | None] = {
    name: _LETS_DANCE_KNOWN.get(name) for name in LETS_DANCE_CLASSES
}
"""The default map; ``None`` for a class that has no style (``latin`` is a matter of taste)."""

_QUOTES = "\"'`‘’“”"


class LabelError(ValueError):
    """A label set that does not fit; the message says what to do."""


class Labelled(Protocol):
    """What :func:`labels_of` needs to know of a clip."""

    @property
    def label(self) -> str:
        """The name of the label."""

    @property
    def label_id(self) -> int:
        """Its place in the label set."""

    @property
    def source(self) -> str:
        """The dataset it comes from."""


def normalise(label: str) -> str:
    """One spelling for all: lower case, spaces for underscores, no quotes around it.

    >>> normalise('"Salsa_Dancing" ')
    'salsa dancing'
    """
    return " ".join(label.strip().strip(_QUOTES).replace("_", " ").lower().split())


def write(path: Path | str, labels: Sequence[str]) -> None:
    """Write a label set: a name a line, the first is that of id 0."""
    files.write_text(path, "".join(f"{label}\n" for label in labels))


def read(path: Path | str) -> list[str]:
    """Read a label set.

    Raises:
        LabelError: the file is missing or empty, or a line is empty or there twice.
    """
    if not Path(path).is_file():
        raise LabelError(f"{path}: not found; run the stage that writes it first")
    labels = Path(path).read_text(encoding="utf-8").splitlines()
    if not labels:
        raise LabelError(f"{path}: no labels; a name a line is wanted")
    for number, label in enumerate(labels, start=1):
        if not label.strip() or label in labels[: number - 1]:
            problem = f"'{label}' is there already" if label.strip() else "empty"
            raise LabelError(f"{path}: line {number}: {problem}; a name a line is wanted")
    return labels


def labels_of(clips: Iterable[Labelled]) -> list[str]:
    """The label set that a clip table was made with.

    A table from a dataset with the study's styles means all 19 of them, also those that it happens
    to have no clip of. Any other label set must be complete in the table.

    Raises:
        LabelError: the table is empty, or a label id is missing or has two names.
    """
    names: dict[int, str] = {}
    own_videos_only = True
    for clip in clips:
        if names.setdefault(clip.label_id, clip.label) != clip.label:
            raise LabelError(
                f"label id {clip.label_id} stands for both '{names[clip.label_id]}' and "
                f"'{clip.label}'; build the dataset anew, or do not join tables of two datasets"
            )
        own_videos_only = own_videos_only and clip.source == "folder"
    if not names:
        raise LabelError("no clips, so no labels; see rejected.csv for why clips were left out")
    if not own_videos_only and all(
        number < len(STYLES) and STYLES[number] == name for number, name in names.items()
    ):
        return list(STYLES)
    missing = sorted(set(range(max(names) + 1)) - set(names))
    if missing:
        raise LabelError(
            f"label ids {missing} have no clip here; take the label set from the whole dataset's "
            "clips.csv instead"
        )
    return [names[number] for number in range(len(names))]
