from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dancestyle import augment, clips, params
from dancestyle.clips import Clip
from dancestyle.video.reader import ClipReader
from dancestyle.video.writer import write_clip

BASE: dict[str, Any] = {
    "seed": 1,
    "methods": ["hflip", "vflip", "colour", "noise"],
    "share": 1.0,
    "brightness": 0.3,
    "saturation": 0.5,
    "noise_sigma": 6.0,
}


def config(**changes: Any) -> params.Augment:
    found: params.Augment = params.validate("augment", {**BASE, **changes})
    return found


def picture() -> np.ndarray:
    """Red left, blue right, darker below: (32, 48, 3)."""
    image = np.zeros((32, 48, 3), np.uint8)
    image[:, :24, 0] = 200
    image[:, 24:, 2] = 200
    image[16:] //= 2
    return image


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Clip]:
    """A project with three clips."""
    monkeypatch.chdir(tmp_path)
    rows = []
    for name in ("a", "b", "c"):
        path = f"data/dataset/clips/{name}.mp4"
        write_clip(path, [picture()] * 6, gop=4)
        rows.append(Clip(name, "v", "kinetics700", "zumba", 18, path, 6, 25.0, 48, 32))
    return rows


def run(rows: list[Clip], **changes: Any) -> list[Clip]:
    made, digests = augment.augment(
        rows, config(**changes), "data/augmented/clips", crf=18, gop=4, workers=1
    )
    assert digests == {
        row.path: hashlib.sha256(Path(row.path).read_bytes()).hexdigest() for row in made
    }
    return made


def frames_of(path: str) -> np.ndarray:
    with ClipReader(path) as reader:
        return reader.read(range(reader.frames)).astype(int)


def test_copies_are_rows_and_files(here: list[Clip]) -> None:
    made = run(here)
    assert [row.clip_id for row in made] == sorted(
        f"{name}__{method}" for name in "abc" for method in BASE["methods"]
    )
    for row in made:
        assert (row.video_id, row.label, row.frames) == ("v", "zumba", 6)
        with ClipReader(row.path) as reader:
            assert (reader.frames, reader.width, reader.height, reader.fps) == (6, 48, 32, 25)
    clips.write("data/augmented/clips.csv", made)


def test_what_the_methods_do(here: list[Clip]) -> None:
    made = {row.clip_id: frames_of(row.path) for row in run(here[:1])}
    source = frames_of(here[0].path)
    assert abs(made["a__hflip"] - source[:, :, ::-1]).mean() < 3
    assert abs(made["a__vflip"] - source[:, ::-1]).mean() < 3
    assert abs(made["a__colour"] - source).mean() > 3
    flat = np.full((8, 32, 48, 3), 128, np.uint8)
    grain = augment.noise(flat, np.random.default_rng(0), config()).astype(float) - 128
    assert grain.std() == pytest.approx(6, abs=0.1) and abs(grain.mean()) < 0.1


def test_colour_is_one_change_for_the_clip() -> None:
    frames = np.stack([picture()] * 4)
    changed = augment.colour(frames, np.random.default_rng(3), config())
    assert (changed == changed[0]).all() and (changed != frames).any()
    same = augment.colour(frames, np.random.default_rng(3), config(brightness=0, saturation=0))
    assert (same == frames).all()


def test_the_same_seed_makes_the_same_files(here: list[Clip]) -> None:
    one = {row.clip_id: Path(row.path).read_bytes() for row in run(here, share=0.5)}
    many = {row.clip_id: Path(row.path).read_bytes() for row in run(here[::-1])}
    assert one == {name: many[name] for name in one}
    other = {row.clip_id: Path(row.path).read_bytes() for row in run(here, seed=2)}
    assert other["a__noise"] != many["a__noise"]


def test_the_share_is_met_on_average() -> None:
    row = Clip("a", "v", "kinetics700", "zumba", 18, "p", 6, 25.0, 48, 32)
    rows = [replace(row, clip_id=f"c{n}") for n in range(2000)]
    picked = augment.chosen(rows, config(share=0.25))
    for method in BASE["methods"]:
        assert sum(m == method for _, m in picked) == pytest.approx(500, rel=0.15)
    assert augment.chosen(rows, config(share=0)) == []
    grown = augment.chosen([*rows, replace(row, clip_id="new")], config(share=0.25))
    assert [pair for pair in grown if pair[0].clip_id != "new"] == picked


def test_a_clip_that_is_gone(here: list[Clip]) -> None:
    Path(here[0].path).unlink()
    with pytest.raises(augment.AugmentError, match=r"4 of 12 copies .* first a__colour"):
        run(here)


def test_nothing_to_do(here: list[Clip]) -> None:
    assert run(here, methods=[]) == [] and run([]) == []
