"""Which labels a model takes for which: the matrix, the most confused pairs, the hardest clips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import metrics as sk

from dancestyle.evaluation.predictions import Predictions

CLAIMS: tuple[tuple[str, str], ...] = (
    ("salsa dancing", "swing dancing"),
    ("salsa dancing", "tango dancing"),
    ("breakdancing", "krumping"),
)
"""The pairs that the study names as its largest confusions."""

EXAMPLES = 3
"""Clips named for each pair."""


def matrix(predictions: Predictions) -> npt.NDArray[np.int64]:
    """Counts (K, K): rows are the truth, columns the prediction."""
    counts: npt.NDArray[np.int64] = sk.confusion_matrix(
        predictions.truth, predictions.predicted, labels=np.arange(len(predictions.labels))
    )
    return counts


def normalised(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Rows as shares of the label's clips; a label without clips gives a row of zeros."""
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)


def pair(predictions: Predictions, one: int, other: int) -> dict[str, Any]:
    """How two labels are confused, either way.

    Returns:
        count: clips of one taken for the other; rate: their share of the clips of both; each
        direction's own count, clips and rate; and examples, the surest mistakes first.
    """
    directions = [
        _direction(predictions, truth, guess) for truth, guess in ((one, other), (other, one))
    ]
    count = sum(item["count"] for item in directions)
    clips = sum(item["clips"] for item in directions)
    wrong = [
        row
        for row in range(len(predictions))
        if {int(predictions.truth[row]), int(predictions.predicted[row])} == {one, other}
    ]
    wrong.sort(key=lambda row: (-predictions.probabilities[row].max(), predictions.clip_ids[row]))
    return {
        "labels": [predictions.labels[one], predictions.labels[other]],
        "count": count,
        "clips": clips,
        "rate": _share(count, clips),
        "directions": directions,
        "examples": [predictions.clip_ids[row] for row in wrong[:EXAMPLES]],
    }


def most_confused(predictions: Predictions, most: int) -> list[dict[str, Any]]:
    """The most confused pairs, by how many clips; pairs that are never confused are left out."""
    counts = matrix(predictions)
    both = counts + counts.T
    pairs = [
        (one, other)
        for one in range(len(counts))
        for other in range(one + 1, len(counts))
        if both[one, other]
    ]
    found = [pair(predictions, one, other) for one, other in pairs]
    found.sort(key=lambda item: (-item["count"], -item["rate"], item["labels"]))
    return found[:most]


def claims(
    predictions: Predictions, pairs: Sequence[tuple[str, str]] = CLAIMS
) -> list[dict[str, Any]]:
    """The study's pairs looked up, each with its rank among all pairs (1 is the most confused).

    Pairs of which a label is not in the label set are left out. The rank is null for a pair that
    is never confused; equal pairs share the better rank.
    """
    places = {label: place for place, label in enumerate(predictions.labels)}
    counts = matrix(predictions)
    both = np.triu(counts + counts.T, k=1)
    result = []
    for one, other in pairs:
        if one in places and other in places:
            item = pair(predictions, places[one], places[other])
            rank = int((both > item["count"]).sum()) + 1 if item["count"] else None
            result.append({**item, "rank": rank, "pairs": int((both > 0).sum())})
    return result


def hardest(predictions: Predictions, most: int) -> list[dict[str, Any]]:
    """The wrong clips whose true label got the least probability, hardest first."""
    rows = np.flatnonzero(~predictions.correct)
    truth = predictions.probabilities[np.arange(len(predictions)), predictions.truth]
    order = sorted(rows, key=lambda row: (truth[row], predictions.clip_ids[row]))
    return [
        {
            "clip_id": predictions.clip_ids[row],
            "label": predictions.labels[predictions.truth[row]],
            "predicted": predictions.labels[predictions.predicted[row]],
            "probability_of_label": round(float(truth[row]), 4),
            "probability_of_predicted": round(float(predictions.probabilities[row].max()), 4),
        }
        for row in order[:most]
    ]


def _direction(predictions: Predictions, truth: int, guess: int) -> dict[str, Any]:
    clips = int((predictions.truth == truth).sum())
    count = int(((predictions.truth == truth) & (predictions.predicted == guess)).sum())
    return {
        "actual": predictions.labels[truth],
        "predicted": predictions.labels[guess],
        "count": count,
        "clips": clips,
        "rate": _share(count, clips),
    }


def _share(count: int, clips: int) -> float:
    return round(count / clips, 4) if clips else 0.0
