"""Late fusion: one prediction table out of several, of streams or of whole models.

``probabilities`` takes the weighted mean of the probabilities. ``logits`` takes the weighted mean
of their logarithms, and normalises: adding logits, as the two-stream I3D does (Carreira and
Zisserman, 2017), with the sum of the weights kept at 1, so that a fusion of equals is itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import optimize

from dancestyle.evaluation.predictions import DECIMALS, Predictions, check_same_clips, table

Method = Literal["probabilities", "logits"]
Array = npt.NDArray[np.float64]

FLOOR = 10.0**-DECIMALS
"""What a stored probability of 0 counts as where its logarithm is taken."""


class FusionError(ValueError):
    """Tables or weights that cannot be joined; the message says why."""


def fuse(
    tables: Sequence[Predictions],
    weights: Sequence[float] | None = None,
    method: Method = "logits",
) -> Predictions:
    """Join tables of the same clips and labels.

    Args:
        tables: one or more.
        weights: one a table, 0 or more, not all 0; ``None`` for equal weights.
        method: what is averaged.

    Raises:
        PredictionError: the tables are of different clips or labels.
        FusionError: weights that do not fit.
    """
    check_same_clips(tables)
    shares = _shares(weights, len(tables))
    first = tables[0]
    return table(
        first.labels,
        first.clip_ids,
        first.video_ids,
        first.truth,
        mix(np.stack([one.probabilities for one in tables]), shares, method),
    )


def fit_weights(tables: Sequence[Predictions], method: Method = "logits") -> list[float]:
    """The weights with the least negative log-likelihood on these tables, summing to 1.

    Give it predictions of validation clips that no member was trained on, never of the test split.
    The start is equal weights and the search is deterministic.
    """
    check_same_clips(tables)
    stack = np.stack([one.probabilities for one in tables])  # (M, N, K)
    truth = tables[0].truth
    rows = np.arange(len(truth))

    def loss(free: Array) -> float:
        mixed = mix(stack, _softmax(free), method)
        return float(-np.log(np.maximum(mixed[rows, truth], FLOOR)).mean())

    # Weights as a softmax of free numbers: no constraint is needed, and none can be broken.
    found = optimize.minimize(loss, np.zeros(len(tables)), method="Nelder-Mead")
    return [round(float(share), 4) for share in _softmax(found.x)]


def mix(stack: Array, shares: Array, method: Method) -> Array:
    """Join M models: (M, N, K) probabilities and (M,) shares that sum to 1 -> (N, K)."""
    if method == "probabilities":
        mixed = np.tensordot(shares, stack, axes=1)
    elif method == "logits":
        logits = np.tensordot(shares, np.log(np.maximum(stack, FLOOR)), axes=1)
        mixed = np.exp(logits - logits.max(axis=1, keepdims=True))
    else:
        raise FusionError(f"method must be probabilities or logits, found {method!r}")
    result: Array = mixed / mixed.sum(axis=1, keepdims=True)
    return result


def _shares(weights: Sequence[float] | None, count: int) -> Array:
    values = np.ones(count) if weights is None else np.asarray(weights, dtype=np.float64)
    if values.shape != (count,) or not np.isfinite(values).all():
        raise FusionError(f"{count} tables need {count} weights, found {list(weights or [])}")
    if (values < 0).any() or values.sum() == 0:
        raise FusionError(f"weights must be 0 or more and not all 0, found {list(weights or [])}")
    result: Array = values / values.sum()
    return result


def _softmax(values: Array) -> Array:
    powers = np.exp(values - values.max())
    result: Array = powers / powers.sum()
    return result
