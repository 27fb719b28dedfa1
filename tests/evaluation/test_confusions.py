import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import table_of

from dancestyle.evaluation import confusions, predictions
from dancestyle.evaluation.predictions import Predictions
from dancestyle.labels import STYLES


def small() -> Predictions:
    """Three labels: a taken for b twice, b for a once, c always right, d without clips."""
    truth = [0, 0, 0, 1, 1, 2]
    guess = [0, 1, 1, 0, 1, 2]
    rows = np.full((6, 4), 0.1)
    rows[range(6), guess] = [0.7, 0.5, 0.7, 0.7, 0.7, 0.7]
    rows[1, 3] = 0.3
    names = [f"clip{n}" for n in range(6)]
    return predictions.table("abcd", names, names, truth, rows)


def test_the_matrix_and_its_shares() -> None:
    counts = confusions.matrix(small())
    assert counts.tolist() == [[1, 2, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    shares = confusions.normalised(counts)
    assert np.allclose(shares.sum(axis=1), [1, 1, 1, 0])


def test_pairs_count_both_ways_and_name_the_surest_mistakes() -> None:
    (found,) = confusions.most_confused(small(), 10)
    assert (found["labels"], found["count"], found["clips"], found["rate"]) == (
        ["a", "b"],
        3,
        5,
        0.6,
    )
    assert found["directions"][0] == {
        "actual": "a", "predicted": "b", "count": 2, "clips": 3, "rate": 0.6667,
    }  # fmt: skip
    assert found["examples"] == ["clip2", "clip3", "clip1"]


def test_claims_are_looked_up() -> None:
    never, found = confusions.claims(small(), [("a", "c"), ("b", "a"), ("a", "unknown")])
    assert (never["count"], never["rank"], never["examples"]) == (0, None, [])
    assert (found["count"], found["rank"], found["pairs"]) == (3, 1, 1)
    assert len(confusions.claims(table_of(190, 19, names=list(STYLES)))) == 3
    assert confusions.claims(table_of()) == []


def test_the_hardest_clips_are_the_surest_mistakes() -> None:
    found = confusions.hardest(small(), 2)
    assert [item["clip_id"] for item in found] == ["clip1", "clip2"]
    assert found[0] == {
        "clip_id": "clip1", "label": "a", "predicted": "b",
        "probability_of_label": 0.1, "probability_of_predicted": 0.5,
    }  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(
    st.builds(table_of, clips=st.integers(1, 60), labels=st.integers(2, 8), skill=st.floats(-2, 3))
)
def test_all_mistakes_are_in_the_pairs(one: Predictions) -> None:
    wrong = int((~one.correct).sum())
    assert sum(item["count"] for item in confusions.most_confused(one, 1000)) == wrong
    assert len(confusions.hardest(one, 1000)) == wrong
