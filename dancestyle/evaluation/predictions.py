"""The prediction table: what a model says of every test clip. All metrics come from it.

One CSV a model, one row a clip, sorted by ``clip_id``: ``clip_id, video_id, label, predicted`` and
then one probability column a label, named by the label, in the order of the label ids. The label
set stands in the header, so a table explains itself: 19 styles or any other number.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dancestyle import files

KEYS = ("clip_id", "video_id", "label", "predicted")
DECIMALS = 6
"""Of a probability, in memory as in the file: a table read back equals the one written."""

_TOLERANCE = 1e-3
"""How far a row's probabilities may be from a sum of 1 (60 classes rounded stay far below)."""


class PredictionError(ValueError):
    """A prediction table that cannot be used; the message names the file, line and column."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """A model's probabilities for N clips and K labels.

    Build one with :func:`table`, which sorts, rounds and checks.

    Attributes:
        labels: the K label names, in the order of the columns.
        clip_ids: N names, sorted.
        video_ids: the source video of each clip.
        truth: (N,) int, the true label of each clip as an index into ``labels``.
        probabilities: (N, K) float64, each row sums to 1 up to rounding.
    """

    labels: tuple[str, ...]
    clip_ids: tuple[str, ...]
    video_ids: tuple[str, ...]
    truth: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.clip_ids)

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """(N,) the label of the highest probability; the first of equals."""
        return self.probabilities.argmax(axis=1)

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """(N,) whether the prediction is the truth."""
        return self.predicted == self.truth


def table(
    labels: Sequence[str],
    clip_ids: Sequence[str],
    video_ids: Sequence[str],
    truth: npt.ArrayLike,
    probabilities: npt.ArrayLike,
) -> Predictions:
    """A checked prediction table, its rows sorted by clip and rounded as they will be stored.

    Args:
        labels: K label names.
        clip_ids, video_ids: N names each.
        truth: (N,) label ids.
        probabilities: (N, K).

    Raises:
        PredictionError: shapes that do not match, a name twice, or values that are no
            probabilities.
    """
    names = tuple(labels)
    true = np.asarray(truth, dtype=np.int64)
    values = np.asarray(probabilities, dtype=np.float64)
    count = len(clip_ids)
    if count == 0:
        raise PredictionError("a prediction table needs at least one clip; the test split is empty")
    if len(set(names)) != len(names) or set(names) & set(KEYS):
        raise PredictionError(
            f"labels must differ from each other and from {', '.join(KEYS)}: {', '.join(names)}"
        )
    if values.shape != (count, len(names)) or len(video_ids) != count or true.shape != (count,):
        raise PredictionError(
            f"{count} clips and {len(names)} labels need probabilities of shape "
            f"({count}, {len(names)}), found {values.shape}, with {len(video_ids)} video ids and "
            f"{true.size} true labels"
        )
    if true.min() < 0 or true.max() >= len(names):
        raise PredictionError(f"true label ids must be 0 to {len(names) - 1}")
    if len(set(clip_ids)) != count:
        raise PredictionError("a clip occurs twice in a prediction table")
    with np.errstate(invalid="ignore"):
        good = (values >= 0).all(axis=1) & (np.abs(values.sum(axis=1) - 1) <= _TOLERANCE)
    if not good.all():
        first = int(np.flatnonzero(~good)[0])
        raise PredictionError(
            f"clip {clip_ids[first]}: probabilities must be 0 or more and sum to 1, found "
            f"{np.array2string(values[first], threshold=6, precision=4)}"
        )
    order = sorted(range(count), key=lambda row: clip_ids[row])
    return Predictions(
        labels=names,
        clip_ids=tuple(clip_ids[row] for row in order),
        video_ids=tuple(video_ids[row] for row in order),
        truth=true[order],
        probabilities=np.round(values[order], DECIMALS),
    )


def select(predictions: Predictions, clip_ids: Collection[str]) -> Predictions:
    """The rows of some clips.

    Raises:
        PredictionError: the table lacks one of them.
    """
    wanted = set(clip_ids)
    lacking = sorted(wanted - set(predictions.clip_ids))
    if lacking:
        raise PredictionError(
            f"{len(lacking)} of {len(wanted)} clips are not in the prediction table, the first is "
            f"{lacking[0]}"
        )
    rows = [row for row, clip_id in enumerate(predictions.clip_ids) if clip_id in wanted]
    return table(
        predictions.labels,
        [predictions.clip_ids[row] for row in rows],
        [predictions.video_ids[row] for row in rows],
        predictions.truth[rows],
        predictions.probabilities[rows],
    )


def write(path: Path | str, predictions: Predictions) -> None:
    """Write a prediction table."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*KEYS, *predictions.labels])
    predicted = predictions.predicted
    for row, (clip_id, video_id) in enumerate(
        zip(predictions.clip_ids, predictions.video_ids, strict=True)
    ):
        writer.writerow(
            [
                clip_id,
                video_id,
                predictions.labels[predictions.truth[row]],
                predictions.labels[predicted[row]],
                *(f"{value:.{DECIMALS}f}" for value in predictions.probabilities[row]),
            ]
        )
    files.write_text(path, text.getvalue())


def read(path: Path | str) -> Predictions:
    """Read a prediction table.

    Raises:
        PredictionError: the file is missing, or a line or column does not fit; the message names
            them.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PredictionError(f"{path}: not found; run the evaluate stage first") from None
    except UnicodeDecodeError as error:
        raise PredictionError(f"{path}: not UTF-8: {error}") from None
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise PredictionError(f"{path}: line {reader.line_num}: not CSV: {error}") from None
    header = rows[0][1] if rows else []
    if tuple(header[: len(KEYS)]) != KEYS or len(header) < len(KEYS) + 2:
        raise PredictionError(
            f"{path}: line 1: the columns must be {','.join(KEYS)} and one a label, found "
            f"{','.join(header[:6])}"
        )
    labels = header[len(KEYS) :]
    parsed = [_row(f"{path}: line {line}", row, labels) for line, row in rows[1:]]
    try:
        predictions = table(
            labels,
            [row[0] for row in parsed],
            [row[1] for row in parsed],
            [row[2] for row in parsed],
            [row[4] for row in parsed],
        )
    except PredictionError as error:
        raise PredictionError(f"{path}: {error}") from None
    for (line, _), (_, _, _, predicted, values) in zip(rows[1:], parsed, strict=True):
        if values[predicted] < max(values):
            raise PredictionError(
                f"{path}: line {line}: column predicted: '{labels[predicted]}' does not have the "
                "highest probability"
            )
    return predictions


def _row(where: str, row: list[str], labels: list[str]) -> tuple[str, str, int, int, list[float]]:
    """One line as clip, video, true label id, predicted label id, probabilities."""
    if len(row) != len(KEYS) + len(labels):
        raise PredictionError(
            f"{where}: {len(KEYS) + len(labels)} columns expected, found {len(row)}"
        )
    for column, name in zip(KEYS, row, strict=False):
        if not name:
            raise PredictionError(f"{where}: column {column}: empty")
    ids = []
    for column, name in zip(KEYS[2:], row[2:], strict=False):
        if name not in labels:
            raise PredictionError(
                f"{where}: column {column}: '{name}' is none of the labels in the header"
            )
        ids.append(labels.index(name))
    values = []
    for label, cell in zip(labels, row[len(KEYS) :], strict=True):
        try:
            values.append(float(cell))
        except ValueError:
            raise PredictionError(f"{where}: column {label}: not a number: '{cell}'") from None
        if not 0 <= values[-1] <= 1:
            raise PredictionError(f"{where}: column {label}: not a probability: {cell}")
    return row[0], row[1], ids[0], ids[1], values


def check_same_clips(tables: Sequence[Predictions]) -> None:
    """Check that tables say something of the same clips and labels, as a comparison needs.

    Raises:
        PredictionError: they do not; the message names the first difference.
    """
    if not tables:
        raise PredictionError("no prediction table given")
    first = tables[0]
    for other in tables[1:]:
        if other.labels != first.labels:
            raise PredictionError("prediction tables of different label sets cannot be joined")
        if other.clip_ids != first.clip_ids:
            odd = sorted(set(other.clip_ids) ^ set(first.clip_ids))
            raise PredictionError(
                f"prediction tables of different clips cannot be joined: {odd[0]} is in one only"
            )
        if other.video_ids != first.video_ids or (other.truth != first.truth).any():
            raise PredictionError(
                "prediction tables disagree on the truth or the source videos; "
                "run the evaluate stage anew"
            )
