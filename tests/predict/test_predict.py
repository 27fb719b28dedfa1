"""Prediction: the evaluation's numbers, any length, any source, errors as sentences."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from small_models import FLOW, LABELS, SIDE, make_model, picture

import dancestyle
from dancestyle import predict
from dancestyle.clips import Clip
from dancestyle.evaluation import fusion
from dancestyle.evaluation import models as evaluated
from dancestyle.flow import methods, store
from dancestyle.predict import PredictError, Prediction, Window, load_model
from dancestyle.training.checkpoints import load_model as load_checkpoint
from dancestyle.video import stream
from dancestyle.video.reader import ClipReader, VideoError, decode
from dancestyle.video.writer import write_clip

HOW = {"num_clips": 2, "num_crops": 3}


def test_a_clip_of_the_dataset_is_seen_as_the_evaluation_sees_it(
    tmp_path: Path, models: dict[str, Path]
) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, (picture(n, SIDE, 48) for n in range(60)), fps=25)
    with ClipReader(path) as reader:
        frames = reader.read(range(60))
    store.write(tmp_path / "clip.mkv", methods.of_clip(methods.create("farneback"), frames), 4.0)
    clip = Clip("clip", "v", "folder", LABELS[0], 0, str(path), 60, 25.0, 48, SIDE)
    for average, seen in (("probabilities", "spread"), ("logits", "spread"), ("logits", "all")):
        options = {**HOW, "average": average, "views": seen, "precision": "fp32"}
        how = evaluated.Views(**options, flow_dir=tmp_path)
        tables = [evaluated.predict(models[name], [clip], LABELS, how) for name in models]
        wanted = [*tables, fusion.fuse(tables)]
        asked = [models["rgb"], models["flow"], list(models.values())]
        for table, files in zip(wanted, asked, strict=True):
            assert 0.4 < table.probabilities.max() < 0.95  # where a difference would show
            found = load_model(files, **options).predict(path)
            np.testing.assert_allclose(found.values, table.probabilities[0], atol=1e-5)
            assert found.seconds == 2.4
            assert len(found.timeline) == (2 if seen == "spread" else 1)


def test_frames_give_what_the_file_gives(models: dict[str, Path], videos: dict[str, Path]) -> None:
    predictor = load_model(models["rgb"])
    from_file = predictor.predict(videos["short"])
    frames = decode(videos["short"], predictor.fps, short_side=predictor.short_side)
    np.testing.assert_array_equal(predictor.predict(frames).values, from_file.values)
    np.testing.assert_array_equal(predictor.predict(iter(frames)).values, from_file.values)
    assert from_file.values.sum() == pytest.approx(1)
    assert from_file.top(3)[0] == (from_file.style, from_file.probabilities[from_file.style])


def test_a_long_video_has_a_timeline_from_its_start_to_its_end(
    models: dict[str, Path], videos: dict[str, Path]
) -> None:
    seen: list[float] = []
    found = load_model(models["rgb"]).predict(videos["long"], seen.append)
    assert seen == [10.0, 20.0, 22.8]
    assert found.seconds == 22.8
    starts = [window.start for window in found.timeline]
    assert starts == sorted(set(starts)) and len(starts) > 6
    assert found.timeline[-1].end == 22.8
    assert found.stretches[0].start == 0 and found.stretches[-1].end == 22.8
    for before, after in pairwise(found.stretches):
        assert before.end == after.start and before.style != after.style


def test_memory_does_not_grow_with_the_video(models: dict[str, Path]) -> None:
    predictor = load_model(models["rgb"], num_clips=1)

    def most(seconds: int) -> int:
        tracemalloc.start()
        predictor.predict(picture(n) for n in range(25 * seconds))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    most(10)
    assert most(100) < 1.2 * most(30)


def test_stretches_join_neighbours_of_one_style() -> None:
    sure = [np.array([0.8, 0.2]), np.array([0.6, 0.4]), np.array([0.1, 0.9])]
    windows = [Window(2.0 * n, 2.0 * n + 2, values) for n, values in enumerate(sure)]
    found = Prediction(("a", "b"), sure[0], tuple(windows), 6.5).stretches
    assert [(one.start, one.end, one.style) for one in found] == [(0, 4, "a"), (4, 6.5, "b")]
    assert found[0].probability == pytest.approx(0.7)


def test_a_piece_at_the_end_is_made_whole() -> None:
    frames = [np.full((2, 2, 3), n, np.uint8) for n in range(10)]
    parts = list(stream.pieces(frames, 4, 2))
    assert [first for first, _ in parts] == [0, 4, 6]
    assert parts[-1][1][:, 0, 0, 0].tolist() == [6, 7, 8, 9]
    assert [first for first, _ in stream.pieces(frames[:9], 4, 2)] == [0, 4]
    assert [len(part) for _, part in stream.pieces(frames[:3], 4, 2)] == [3]


def test_the_stream_gives_what_decode_gives(videos: dict[str, Path]) -> None:
    for rate in (25, 12.5, 30):
        streamed = np.stack(list(stream.frames(videos["short"], rate, 20)))
        np.testing.assert_array_equal(streamed, decode(videos["short"], rate, short_side=20))
    with pytest.raises(VideoError, match="longer than 1 s"):
        list(stream.frames(videos["short"], 25, 20, max_seconds=1))


def test_files_that_do_not_say_get_the_papers_size(tmp_path: Path) -> None:
    old = make_model(tmp_path / "old.ckpt", "rgb", short_side=None)
    assert load_model(old).short_side == 36  # 32 / 0.875, even
    assert load_checkpoint(old).meta.fps == 25


def test_flow_is_computed_as_the_file_says(tmp_path: Path, videos: dict[str, Path]) -> None:
    small = make_model(tmp_path / "a.ckpt", "flow", flow=FLOW | {"short_side": 24})
    seen = []
    for path in (small, make_model(tmp_path / "b.ckpt", "flow")):
        seen.append(load_model(path).predict(videos["short"]).values)
    assert not np.array_equal(*seen)
    wrong = make_model(tmp_path / "c.ckpt", "flow", flow={"method": "dis", "options": {"x": 1}})
    with pytest.raises(ValueError, match=r"c.ckpt: flow method 'dis' has no option"):
        load_model(wrong)


def test_what_cannot_be_predicted_is_said(
    tmp_path: Path, models: dict[str, Path], videos: dict[str, Path]
) -> None:
    predictor = load_model(models["rgb"])
    with pytest.raises(VideoError, match=r"bad\.mp4: not a video"):
        predictor.predict(videos["bad"])
    with pytest.raises(VideoError, match="file not found"):
        predictor.predict(tmp_path / "none.mp4")
    with pytest.raises(PredictError, match="no frames"):
        predictor.predict([])
    with pytest.raises(VideoError, match="single frame"):
        predictor.predict([picture(0)])
    with pytest.raises(PredictError, match="uint8"):
        predictor.predict(np.zeros((4, 8, 8, 3), np.float32))
    other = make_model(tmp_path / "other.ckpt", "rgb", short_side=64)
    with pytest.raises(PredictError, match="another rate or size"):
        load_model([models["rgb"], other])
    with pytest.raises(ValueError, match="not found"):
        load_model(tmp_path / "none.ckpt")


def test_the_package_itself_loads_without_torch() -> None:
    code = "import dancestyle, sys; assert 'torch' not in sys.modules; print(dancestyle.__all__)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
    assert dancestyle.load_model is predict.load_model
    with pytest.raises(AttributeError):
        _ = dancestyle.nothing  # type: ignore[attr-defined]
