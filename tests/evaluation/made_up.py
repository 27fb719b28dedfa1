"""Prediction tables for tests."""

from __future__ import annotations

import numpy as np

from dancestyle.evaluation import predictions
from dancestyle.evaluation.predictions import Predictions


def table_of(
    clips: int = 40,
    labels: int = 7,
    seed: int = 0,
    skill: float = 2.0,
    names: list[str] | None = None,
) -> Predictions:
    """A table in which two clips share a video; ``skill`` lifts the true label's logit."""
    rng = np.random.default_rng(seed)
    truth = np.arange(clips) % labels
    logits = rng.normal(size=(clips, labels))
    logits[np.arange(clips), truth] += skill
    powers = np.exp(logits)
    return predictions.table(
        names or [f"style {k}" for k in range(labels)],
        [f"clip_{n:03d}" for n in range(clips)],
        [f"video_{n % labels}_{n // labels // 2}" for n in range(clips)],
        truth,
        powers / powers.sum(axis=1, keepdims=True),
    )
