"""Optuna's pictures of a study, each beside the table that it is drawn from.

``history``: the trials and the best so far; ``importance``: how much of the trials' differences each
hyperparameter explains (fANOVA); ``slice``: top-1 over each hyperparameter.
"""

from __future__ import annotations

import csv
import io
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import optuna
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from dancestyle import files
from dancestyle.tuning_results import copy_study, hyperparameters

matplotlib.use("Agg")
TARGET = "validation top-1"
MOST_NUMBERS = 3


def write_plots(study: optuna.Study, folder: Path, seed: int) -> None:
    """``history``, ``importance`` and ``slice``, each as CSV and PNG."""
    study = copy_study(study)
    shares = importances(study, seed)
    _write_csv(folder / "history.csv", ("trial", "val_top1", "best_so_far"), _history(study))
    _write_csv(folder / "importance.csv", ("hyperparameter", "importance"), list(shares.items()))
    _write_csv(
        folder / "slice.csv", ("trial", "hyperparameter", "value", "val_top1"), _slices(study)
    )
    draw = optuna.visualization.matplotlib
    with warnings.catch_warnings(), matplotlib.style.context("default"):
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        _save(folder / "history.png", draw.plot_optimization_history(study, target_name=TARGET))
        slices = draw.plot_slice(study, target_name=TARGET)
        _number_sparsely(slices)
        _save(folder / "slice.png", slices)
        if shares:
            axes: Any = draw.plot_param_importances(
                study, evaluator=_evaluator(seed), target_name=TARGET
            )
        else:
            axes = _nothing("the trials do not differ, or are too few")
        _save(folder / "importance.png", axes)


def importances(study: optuna.Study, seed: int) -> dict[str, float]:
    """Shares of each hyperparameter, largest first; none where trials are too few or all alike."""
    values = {trial.value for trial in study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))}
    if len(values) < 2:
        return {}
    found = optuna.importance.get_param_importances(study, evaluator=_evaluator(seed))
    return {key: round(float(value), 4) for key, value in found.items()}


def _evaluator(seed: int) -> optuna.importance.FanovaImportanceEvaluator:
    return optuna.importance.FanovaImportanceEvaluator(seed=seed % 2**32)


def _history(study: optuna.Study) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    best = 0.0
    for trial in study.get_trials():
        value = trial.value or 0.0
        if trial.state == optuna.trial.TrialState.COMPLETE:
            best = max(best, value)
        rows.append((trial.number, f"{value:.6g}", f"{best:.6g}"))
    return rows


def _slices(study: optuna.Study) -> list[tuple[object, ...]]:
    return [
        (trial.number, key, value, f"{trial.value or 0.0:.6g}")
        for trial in study.get_trials()
        for key, value in hyperparameters(trial).items()
    ]


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([columns, *rows])
    files.write_text(path, text.getvalue())


def _nothing(why: str) -> Any:
    axes = Figure().add_subplot()
    axes.text(0.5, 0.5, why, ha="center")
    axes.set_axis_off()
    return axes


def _number_sparsely(panels: Any) -> None:
    """At most three numbers on a logarithmic axis: Matplotlib's own run into each other in panels."""
    for panel in np.ravel(panels):
        if panel.get_xscale() != "log":
            continue
        low, high = panel.get_xlim()
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = [float(f"{digit}e{decade}") for decade in decades for digit in (1, 2, 5)]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) > MOST_NUMBERS:
            ticks = [tick for tick in ticks if math.log10(tick).is_integer()]
        panel.set_xticks(ticks[:: -(-len(ticks) // MOST_NUMBERS)] if ticks else [low, high])
        panel.xaxis.set_major_formatter(StrMethodFormatter("{x:.2g}"))
        panel.xaxis.set_minor_formatter(NullFormatter())
        if not ticks:  # the numbers are the ends: inside, clear of the next panel
            for number, side in zip(panel.get_xticklabels(), ("left", "right"), strict=True):
                number.set_horizontalalignment(side)


def _save(path: Path, axes: Any) -> None:
    """Write the figure that Optuna's axes belong to; the same bytes for the same study."""
    import matplotlib.pyplot as plt

    figure = np.ravel(axes)[0].figure
    with files.atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=100, metadata={"Software": None})
    plt.close("all")
