"""Files broken at random: each ends as frames or as a VideoError, soon, and kills nothing."""

from __future__ import annotations

import os
import resource
import tempfile
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dancestyle import pool
from dancestyle.flow import store
from dancestyle.video.errors import VideoError
from dancestyle.video.reader import ClipReader, decode
from dancestyle.video.writer import write_clip
from tests.video import make

Job = tuple[str, int]
SECONDS = 20.0
MEGABYTES = 1500


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """One of the ways in which files break."""
    data = bytearray(content)
    kind = rng.integers(6)
    if kind == 0:  # truncated
        return bytes(data[: rng.integers(1, len(data))])
    if kind == 1:  # a hole of zeros or of noise
        start = int(rng.integers(len(data)))
        size = int(rng.integers(1, 2000))
        hole = bytes(size) if rng.random() < 0.5 else rng.bytes(size)
        data[start : start + size] = hole[: len(data) - start]
    elif kind == 2:  # a piece missing, or there twice
        start = int(rng.integers(len(data)))
        piece = data[start : start + int(rng.integers(1, 2000))]
        data[start : start + (len(piece) if rng.random() < 0.5 else 0)] = (
            b"" if rng.random() < 0.5 else piece + piece
        )
    elif kind == 3:  # the beginning or the end, where the headers are, thoroughly
        span = min(1500, len(data))
        start = 0 if rng.random() < 0.5 else len(data) - span
        for at in rng.integers(start, start + span, 20):
            data[at] = rng.integers(256)
    else:  # bits flipped anywhere
        for at in rng.integers(0, len(data), 2 ** rng.integers(0, 9)):
            data[at] ^= 1 << rng.integers(8)
    return bytes(data)


def read_mutation(job: Job) -> str:
    """What reading the ``seed``-th mutation of a file comes to, in a word."""
    source, seed = job
    rng = np.random.default_rng(seed)
    descriptor, name = tempfile.mkstemp(suffix=Path(source).suffix)
    with os.fdopen(descriptor, "wb") as file:
        file.write(mutate(Path(source).read_bytes(), rng))
    try:
        if Path(source).name.startswith("flow"):
            with store.FlowReader(name) as flow:
                frames = flow.read(range(max(1, min(flow.fields, 40))))
        elif seed % 3 == 0 and source.endswith("clip.mp4"):
            with ClipReader(name) as clip:
                box = (0, clip.width // 2, clip.height, clip.width // 4)  # as training cuts
                frames = clip.read(range(min(clip.frames, 40)), box=box if seed % 2 else None)
        else:
            frames = decode(name, short_side=32, max_frames=500, start=(seed % 4) * 0.4)
        outcome = f"{len(frames) > 0}"
    except VideoError as error:
        outcome = f"VideoError: {error.reason.split(':')[0][:20]}"
    except Exception as error:
        outcome = f"unexpected {error!r} at seed {seed} of {Path(source).name}"
    finally:
        Path(name).unlink()
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return outcome if used < MEGABYTES else f"unexpected: {used} MB at seed {seed} of {source}"


def sources(folder: Path) -> list[Path]:
    frames = np.stack([make.picture(i) for i in range(50)])
    write_clip(folder / "clip.mp4", frames)
    fields = np.random.default_rng(0).normal(0, 3, (20, 24, 32, 2))
    store.write(folder / "flow.mkv", fields)
    store.write(folder / "flow_h264.mkv", fields, codec="h264")
    make.rotate(make.write(folder / "rotated.mov", 40), 90)
    return [
        folder / "clip.mp4",
        folder / "flow.mkv",
        folder / "flow_h264.mkv",
        folder / "rotated.mov",
        make.write(folder / "b.mkv", 40, Fraction(30000, 1001), audio=True),
        make.write(folder / "vp9.webm", 30, codec="libvpx-vp9"),
        make.write(folder / "ten.mp4", 30, pix_fmt="yuv420p10le", gop=10),
        make.write(folder / "old.avi", 40, codec="mpeg4"),
        make.write(folder / "small.gif", 30, codec="gif", pix_fmt="rgb8"),
        make.write(folder / "stream.ts", 40, codec="mpeg2video"),
        make.write(folder / "flash.flv", 40, codec="flv1"),
    ]


def check(folder: Path, count: int) -> Counter[str]:
    files = sources(folder)
    jobs = [(str(files[i % len(files)]), i) for i in range(count)]
    outcomes: Counter[str] = Counter()
    for index, outcome in pool.results(read_mutation, jobs, workers=2, time_limit=SECONDS):
        if isinstance(outcome, pool.Died):
            outcome = f"unexpected: {outcome.reason}, {jobs[index]}"
        outcomes[outcome] += 1
    assert [outcome for outcome in outcomes if outcome.startswith("unexpected")] == []
    assert sum(outcomes.values()) == count
    return outcomes


def test_some_mutations(tmp_path: Path) -> None:
    outcomes = check(tmp_path, 100)
    assert outcomes["True"] > 10
    assert sum(n for outcome, n in outcomes.items() if outcome.startswith("VideoError")) > 10


@pytest.mark.slow
def test_two_thousand_mutations(tmp_path: Path) -> None:
    print(check(tmp_path, 2000))
