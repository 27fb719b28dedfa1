import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import table_of

from dancestyle.evaluation import metrics
from dancestyle.evaluation.fusion import FusionError, Method, fit_weights, fuse
from dancestyle.evaluation.predictions import PredictionError

QUICK = settings(max_examples=25, deadline=None)
methods = st.sampled_from(["probabilities", "logits"])
seeds = st.integers(0, 1000)


@QUICK
@given(methods, seeds, st.integers(1, 4))
def test_a_fusion_of_equals_is_itself(method: Method, seed: int, count: int) -> None:
    one = table_of(seed=seed)
    both = fuse([one] * count, method=method)
    assert np.allclose(both.probabilities, one.probabilities, atol=3e-6)
    assert both.clip_ids == one.clip_ids


@QUICK
@given(methods, seeds, seeds)
def test_the_order_of_models_does_not_matter(method: Method, seed: int, other: int) -> None:
    one, two = table_of(seed=seed), table_of(seed=other)
    there, back = fuse([one, two], [1, 3], method), fuse([two, one], [3, 1], method)
    assert np.allclose(there.probabilities, back.probabilities, atol=2e-6)


@QUICK
@given(methods, seeds)
def test_where_models_agree_so_does_their_fusion(method: Method, seed: int) -> None:
    one, two = table_of(seed=seed, skill=3), table_of(seed=seed + 1, skill=3)
    agree = one.predicted == two.predicted
    assert (fuse([one, two], None, method).predicted == one.predicted)[agree].all()


def test_a_weight_of_zero_leaves_a_model_out() -> None:
    one, two = table_of(seed=0), table_of(seed=1)
    for method in ("probabilities", "logits"):
        assert np.allclose(
            fuse([one, two], [2, 0], method).probabilities, one.probabilities, atol=3e-6
        )


def test_logits_are_added() -> None:
    one, two = table_of(seed=0), table_of(seed=1)
    expected = np.sqrt(one.probabilities * two.probabilities)
    expected /= expected.sum(axis=1, keepdims=True)
    assert np.allclose(fuse([one, two], method="logits").probabilities, expected, atol=1e-6)


def test_fitted_weights_prefer_the_better_model_and_never_lose() -> None:
    good, noise = table_of(120, skill=3), table_of(120, seed=1, skill=0)
    for method in ("probabilities", "logits"):
        weights = fit_weights([good, noise], method)
        assert sum(weights) == pytest.approx(1, abs=1e-3)
        assert weights[0] > 0.8
        fitted = metrics.scores(fuse([good, noise], weights, method))["nll"]
        assert fitted <= metrics.scores(fuse([good, noise], None, method))["nll"]
        assert weights == fit_weights([good, noise], method)


def test_what_cannot_be_joined_is_refused() -> None:
    one = table_of()
    with pytest.raises(PredictionError):
        fuse([])
    with pytest.raises(PredictionError, match="different clips"):
        fuse([one, table_of(39)])
    for weights in ([1.0], [1.0, -1.0], [0.0, 0.0], [float("nan"), 1.0]):
        with pytest.raises(FusionError):
            fuse([one, one], weights)
