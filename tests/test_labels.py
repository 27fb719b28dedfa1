from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from dancestyle import labels


@dataclass(frozen=True)
class Row:
    label: str
    label_id: int
    source: str = "kinetics700"


def test_sets_are_the_studys() -> None:
    assert len(labels.STYLES) == 19 and list(labels.STYLES) == sorted(labels.STYLES)
    assert len(labels.KINETICS400_STYLES) == 15
    assert len(labels.LETS_DANCE_CLASSES) == 16
    assert set(labels.LETS_DANCE_TO_STYLE) == set(labels.LETS_DANCE_CLASSES)
    mapped = {style for style in labels.LETS_DANCE_TO_STYLE.values() if style}
    assert len(mapped) == 6 and mapped <= set(labels.STYLES)
    assert labels.LETS_DANCE_TO_STYLE["latin"] is None


@pytest.mark.parametrize(
    "text",
    ["salsa dancing", '"salsa dancing"', "Salsa_Dancing", " salsa  dancing\n", "'salsa dancing'"],
)
def test_normalise(text: str) -> None:
    assert labels.normalise(text) == "salsa dancing"


def test_every_style_is_its_own_normal_form() -> None:
    assert [labels.normalise(style) for style in labels.STYLES] == list(labels.STYLES)


def test_labels_of_a_part_of_the_styles_is_all_of_them() -> None:
    assert labels.labels_of([Row("zumba", 18), Row("breakdancing", 1)]) == list(labels.STYLES)


def test_labels_of_own_folders() -> None:
    rows = [Row("waacking", 1, "folder"), Row("belly dancing", 0, "folder")]
    assert labels.labels_of(rows) == ["belly dancing", "waacking"]
    assert labels.labels_of(rows[1:]) == ["belly dancing"]


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ([], "no clips"),
        ([Row("a", 0), Row("b", 0)], "both"),
        ([Row("a", 0), Row("c", 2)], r"\[1\]"),
    ],
)
def test_labels_of_says_what_is_wrong(rows: list[Row], word: str) -> None:
    with pytest.raises(labels.LabelError, match=word):
        labels.labels_of(rows)


def test_a_label_set_is_read_as_written(tmp_path: Path) -> None:
    labels.write(tmp_path / "labels.txt", ["zumba", "a, b", "ålborg"])
    assert labels.read(tmp_path / "labels.txt") == ["zumba", "a, b", "ålborg"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "not found; run the stage that writes it first"),
        ("", "no labels; a name a line is wanted"),
        ("a\n\nb\n", "line 2: empty"),
        ("a\nb\na\n", "line 3: 'a' is there already"),
    ],
)
def test_a_label_set_that_is_none_is_named(tmp_path: Path, text: str | None, sentence: str) -> None:
    path = tmp_path / "labels.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(labels.LabelError, match=rf"labels\.txt: {sentence}"):
        labels.read(path)
