from pathlib import Path

import numpy as np
import pytest
from made_up import table_of

from dancestyle.evaluation import predictions
from dancestyle.evaluation.predictions import PredictionError


def test_a_table_read_back_is_the_one_written(tmp_path: Path) -> None:
    one = table_of(labels=19)
    predictions.write(tmp_path / "a.csv", one)
    two = predictions.read(tmp_path / "a.csv")
    assert (one.labels, one.clip_ids, one.video_ids) == (two.labels, two.clip_ids, two.video_ids)
    assert (one.truth == two.truth).all()
    assert (one.probabilities == two.probabilities).all()
    predictions.write(tmp_path / "b.csv", two)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_rows_are_sorted_by_clip() -> None:
    one = predictions.table("ab", ["y", "x"], ["2", "1"], [0, 1], [[0.9, 0.1], [0.4, 0.6]])
    assert one.clip_ids == ("x", "y")
    assert one.video_ids == ("1", "2")
    assert one.truth.tolist() == [1, 0]
    assert one.correct.tolist() == [True, True]


def test_some_rows_of_a_table() -> None:
    one = table_of(12)
    some = predictions.select(one, one.clip_ids[3:5])
    assert some.clip_ids == one.clip_ids[3:5]
    assert (some.probabilities == one.probabilities[3:5]).all()
    with pytest.raises(PredictionError, match=r"1 of 2 clips are not .* the first is elsewhere"):
        predictions.select(one, [one.clip_ids[0], "elsewhere"])


HEADER = "clip_id,video_id,label,predicted,a,b\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the columns must be"),
        ("clip,video\n", "line 1: the columns must be"),
        (HEADER, "at least one clip"),
        (HEADER + "c,v,a,a,1.0\n", "line 2: 6 columns expected, found 5"),
        (HEADER + "c,v,x,a,1.0,0\n", "line 2: column label: 'x' is none of the labels"),
        (HEADER + "c,v,a,x,1.0,0\n", "line 2: column predicted: 'x' is none of the labels"),
        (HEADER + "c,v,a,a,much,0\n", "line 2: column a: not a number: 'much'"),
        (HEADER + "c,v,a,a,1.0,nan\n", "line 2: column b: not a probability"),
        (HEADER + "c,v,a,a,1.5,-0.5\n", "line 2: column a: not a probability"),
        (HEADER + "c,v,a,a,0.2,0.2\n", "clip c: probabilities must be 0 or more and sum to 1"),
        (HEADER + "c,v,a,a,1,0\nc,v,a,a,1,0\n", "a clip occurs twice"),
        (HEADER + "c,v,a,b,0.9,0.1\n", "line 2: column predicted: 'b' does not have the highest"),
        (HEADER + ",v,a,a,1,0\n", "line 2: column clip_id: empty"),
    ],
)
def test_a_bad_table_is_refused_with_the_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "model.csv"
    path.write_text(text)
    with pytest.raises(PredictionError) as caught:
        predictions.read(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


def test_a_missing_table_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(PredictionError, match="run the evaluate stage"):
        predictions.read(tmp_path / "none.csv")


def test_nan_and_wrong_shapes_are_refused() -> None:
    with pytest.raises(PredictionError, match="sum to 1"):
        predictions.table("ab", ["c"], ["v"], [0], [[np.nan, 1]])
    with pytest.raises(PredictionError, match="shape"):
        predictions.table("ab", ["c"], ["v"], [0], [[1.0]])
    with pytest.raises(PredictionError, match="0 to 1"):
        predictions.table("ab", ["c"], ["v"], [2], [[0, 1.0]])


def test_tables_of_other_clips_do_not_mix() -> None:
    with pytest.raises(PredictionError, match="clip_040 is in one only"):
        predictions.check_same_clips([table_of(40), table_of(41)])
    with pytest.raises(PredictionError, match="different label sets"):
        predictions.check_same_clips([table_of(), table_of(labels=8)])
