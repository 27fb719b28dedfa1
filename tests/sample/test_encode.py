"""The same frames give the same bytes, whatever has been in memory before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Small pictures that move, of sides that are no multiple of a macroblock's 16.
FRAMES = """
import sys
from fractions import Fraction
from pathlib import Path
import cv2
import numpy as np
from dancestyle.sample.encode import write_video
from dancestyle.video.writer import write_clip
rng = np.random.default_rng(0)
for height, width in ((40, 52), (52, 70), (56, 74), (72, 96), (50, 66), (84, 48)):
    ground = cv2.resize(rng.integers(0, 255, (9, 9, 3), np.uint8), (width, height))
    dot = rng.integers(0, 255, (12, 8, 3), np.uint8)
    frames = np.repeat(ground[None], 25, 0)
    for n, frame in enumerate(frames):
        frame[4 + n % 9 : 16 + n % 9, n : n + 8] = dot
        frame[20:32, 30 - n : 38 - n] = dot[::-1]
    frames = np.clip(frames + rng.normal(0, 4, frames.shape), 0, 255).astype(np.uint8)
    write_video(Path(f"{sys.argv[1]}/video-{height}x{width}.mp4"), frames, Fraction(25), 20)
    write_clip(f"{sys.argv[1]}/clip-{height}x{width}.mp4", frames)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="fills memory by glibc's means")
def test_the_bytes_do_not_depend_on_what_was_in_memory(tmp_path: Path) -> None:
    made = []
    for fill in ("0", "85", "254"):
        folder = tmp_path / fill
        folder.mkdir()
        environment = {**os.environ, "MALLOC_PERTURB_": fill, "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-c", FRAMES, str(folder)], check=True, env=environment)
        made.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert len(made[0]) == 12
    for other in made[1:]:
        assert [name for name in made[0] if made[0][name] != other[name]] == []
