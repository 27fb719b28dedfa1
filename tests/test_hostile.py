"""A folder of files that no honest camera makes: each ends as a row with a reason, or as a clip."""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from dancestyle import dataset, params
from dancestyle.sources import folder
from dancestyle.video import duration
from dancestyle.video.writer import write_clip
from tests.video import make


def gif(width: int, height: int, frames: int) -> bytes:
    """A GIF of ``frames`` one-pixel pictures, told to start anew for ever, each for 11 minutes."""
    sides = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    head = b"GIF89a" + sides + b"\x80\x00\x00" + bytes(3) + b"\xff" * 3
    loop = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
    picture = (
        b"\x21\xf9\x04\x00\xff\xff\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00"
        b"\x02\x02\x44\x01\x00"
    )
    return head + loop + picture * frames + b"\x3b"


def lay_out(root: Path) -> None:
    root.mkdir()
    good = make.write(root / "good.mp4", 40, bframes=0, gop=5).read_bytes()
    make.write(root / "sound_too.mp4", 30, audio=True)
    (root / "truncated_head.mp4").write_bytes(good[: len(good) // 3])
    matroska = make.write(root / "half.mkv", 40, gop=5).read_bytes()
    (root / "half.mkv").write_bytes(matroska[: len(matroska) // 2])
    flipped = bytearray(good)
    for at in np.random.default_rng(0).integers(len(good), size=len(good) // 4):
        flipped[at] ^= 255
    (root / "flipped.mp4").write_bytes(bytes(flipped))
    (root / "empty.mp4").touch()
    (root / "text.mp4").write_text("<html>not found</html>\n" * 20)
    (root / "list.mp4").write_text("#EXTM3U\n#EXTINF:9,\n/etc/hostname\n")
    make.write_audio(root / "sound.mp4")
    huge = bytearray(make.write(root / "huge.avi", 3, codec="ffv1").read_bytes())
    at = huge.index(b"strf") + 12
    huge[at : at + 8] = (60_000).to_bytes(4, "little") * 2
    (root / "huge.avi").write_bytes(bytes(huge))
    make.write(root / "ribbon.mkv", 3, height=1, width=65_535, codec="ffv1")
    (root / "huge.gif").write_bytes(gif(60_000, 60_000, 1))
    (root / "endless.gif").write_bytes(gif(32, 32, 500))
    os.mkfifo(root / "pipe.mp4")
    (root / "nowhere.mp4").symlink_to("not_there.mp4")


REASONS = {
    "truncated_head.mp4": "not a video that can be opened",
    "empty.mp4": "empty file",
    "text.mp4": "not a video that can be opened",
    "list.mp4": "not a video that can be opened",
    "sound.mp4": "no video stream",
    "huge.avi": "damaged: 4 of 4 packets undecodable",
    "huge.gif": "no decodable frame",
    "ribbon.mkv": "too large at this short_side: 65535x1 would become 2097120x32",
    "endless.gif": "longer than 6 hours, by its own account",
    "pipe.mp4": "not a file",
    "nowhere.mp4": "file not found",
}


def test_each_has_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    lay_out(Path("mine/krumping"))
    content = {
        "sources": [{"kind": "folder", "root": "mine", "clip_seconds": 10}],
        "fps": 25, "short_side": 32, "max_seconds": 10, "min_frames": 4, "short_clips": "loop",
        "gop": 8, "crf": 20, "watch": {"first": "m", "second": "m", "kinetics400_ids": "m"},
    }  # fmt: skip
    config: params.BuildDataset = params.validate("build_dataset", content)
    # Of children of this process, so of other tests' too where they share it.
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    begun = time.monotonic()
    built = dataset.build(config, "data/dataset", workers=2)
    assert time.monotonic() - begun < 120
    rejected = {Path(row.path_or_id).name: row.reason for row in built.rejected}
    assert {name: rejected.get(name) for name in REASONS} == REASONS
    assert set(rejected) <= {*REASONS, "flipped.mp4"}
    clips = {clip.video_id.split("-")[1]: clip.frames for clip in built.clips}
    assert clips["good"] == 40 and clips["sound"] == 30 and 5 < clips["half"] < 35
    assert max(clip.frames for clip in built.clips) <= 250
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert most <= max(before, 1_500_000)  # KiB
    assert dataset.build(config, "data/dataset", workers=2) == built


def crash(path: Path) -> float | str:
    if path.name == "bad.mp4":
        os.kill(os.getpid(), signal.SIGSEGV)
    return 2.0


def test_a_crash_at_opening_costs_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.mp4", "bad.mp4", "c.mp4"):
        (tmp_path / "mine/zumba").mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine/zumba" / name).write_text(name)
    monkeypatch.setattr(duration, "_seconds_or_reason", crash)
    cache = tmp_path / "cache.json"
    found = folder.read(str(tmp_path / "mine"), workers=2, cache=cache)
    assert [row.reason for row in found.rejected] == ["the process died of SIGSEGV"]
    assert len(found.clips) == 2
    assert "bad" not in cache.read_text()


def test_lengths_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = tmp_path / "one.mp4", tmp_path / "two.mp4"
    for path, count in ((one, 50), (two, 25)):
        write_clip(path, np.zeros((count, 16, 16, 3), np.uint8))
    (tmp_path / "three.mp4").touch()
    cache = tmp_path / "cache.json"
    paths = [one, two, tmp_path / "three.mp4"]
    found = duration.of_files(paths, 1, cache)
    assert found[:2] == pytest.approx([2, 1], abs=0.1) and found[2] == "empty file"
    monkeypatch.setattr(duration.pool, "results", lambda function, jobs, *_: print(jobs) or [])
    assert duration.of_files(paths, 1, cache) == found  # none was opened
    monkeypatch.undo()
    write_clip(two, np.zeros((75, 16, 16, 3), np.uint8))
    assert duration.of_files(paths[:2], 1, cache) == pytest.approx([2, 3], abs=0.1)
    cache.write_text("broken")
    assert duration.of_files(paths[:1], 1, cache) == pytest.approx([2], abs=0.1)
