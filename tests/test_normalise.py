from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dancestyle import normalise
from dancestyle.clipmap import Item
from dancestyle.sources.base import SourceClip
from dancestyle.video.errors import VideoError
from dancestyle.video.reader import ClipReader, decode
from dancestyle.video.writer import write_clip

OPTIONS: dict[str, Any] = {
    "fps": 25.0,
    "short_side": 32,
    "max_seconds": 2.0,
    "min_frames": 8,
    "short_clips": "loop",
    "crf": 18,
    "gop": 4,
}


def grey(level: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def pictures(folder: Path, levels: dict[int, int]) -> Item:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, level in levels.items():
        paths.append(folder / f"x_001_{number:04d}.png")
        Image.fromarray(grey(level)).save(paths[-1])
    args = {"numbers": list(levels), "fps": 25.0}
    return Item("x_001", tuple(map(str, paths)), args)


def levels_of(path: Path) -> list[int]:
    frames = decode(path)
    return [int(frame.mean() / 10 + 0.5) * 10 for frame in frames]


def test_a_video(tmp_path: Path) -> None:
    write_clip(tmp_path / "in.mp4", (grey(k) for k in range(0, 240, 3)), fps=30)
    item = Item("a", (str(tmp_path / "in.mp4"),), {"start": 0.0, "end": None})
    facts = normalise.normalise(item, tmp_path / "out.mp4", **OPTIONS)
    assert (facts["frames"], facts["width"], facts["height"]) == (50, 42, 32)
    with ClipReader(tmp_path / "out.mp4") as reader:
        assert (reader.frames, reader.fps) == (50, 25)
    normalise.normalise(item, tmp_path / "again.mp4", **OPTIONS)
    assert (tmp_path / "again.mp4").read_bytes() == (tmp_path / "out.mp4").read_bytes()


@pytest.mark.parametrize(
    ("how", "tail"), [("loop", [40, 80, 120, 40, 80]), ("repeat_last", [120] * 5)]
)
def test_short_clips(tmp_path: Path, how: str, tail: list[int]) -> None:
    item = pictures(tmp_path / "in", {1: 40, 2: 80, 3: 120})
    normalise.normalise(item, tmp_path / "out.mp4", **{**OPTIONS, "short_clips": how})
    assert levels_of(tmp_path / "out.mp4") == [40, 80, 120, *tail]


def test_short_clips_can_be_rejected(tmp_path: Path) -> None:
    item = pictures(tmp_path / "in", {1: 40, 2: 80, 3: 120})
    with pytest.raises(VideoError) as caught:
        normalise.normalise(item, tmp_path / "out.mp4", **{**OPTIONS, "short_clips": "reject"})
    assert caught.value.reason == "too short: 3 of 8 frames"


def test_gaps_keep_the_tempo(tmp_path: Path) -> None:
    item = pictures(tmp_path / "in", {5: 20, 6: 40, 9: 60, 10: 80, 13: 100})
    Path(item.inputs[3]).write_text("broken")
    normalise.normalise(item, tmp_path / "out.mp4", **OPTIONS)
    assert levels_of(tmp_path / "out.mp4") == [20, 40, 40, 60, 60, 60, 60, 100, 100]


def test_frame_rate_of_pictures(tmp_path: Path) -> None:
    item = pictures(tmp_path / "in", {n: 10 * n for n in range(1, 11)})
    item = Item(item.id, item.inputs, {**item.args, "fps": 12.5})
    normalise.normalise(item, tmp_path / "out.mp4", **OPTIONS)
    assert levels_of(tmp_path / "out.mp4")[:6] == [10, 10, 20, 20, 30, 30]
    assert len(levels_of(tmp_path / "out.mp4")) == 20


def test_no_picture_can_be_read(tmp_path: Path) -> None:
    item = pictures(tmp_path / "in", {1: 40})
    Path(item.inputs[0]).write_bytes(b"")
    with pytest.raises(VideoError, match="no readable frame"):
        normalise.normalise(item, tmp_path / "out.mp4", **OPTIONS)


def test_a_huge_picture_is_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.new("1", (8_000, 8_000)).save(path)
    assert normalise.read_picture(path) is None


def test_a_ribbon_of_a_picture_is_not_enlarged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = pictures(tmp_path / "in", {1: 40, 2: 80})
    Image.new("RGB", (30_000, 1)).save(item.inputs[0])
    monkeypatch.setattr(normalise, "resize", pytest.fail)
    with pytest.raises(VideoError) as caught:
        normalise.normalise(item, tmp_path / "out.mp4", **OPTIONS)
    assert caught.value.reason == ("too large at this short_side: 30000x1 would become 960000x32")
    with pytest.raises(VideoError, match="too many pixels"):  # 2000 s of 800x600
        long = Item("x_002", item.inputs[1:] * 2, {"numbers": [1, 50_000], "fps": 25.0})
        options = OPTIONS | {"short_side": 600, "max_seconds": 2000}
        normalise.normalise(long, tmp_path / "out.mp4", **options)


def test_what_is_lost_is_noted(tmp_path: Path) -> None:
    item = pictures(tmp_path / "in", {n: 80 for n in range(1, 61)})
    Path(item.inputs[3]).write_text("broken")
    facts = normalise.normalise(item, tmp_path / "out.mp4", **OPTIONS)
    assert facts["notes"] == [
        "cut at max_seconds: 10 frames",
        "unreadable picture: frame 4",
    ]
    write_clip(tmp_path / "in.mp4", (grey(k) for k in range(80)))
    for end, notes in ((None, ["cut at max_seconds: 30 frames"]), (2.04, None)):
        video = Item("a", (str(tmp_path / "in.mp4"),), {"start": 0.0, "end": end})
        assert normalise.normalise(video, tmp_path / "out.mp4", **OPTIONS).get("notes") == notes


@given(st.lists(st.integers(0, 300), unique=True, min_size=1).map(sorted), st.floats(-10, 310))
def test_nearest(numbers: list[int], time: float) -> None:
    best = min(numbers, key=lambda number: (abs(number - time), number))
    assert normalise.nearest(numbers, time) == best


@given(st.integers(1, 50), st.integers(1, 50))
def test_lengthened(frames: int, least: int) -> None:
    for how in ("loop", "repeat_last"):
        order = normalise.lengthened(frames, least, how)  # type: ignore[arg-type]
        assert order is not None and len(order) == max(frames, least)
        assert order[:frames] == list(range(frames)) and max(order) == frames - 1


def test_poses_travel_along(tmp_path: Path) -> None:
    item = pictures(tmp_path / "in", {1: 40, 3: 80})
    (tmp_path / "poses").mkdir()
    person = ["person0", ["nose", [32, 24]]]
    (tmp_path / "poses/x_001_0003.json").write_text(json.dumps([person]))
    clip = SourceClip(
        "x_001",
        "x",
        "lets_dance",
        "zumba",
        str(tmp_path / "in"),
        frames=tuple(Path(path).name for path in item.inputs),
        numbers=(1, 3),
        fps=25.0,
        poses=str(tmp_path / "poses"),
    )
    assert normalise.item_of(clip) == replace(item, libraries=("pillow",))
    assert normalise.pose_file(normalise.pose_item_of(clip), tmp_path / "out.npz") == {
        "frames": 2,
        "persons": 1,
    }
    with np.load(tmp_path / "out.npz") as content:
        assert content["times"].tolist() == pytest.approx([0, 0.08])
        assert content["joints"].shape == (2, 1, 17, 2)
        assert np.isnan(content["joints"][0]).all()
        assert content["joints"][1, 0, 0].tolist() == [0.5, 0.5]
    (tmp_path / "poses/x_001_0001.json").write_text("[[")
    facts = normalise.pose_file(normalise.pose_item_of(clip), tmp_path / "out.npz")
    assert facts["notes"] == ["unreadable poses: frame 1"]
