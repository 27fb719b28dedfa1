"""The baseline that has only seen general actions, read as a dance classifier.

Where its head knows some of the styles by name (Kinetics-400 has 15 of the 19), their
probabilities are taken and made to sum to 1; the styles it does not know get 0. Where it knows
none, its frozen features are compared with the mean of each style's training clips.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dancestyle.labels import normalise

Array = npt.NDArray[np.float64]


def known_labels(head: Sequence[str], labels: Sequence[str]) -> dict[int, int]:
    """Which of ``labels`` a head knows: ``{index into labels: index into head}``."""
    places = {normalise(name): place for place, name in enumerate(head)}
    return {
        number: places[normalise(label)]
        for number, label in enumerate(labels)
        if normalise(label) in places
    }


def read_head(probabilities: Array, head: Sequence[str], labels: Sequence[str]) -> Array:
    """Probabilities over a head's classes (N, H) as probabilities over ``labels`` (N, K).

    A clip whose known labels all have probability 0 gets equal probabilities for these.

    Raises:
        ValueError: the head knows none of the labels.
    """
    known = known_labels(head, labels)
    if not known:
        raise ValueError("the head knows none of the labels; use nearest_class_mean instead")
    result = np.zeros((len(probabilities), len(labels)))
    result[:, list(known)] = probabilities[:, list(known.values())]
    result[np.ix_(result.sum(axis=1) == 0, list(known))] = 1.0
    normalised: Array = result / result.sum(axis=1, keepdims=True)
    return normalised


def nearest_class_mean(
    train: Array, train_truth: npt.NDArray[np.int64], test: Array, count: int
) -> Array:
    """Probabilities (N, K) from how near features (N, D) are to the mean of each label's (M, D).

    Features are scaled to unit variance; labels without a training clip get 0.
    """
    model = make_pipeline(StandardScaler(), NearestCentroid(priors="uniform"))
    model.fit(train, train_truth)
    result = np.zeros((len(test), count))
    result[:, model.classes_] = model.predict_proba(test)
    return result
