"""Classifiers that see no movement: what colours or one still picture alone give away.

They say how much of a video model's score is dance. On data where they come near it, the score is
about places and clothes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from dancestyle.clips import Clip
from dancestyle.evaluation.predictions import Predictions, table
from dancestyle.progress import progress
from dancestyle.video.reader import ClipReader

Array = npt.NDArray[np.float64]

HISTOGRAM_BINS = 6
"""A channel, so 216 joint bins."""

HISTOGRAM_FRAMES = 8
"""Frames that a histogram is averaged over, spread evenly over the clip."""

THUMBNAIL = 16
"""Pixels a side."""

STRENGTH = 0.01
"""Inverse of the regularisation: with far more features than clips, it has to be strong."""


def colour_histogram(clip: Clip) -> Array:
    """Joint RGB histogram (216,), averaged over the frames; sums to 1."""
    with ClipReader(clip.path) as reader:
        indices = np.linspace(0, reader.frames - 1, HISTOGRAM_FRAMES).round().astype(int)
        frames = reader.read([int(index) for index in np.unique(indices)])  # (T, H, W, 3)
    step = 256 / HISTOGRAM_BINS
    bins = (frames.reshape(-1, 3) / step).astype(np.int64)
    cell = (bins[:, 0] * HISTOGRAM_BINS + bins[:, 1]) * HISTOGRAM_BINS + bins[:, 2]
    counts = np.bincount(cell, minlength=HISTOGRAM_BINS**3)
    return counts / counts.sum()


def single_frame(clip: Clip) -> Array:
    """The middle frame as a thumbnail (16 * 16 * 3,), in [0, 1]."""
    with ClipReader(clip.path) as reader:
        frame = reader.read([reader.frames // 2])[0]  # (H, W, 3)
    small = cv2.resize(frame, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return small.reshape(-1).astype(np.float64) / 255


FEATURES: dict[str, Callable[[Clip], Array]] = {
    "colour_histogram": colour_histogram,
    "single_frame": single_frame,
}
"""The baselines by the name that their predictions carry."""


def classifier() -> Pipeline:
    """Scaling and multinomial logistic regression; deterministic."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=2000))


def predict(
    name: str, train: Sequence[Clip], test: Sequence[Clip], labels: Sequence[str]
) -> Predictions:
    """Fit a baseline on the training clips and predict the test clips.

    Raises:
        ValueError: the name is not one of :data:`FEATURES`, or the training clips have one label.
    """
    if name not in FEATURES:
        raise ValueError(f"no baseline '{name}'; the baselines are: {', '.join(FEATURES)}")
    truth = np.array([clip.label_id for clip in train])
    if len(np.unique(truth)) < 2:
        raise ValueError(f"{name}: the training split needs clips of at least 2 labels")
    feature = FEATURES[name]
    rows = [
        feature(clip) for clip in progress([*train, *test], total=len(train) + len(test), desc=name)
    ]
    model = classifier().fit(np.stack(rows[: len(train)]), truth)
    probabilities = np.zeros((len(test), len(labels)))
    probabilities[:, model.classes_] = model.predict_proba(np.stack(rows[len(train) :]))
    return table(
        labels,
        [clip.clip_id for clip in test],
        [clip.video_id for clip in test],
        [clip.label_id for clip in test],
        probabilities,
    )
