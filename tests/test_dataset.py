from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dancestyle import clips, dataset, dataset_plots, params
from dancestyle.clips import Clip
from dancestyle.labels import LETS_DANCE_TO_STYLE, STYLES
from dancestyle.video.writer import write_clip

HEADER = "label,youtube_id,time_start,time_end,split\n"


def video(path: Path, seed: int, frames: int = 12) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (frames, 24, 32, 3), np.uint8)
    write_clip(path, noise)
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with a little of each source."""
    monkeypatch.chdir(tmp_path)
    rows = [
        ("zumba", "aaaaaaaaaaa", 1),
        ("zumba", "aaaaaaaaaaa", 5),
        ("krumping", "bbbbbbbbbbb", 1),
        ("krumping", "ccccccccccc", 1),  # holds the same as b
        ("krumping", "ddddddddddd", 1),  # broken
        ("krumping", "eeeeeeeeeee", 1),  # missing
    ]
    text = HEADER + "".join(f"{label},{name},{at},{at + 10},train\n" for label, name, at in rows)
    Path("k700").mkdir()
    Path("k700/train.csv").write_text(text)
    for seed, (label, name, at) in enumerate(rows[:3]):
        video(Path(f"k700/train/{label}/{name}_{at:06d}_{at + 10:06d}.mp4"), seed)
    same = "k700/train/krumping/{}_000001_000011.mp4"
    shutil.copy(same.format("bbbbbbbbbbb"), same.format("ccccccccccc"))
    Path(same.format("ddddddddddd")).write_text("broken")
    Path("ld/rgb/tango").mkdir(parents=True)
    for number in range(1, 13):
        picture = Image.new("RGB", (32, 24), (number * 20, 0, 0))
        picture.save(f"ld/rgb/tango/aaaaaaaaaaa_030_{number:04d}.jpg")
    yield tmp_path


def config(**changes: Any) -> params.BuildDataset:
    content = {
        "sources": [
            {"kind": "kinetics", "annotations": ["k700/train.csv"], "videos": ["k700"]},
            {"kind": "lets_dance", "root": "ld", "class_map": LETS_DANCE_TO_STYLE},
        ],
        "fps": 25,
        "short_side": 16,
        "max_seconds": 1,
        "min_frames": 4,
        "short_clips": "loop",
        "gop": 4,
        "crf": 30,
        "watch": {"first": "k700", "second": "ld", "kinetics400_ids": "k700"},
        **changes,
    }
    found: params.BuildDataset = params.validate("build_dataset", content)
    return found


def test_the_sources_become_one_dataset(here: Path) -> None:
    Path("ids.csv").write_text("bbbbbbbbbbb\n")
    built = dataset.build(config(kinetics400_ids="ids.csv"), "data/dataset", workers=1)
    assert {clip.clip_id: (clip.video_id, clip.label_id) for clip in built.clips} == {
        "aaaaaaaaaaa_000001_000011": ("aaaaaaaaaaa", 18),
        "aaaaaaaaaaa_000005_000015": ("aaaaaaaaaaa", 18),
        "aaaaaaaaaaa_030": ("aaaaaaaaaaa", 16),  # of the other dataset, the same video
        "bbbbbbbbbbb_000001_000011": ("bbbbbbbbbbb", 9),
        "ccccccccccc_000001_000011": ("bbbbbbbbbbb", 9),
    }
    assert all(Path(clip.path).is_file() and clip.frames == 12 for clip in built.clips)
    assert built.duplicates == [["bbbbbbbbbbb_000001_000011", "ccccccccccc_000001_000011"]]
    assert built.seen == built.duplicates[0]
    assert {Path(row.path_or_id).name: row.reason for row in built.rejected} == {
        "ddddddddddd_000001_000011.mp4": "not a video that can be opened",
        "eeeeeeeeeee_000001_000011": "missing",
    }
    told = dataset.metrics(built)
    assert told["clips"] == 5 and told["videos"] == 2 and told["seen_by_kinetics400"] == 2
    assert told["clips_per_label"]["krumping"] == {"kinetics700": 2, "lets_dance": 0, "all": 2}
    assert told["rejected"]["kinetics700"]["missing"] == 1
    assert told["imbalance"]["ratio"] == 2 and told["imbalance"]["labels_without_clips"] == 16


def test_a_run_after_another_is_like_a_clean_one(here: Path) -> None:
    dataset.build(config(short_side=20), "data/dataset", workers=1)
    one = dataset.build(config(), "data/dataset", workers=1)
    before = {clip.clip_id: Path(clip.path).read_bytes() for clip in one.clips}
    shutil.rmtree("data")
    shutil.rmtree(".cache")
    two = dataset.build(config(), "data/dataset", workers=1)
    assert one == two
    assert before == {clip.clip_id: Path(clip.path).read_bytes() for clip in two.clips}
    assert len(list(Path("data/dataset/clips").iterdir())) == 5


def dance(stem: str, numbers: range) -> None:
    """Frames of a Let's Dance clip, a pose beside the first of them."""
    for number in numbers:
        Image.new("RGB", (32, 24), (number * 20, 0, 0)).save(
            f"ld/rgb/tango/{stem}_{number:04d}.jpg"
        )
    pose = Path(f"ld/densepose/tango/{stem}_{numbers[0]:04d}.json")
    pose.parent.mkdir(parents=True, exist_ok=True)
    pose.write_text('[["person0", ["nose", [16, 12]]]]')


def test_one_added_and_one_removed_is_like_a_clean_build(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def build() -> tuple[dataset.Dataset, dict[str, bytes], list[str]]:
        built = dataset.build(config(), "data/dataset", workers=1)
        made = {str(p): p.read_bytes() for p in Path("data").rglob("*") if p.is_file()}
        return built, made, capsys.readouterr().out.splitlines()

    for name in ("fffffffffff", "ggggggggggg"):
        dance(f"{name}_001", range(1, 6))
    build()
    video(Path("k700/train/krumping/eeeeeeeeeee_000001_000011.mp4"), 9)  # was listed as missing
    Path("k700/train/zumba/aaaaaaaaaaa_000005_000015.mp4").unlink()
    dance("hhhhhhhhhhh_001", range(2, 7))
    for path in Path("ld").rglob("fffffffffff*"):
        path.unlink()
    one, grown, told = build()
    assert told == [
        "dataset: reused 5, computed 2, removed 2, failed 1",
        "poses: reused 1, computed 1, removed 1, failed 0",
    ]
    shutil.rmtree("data")
    shutil.rmtree(".cache")
    two, clean, _ = build()
    assert one == two and grown == clean
    assert len(clean) == 7 + 2


def test_own_folders_bring_their_labels(here: Path) -> None:
    video(Path("mine/Waacking/a.mp4"), 7)
    video(Path("mine/voguing/b.mp4"), 8)
    own = {"kind": "folder", "root": "mine", "clip_seconds": 1}
    alone = dataset.build(config(sources=[own]), "data/dataset", workers=1)
    assert alone.labels == ["voguing", "waacking"]
    assert clips.labels_of(alone.clips) == alone.labels
    joined = dataset.build(config(sources=[*config().sources, own]), "data/dataset", workers=1)
    assert joined.labels == sorted({clip.label for clip in joined.clips})
    assert {"voguing", "waacking"} < set(joined.labels) and set(joined.labels) & set(STYLES)
    assert clips.labels_of(joined.clips) == joined.labels


def test_two_sources_of_one_name(here: Path) -> None:
    with pytest.raises(dataset.DatasetError, match="two sources are called 'kinetics700'"):
        dataset.build(config(sources=[config().sources[0]] * 2), "data/dataset", workers=1)


def test_a_clip_of_two_sources_is_the_firsts(here: Path) -> None:
    first = config().sources[0]
    second = {**first.model_dump(), "name": "kinetics400"}
    found = dataset.read_sources(config(sources=[first, second]).sources)
    assert not found["kinetics400"].clips
    assert {row.reason for row in found["kinetics400"].rejected} == {
        "missing",
        "already there: from kinetics700",
    }


def test_duplicates_join_all_of_their_videos() -> None:
    def clip(name: str, video: str) -> Clip:
        return Clip(name, video, "s", "zumba", 18, "p", 1, 25.0, 2, 2)

    rows = [clip("1", "d"), clip("2", "c"), clip("3", "c"), clip("4", "b"), clip("5", "a")]
    hashes = {"1": "x", "2": "x", "3": "y", "4": "y", "5": "z"}
    joined, groups = dataset.join_duplicates(rows, hashes)
    assert [clip.video_id for clip in joined] == ["b", "b", "b", "b", "a"]
    assert groups == [["1", "2"], ["3", "4"]]


def test_plots(here: Path) -> None:
    built = dataset.build(config(), "data/dataset", workers=1)
    for name in ("one", "two"):
        dataset_plots.write_class_balance(f"{name}.csv", built.clips, built.labels)
        dataset_plots.draw_class_balance(f"{name}.png", built.clips, built.labels)
        dataset_plots.draw_contact_sheet(f"{name}.jpg", built.clips, built.labels)
    for suffix in ("csv", "png", "jpg"):
        assert Path(f"one.{suffix}").read_bytes() == Path(f"two.{suffix}").read_bytes()
    assert "zumba,kinetics700,2" in Path("one.csv").read_text().splitlines()
    assert Path("one.jpg").stat().st_size < dataset_plots.MAX_SHEET_BYTES
