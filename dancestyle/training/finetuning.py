"""Fine-tuning of the general-action nets: lower layers frozen, a new head (the study's step 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dancestyle.clips import Clip
from dancestyle.params import Finetune, FinetuneRun, Input, Machine
from dancestyle.training.checkpoints import ModelMeta, load_model, save_model
from dancestyle.training.fit import FitResult
from dancestyle.training.module import Recipe
from dancestyle.training.pretraining import hold_out
from dancestyle.training.tasks import clip_facts, input_spec, train_classifier


def run_recipe(params: Finetune, run: FinetuneRun, best: Mapping[str, Any]) -> Recipe:
    """The recipe of a run.

    ``scheduled`` starts at ``scheduled_lr`` and falls to a tenth at each milestone; ``optimal`` keeps
    what tuning found for the I3D, as the study does.
    """
    if run.schedule == "scheduled":
        return Recipe(
            seed=params.seed,
            epochs=run.epochs,
            batch_size=params.batch_size,
            lr=params.scheduled_lr,
            optimiser=params.scheduled_optimiser,
            schedule="multistep",
            milestones=tuple(params.scheduled_milestones),
        )
    return Recipe(
        seed=params.seed,
        epochs=run.epochs,
        batch_size=params.batch_size,
        lr=best["lr"],
        optimiser=best["optimiser"],
        schedule="constant",
    )


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
    """
    model = load_model(pretrained)
    net = model.net
    net.reset_head(len(labels))
    net.freeze(net.stages_up_to(run.freeze), norm=params.freeze_norm)
    spec = input_spec(model.meta.modality, size, net.native)
    train, val = hold_out(clips, params.seed)
    recipe = run_recipe(params, run, best)
    result = train_classifier(net, len(labels), train, val, spec, recipe, name, settings)
    meta = ModelMeta(model.meta.net, tuple(labels), spec, model.meta.options, **clip_facts(clips))
    save_model(out, net, meta)
    return result
