"""The two streams of the study's I3D, and the hyperparameters that tuning found for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml

from dancestyle import nets
from dancestyle.clips import Clip
from dancestyle.nets import checkpoints
from dancestyle.nets.base import VideoNet
from dancestyle.nets.inflate import inflate
from dancestyle.params import Input, Machine, Train
from dancestyle.seeds import derive
from dancestyle.training.checkpoints import ModelMeta, read_weights, save_model
from dancestyle.training.data import CHANNELS, Augmentation
from dancestyle.training.fit import FitResult
from dancestyle.training.module import TrainingError
from dancestyle.training.recipe import Recipe
from dancestyle.training.tasks import (
    augmentation_of,
    clip_facts,
    input_spec,
    keys_of,
    loop_options,
    train_classifier,
)

NET = "i3d_inception"

# What tuning may find besides these three: options of the recipe, and of the augmentation.
FOUND = ("lr", "dropout", "optimiser")
OF_RECIPE = (
    "weight_decay",
    "batch_size",
    "label_smoothing",
    "head_multiplier",
    "schedule",
    "momentum",
    "warm_up",
    "clip_gradient",
)
OF_AUGMENTATION = ("smallest_crop", "mirror", "jitter", "saturation", "noise")
TUNED_BATCH = "tune.space.batch_size"  # the key of params.yaml that such a batch size comes from


def read_best(path: Path | str) -> dict[str, Any]:
    """The hyperparameters that ``tune`` wrote: lr, dropout, optimiser, and what else it searched.

    Raises:
        TrainingError: the file is missing or lacks one of them.
    """
    try:
        best = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        more = [key for key in (*OF_RECIPE, *OF_AUGMENTATION) if key in best]
        return {key: best[key] for key in (*FOUND, *more)}
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise TrainingError(f"{path}: not what the tune stage writes ({error}); run it") from None


def stream_net(
    modality: str, num_classes: int, weights_2d: Path | str, params: Train, dropout: float
) -> VideoNet:
    """The Inception-v1 I3D of a stream, where its training starts; ``train.seed`` draws the rest.

    It is inflated from 2D weights, or begins with the published weights of a 3D net that
    ``train.checkpoints`` names for the stream, whose head is replaced.

    Raises:
        WeightsError, DownloadError, CheckpointError: the weights cannot be had or do not fit.
    """
    torch.manual_seed(derive(params.seed, "net"))
    net = nets.create(NET, num_classes, in_channels=CHANNELS[modality], dropout=dropout)
    published = getattr(params.checkpoints, modality)
    if published is None:
        inflate(net, read_weights(weights_2d)["state_dict"], params.inflation)
    else:
        report = checkpoints.load(net, checkpoints.find(published))
        print(f"i3d_{modality}: {report}", flush=True)
    # Statistics of images say nothing of flow, so there the norm learns its own.
    net.freeze((), norm=params.freeze_norm and modality == "rgb")
    return net


def stream_recipe(params: Train, best: Mapping[str, Any], epochs: int, batch_size: int) -> Recipe:
    """The recipe of a stream with the given learning rate and optimiser, and what else was found."""
    recipe = Recipe(
        seed=params.seed,
        epochs=epochs,
        batch_size=batch_size,
        lr=best["lr"],
        optimiser=best["optimiser"],
        schedule=params.schedule,
        weight_decay=params.weight_decay,
        head_multiplier=params.head_multiplier,
        label_smoothing=params.label_smoothing,
        milestones=tuple(params.milestones),
        **loop_options(params.loop),
    )
    return replace(recipe, **{key: best[key] for key in OF_RECIPE if key in best})


def stream_augmentation(params: Train, best: Mapping[str, Any]) -> Augmentation:
    """The random changes that params ask for, those that were tuned in their place."""
    found = {key: best[key] for key in OF_AUGMENTATION if key in best}
    return replace(augmentation_of(params.augmentation), **found)


def train_stream(
    modality: str,
    train: Sequence[Clip],
    val: Sequence[Clip],
    labels: Sequence[str],
    weights_2d: Path | str,
    best: Mapping[str, Any],
    params: Train,
    size: Input,
    settings: Machine,
    out: Path | str,
    flow: Mapping[str, Any] | None = None,
) -> FitResult:
    """Train one stream and write its model file.

    ``flow`` says how the flow of the clips was computed (``method``, ``options``, ``short_side``);
    it is kept in the flow stream's file, so that the flow of another video can be computed alike.
    """
    net = stream_net(modality, len(labels), weights_2d, params, best["dropout"])
    spec = input_spec(modality, size, net.native)
    epochs = (params.flow_epochs if modality == "flow" else None) or params.epochs
    recipe = stream_recipe(params, best, epochs, params.batch_size)
    result = train_classifier(
        net,
        len(labels),
        train,
        val,
        spec,
        recipe,
        f"i3d_{modality}",
        settings,
        augmentation=stream_augmentation(params, best),
        keys=keys_of("train", size, batch_size=TUNED_BATCH if "batch_size" in best else ""),
    )
    about = clip_facts(train)
    if modality == "flow":
        about["flow"] = dict(flow or {})
    save_model(out, net, ModelMeta(NET, tuple(labels), spec, **about))
    return result
