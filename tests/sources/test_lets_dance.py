from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dancestyle.labels import LETS_DANCE_TO_STYLE
from dancestyle.sources import lets_dance
from dancestyle.sources.base import SourceError


def put(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@given(
    st.text("abcXYZ0189_-", min_size=11, max_size=11),
    st.integers(0, 5000),
    st.integers(1, 99999),
)
def test_names_are_parsed_from_the_right(youtube_id: str, start: int, frame: int) -> None:
    parsed = lets_dance.parse_stem(f"{youtube_id}_{start:03d}_{frame:04d}")
    assert parsed == (youtube_id, f"{start:03d}", frame)


@pytest.mark.parametrize("nested", ["rgb", "rgb/rgb", "."])
def test_frames_become_clips(tmp_path: Path, nested: str) -> None:
    for number in (1, 2, 4, 10, 10000):
        put(tmp_path / nested / f"tango/a_b-c_d-e_f_052_{number:04d}.jpg")
    put(tmp_path / nested / "tango/a_b-c_d-e_f_1052_0001.jpg")
    put(tmp_path / nested / "tango/notes.txt")
    put(tmp_path / nested / "tango/cover.jpg")
    put(tmp_path / nested / "cha/ccccccccccc_001_0001.jpg")
    put(tmp_path / nested / "polka/ddddddddddd_001_0001.jpg")
    put(tmp_path / "densepose/tango/a_b-c_d-e_f_052_0002.json", "[]")
    found = lets_dance.read(str(tmp_path), LETS_DANCE_TO_STYLE, fps=30)
    one, other = found.clips
    assert (one.clip_id, one.video_id, one.label) == (
        "a_b-c_d-e_f_052",
        "a_b-c_d-e_f",
        "tango dancing",
    )
    assert one.numbers == (1, 2, 4, 10, 10000) and one.fps == 30
    assert [Path(one.origin, frame).is_file() for frame in one.frames] == [True] * 5
    assert one.poses == str(tmp_path / "densepose/tango")
    assert other.clip_id == "a_b-c_d-e_f_1052" and other.poses is None
    assert {(Path(row.path_or_id).name, row.reason) for row in found.rejected} >= {
        ("ccccccccccc_001", "no style in class_map: class 'cha'"),
        ("ddddddddddd_001", "unknown class: 'polka'"),
        ("cover.jpg", "file name is not <youtube id>_<start>_<frame>"),
    }
    assert found.counts == {
        "frames": 6,
        "missing_frames": 9995,
        "clips_with_gaps": 1,
        "clips_with_poses": 1,
    }


def test_what_is_no_frame_is_listed(tmp_path: Path) -> None:
    folder = tmp_path / "rgb/tango"
    (folder / "more_001_0001.jpg").mkdir(parents=True)
    for name in ("aaaaaaaaaaa_001_0001.jpg", "notes.txt", "thumb.jpg", ".hidden", "../list.csv"):
        (folder / name).touch()
    found = lets_dance.read(str(tmp_path), LETS_DANCE_TO_STYLE)
    assert [clip.frames for clip in found.clips] == [("aaaaaaaaaaa_001_0001.jpg",)]
    assert {Path(row.path_or_id).name: (row.label, row.reason) for row in found.rejected} == {
        "list.csv": ("", "a file beside the folders of the classes"),
        "more_001_0001.jpg": ("tango", "a folder among the frames"),
        "notes.txt": ("tango", "no picture by its suffix"),
        "thumb.jpg": ("tango", "file name is not <youtube id>_<start>_<frame>"),
    }


def test_a_clip_in_two_classes_is_taken_once(tmp_path: Path) -> None:
    put(tmp_path / "rgb/swing/aaaaaaaaaaa_001_0001.jpg")
    put(tmp_path / "rgb/tap/aaaaaaaaaaa_001_0001.jpg")
    found = lets_dance.read(str(tmp_path), LETS_DANCE_TO_STYLE)
    assert [clip.label for clip in found.clips] == ["swing dancing"]
    assert [row.reason for row in found.rejected] == ["in two classes: also in 'swing'"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"latin": "polka dancing"}, "no such style: latin: polka dancing"),
        ({"polka": None}, "unknown: polka"),
    ],
)
def test_map_is_checked(change: dict[str, str | None], words: str) -> None:
    with pytest.raises(SourceError, match=words):
        lets_dance.checked_map({**LETS_DANCE_TO_STYLE, **change})


def test_map_is_complete() -> None:
    with pytest.raises(SourceError, match="missing: waltz"):
        lets_dance.checked_map({k: v for k, v in LETS_DANCE_TO_STYLE.items() if k != "waltz"})
    changed = lets_dance.checked_map({**LETS_DANCE_TO_STYLE, "latin": "Salsa_dancing"})
    assert changed["latin"] == "salsa dancing"


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="root: no folder"):
        lets_dance.read(str(tmp_path), LETS_DANCE_TO_STYLE)


def test_poses(tmp_path: Path) -> None:
    person = ["person0", ["nose", [32, 12]], ["right_ankle", [64.0, 24]], ["tail", [1, 1]]]
    one = put(tmp_path / "1.json", json.dumps([person]))
    two = put(tmp_path / "2.json", json.dumps([person, ["person1", ["nose", [0, 0]]]]))
    broken = put(tmp_path / "3.json", "[[")
    files = [one, two, broken, tmp_path / "4.json"]
    joints, unreadable = lets_dance.read_poses(files, 64, 24)
    assert unreadable == [2]
    assert joints.shape == (4, 2, 17, 2) and joints.dtype == np.float32
    assert joints[0, 0, 0].tolist() == [0.5, 0.5] and joints[0, 0, 16].tolist() == [1, 1]
    assert np.isfinite(joints[:, :, :, 0]).sum() == 5


@pytest.mark.parametrize("text", ['{"a": 1}', "[1, null, []]", '[["p", ["nose"], ["nose", 1]]]'])
def test_odd_poses(tmp_path: Path, text: str) -> None:
    joints, unreadable = lets_dance.read_poses([put(tmp_path / "1.json", text)], 64, 24)
    assert not np.isfinite(joints).any()
    assert len(unreadable) == text.startswith("{")
