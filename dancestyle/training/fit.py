"""``fit``: the one training loop, on Lightning; it survives being killed and keeps the best epoch."""

from __future__ import annotations

import hashlib
import logging
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import TQDMProgressBar
from torch import Tensor, nn
from torch.utils.data import DataLoader

from dancestyle.files import atomic_path
from dancestyle.training import machine
from dancestyle.training.checkpoints import to_bytes
from dancestyle.training.module import Classifier, Recipe, TrainingError

WORK_DIR = Path(".cache/fit")


@dataclass(frozen=True)
class FitResult:
    """A row an epoch, and the epoch (from 1) whose weights the net now has."""

    history: list[dict[str, float]]
    best_epoch: int

    @property
    def best(self) -> dict[str, float]:
        """The row of the best epoch."""
        return self.history[self.best_epoch - 1]


class _Keeper(pl.Callback):
    """Writes the history, keeps the best weights, and leaves a file to go on from each epoch."""

    def __init__(self, work_dir: Path, on_epoch: Callable[[dict[str, float]], None] | None) -> None:
        self.work_dir, self.on_epoch = work_dir, on_epoch
        self.history: list[dict[str, float]] = []
        self.best_epoch = 0
        self.best_weights: dict[str, Tensor] = {}

    @property
    def resume_file(self) -> Path:
        return self.work_dir / "last.ckpt"

    def state_dict(self) -> dict[str, Any]:
        return {
            "history": self.history,
            "best_epoch": self.best_epoch,
            "best_weights": self.best_weights,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = state_dict["history"]
        self.best_epoch = state_dict["best_epoch"]
        self.best_weights = state_dict["best_weights"]

    @staticmethod
    def _rank(row: Mapping[str, float]) -> tuple[float, float]:
        return row.get("val_top1", 0.0), -row["val_loss"]

    def on_train_epoch_start(self, trainer: pl.Trainer, module: Any) -> None:
        sampler = trainer.train_dataloader.sampler if trainer.train_dataloader else None
        if sampler is not None and hasattr(sampler, "set_epoch"):
            sampler.set_epoch(trainer.current_epoch)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        row = {
            "epoch": trainer.current_epoch + 1,
            "train_loss": float(module.train_loss.compute()),
            **module.scores(),
            "lr": float(trainer.optimizers[0].param_groups[0]["lr"]),
        }
        self.history.append(row)
        if not self.best_epoch or self._rank(row) >= self._rank(self.history[self.best_epoch - 1]):
            self.best_epoch = len(self.history)
            weights = module.net.state_dict()
            self.best_weights = {
                key: value.detach().cpu().clone() for key, value in weights.items()
            }
        if self.on_epoch is not None:
            self.on_epoch(row)
        if trainer.current_epoch + 1 < (trainer.max_epochs or 0):
            with atomic_path(self.resume_file) as temporary:
                trainer.save_checkpoint(temporary)


def fingerprint(*parts: Any) -> str:
    """A name for a training: the same for the same weights, data and recipe."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, nn.Module):
            part = {key: value.cpu().contiguous() for key, value in part.state_dict().items()}
            digest.update(to_bytes(part))
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()[:16]


def fit(
    module: Classifier,
    train: DataLoader,
    val: DataLoader,
    recipe: Recipe,
    name: str,
    identity: Any = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    work_dir: Path = WORK_DIR,
) -> FitResult:
    """Train ``module.net``; afterwards it holds the weights of the best epoch.

    The best epoch is that of the highest validation top-1; of equals, the lowest validation loss.
    Killed at any moment, the same call goes on after the last finished epoch, and ends with the same
    weights as an uninterrupted one.

    Args:
        module: the net with its loss.
        train: batches to train on; its sampler is told the epoch.
        val: batches to validate on.
        recipe: how to train.
        name: of the training, for its folder and the progress bar.
        identity: whatever the data depends on (clip ids, input); changed, it starts afresh.
        on_epoch: called with each epoch's row; may raise to stop (pruning).
        work_dir: where unfinished trainings are kept.

    Raises:
        TrainingError: the loss became NaN, or memory ran out; the message says what to lower.
    """
    machine.make_deterministic()
    pl.seed_everything(recipe.seed % 2**32, workers=True, verbose=False)
    mark = fingerprint(asdict(recipe), identity, len(train.dataset), module.net)  # type: ignore[arg-type]
    keeper = _Keeper(work_dir / f"{name}-{mark}", on_epoch)
    resume = keeper.resume_file if keeper.resume_file.exists() else None
    if resume is not None:
        print(f"{name}: going on from {resume}")
    for logger in ("pytorch_lightning.utilities.rank_zero", "pytorch_lightning.accelerators"):
        logging.getLogger(logger).setLevel(logging.WARNING)
    machine.fast_layout(module.net)
    trainer = pl.Trainer(
        max_epochs=recipe.epochs,
        accelerator="auto",
        devices=1,
        precision="bf16-mixed" if machine.precision(recipe.precision) == "bf16" else "32-true",
        gradient_clip_val=recipe.clip_gradient or None,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[keeper, TQDMProgressBar(refresh_rate=10)],
        deterministic="warn",
    )
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*does not have many workers.*")
            warnings.filterwarnings("ignore", ".*smaller than the logging interval.*")
            trainer.fit(module, train, val, ckpt_path=resume, weights_only=False)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, TrainingError) or not _out_of_memory(error):
            raise
        shape = tuple(next(iter(train))[0].shape)
        raise TrainingError(
            f"{name}: out of memory with batches of shape {shape} (N, C, T, H, W); lower batch_size "
            "of this stage, or input.frames or input.size, in params.yaml"
        ) from error
    module.net.load_state_dict(keeper.best_weights)
    shutil.rmtree(keeper.work_dir, ignore_errors=True)
    return FitResult(keeper.history, keeper.best_epoch)


def _out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or (
        "not enough memory" in str(error) or "can't allocate memory" in str(error)
    )
