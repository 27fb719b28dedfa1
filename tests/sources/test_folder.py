from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dancestyle.sources import folder
from dancestyle.sources.base import SourceError
from dancestyle.video.duration import DOUBT, seconds
from dancestyle.video.writer import write_clip
from tests.video import make


def video(path: Path, frames: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3), np.uint8)
    write_clip(path, (noise[i % 4] for i in range(frames)))
    return path


@given(st.floats(0.01, 1000), st.floats(1, 100), st.sampled_from([1.0, 1.02, 2.0]))
def test_pieces_cover_the_video(duration: float, clip_seconds: float, spare: float) -> None:
    parts = folder.pieces(duration, clip_seconds, spare * clip_seconds)
    assert parts[0][0] == 0 and parts[-1][1] is None
    for (_, end), (start, _) in itertools.pairwise(parts):
        assert end is not None and abs(end - start) < 1e-6
    borders = [*(start for start, _ in parts), duration]
    lengths = [end - start for start, end in itertools.pairwise(borders)]
    assert max(lengths) - min(lengths) < 0.003
    assert max(lengths) <= (1 + folder.SLACK) * clip_seconds + 0.003
    assert max(lengths) <= spare * clip_seconds + DOUBT + 0.003  # what max_seconds leaves
    assert len(parts) == 1 or min(lengths) >= 0.5 * clip_seconds - 0.003


def test_pieces_of_whole_clips() -> None:
    assert folder.pieces(20, 10) == [(0, 10), (10, None)]
    assert folder.pieces(3, 10) == [(0, None)]
    assert folder.pieces(10.05, 10, 10) == [(0, None)]


@given(st.lists(st.text(min_size=1), unique=True, min_size=2, max_size=2))
def test_names_are_safe_and_apart(names: list[str]) -> None:
    safe = [folder.safe_name(name) for name in names]
    assert safe[0] != safe[1]
    assert all(set(name) <= set(folder.safe_name("x") + name) for name in safe)
    assert all(name.isascii() and "/" not in name and len(name) < 120 for name in safe)


def test_folders_are_styles(tmp_path: Path) -> None:
    video(tmp_path / "Salsa_Dancing/class 1/long.mp4", 75)
    video(tmp_path / "waacking/short.mkv", 20)
    video(tmp_path / "stray.mp4", 20)
    (tmp_path / "waacking/broken.avi").write_text("no video")
    (tmp_path / "waacking/notes.txt").write_text("no video either")
    (tmp_path / "waacking/.hidden").touch()
    make.write(tmp_path / "waacking/tape.mxf", 20, codec="mpeg2video")
    (tmp_path / "empty").mkdir()
    found = folder.read(str(tmp_path), clip_seconds=1.0)
    assert [(c.label, c.start, c.end) for c in found.clips] == [
        ("salsa dancing", 0, 1),
        ("salsa dancing", 1, 2),
        ("salsa dancing", 2, None),
        ("waacking", 0, None),
        ("waacking", 0, None),
    ]
    assert len({c.video_id for c in found.clips}) == 3
    assert {(Path(row.path_or_id).name, row.label): row.reason for row in found.rejected} == {
        ("stray.mp4", ""): "not in a folder that names its style",
        ("broken.avi", "waacking"): "not a video that can be opened",
        ("notes.txt", "waacking"): "no suffix of a video: '.txt'",
    }
    assert found.counts == {"videos": 3}


def test_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "waacking").mkdir()
    (tmp_path / "waacking/notes.txt").write_text("no video")
    with pytest.raises(SourceError, match="is not a folder"):
        folder.read(str(tmp_path / "nowhere"))
    with pytest.raises(SourceError, match="no videos in"):
        folder.read(str(tmp_path))


def test_seconds_without_a_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = video(tmp_path / "a.mp4", 50)
    assert seconds(path) == pytest.approx(2, abs=0.1)
    # no claim is believed
    monkeypatch.setattr("dancestyle.video.duration.MIN_BYTES_A_SECOND", 1e9)
    assert seconds(path) == pytest.approx(2, abs=0.1)
