from pathlib import Path

import numpy as np
import pytest

from dancestyle.clips import Clip
from dancestyle.evaluation import baselines
from dancestyle.evaluation.metrics import scores

LABELS = ["a", "b", "never seen"]


class FakeReader:
    """Twelve frames: the label's colour; its second half darker. The name tells the colour."""

    frames = 12

    def __init__(self, path: str) -> None:
        self.shade = 200 if Path(path).stem.startswith("a") else 60
        self.noise = np.random.default_rng(sum(path.encode())).integers(0, 30, (20, 24, 3))

    def __enter__(self) -> "FakeReader":
        return self

    def __exit__(self, *_: object) -> None: ...

    def read(self, indices: list[int]) -> np.ndarray:
        assert all(0 <= index < self.frames for index in indices)
        frame = (self.shade + self.noise).astype(np.uint8)
        return np.stack([frame] * len(indices))


@pytest.fixture(autouse=True)
def _reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "ClipReader", FakeReader)


def clips_of(count: int, prefix: str) -> list[Clip]:
    return [
        Clip(f"{prefix}{n}", f"v{n}", "folder", LABELS[n % 2], n % 2,
             f"{LABELS[n % 2]}{prefix}{n}.mp4", 12, 25.0, 24, 20)
        for n in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("name", list(baselines.FEATURES))
def test_a_baseline_learns_what_colours_tell(name: str) -> None:
    found = baselines.predict(name, clips_of(12, "x"), clips_of(6, "y"), LABELS)
    assert scores(found)["top1"] == 1.0
    assert found.labels == tuple(LABELS)
    assert (found.probabilities[:, 2] == 0).all()
    again = baselines.predict(name, clips_of(12, "x"), clips_of(6, "y"), LABELS)
    assert (again.probabilities == found.probabilities).all()


def test_features_have_their_sizes() -> None:
    clip = clips_of(1, "x")[0]
    histogram = baselines.colour_histogram(clip)
    assert histogram.shape == (216,)
    assert histogram.sum() == pytest.approx(1)
    assert baselines.single_frame(clip).shape == (768,)


def test_what_cannot_be_trained_is_refused() -> None:
    with pytest.raises(ValueError, match="no baseline 'smell'"):
        baselines.predict("smell", clips_of(4, "x"), clips_of(2, "y"), LABELS)
    with pytest.raises(ValueError, match="at least 2 labels"):
        baselines.predict("single_frame", clips_of(1, "x"), clips_of(2, "y"), LABELS)
