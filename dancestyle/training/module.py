"""The Lightning module: loss, scores and optimiser of every net that the project trains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from dancestyle.nets.base import VideoNet
from dancestyle.seeds import derive
from dancestyle.training import parallel
from dancestyle.training.recipe import Recipe, clip_gradient, make_optimiser, schedule_factor


class TrainingError(RuntimeError):
    """Training that cannot go on; the message says at which step and what to change."""


class NotANumberError(TrainingError):
    """The loss or the weights are not finite any more; ``history`` has the epochs before."""

    def __init__(self, message: str, history: Sequence[dict[str, float]] = ()) -> None:
        super().__init__(message)
        self.history = list(history)


class Classifier(pl.LightningModule):
    """Cross-entropy training of a net, with loss, top-1 and top-5 on the validation clips.

    ``class_weights`` (num_classes,) multiply the training loss of each clip.
    """

    # With fewer validation clips than processes, some have none.
    allow_zero_length_dataloader_with_multiple_devices = True

    def __init__(
        self,
        net: nn.Module,
        num_classes: int,
        recipe: Recipe,
        class_weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.net, self.recipe = net, recipe
        self.average: AveragedModel | None = None
        if recipe.ema is not None:
            how = get_ema_multi_avg_fn(recipe.ema)
            self.average = AveragedModel(net, multi_avg_fn=how, use_buffers=True)
            self.average.requires_grad_(False)
        self.class_weights: Tensor | None
        self.register_buffer("class_weights", class_weights)
        self.train_loss, self.val_loss = MeanMetric(), MeanMetric()
        self._set_metrics(num_classes)
        self.batch_shape: tuple[int, ...] = ()
        self.frozen: list[nn.Parameter] = []

    def _set_metrics(self, num_classes: int) -> None:
        self.top1 = MulticlassAccuracy(num_classes, average="micro", top_k=1)
        self.top5 = MulticlassAccuracy(num_classes, average="micro", top_k=min(5, num_classes))

    @property
    def kept(self) -> nn.Module:
        """The net whose weights are validated and kept: the moving average, where there is one."""
        return self.net if self.average is None else self.average.module

    def forward(self, x: Tensor) -> Tensor:
        """The net's output."""
        return self.net(x)

    def loss(self, outputs: Tensor, targets: Any, smoothing: float = 0.0) -> Tensor:
        """Mean over the batch, in float32."""
        return F.cross_entropy(outputs.float(), targets, label_smoothing=smoothing)

    def _training_loss(self, outputs: Tensor, targets: Any) -> Tensor:
        smoothing = self.recipe.label_smoothing
        if self.class_weights is None:
            return self.loss(outputs, targets, smoothing)
        each = F.cross_entropy(
            outputs.float(), targets, reduction="none", label_smoothing=smoothing
        )
        return (each * self.class_weights[targets]).mean()

    def on_train_epoch_start(self) -> None:
        """Dropout's draws depend on seed and epoch only, so that a restart changes nothing."""
        own = (parallel.rank(),) if parallel.rank() else ()
        torch.manual_seed(derive(self.recipe.seed, "epoch", self.current_epoch, *own))
        self.train_loss.reset()
        self.set_frozen(self.current_epoch + 1)

    def set_frozen(self, epoch: int) -> None:
        """Freeze what ``unfreeze`` leaves frozen in an epoch (from 1).

        Where several processes train, a frozen parameter keeps its gradient, since which ones are
        averaged over processes is settled at the start; it is thrown away before the step.
        """
        last = self.recipe.frozen_at(epoch)
        if last is None or not isinstance(self.net, VideoNet):
            return
        before = [p for p in self.net.parameters() if p.requires_grad]
        self.net.freeze(self.net.stages_up_to(last), norm=self.recipe.freeze_norm)
        self.frozen = []
        if parallel.world() > 1:
            self.frozen = [p for p in before if not p.requires_grad]
            for parameter in self.frozen:
                parameter.requires_grad_(True)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Throw away the gradients of what is frozen for now."""
        for parameter in self.frozen:
            parameter.grad = None

    def training_step(self, batch: tuple[Tensor, Any], index: int) -> Tensor:
        """The loss of a batch.

        Raises:
            NotANumberError: the loss is not a number any more.
        """
        x, targets = batch
        self.batch_shape = tuple(x.shape)
        loss = self._training_loss(self(x), targets)
        now = float(loss.detach())
        if not math.isfinite(now):
            rate = self.trainer.optimizers[0].param_groups[0]["lr"]
            raise NotANumberError(
                f"the loss became {now} in step {index} of epoch {self.current_epoch + 1}"
                f" at a learning rate of {rate:.3g}; lower it"
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
            clip_gradient(self.net, float(gradient_clip_val))

    def optimizer_step(self, *arguments: Any, **more: Any) -> None:
        """A step of the optimiser, and of the moving average."""
        super().optimizer_step(*arguments, **more)
        if self.average is not None:
            self.average.update_parameters(self.net)

    def on_validation_epoch_start(self) -> None:
        """Start counting anew, and take the first process's BatchNorm statistics everywhere."""
        for metric in (self.val_loss, self.top1, self.top5):
            metric.reset()
        self.share_buffers()

    def share_buffers(self) -> None:
        """Take the first process's BatchNorm statistics everywhere."""
        if parallel.world() > 1:
            for buffer in self.kept.buffers():
                torch.distributed.broadcast(buffer, 0)

    def validation_step(self, batch: tuple[Tensor, Any], index: int) -> None:
        """Count a batch of validation clips."""
        x, targets = batch
        outputs = self.kept(x).float()
        self.val_loss.update(self.loss(outputs, targets), len(x))
        self.update_scores(outputs, targets)

    def update_scores(self, outputs: Tensor, targets: Any) -> None:
        """Count top-1 and top-5."""
        self.top1.update(outputs, targets)
        self.top5.update(outputs, targets)

    def scores(self) -> dict[str, float]:
        """The validation figures of the epoch, over all processes."""
        return {
            "val_loss": float(self.val_loss.compute()),
            "val_top1": float(self.top1.compute()),
            "val_top5": float(self.top5.compute()),
        }

    def configure_optimizers(self) -> Any:
        """Optimiser and schedule of the recipe, stepped every batch.

        The optimiser also has what is set free later on; without a gradient it leaves that alone.
        """
        self.set_frozen(self.recipe.epochs)
        optimiser = make_optimiser(self.net, self.recipe)
        self.set_frozen(1)
        steps = max(int(self.trainer.estimated_stepping_batches) // self.recipe.epochs, 1)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: schedule_factor(self.recipe, step, steps)
        )
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }
