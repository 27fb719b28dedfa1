"""What the training stages share: clips in, a trained net and its record out."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dancestyle import files, params
from dancestyle.clips import Clip
from dancestyle.nets.base import NativeInput
from dancestyle.params import Input, Machine
from dancestyle.training import data, machine, parallel
from dancestyle.training.data import FLOW_DIR, Augmentation, InputSpec
from dancestyle.training.fit import FitResult, Keys, OnEpoch, fit
from dancestyle.training.module import Classifier, TrainingError
from dancestyle.training.recipe import Recipe

HISTORY = ("epoch", "train_loss", "val_loss", "val_top1", "val_top5", "lr")


def input_spec(modality: str, size: Input, native: NativeInput) -> InputSpec:
    """The input of a net: sizes and the flow's scale from params, mean and std from the net."""
    return InputSpec(
        modality,
        size.frames,
        size.stride,
        size.size,
        native.mean,
        native.std,
        size.flow_bound,
    )


def keys_of(section: str, size: Input, resnet: bool = False, batch_size: str = "") -> Keys:
    """The keys that a section's training reads; ``batch_size`` where it is not the section's own.

    ``resnet`` says whether the net gets the ResNets' input, which may be the common one.
    """
    where = "input.resnet" if resnet and size.resnet is not None else "input"
    return Keys(
        batch_size or f"{section}.batch_size",
        f"{section}.loop.accumulate",
        (f"{where}.frames", f"{where}.size"),
    )


def clip_facts(clips: Sequence[Clip]) -> dict[str, Any]:
    """The frame rate and shorter side that all clips of a dataset share, for their model's file."""
    first = clips[0]
    return {"fps": first.fps, "short_side": min(first.width, first.height)}


def loop_options(loop: params.Loop) -> dict[str, Any]:
    """The part of a :class:`~dancestyle.training.recipe.Recipe` that every section has."""
    return loop.model_dump()


def augmentation_of(settings: params.Augmentation) -> Augmentation:
    """The random changes that a section of params asks for."""
    return Augmentation(**settings.model_dump())


LOADERS = 4
"""Loader processes of a training process beside a GPU where params leave it open."""


def loaders(settings: Machine, count: int) -> int:
    """Loader processes beside a GPU of one of ``count`` that share the machine."""
    own = max(machine.cores(settings.workers) // count, 1)
    return own if settings.workers else min(own, LOADERS)


def loader_workers(settings: Machine, clips: bool = True) -> int:
    """Loader processes of one training process.

    Beside a GPU its share of what params say, or up to ``LOADERS``. Where the cores train, a loader
    that takes one away from a step makes the others wait, so the training process reads ``clips``
    itself, on its threads between two steps; what is made in Python has half of the cores, up to
    ``LOADERS``.
    """
    world = parallel.local_world()
    if torch.cuda.is_available():
        return loaders(settings, world)
    return 0 if clips else min(max(machine.cores(settings.workers) // world // 2, 1), LOADERS)


def check_clips(train: Sequence[Clip], val: Sequence[Clip], where: str) -> None:
    """Refuse to train on nothing, and to train on clips that are validated on.

    Raises:
        TrainingError: naming the stage and what to change.
    """
    for name, key, clips in (("training", "train", train), ("validation", "val", val)):
        if len(clips) < 2:
            raise TrainingError(
                f"{where}: {len(clips)} {name} clips are too few; raise the share of split.{key} in "
                "params.yaml, or add videos"
            )
    both = {clip.clip_id for clip in train} & {clip.clip_id for clip in val}
    if both:
        raise TrainingError(f"{where}: {len(both)} clips are in both train and validation")


def train_classifier(
    net: nn.Module,
    num_classes: int,
    train: Sequence[Clip],
    val: Sequence[Clip],
    spec: InputSpec,
    recipe: Recipe,
    name: str,
    settings: Machine,
    limit: int | None = None,
    augmentation: Augmentation | None = None,
    on_epoch: OnEpoch | None = None,
    flow_dir: Path | str = FLOW_DIR,
    dvclive: bool = True,
    keys: Keys | None = None,
) -> FitResult:
    """Train a net on clips; it holds the best epoch's weights afterwards.

    As after :func:`~dancestyle.training.fit.fit`, the caller ends with :meth:`FitResult.finish`;
    :func:`write_record` does it.

    ``limit`` is the most training clips an epoch sees, drawn anew each epoch; ``dvclive`` says
    whether DVCLive follows the training, ``keys`` what to lower where memory runs out.
    """
    check_clips(train, val, name)
    augmentation = augmentation or Augmentation()
    seen, held = (data.shared_memory(part, spec.modality, flow_dir) for part in (train, val))
    for part in (seen, held):
        part.fill(name)
    workers = loader_workers(settings)
    snippets = data.TrainSnippets(train, spec, augmentation, recipe.seed, flow_dir, seen)
    middles = data.MiddleViews(val, spec, flow_dir, held)
    recipe = replace(recipe, precision=settings.precision)
    identity = (
        spec,
        augmentation,
        limit,
        [
            (clip.clip_id, clip.label_id, data.stored_size(clip, spec.modality, flow_dir))
            for clip in (*train, *val)
        ],
    )
    sampled = recipe.balance == "sampling"
    drawn = data.balanced_weights([clip.label_id for clip in train]) if sampled else None
    return fit(
        Classifier(net, num_classes, recipe, class_weights(train, num_classes, recipe)),
        data.train_loader(snippets, recipe.seed, recipe.batch_size, workers, limit, drawn),
        data.view_loader(middles, recipe.batch_size, workers),
        recipe,
        name,
        identity,
        on_epoch,
        dvclive=dvclive,
        keys=keys or Keys(),
    )


def class_weights(clips: Sequence[Clip], num_classes: int, recipe: Recipe) -> Tensor | None:
    """What the loss of each class is multiplied with, where the recipe balances it so."""
    if recipe.balance != "weights":
        return None
    weights = torch.ones(num_classes)
    labels = [clip.label_id for clip in clips]
    for label, weight in zip(labels, data.balanced_weights(labels), strict=True):
        weights[label] = weight
    return weights


def history_csv(history: Sequence[dict[str, float]], columns: Sequence[str] = HISTORY) -> str:
    """A row an epoch, six significant digits, for DVC to plot."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in history:
        writer.writerow([int(row[c]) if c == "epoch" else f"{row[c]:.6g}" for c in columns])
    return text.getvalue()


def write_record(
    result: FitResult, metrics: Path | str, plots: Path | str, **facts: object
) -> None:
    """The best epoch's figures as metrics, all epochs as a plot; by the first process only.

    A stage writes this last: the training is then finished, and what ``fit`` kept of it goes.
    """
    if not parallel.is_main():
        return
    columns = [column for column in result.history[0]]
    best = {
        key: round(value, 4) for key, value in result.best.items() if key not in ("epoch", "lr")
    }
    files.write_json(
        metrics, {**facts, "epochs": len(result.history), "best_epoch": result.best_epoch, **best}
    )
    files.write_text(plots, history_csv(result.history, columns))
    result.finish()
