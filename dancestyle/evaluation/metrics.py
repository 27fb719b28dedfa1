"""Metrics of a prediction table: scores, scores by label, intervals, and paired tests.

Nothing here runs a net: a metric can be added and computed from the stored tables.

Scores are scikit-learn's and torchmetrics'. Intervals are percentile bootstrap intervals that
resample *source videos*, not clips, because clips of one video are not independent (a cluster
bootstrap; Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import stats
from sklearn import metrics as sk
from torchmetrics.functional.classification import multiclass_calibration_error

from dancestyle.evaluation.predictions import DECIMALS, Predictions, check_same_clips
from dancestyle.seeds import rng

Array = npt.NDArray[np.float64]

FLOOR = 10.0**-DECIMALS
"""The least probability that a table can hold; a true label of probability 0 counts as this."""

CALIBRATION_BINS = 15
"""Equal bins of confidence, as in Guo et al., "On Calibration of Modern Neural Networks", 2017."""

COVERAGE = 0.95


def scores(predictions: Predictions) -> dict[str, float | int]:
    """The scores of one model.

    Returns:
        top1, top5 (1 where there are 5 labels or fewer), mean_class_accuracy (over the labels that
        have test clips), macro_f1 (over the same), nll (natural logarithm), ece (15 bins), and the
        number of clips. Rounded to 4 decimals.
    """
    truth, predicted = predictions.truth, predictions.predicted
    present = np.unique(truth)
    count = len(predictions.labels)
    return {
        "top1": _round(sk.accuracy_score(truth, predicted)),
        "top5": 1.0
        if count <= 5
        else _round(
            sk.top_k_accuracy_score(truth, predictions.probabilities, k=5, labels=np.arange(count))
        ),
        "mean_class_accuracy": _round(
            sk.recall_score(truth, predicted, labels=present, average="macro", zero_division=0)
        ),
        "macro_f1": _round(
            sk.f1_score(truth, predicted, labels=present, average="macro", zero_division=0)
        ),
        "nll": _round(
            sk.log_loss(truth, _floored(predictions.probabilities), labels=np.arange(count))
        ),
        "ece": _round(calibration_error(predictions)),
        "clips": len(predictions),
    }


def calibration_error(predictions: Predictions) -> float:
    """Expected calibration error: how far confidence and accuracy lie apart, on average."""
    return float(
        multiclass_calibration_error(
            torch.from_numpy(_whole(predictions.probabilities)),
            torch.from_numpy(predictions.truth),
            num_classes=len(predictions.labels),
            n_bins=CALIBRATION_BINS,
            norm="l1",
        )
    )


def by_label(predictions: Predictions) -> dict[str, dict[str, float | int]]:
    """Precision, recall and F1 of every label, and how many test clips it has."""
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        predictions.truth,
        predictions.predicted,
        labels=np.arange(len(predictions.labels)),
        zero_division=0,
    )
    return {
        label: {
            "precision": _round(precision[k]),
            "recall": _round(recall[k]),
            "f1": _round(f1[k]),
            "clips": int(support[k]),
        }
        for k, label in enumerate(predictions.labels)
    }


def intervals(predictions: Predictions, resamples: int, seed: int) -> dict[str, list[float]]:
    """95 % intervals of the scores: ``{score: [low, high]}``; empty for 0 resamples.

    The same seed and source videos draw the same resamples, whatever the model, so that intervals
    of several models on one test set belong together.
    """
    if resamples == 0:
        return {}
    draws, videos = _draws(predictions, resamples, seed)
    totals = _Totals(predictions, videos)
    return {name: _interval(statistic(totals, draws)) for name, statistic in _STATISTICS.items()}


def compare(
    one: Predictions, other: Predictions, resamples: int, seed: int
) -> dict[str, float | int | bool | list[float]]:
    """Whether ``one`` is better than ``other`` on the same clips, by two paired tests.

    Returns:
        difference: of top-1, ``one`` minus ``other``; interval: its 95 % bootstrap interval by
        source video (absent for 0 resamples); only_one, only_other: clips that just one of the
        two has right; mcnemar_p: two-sided exact McNemar test on these (McNemar, 1947);
        significant: p below 0.05, and 0 outside the interval.
    """
    check_same_clips([one, other])
    only_one = int((one.correct & ~other.correct).sum())
    only_other = int((other.correct & ~one.correct).sum())
    discordant = only_one + only_other
    p = float(stats.binomtest(only_one, discordant, 0.5).pvalue) if discordant else 1.0
    result: dict[str, float | int | bool | list[float]] = {
        "difference": _round((only_one - only_other) / len(one)),
        "only_one": only_one,
        "only_other": only_other,
        "mcnemar_p": _round(p),
        "significant": p < 0.05,
    }
    if resamples:
        draws, videos = _draws(one, resamples, seed)
        difference = _top1(_Totals(one, videos), draws) - _top1(_Totals(other, videos), draws)
        low, high = _interval(difference)
        result["interval"] = [low, high]
        result["significant"] = p < 0.05 and (low > 0 or high < 0)
    return result


class _Totals:
    """Sums a source video (V videos, K labels), of which every resampled score is made."""

    def __init__(self, predictions: Predictions, videos: npt.NDArray[np.int64]) -> None:
        count = int(videos.max()) + 1
        labels = len(predictions.labels)
        rows = np.arange(len(predictions))
        truth, predicted = predictions.truth, predictions.predicted
        correct = predictions.correct.astype(float)
        values = predictions.probabilities
        mine = values[rows, truth][:, None]
        # Of equal probabilities the later label goes first, as in scikit-learn's top-k accuracy.
        later = np.arange(labels) > truth[:, None]
        better = ((values > mine) | ((values == mine) & later)).sum(axis=1)

        def per_video(values: Array) -> Array:  # (N,) -> (V,)
            return np.bincount(videos, weights=values, minlength=count).astype(np.float64)

        def per_video_and_label(of: npt.NDArray[np.int64], values: Array) -> Array:  # -> (V, K)
            cells = np.bincount(videos * labels + of, weights=values, minlength=count * labels)
            return cells.reshape(count, labels).astype(np.float64)

        ones = np.ones(len(predictions))
        self.clips = per_video(ones)
        self.correct = per_video(correct)
        self.in_top5 = per_video((better < 5).astype(float))
        floored = _floored(predictions.probabilities)[rows, truth]
        self.loss = per_video(-np.log(floored))
        confidence = _whole(predictions.probabilities).max(axis=1)
        bins = CALIBRATION_BINS + 1
        cells = videos * bins + _calibration_bin(confidence)
        gaps = np.bincount(cells, weights=confidence - correct, minlength=count * bins)
        gaps = gaps.reshape(count, bins)
        self.gaps = gaps.astype(np.float64)  # (V, bins) confidence minus accuracy, summed
        self.hits = per_video_and_label(truth, correct)
        self.truths = per_video_and_label(truth, ones)
        self.guesses = per_video_and_label(predicted, ones)


# Every statistic takes the totals and the draws (B, V), how often each video is in each resample,
# and gives (B,) values.


def _top1(totals: _Totals, draws: Array) -> Array:
    return (draws @ totals.correct) / (draws @ totals.clips)


def _top5(totals: _Totals, draws: Array) -> Array:
    return (draws @ totals.in_top5) / (draws @ totals.clips)


def _nll(totals: _Totals, draws: Array) -> Array:
    return (draws @ totals.loss) / (draws @ totals.clips)


def _ece(totals: _Totals, draws: Array) -> Array:
    """A bin's gap counts with its share of the clips, so that only sums are left."""
    result: Array = np.abs(draws @ totals.gaps).sum(axis=1) / (draws @ totals.clips)
    return result


def _mean_class_accuracy(totals: _Totals, draws: Array) -> Array:
    return _mean_of_present(draws @ totals.hits, draws @ totals.truths, draws @ totals.truths)


def _macro_f1(totals: _Totals, draws: Array) -> Array:
    truths = draws @ totals.truths  # (B, K)
    return _mean_of_present(2 * (draws @ totals.hits), truths + draws @ totals.guesses, truths)


def _mean_of_present(numerator: Array, denominator: Array, truths: Array) -> Array:
    """Mean over the labels that have a clip in the resample: (B, K) -> (B,)."""
    present = truths > 0
    ratio = np.divide(numerator, denominator, out=np.zeros_like(numerator), where=present)
    return ratio.sum(axis=1) / present.sum(axis=1)


_STATISTICS: dict[str, Callable[[_Totals, Array], Array]] = {
    "top1": _top1,
    "top5": _top5,
    "mean_class_accuracy": _mean_class_accuracy,
    "macro_f1": _macro_f1,
    "nll": _nll,
    "ece": _ece,
}


def _draws(
    predictions: Predictions, resamples: int, seed: int
) -> tuple[Array, npt.NDArray[np.int64]]:
    """(B, V) how often each video is drawn, and (N,) the video of each clip."""
    names, videos = np.unique(np.asarray(predictions.video_ids), return_inverse=True)
    generator = rng(seed, "bootstrap", len(names))
    draws = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    return draws.astype(np.float64), videos.astype(np.int64)


def _interval(values: Array) -> list[float]:
    low, high = np.quantile(values, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return [_round(low), _round(high)]


def _calibration_bin(confidence: Array) -> npt.NDArray[np.int64]:
    """Of (N,) confidences: torchmetrics' bins, in which exactly 1 is one of its own."""
    edges = torch.linspace(0, 1, CALIBRATION_BINS + 1, dtype=torch.float64)
    found = torch.bucketize(torch.from_numpy(confidence), edges, right=True) - 1
    return np.asarray(found.clamp(max=CALIBRATION_BINS).numpy(), dtype=np.int64)


def _whole(probabilities: Array) -> Array:
    """Rows that sum to 1 in spite of the stored decimals."""
    result: Array = probabilities / probabilities.sum(axis=1, keepdims=True)
    return result


def _floored(probabilities: Array) -> Array:
    """Probabilities without zeros, rows summing to 1."""
    values = np.maximum(probabilities, FLOOR)
    result: Array = values / values.sum(axis=1, keepdims=True)
    return result


def _round(value: Any) -> float:
    """To 4 decimals, without a negative zero."""
    return round(float(value), 4) + 0.0
