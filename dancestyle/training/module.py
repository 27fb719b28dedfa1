"""The Lightning module: loss, optimiser and schedule of every net that the project trains."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from dancestyle.seeds import derive


class TrainingError(RuntimeError):
    """Training that cannot go on; the message says at which step and what to change."""


@dataclass(frozen=True)
class Recipe:
    """How a net is trained.

    ``head_multiplier`` is how many times as fast as the rest the head learns; ``milestones`` are the
    epochs after which ``multistep`` divides the learning rate by 10; ``warm_up`` is the share of all
    steps in which ``cosine`` and ``one_cycle`` rise to the full learning rate.
    """

    seed: int
    epochs: int
    batch_size: int
    lr: float
    optimiser: str = "adamw"
    schedule: str = "one_cycle"
    weight_decay: float = 1e-4
    momentum: float = 0.9
    head_multiplier: float = 1.0
    label_smoothing: float = 0.0
    milestones: tuple[int, ...] = ()
    warm_up: float = 0.2
    clip_gradient: float = 5.0
    precision: str = "auto"


def make_optimiser(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum, Adam or AdamW over the parameters that are not frozen."""
    head = [p for n, p in net.named_parameters() if p.requires_grad and n.startswith("head.")]
    body = [p for n, p in net.named_parameters() if p.requires_grad and not n.startswith("head.")]
    groups: list[dict[str, Any]] = [
        {"params": params, "lr": recipe.lr * multiplier}
        for params, multiplier in ((body, 1.0), (head, recipe.head_multiplier))
        if params
    ]
    # Fused passes over each parameter once, which on a CPU takes a quarter to a half of the time.
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(
            groups,
            momentum=recipe.momentum,
            nesterov=True,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimiser]
    return kind(groups, weight_decay=recipe.weight_decay, fused=True)


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


class Classifier(pl.LightningModule):
    """Cross-entropy training of a net, with loss, top-1 and top-5 on the validation clips."""

    higher_is_better = True

    def __init__(self, net: nn.Module, num_classes: int, recipe: Recipe) -> None:
        super().__init__()
        self.net, self.recipe = net, recipe
        self.train_loss, self.val_loss = MeanMetric(), MeanMetric()
        self._set_metrics(num_classes)
        self.loss_now = math.nan

    def _set_metrics(self, num_classes: int) -> None:
        self.top1 = MulticlassAccuracy(num_classes, average="micro", top_k=1)
        self.top5 = MulticlassAccuracy(num_classes, average="micro", top_k=min(5, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """The net's output."""
        return self.net(x)

    def loss(self, outputs: Tensor, targets: Any, smoothing: float = 0.0) -> Tensor:
        """Mean over the batch, in float32."""
        return F.cross_entropy(outputs.float(), targets, label_smoothing=smoothing)

    def on_train_epoch_start(self) -> None:
        """Dropout's draws depend on seed and epoch only, so that a restart changes nothing."""
        torch.manual_seed(derive(self.recipe.seed, "epoch", self.current_epoch))
        self.train_loss.reset()

    def training_step(self, batch: tuple[Tensor, Any], index: int) -> Tensor:
        """The loss of a batch.

        Raises:
            TrainingError: the loss is not a number any more.
        """
        x, targets = batch
        loss = self.loss(self(x), targets, self.recipe.label_smoothing)
        self.loss_now = float(loss.detach())
        if not math.isfinite(self.loss_now):
            rate = self.trainer.optimizers[0].param_groups[0]["lr"]
            raise TrainingError(
                f"the loss became {self.loss_now} in step {index} of epoch {self.current_epoch + 1}"
                f" at a learning rate of {rate:.3g}; lower it. The best checkpoint so far is kept"
            )
        self.train_loss.update(loss.detach(), len(x))
        return loss

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradient's norm; Lightning's own way refuses fused optimisers.

        It does so because they may unscale float16 gradients, and bfloat16 has no scale.
        """
        if gradient_clip_val:
            nn.utils.clip_grad_norm_(self.net.parameters(), gradient_clip_val)

    def on_validation_epoch_start(self) -> None:
        """Start counting anew."""
        for metric in (self.val_loss, self.top1, self.top5):
            metric.reset()

    def validation_step(self, batch: tuple[Tensor, Any], index: int) -> None:
        """Count a batch of validation clips."""
        x, targets = batch
        outputs = self(x).float()
        self.val_loss.update(self.loss(outputs, targets), len(x))
        self.update_scores(outputs, targets)

    def update_scores(self, outputs: Tensor, targets: Any) -> None:
        """Count top-1 and top-5."""
        self.top1.update(outputs, targets)
        self.top5.update(outputs, targets)

    def scores(self) -> dict[str, float]:
        """The validation figures of the epoch."""
        return {
            "val_loss": float(self.val_loss.compute()),
            "val_top1": float(self.top1.compute()),
            "val_top5": float(self.top5.compute()),
        }

    def configure_optimizers(self) -> Any:
        """Optimiser and schedule of the recipe, stepped every batch."""
        optimiser = make_optimiser(self.net, self.recipe)
        steps = max(int(self.trainer.estimated_stepping_batches) // self.recipe.epochs, 1)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: schedule_factor(self.recipe, step, steps)
        )
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }
