"""The sample on disk: layouts, odd files, and the same bytes every time."""

import csv
import hashlib
import json
import re
from contextlib import chdir
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import yaml

from dancestyle.clipmap import ClipMapError
from dancestyle.params import Machine, Sample
from dancestyle.sample.choreography import STYLES
from dancestyle.sample.clip import make_clip
from dancestyle.sample.layouts import kinetics
from dancestyle.sample.layouts.jobs import film
from dancestyle.sample.stills import make_stills
from dancestyle.sample.world import make_world

TINY = Sample(
    seed=1,
    videos_per_style=1,
    clips_per_video=1,
    lets_dance_videos_per_class=1,
    general_clips_per_label=1,
    stills=8,
    short_side=32,
    seconds=0.4,
)


def machine(workers: int) -> Machine:
    content = yaml.safe_load(Path(__file__).parents[2].joinpath("params.yaml").read_text())
    return Machine.model_validate({**content["machine"], "workers": workers})


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("sample")
    with chdir(tmp_path_factory.mktemp("project")):
        make_world(root, TINY, machine(2))
    return root


def listed(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_kinetics_lists_and_files(world):
    root = world / "kinetics700"
    train = listed(root / "annotations/train.csv")
    assert list(train[0]) == ["label", "youtube_id", "time_start", "time_end", "split"]
    assert "is_cc" in (root / "annotations/validate.csv").read_text().splitlines()[0]
    test = listed(root / "annotations/test.csv")
    assert "label" not in test[0] and len(test) == kinetics.TEST_CLIPS
    val = listed(root / "annotations/validate.csv")
    assert {row["label"] for row in train + val} == set(STYLES)
    assert '"' in (root / "annotations/train.csv").read_text()
    names = [
        f"{row['split']}/{row['label']}/{row['youtube_id']}"
        f"_{int(row['time_start']):06d}_{int(row['time_end']):06d}.mp4"
        for row in train + val
    ]
    there = [(root / name).exists() for name in names]
    assert there.count(False) == 1  # the one that is listed but missing
    assert all(len(row["youtube_id"]) == 11 for row in train)


def test_videos_open_at_mixed_rates_and_some_are_broken(world):
    good, bad, rates = 0, 0, set()
    for path in sorted(world.glob("kinetics*/*/**/*.mp4")):
        try:
            with av.open(str(path)) as video:
                rates.add(video.streams.video[0].average_rate)
                assert len(list(video.decode(video=0))) >= 9
            good += 1
        except (av.FFmpegError, IndexError):
            bad += 1
    assert good > 45 and bad == 4 and len(rates) >= 3


def test_lets_dance_frames_and_poses(world):
    root = world / "lets_dance"
    assert len(list((root / "rgb").iterdir())) == 16
    frames = sorted((root / "rgb/tango").glob("*.jpg"))
    assert 49 <= len(frames) <= 150
    identity, start, number = frames[0].stem.rsplit("_", 2)
    assert len(identity) == 11 and len(start) >= 3 and number == "0001"
    pose = json.loads((root / f"densepose/tango/{frames[0].stem}.json").read_text())
    assert pose[0][0] == "person1" or pose[0][0] == "person0"
    assert pose[0][1][0] == "nose" and len(pose[0]) == 18
    unreadable = [path for path in root.glob("rgb/*/*.jpg") if cv2.imread(str(path)) is None]
    assert len(unreadable) >= 1


def test_general_actions_share_some_videos(world):
    lists = {
        part: {row["youtube_id"] for name in ("train", "validate")
               for row in listed(world / part / f"annotations/{name}.csv")}
        for part in ("kinetics700", "kinetics400")
    }  # fmt: skip
    shared = lists["kinetics700"] & lists["kinetics400"]
    assert 1 <= len(shared) <= 6


def test_stills(world):
    with np.load(world / "stills/stills.npz") as stills:
        ends = stills["ends"].tolist()
        assert len(ends) == 8 and ends[-1] == len(stills["jpeg"])
        picture = cv2.imdecode(stills["jpeg"][ends[2] : ends[3]], cv2.IMREAD_COLOR_RGB)
        assert stills["joints"].shape == (8, 17, 2) and stills["visible"].dtype == np.bool_
        assert stills["visible"].mean() > 0.9
    rendered = make_stills(1, 0, 8)[0][3]
    assert np.abs(picture.astype(float) - rendered).mean() < 4
    # Any piece of the work gives the same stills: chunks do not matter.
    np.testing.assert_array_equal(make_stills(1, 5, 2)[0], make_stills(1, 0, 8)[0][5:7])


def digests(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_the_same_bytes_on_one_process(world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_world(tmp_path / "sample", TINY, machine(1))
    assert digests(tmp_path / "sample") == digests(world)


def test_a_larger_world_films_only_what_is_new(world, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    make_world(Path("sample"), TINY, machine(2))
    capfd.readouterr()
    larger = TINY.model_copy(update={"videos_per_style": 2, "stills": 16})
    make_world(Path("sample"), larger, machine(2))
    said = capfd.readouterr().out
    assert re.search(r"kinetics700: reused 2\d, computed 19, removed 0, failed 0", said), said
    assert re.search(r"lets_dance: reused [1-9]\d*, computed 0, removed 0, failed 0", said), said
    make_world(Path("sample"), TINY, machine(2))
    assert digests(Path("sample")) == digests(world), "what no longer belongs is gone"


def test_what_cannot_be_filmed_stops_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dancestyle.sample.world.film", fail)
    with pytest.raises(ClipMapError, match=r"sample_kinetics700: .* could not be filmed: no light"):
        make_world(Path("sample"), TINY, machine(1))


def fail(item, path):
    raise ValueError("no light")


def test_more_clips_change_none_of_the_first(tmp_path):
    sizes = kinetics.Sizes(1, 2, 2, 32, 0.4)
    few = kinetics.jobs(kinetics.plan_styles(tmp_path, sizes))
    more = kinetics.jobs(kinetics.plan_styles(tmp_path, kinetics.Sizes(1, 3, 2, 32, 0.4)))
    assert set(few) <= set(more)
    first = few[5]
    film(first.item, tmp_path / "a.mp4")
    film(first.item, tmp_path / "b.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_another_moment_is_the_same_dancer_in_another_pose():
    seconds, size = np.arange(5) / 25, (64, 48)
    first = make_clip(1, "zumba", "v", 0, seconds, size)
    again = make_clip(1, "zumba", "v", 0, seconds, size)
    other = make_clip(1, "zumba", "v", 1, seconds, size)
    np.testing.assert_array_equal(first.frames, again.frames)
    assert np.abs(first.keypoints - other.keypoints).max() > 1
    assert first.frames.shape == (5, 48, 64, 3) and first.keypoints.shape == (5, 1, 17, 2)
