import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import table_of
from sklearn import metrics as sk

from dancestyle.evaluation import metrics, predictions
from dancestyle.evaluation.predictions import Predictions

QUICK = settings(max_examples=25, deadline=None)
tables = st.builds(
    table_of,
    clips=st.integers(1, 60),
    labels=st.integers(2, 21),
    seed=st.integers(0, 1000),
    skill=st.floats(-1, 5),
)


def certain(truth: list[int], labels: int, predicted: list[int] | None = None) -> Predictions:
    names = [f"c{n:03d}" for n in range(len(truth))]
    rows = np.eye(labels)[truth if predicted is None else predicted]
    return predictions.table([f"l{k}" for k in range(labels)], names, names, truth, rows)


@QUICK
@given(st.lists(st.integers(0, 7), min_size=1, max_size=40))
def test_perfect_predictions_are_perfect(truth: list[int]) -> None:
    found = metrics.scores(certain(truth, 8))
    assert found == {
        "top1": 1.0,
        "top5": 1.0,
        "mean_class_accuracy": 1.0,
        "macro_f1": 1.0,
        "nll": 0.0,
        "ece": 0.0,
        "clips": len(truth),
    }
    assert set(map(tuple, metrics.intervals(certain(truth, 8), 20, 0).values())) <= {
        (1.0, 1.0),
        (0.0, 0.0),
    }


@QUICK
@given(tables, st.randoms())
def test_the_order_of_clips_does_not_matter(one: Predictions, random: object) -> None:
    order = list(range(len(one)))
    random.shuffle(order)  # type: ignore[attr-defined]
    other = predictions.table(
        one.labels,
        [one.clip_ids[n] for n in order],
        [one.video_ids[n] for n in order],
        one.truth[order],
        one.probabilities[order],
    )
    assert metrics.scores(one) == metrics.scores(other)
    assert metrics.intervals(one, 10, 3) == metrics.intervals(other, 10, 3)


@QUICK
@given(tables)
def test_scores_are_in_range_and_agree(one: Predictions) -> None:
    found = metrics.scores(one)
    for name in ("top1", "top5", "mean_class_accuracy", "macro_f1", "ece"):
        assert 0 <= found[name] <= 1
    assert found["top5"] >= found["top1"]
    assert found["nll"] >= 0
    assert found["top1"] == round(float(one.correct.mean()), 4)
    labels = metrics.by_label(one)
    assert sum(row["clips"] for row in labels.values()) == len(one)
    recalls = [row["recall"] for row in labels.values() if row["clips"]]
    assert found["mean_class_accuracy"] == pytest.approx(np.mean(recalls), abs=2e-4)


@QUICK
@given(tables)
def test_the_resampled_scores_are_the_scores(one: Predictions) -> None:
    """Drawing every video once must give what scikit-learn gives."""
    _, videos = metrics._draws(one, 1, 0)
    totals = metrics._Totals(one, videos)
    once = np.ones((1, videos.max() + 1))
    found = metrics.scores(one)
    for name, statistic in metrics._STATISTICS.items():
        assert statistic(totals, once)[0] == pytest.approx(found[name], abs=1e-4), name


def test_the_resampled_calibration_error_is_that_of_the_resample() -> None:
    """A video drawn twice is its clips twice: what torchmetrics says of the doubled table."""
    one = table_of(40, 5, skill=1.5)
    names, videos = np.unique(one.video_ids, return_inverse=True)
    drawn = np.zeros((1, len(names)))
    drawn[0, :4] = [2, 1, 0, 3]
    rows = np.repeat(np.arange(len(one)), drawn[0, videos].astype(int))
    copied = predictions.table(
        one.labels,
        [f"{one.clip_ids[row]}_{copy}" for copy, row in enumerate(rows)],
        [one.video_ids[row] for row in rows],
        one.truth[rows],
        one.probabilities[rows],
    )
    found = metrics._ece(metrics._Totals(one, videos), drawn)
    assert found[0] == pytest.approx(metrics.calibration_error(copied), abs=1e-6)


@pytest.mark.parametrize("labels", [2, 8, 19])
def test_equal_probabilities_count_alike_in_scores_and_intervals(labels: int) -> None:
    names = [f"c{n:02d}" for n in range(labels)]
    rows = np.full((labels, labels), 1 / labels)
    one = predictions.table(names, names, ["v"] * labels, range(labels), rows)
    top5 = metrics.scores(one)["top5"]
    assert metrics.intervals(one, 1, 0)["top5"] == [top5, top5]
    assert top5 == round(min(1, 5 / labels), 4)


def test_a_known_example() -> None:
    one = certain([0, 0, 0, 1], 2, [0, 0, 1, 1])
    found = metrics.scores(one)
    assert found["top1"] == 0.75
    assert found["mean_class_accuracy"] == round((2 / 3 + 1) / 2, 4)
    assert found["macro_f1"] == round((0.8 + 2 / 3) / 2, 4)
    assert found["top5"] == 1.0
    assert found["nll"] == round(-np.log(metrics.FLOOR) / 4, 4)
    assert found["ece"] == 0.25
    assert metrics.by_label(one)["l1"] == {
        "precision": 0.5,
        "recall": 1.0,
        "f1": 0.6667,
        "clips": 1,
    }


def test_calibration_of_one_bin() -> None:
    rows = [[0.8, 0.2]] * 10
    one = predictions.table("ab", [f"c{n}" for n in range(10)], ["v"] * 10, [0] * 5 + [1] * 5, rows)
    assert metrics.scores(one)["ece"] == pytest.approx(0.3, abs=1e-4)


def test_intervals_resample_videos_not_clips() -> None:
    """Ten clips of one video are one fact, so the interval of two videos is all or nothing."""
    truth = [0] * 20
    predicted = [0] * 10 + [1] * 10
    names = [f"c{n:02d}" for n in range(20)]
    videos = ["right"] * 10 + ["wrong"] * 10
    one = predictions.table("ab", names, videos, truth, np.eye(2)[predicted])
    assert metrics.intervals(one, 400, 0)["top1"] == [0.0, 1.0]


def test_intervals_hold_the_score_and_come_out_the_same() -> None:
    one = table_of(200, 19, skill=3)
    found = metrics.intervals(one, 500, 1)
    score = metrics.scores(one)
    for name, (low, high) in found.items():
        assert low <= score[name] <= high, name
    assert found == metrics.intervals(one, 500, 1)
    assert found != metrics.intervals(one, 500, 2)
    assert metrics.intervals(one, 0, 1) == {}


def test_a_model_is_not_better_than_itself() -> None:
    one = table_of()
    assert metrics.compare(one, one, 100, 0) == {
        "difference": 0.0,
        "only_one": 0,
        "only_other": 0,
        "mcnemar_p": 1.0,
        "significant": False,
        "interval": [0.0, 0.0],
    }


def test_a_comparison_is_antisymmetric_and_finds_a_large_difference() -> None:
    good, bad = table_of(120, skill=5), table_of(120, seed=1, skill=0)
    there, back = metrics.compare(good, bad, 200, 0), metrics.compare(bad, good, 200, 0)
    assert there["difference"] == -back["difference"] > 0.3  # type: ignore[operator]
    assert there["significant"] and back["significant"]
    assert there["mcnemar_p"] == back["mcnemar_p"]
    assert there["difference"] == pytest.approx(
        sk.accuracy_score(good.truth, good.predicted) - sk.accuracy_score(bad.truth, bad.predicted),
        abs=1e-4,
    )
