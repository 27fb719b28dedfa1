"""Fine-tuning of the general-action nets: lower layers frozen, a new head (the study's step 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from dancestyle.clips import Clip
from dancestyle.params import Finetune, FinetuneRun, Input, Machine
from dancestyle.seeds import derive
from dancestyle.training.checkpoints import ModelMeta, load_model, save_model
from dancestyle.training.fit import FitResult
from dancestyle.training.module import TrainingError
from dancestyle.training.pretraining import hold_out
from dancestyle.training.recipe import Recipe
from dancestyle.training.tasks import (
    augmentation_of,
    clip_facts,
    input_spec,
    keys_of,
    loop_options,
    train_classifier,
)

# What a run with ``optimal`` takes from tuning, where tuning has searched for it.
FROM_TUNING = ("weight_decay", "label_smoothing", "momentum", "clip_gradient")


def run_recipe(
    params: Finetune, run: FinetuneRun, best: Mapping[str, Any], stages: Sequence[str]
) -> Recipe:
    """The recipe of a run of a net with the given stages, lowest first.

    ``scheduled`` starts at ``scheduled_lr`` and falls to a tenth at each milestone; ``optimal`` keeps
    what tuning found for the I3D, as the study does. The dropout that it found is no part of a recipe:
    :func:`finetune` gives it to the net.
    """
    recipe = Recipe(
        seed=params.seed,
        epochs=run.epochs,
        batch_size=params.batch_size,
        lr=params.scheduled_lr,
        optimiser=params.scheduled_optimiser,
        schedule="multistep",
        milestones=tuple(params.scheduled_milestones),
        weight_decay=params.weight_decay,
        label_smoothing=params.label_smoothing,
        head_multiplier=params.head_multiplier,
        layer_decay=run.layer_decay,
        unfreeze=unfreezing(run, stages),
        freeze_norm=params.freeze_norm,
        **loop_options(params.loop),
    )
    if run.schedule == "scheduled":
        return recipe
    found = {key: best[key] for key in FROM_TUNING if key in best}
    return replace(
        recipe,
        lr=best["lr"],
        optimiser=best["optimiser"],
        schedule="constant",
        milestones=(),
        **found,
    )


def unfreezing(run: FinetuneRun, stages: Sequence[str]) -> tuple[tuple[int, str], ...]:
    """What ``freeze`` and ``unfreeze`` of a run say, as :attr:`Recipe.unfreeze`; () for no change.

    Raises:
        TrainingError: a stage is none of the net's, or a later one freezes more than an earlier.
    """
    steps = [(1, run.freeze), *sorted(run.unfreeze.items())]
    known = ["none", *stages]
    for epoch, stage in steps:
        if stage not in known:
            raise TrainingError(
                f"params.yaml: finetune: net {run.net} has no stage '{stage}' to freeze up to in "
                f"epoch {epoch}; its stages are: {', '.join(known)}"
            )
    heights = [known.index(stage) for _, stage in steps]
    if run.unfreeze and (heights != sorted(heights, reverse=True) or min(run.unfreeze) < 2):
        raise TrainingError(
            "params.yaml: finetune: unfreeze must name epochs from 2 on, and stages that fall from "
            f"freeze on; found {', '.join(f'{stage} in epoch {epoch}' for epoch, stage in steps)}"
        )
    return tuple(steps) if run.unfreeze else ()


def finetune(
    name: str,
    run: FinetuneRun,
    clips: Sequence[Clip],
    labels: Sequence[str],
    pretrained: Path | str,
    best: Mapping[str, Any],
    params: Finetune,
    size: Input,
    settings: Machine,
    out: Path | str,
) -> FitResult:
    """Fine-tune one net on a subset's training clips and write its model file.

    About 15 % of the clips, whole videos, are held out of it to choose the best epoch by; the
    subset's test clips are not touched.

    Raises:
        TrainingError: the run freezes what the net does not have; or as in
            :func:`~dancestyle.training.fit.fit`.
    """
    model = load_model(pretrained)
    net = model.net
    recipe = run_recipe(params, run, best, net.stage_names())
    torch.manual_seed(derive(params.seed, "head", name))
    net.reset_head(len(labels))
    if run.schedule == "optimal":
        net.dropout.p = best["dropout"]
    net.freeze(net.stages_up_to(run.freeze), norm=params.freeze_norm)
    seen = model.meta.input
    spec = replace(input_spec(model.meta.modality, size, net.native), mean=seen.mean, std=seen.std)
    train, val = hold_out(clips, params.seed)
    result = train_classifier(
        net,
        len(labels),
        train,
        val,
        spec,
        recipe,
        name,
        settings,
        augmentation=augmentation_of(params.augmentation),
        keys=keys_of("finetune", size, resnet=True),
    )
    meta = ModelMeta(model.meta.net, tuple(labels), spec, model.meta.options, **clip_facts(clips))
    save_model(out, net, meta)
    return result
