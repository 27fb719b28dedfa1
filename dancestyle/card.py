"""A model's card: what it was trained on, how well it does, and what it is not fit for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from dancestyle.evaluation import tables
from dancestyle.evaluation.names import FINETUNED, STREAMS, model_name
from dancestyle.training.checkpoints import LoadedModel

WEAKEST = 5
"""Styles that are named as the least recognised."""


def evaluated_name(path: Path) -> str:
    """The name under which the evaluation knows a model file.

    >>> evaluated_name(Path("models/i3d_rgb.ckpt")), evaluated_name(Path("models/finetune/a.ckpt"))
    ('i3d_rgb', 'finetune_a')
    """
    return FINETUNED + path.stem if path.parent.name == "finetune" else path.stem


def card(
    model: LoadedModel,
    path: Path,
    written: Sequence[tuple[str, str]] = (),
    root: Path | str = ".",
) -> str:
    """The card as Markdown.

    Args:
        model: the content of ``path``.
        written: exported files and what is said of each.
        root: the project, whose ``metrics/`` and ``params.yaml`` tell of data and results; what is
            not there is said not to be known.
    """
    root = Path(root)
    meta, spec = model.meta, model.meta.input
    parts = [
        f"# {model_name(evaluated_name(path))}",
        f"{meta.net}, {spec.modality}, {len(meta.labels)} styles. From `{path.name}`, SHA-256 "
        f"`{hashlib.sha256(path.read_bytes()).hexdigest()}`.",
    ]
    if written:
        parts += ["## Files", "\n".join(f"- `{name}`: {what}" for name, what in written)]
    parts += [
        "## Classes",
        "In the order of the logits: " + ", ".join(meta.labels) + ".",
        "## Input",
        _input(model),
        "## Data",
        _data(root),
        "## Metrics",
        *_metrics(root, evaluated_name(path)),
        "## Limits",
        _limits(root, evaluated_name(path)),
    ]
    return "\n\n".join(parts) + "\n"


def _input(model: LoadedModel) -> str:
    meta, spec = model.meta, model.meta.input
    side = f"{meta.short_side} pixels on the shorter side" if meta.short_side else "any size"
    lines = [
        f"- `views`: float32 (views, {spec.channels}, {spec.frames}, {spec.size}, {spec.size}); "
        f"`logits`: float32 (views, {len(meta.labels)}).",
        f"- A video at {meta.fps:g} frames a second, {side}; {spec.frames} frames, every "
        f"{spec.stride}{_ordinal(spec.stride)} of them; the middle square of {100 * spec.crop:g} % of "
        f"the shorter side, resized to {spec.size} by {spec.size}.",
    ]
    if spec.modality == "rgb":
        lines.append(
            f"- RGB: (grey level - mean) / std, mean {_numbers(spec.mean)}, std {_numbers(spec.std)}."
        )
    else:
        method = meta.flow.get("method", "unknown")
        lines.append(
            f"- Optical flow (x, y) by {method}, in pixels of the resized square from one frame to the "
            f"next, its mean over the {spec.stride} frames up to the next sampled one; cut at "
            f"{spec.bound:g} and divided by it."
        )
    lines.append("- Average the softmax of several views spread over a video.")
    return "\n".join(lines)


def _data(root: Path) -> str:
    dataset, split = _json(root, "dataset"), _json(root, "split")
    if not dataset or not split:
        return "Not known here: `metrics/dataset.json` and `metrics/split.json` are not there."
    sources = ", ".join(dataset.get("sources", {}))
    text = (
        f"{dataset['clips']} clips of {dataset['videos']} source videos ({sources}); "
        f"{split['clips']['train']} to train on, {split['clips']['val']} to choose by, "
        f"{split['clips']['test']} to test on."
    )
    if not split.get("leaking_videos"):
        text += " No source video is in two of these."
    if drawn(root):
        text += (
            " **The videos are the sample's: drawn figures, not people.** What is learnt of them says "
            "nothing of real dancing."
        )
    return text


def drawn(root: Path) -> bool:
    """Whether the project's clips are those of the sample world."""
    try:
        content = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
        return "data/sample/" in json.dumps(content["build_dataset"]["sources"])
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return False


def _metrics(root: Path, name: str) -> list[str]:
    scores = _json(root, "evaluate").get(name)
    about = _json(root, "evaluate_details").get("models", {}).get(name, {})
    if not scores:
        return [f"Not known here: `metrics/evaluate.json` has no `{name}`."]
    shown = (("top1", "top-1"), ("top5", "top-5"), ("mean_class_accuracy", "mean per class"),
             ("macro_f1", "macro F1"), ("ece", "calibration error"))  # fmt: skip
    rows = ["| metric | value | 95 % |", "| --- | ---: | ---: |"]
    for key, title in shown:
        interval = tables.percent_range(about.get("intervals", {}).get(key))
        rows.append(f"| {title} | {tables.percent(scores[key])} | {interval} |")
    rows.append(f"| log loss | {scores['nll']:.3f} | |")
    return [
        f"On {scores['clips']} test clips, as `dvc repro` last found them. Intervals resample source "
        "videos.",
        "\n".join(rows),
    ]


def _limits(root: Path, name: str) -> str:
    lines = [
        "- It always names one of its styles, also for a video without any dance.",
        "- A dance that is none of its styles gets the name of the one that looks most like it.",
        "- It sees one movement at a time: several dancers of different styles count as one picture.",
    ]
    labels: Mapping[str, Any] = (
        _json(root, "evaluate_details").get("models", {}).get(name, {}).get("labels", {})
    )
    tested = [(row["recall"], label) for label, row in labels.items() if row["clips"]]
    if tested:
        worst = ", ".join(
            f"{label} ({tables.percent(recall)})" for recall, label in sorted(tested)[:WEAKEST]
        )
        lines.append(f"- Least recognised, by the share of their test clips: {worst}.")
    if name in STREAMS:
        lines.append("- One stream of two: both together are meant to be used.")
    return "\n".join(lines)


def _json(root: Path, name: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(
            (root / "metrics" / f"{name}.json").read_text(encoding="utf-8")
        )
    except (OSError, ValueError):
        return {}
    return content


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _ordinal(number: int) -> str:
    return {1: "st", 2: "nd", 3: "rd"}.get(number, "th")
