from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dancestyle import clips
from dancestyle.clips import Clip, ClipTableError, Rejected

CLIP = Clip("a_000001_000011", "a", "kinetics700", "zumba", 18, "data/a.mp4", 75, 25.0, 64, 48)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1).filter(
    lambda text: text not in {".", ".."}
)
ROWS = st.builds(
    Clip,
    clip_id=TEXT,
    video_id=TEXT,
    source=TEXT,
    label=TEXT,
    label_id=st.integers(0, 18),
    path=TEXT,
    frames=st.integers(1, 10**6),
    fps=st.floats(0.01, 1000),
    width=st.integers(1, 10**4),
    height=st.integers(1, 10**4),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(ROWS, unique_by=lambda clip: clip.clip_id))
def test_what_is_written_is_read(tmp_path: Path, rows: list[Clip]) -> None:
    path = tmp_path / "clips.csv"
    clips.write(path, rows)
    assert clips.read(path) == sorted(rows, key=lambda clip: clip.clip_id)


def test_order_does_not_show(tmp_path: Path) -> None:
    rows = [replace(CLIP, clip_id=name) for name in "cab"]
    clips.write(tmp_path / "one.csv", rows)
    clips.write(tmp_path / "two.csv", reversed(rows))
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    assert b"\r" not in (tmp_path / "one.csv").read_bytes()


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"clip_id": "a/b"}, "clip_id"),
        ({"path": "/elsewhere/a.mp4"}, "path"),
        ({"label": ""}, "label"),
        ({"frames": 0}, "frames"),
        ({"fps": float("nan")}, "fps"),
        ({"label_id": -1}, "label_id"),
    ],
)
def test_write_refuses(tmp_path: Path, change: dict[str, object], column: str) -> None:
    with pytest.raises(ClipTableError, match=f"column {column}:"):
        clips.write(tmp_path / "clips.csv", [replace(CLIP, **change)])  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_write_refuses_two_of_a_name(tmp_path: Path) -> None:
    with pytest.raises(ClipTableError, match="occurs twice"):
        clips.write(tmp_path / "clips.csv", [CLIP, CLIP])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (",75,", ",many,", "line 2: column frames"),
        (",75,", ",,", "line 2: column frames"),
        ("frames", "pictures", "line 1: the columns must be"),
        (",48\n", "\n", "line 2: 10 columns expected, found 9"),
        ("zumba", '"zum"ba', "line [23]: not CSV"),
    ],
)
def test_read_names_the_place(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = tmp_path / "clips.csv"
    clips.write(path, [CLIP])
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ClipTableError, match=words) as caught:
        clips.read(path)
    assert str(path) in str(caught.value)


def test_read_refuses_two_of_a_name(tmp_path: Path) -> None:
    path = tmp_path / "clips.csv"
    clips.write(path, [CLIP])
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")
    with pytest.raises(ClipTableError, match=r"line 3: column clip_id: .* line 2"):
        clips.read(path)


def test_read_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(ClipTableError, match="not found"):
        clips.read(tmp_path / "clips.csv")


def test_rejected_round_trip(tmp_path: Path) -> None:
    rows = [Rejected("kinetics700", "b", "", 'says "no", twice'), Rejected("folder", "a", "x", "y")]
    clips.write_rejected(tmp_path / "rejected.csv", rows)
    assert clips.read_rejected(tmp_path / "rejected.csv") == sorted(rows)
