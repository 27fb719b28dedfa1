"""Pictures of a dataset: how many clips a style has, and what the styles look like."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dancestyle import files
from dancestyle.clips import Clip
from dancestyle.video.reader import ClipReader

matplotlib.use("Agg")

MAX_SHEET_BYTES = 200_000
_TILE = (160, 120)  # width, height in pixels
_CAPTION = 18  # pixels


def write_class_balance(path: Path | str, clips: Sequence[Clip], labels: Sequence[str]) -> None:
    """A row for each label and source: ``label,source,clips``."""
    sources = sorted({clip.source for clip in clips})
    counts = Counter((clip.label, clip.source) for clip in clips)
    rows = [f"{_cell(label)},{s},{counts[label, s]}" for label in labels for s in sources]
    files.write_text(path, "\n".join(["label,source,clips", *rows]) + "\n")


def _cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n\r') else text


def draw_class_balance(path: Path | str, clips: Sequence[Clip], labels: Sequence[str]) -> None:
    """The same as horizontal bars, one colour a source."""
    from matplotlib.figure import Figure

    sources = sorted({clip.source for clip in clips})
    counts = Counter((clip.label, clip.source) for clip in clips)
    figure = Figure(figsize=(7, 1.2 + 0.25 * len(labels)), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    left = np.zeros(len(labels))
    for source in sources:
        widths = np.array([counts[label, source] for label in labels])
        axes.barh(range(len(labels)), widths, left=left, label=source)
        left += widths
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlabel("clips")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False)
    with files.atomic_path(path) as temporary:
        figure.savefig(temporary, metadata={"Software": None})


def draw_contact_sheet(
    path: Path | str, clips: Sequence[Clip], labels: Sequence[str], columns: int = 5
) -> None:
    """The middle frame of one clip of every label, with its name; a JPEG below 200 kB."""
    first: dict[str, Clip] = {}
    for clip in clips:
        first.setdefault(clip.label, clip)
    width, height = _TILE
    rows = -(-len(labels) // columns)
    sheet = Image.new("RGB", (columns * width, rows * (height + _CAPTION)), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(12)
    for place, label in enumerate(labels):
        x, y = place % columns * width, place // columns * (height + _CAPTION)
        if label in first:
            with ClipReader(first[label].path) as clip_reader:
                frame = clip_reader.read([clip_reader.frames // 2])[0]
            sheet.paste(_fitted(frame), (x, y))
        draw.text((x + width / 2, y + height + 2), label, "black", font, anchor="ma")
    content = b""
    for quality in (90, 80, 70, 60, 50, 40, 30, 20):
        buffer = io.BytesIO()
        sheet.save(buffer, "JPEG", quality=quality)
        content = buffer.getvalue()
        if len(content) < MAX_SHEET_BYTES:
            break
    files.write_bytes(path, content)


def _fitted(frame: np.ndarray) -> Image.Image:
    """A frame (H, W, 3) as a tile, its middle part if the shapes differ."""
    from PIL import ImageOps

    return ImageOps.fit(Image.fromarray(frame), _TILE, Image.Resampling.BILINEAR)
