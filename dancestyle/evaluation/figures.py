"""Pictures as bytes: the confusion matrix and curves over epochs.

The same numbers give the same bytes: no date, no version and no random ids in the files, and a
font that matplotlib brings along.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from html import escape
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "svg.hashsalt": "dancestyle",
    "svg.fonttype": "path",
    "axes.spines.top": False,
    "axes.spines.right": False,
}

COLOURS = ("#1b87c9", "#d55e00", "#009e73", "#cc79a7")
"""Of curves: apart from each other for every kind of colour vision (after Okabe and Ito, 2008)."""

COLOUR_MAP = "cividis_r"
"""Of the matrix: even in lightness, and the same to the colour-blind (Nuñez et al., 2018)."""

EMPTY = "#f1f2f4"
"""Of cells that hold nothing, so that even a single mistake stands out."""

DPI = 120
NUMBERS_UP_TO = 32
"""Most labels for which the cells of the matrix carry their numbers."""

INK = "#0a0b0c"
"""Stands for the page's text colour in :func:`inline_svg`."""


_INLINE: dict[str, Any] = {
    key: INK
    for key in ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
} | {"axes.facecolor": "none"}


def _style(more: dict[str, Any] | None = None) -> AbstractContextManager[None]:
    """Matplotlib's own defaults with :data:`STYLE`, whatever the user's matplotlibrc says."""
    settings: Any = {**matplotlib.rcParamsDefault, **STYLE, **(more or {})}
    settings.pop("backend")
    return matplotlib.rc_context(settings)


def confusion_matrix(
    values: npt.NDArray[Any], labels: Sequence[str], title: str, *, shares: bool
) -> Figure:
    """The matrix as a figure that grows with the number of labels.

    Args:
        values: (K, K), rows are the truth: counts, or shares of a row.
        shares: values are shares, shown as percent.
    """
    count = len(labels)
    numbers = count <= NUMBERS_UP_TO
    cell = 0.36 if numbers else 0.2  # inches
    font = 8.0 if numbers else 6.5
    longest = max(len(label) for label in labels) * font * 0.0086
    with _style():
        side = max(cell * count, 2.0)
        figure = Figure(figsize=(side + longest + 1.3, side + longest + 0.9), layout="constrained")
        axes = figure.add_subplot()
        top = 1.0 if shares else max(float(values.max()), 1.0)
        colours = matplotlib.colormaps[COLOUR_MAP].with_extremes(bad=EMPTY)
        image = axes.imshow(
            np.ma.masked_equal(values, 0), cmap=colours, vmin=0, vmax=top, interpolation="nearest"
        )
        axes.set_xticks(range(count), labels, rotation=90, fontsize=font)
        axes.set_yticks(range(count), labels, fontsize=font)
        axes.set_xlabel("predicted", fontsize=font + 1.5)
        axes.set_ylabel("actual", fontsize=font + 1.5)
        axes.set_title(title, fontsize=font + 3, loc="left", pad=10)
        # Thin white lines between the cells, to follow a row or column.
        axes.set_xticks(np.arange(count + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(count + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="white", linewidth=0.8 if numbers else 0.4)
        axes.tick_params(which="both", length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        if numbers:
            for row, column in zip(*np.nonzero(values), strict=True):
                value = values[row, column]
                axes.text(
                    column,
                    row,
                    f"{100 * value:.0f}" if shares else f"{value:d}",
                    ha="center",
                    va="center",
                    fontsize=font - 0.5,
                    color="white" if value > 0.5 * top else "#222222",
                )
        bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02, aspect=30)
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=font, length=0)
        if shares:
            bar.set_ticks([0, 0.25, 0.5, 0.75, 1], labels=["0 %", "25 %", "50 %", "75 %", "100 %"])
        else:
            bar.locator = MaxNLocator(integer=True, nbins=6)
            bar.update_ticks()
            bar.set_label("clips", fontsize=font)
    return figure


def curves(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    first_epoch: int = 1,
    columns: int = 2,
    unit: str = "loss",
) -> Figure:
    """Lines over epochs, one panel a name: ``{panel: {line: one value an epoch}}``."""
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    with _style(_INLINE):
        width, height = 3.6 * columns, 2.5 * rows  # inches
        figure = Figure(figsize=(width, height))
        grid = figure.subplots(rows, columns, squeeze=False)
        figure.subplots_adjust(  # margins of each panel; measuring the text would take longer
            left=0.6 / width,
            right=1 - 0.1 / width,
            bottom=0.5 / height,
            top=1 - 0.3 / height,
            wspace=0.7 / 2.9,
            hspace=0.8 / 1.7,
        )
        for axes, (name, lines) in zip(grid.flat, panels.items(), strict=False):
            for number, (line, values) in enumerate(lines.items()):
                epochs = range(first_epoch, first_epoch + len(values))
                axes.plot(
                    epochs,
                    values,
                    label=line,
                    color=COLOURS[number % len(COLOURS)],
                    linestyle=("-", "--", "-.", ":")[number % 4],
                    marker="o",
                    markersize=3,
                )
            axes.set_title(name, fontsize=10, loc="left")
            axes.set_xlabel("epoch")
            axes.set_ylabel(unit)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(alpha=0.25, linewidth=0.6, color=INK)
            axes.legend(frameon=False, fontsize=8)
        for axes in list(grid.flat)[len(panels) :]:
            axes.remove()
    return figure


def png(figure: Figure) -> bytes:
    """The figure as PNG on white."""
    content = io.BytesIO()
    with _style():
        figure.savefig(
            content, format="png", dpi=DPI, facecolor="white", metadata={"Software": None}
        )
    return content.getvalue()


def svg(figure: Figure, *, transparent: bool = False) -> bytes:
    """The figure as SVG, on white unless ``transparent``."""
    content = io.BytesIO()
    with _style():
        figure.savefig(
            content,
            format="svg",
            facecolor="none" if transparent else "white",
            metadata={"Date": None, "Creator": None},
        )
    return content.getvalue()


def inline_svg(figure: Figure, label: str) -> str:
    """The figure as SVG to stand in a page, its ink in the page's own text colour.

    Args:
        label: what is to be seen, for readers who do not see it.
    """
    text = svg(figure, transparent=True).decode()
    text = text[text.index("<svg") :]
    text = text.replace(INK, "currentColor")
    head = re.sub(r' (width|height|version|xmlns(:\w+)?)="[^"]*"', "", text[: text.index(">")])
    text = head + text[text.index(">") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    # Several figures stand in one page: group names would clash, the hashed ids do not.
    text = re.sub(r'<g id="[^"]*">', "<g>", text)
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)
