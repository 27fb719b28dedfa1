"""How a net is trained, in numbers: the recipe, its optimiser and its learning rate over time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from dancestyle.nets.base import VideoNet


@dataclass(frozen=True)
class Recipe:
    """How a net is trained.

    Attributes:
        seed: of the order, the draws of augmentation and dropout.
        epochs: passes over the training clips.
        batch_size: clips of a batch, of all processes together.
        lr: learning rate of the topmost stage, where the schedule is at its full height.
        optimiser: ``sgd``, ``adam`` or ``adamw``.
        schedule: ``constant``, ``multistep``, ``cosine`` or ``one_cycle``.
        weight_decay: of the optimiser.
        momentum: of SGD.
        nesterov: whether SGD's momentum looks ahead.
        head_multiplier: how many times as fast as the rest the head learns.
        layer_decay: the learning rate of a stage as a share of that of the stage above it; 1 for the
            same everywhere.
        label_smoothing: share of the target that is spread over all classes.
        balance: against unequal class sizes: ``none``; ``weights`` in the loss; ``sampling``, which
            draws the classes equally often.
        milestones: epochs after which ``multistep`` divides the learning rate by 10.
        warm_up: share of all steps in which ``cosine`` and ``one_cycle`` rise to the full learning
            rate.
        clip_gradient: largest norm of the gradient; 0 for any.
        accumulate: batches whose gradients are averaged into one step.
        patience: epochs without a better one after which training stops; None for never.
        ema: decay a step of a moving average of the weights, which then is what is validated and
            kept; None for none.
        unfreeze: ``(epoch, stage)``: from that epoch (from 1) on only the stages up to that one are
            frozen, ``none`` for no stage; the epochs rise and the stages fall.
        freeze_norm: BatchNorm statistics stay fixed in stages that ``unfreeze`` sets free.
        precision: ``auto``, ``fp32`` or ``bf16``.
    """

    seed: int
    epochs: int
    batch_size: int
    lr: float
    optimiser: str = "adamw"
    schedule: str = "one_cycle"
    weight_decay: float = 1e-4
    momentum: float = 0.9
    nesterov: bool = True
    head_multiplier: float = 1.0
    layer_decay: float = 1.0
    label_smoothing: float = 0.0
    balance: str = "none"
    milestones: tuple[int, ...] = ()
    warm_up: float = 0.2
    clip_gradient: float = 5.0
    accumulate: int = 1
    patience: int | None = None
    ema: float | None = None
    unfreeze: tuple[tuple[int, str], ...] = ()
    freeze_norm: bool = False
    precision: str = "auto"

    def frozen_at(self, epoch: int) -> str | None:
        """The stage up to which ``unfreeze`` leaves the net frozen in an epoch (from 1), if it says."""
        reached = [stage for start, stage in self.unfreeze if start <= epoch]
        return reached[-1] if reached else None


def _group_shares(net: nn.Module, recipe: Recipe) -> dict[str, float]:
    """The learning rate of every parameter as a share of the recipe's, topmost first."""
    shares = {name: recipe.head_multiplier if name.startswith("head.") else 1.0
              for name, _ in net.named_parameters()}  # fmt: skip
    if recipe.layer_decay != 1.0 and isinstance(net, VideoNet):
        for depth, (_, modules) in enumerate(reversed(net.stages)):
            for name in shares:
                if any(name == module or name.startswith(f"{module}.") for module in modules):
                    shares[name] = recipe.layer_decay**depth
    return shares


def make_optimiser(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD, Adam or AdamW over the parameters that are not frozen.

    The first group is the topmost stage of the body, at the recipe's learning rate; the head's own
    group is last.
    """
    shares = _group_shares(net, recipe)
    free = [(name, p) for name, p in net.named_parameters() if p.requires_grad]
    body = sorted({shares[n] for n, _ in free if not n.startswith("head.")}, reverse=True)
    groups: list[dict[str, Any]] = [
        {"params": params, "lr": recipe.lr * share}
        for share, of_head in [*((share, False) for share in body), (recipe.head_multiplier, True)]
        if (
            params := [
                p for n, p in free if n.startswith("head.") == of_head and shares[n] == share
            ]
        )
    ]
    # Fused passes over each parameter once, which on a CPU takes a quarter to a half of the time.
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(
            groups,
            momentum=recipe.momentum,
            nesterov=recipe.nesterov and recipe.momentum > 0,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimiser]
    return kind(groups, weight_decay=recipe.weight_decay, fused=True)


def clip_gradient(net: nn.Module, largest: float) -> None:
    """Scale the gradients of a net down to a norm of ``largest`` together, where it is above that.

    What ``torch.nn.utils.clip_grad_norm_`` does, to the bit, without multiplying all of them by 1
    where there is nothing to clip. A norm that is not a number goes into every gradient.
    """
    parameters = list(net.parameters())
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if not norm + 1e-6 <= largest:
        nn.utils.clip_grads_with_norm_(parameters, largest, norm)


def schedule_factor(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """The learning rate at a step as a share of the recipe's."""
    total = recipe.epochs * steps_per_epoch
    if recipe.schedule == "constant":
        return 1.0
    if recipe.schedule == "multistep":
        epoch = step // steps_per_epoch
        return 0.1 ** sum(epoch >= milestone for milestone in recipe.milestones)
    rising = recipe.warm_up * total
    if step < rising:
        share = (step + 1) / (rising + 1)
        # One cycle starts at a 25th and follows a cosine both ways (Smith 2018); the other is linear.
        if recipe.schedule == "one_cycle":
            return 0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * share))
        return share
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(total - rising, 1)))
