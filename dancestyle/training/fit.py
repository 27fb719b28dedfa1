"""``fit``: the one training loop, on Lightning; it survives being killed and keeps the best epoch."""

from __future__ import annotations

import hashlib
import logging
import math
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import TQDMProgressBar
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, nn
from torch.utils.data import DataLoader

from dancestyle.files import atomic_path
from dancestyle.training import heap, machine, parallel
from dancestyle.training.checkpoints import to_bytes
from dancestyle.training.live import LOG_DIR, LiveLog
from dancestyle.training.module import Classifier, NotANumberError, TrainingError
from dancestyle.training.recipe import Recipe

WORK_DIR = Path(".cache/fit")
OnEpoch = Callable[[dict[str, float]], bool | None]


@dataclass(frozen=True)
class Keys:
    """What a training reads from params.yaml that decides how much memory it takes, for its errors."""

    batch_size: str = "batch_size"
    accumulate: str = "loop.accumulate"
    snippet: tuple[str, ...] = ("input.frames", "input.size")


@dataclass(frozen=True)
class FitResult:
    """How a training went.

    Attributes:
        history: a row an epoch.
        best_epoch: the epoch (from 1) whose weights the net now has.
        stopped: whether ``on_epoch`` ended it.
        work_dir: where it is kept until :meth:`finish`; None for nowhere.
    """

    history: list[dict[str, float]]
    best_epoch: int
    stopped: bool = False
    work_dir: Path | None = field(default=None, compare=False)

    @property
    def best(self) -> dict[str, float]:
        """The row of the best epoch."""
        return self.history[self.best_epoch - 1]

    def finish(self) -> None:
        """Forget the training, once everything that comes of it is written; by the first process."""
        if self.work_dir is not None and parallel.is_main():
            shutil.rmtree(self.work_dir, ignore_errors=True)


class _Files(TorchCheckpointIO):
    """Writes checkpoints straight to the disk, and does not put them together in memory before.

    A fifth of the time, and half the memory; :func:`~dancestyle.files.atomic_path` sees to it that they
    are whole.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        torch.save(checkpoint, path)


class _Keeper(pl.Callback):
    """Writes the history, keeps the best weights, and leaves a file to go on from each epoch."""

    def __init__(self, work_dir: Path, live: LiveLog | None, on_epoch: OnEpoch | None) -> None:
        self.work_dir, self.live, self.on_epoch = work_dir, live, on_epoch
        self.history: list[dict[str, float]] = []
        self.best_epoch = 0
        self.best_weights: dict[str, Tensor] = {}
        self.stopped = False
        self.clips, self.started, self.seconds, self.rate = 0, 0.0, 0.0, 0.0

    @property
    def resume_file(self) -> Path:
        return self.work_dir / "last.ckpt"

    @property
    def finished_file(self) -> Path:
        return self.work_dir / "finished.pt"

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
        for row in self.history:
            if self.live is not None:
                self.live.epoch(row)

    @staticmethod
    def _rank(row: Mapping[str, float]) -> tuple[float, float]:
        return row.get("val_top1", 0.0), -row["val_loss"]

    def on_train_epoch_start(self, trainer: pl.Trainer, module: Any) -> None:
        sampler = trainer.train_dataloader.sampler if trainer.train_dataloader else None
        if sampler is not None and hasattr(sampler, "set_epoch"):
            sampler.set_epoch(trainer.current_epoch)
        self.clips, self.started = 0, time.perf_counter()

    def on_train_batch_start(
        self, trainer: pl.Trainer, module: Any, batch: Any, batch_idx: int
    ) -> None:
        # Afterwards it is already that of the next step.
        self.rate = float(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.clips += len(batch[0]) * parallel.world()
        self.seconds = time.perf_counter() - self.started

    def on_train_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        row = {
            "epoch": trainer.current_epoch + 1,
            "train_loss": float(module.train_loss.compute()),
            **module.scores(),
            "lr": self.rate,
        }
        weights = module.kept.state_dict()
        self._check(row, weights)
        self.history.append(row)
        if not self.best_epoch or self._rank(row) >= self._rank(self.history[self.best_epoch - 1]):
            self.best_epoch = len(self.history)
            self.best_weights = {
                key: value.detach().cpu().clone() for key, value in weights.items()
            }
        if self.live is not None:
            self.live.epoch(row, self.clips / max(self.seconds, 1e-9))
        self.stopped = self.on_epoch is not None and bool(self.on_epoch(row))
        patience = module.recipe.patience
        if self.stopped or (
            patience is not None and len(self.history) - self.best_epoch >= patience
        ):
            trainer.should_stop = True
        if not trainer.should_stop and trainer.current_epoch + 1 < (trainer.max_epochs or 0):
            self._save(trainer)
        elif parallel.is_main():
            self._save_finished()

    @staticmethod
    def _check(row: Mapping[str, float], weights: Mapping[str, Tensor]) -> None:
        """Refuse to keep an epoch that ruined the weights, so that the one before stays."""
        finite = all(bool(w.isfinite().all()) for w in weights.values() if w.is_floating_point())
        if not finite or not math.isfinite(row["val_loss"]):
            what = "the validation loss" if finite else "a weight"
            raise NotANumberError(
                f"{what} became infinite or not a number in the last steps of epoch "
                f"{row['epoch']:.0f} at a learning rate of {row['lr']:.3g}; lower it"
            )

    def _save(self, trainer: pl.Trainer) -> None:
        """All processes take part in gathering; the first writes."""
        if not parallel.is_main():
            trainer.save_checkpoint(self.resume_file, weights_only=False)
            return
        with atomic_path(self.resume_file) as temporary:
            trainer.save_checkpoint(temporary, weights_only=False)

    def _save_finished(self) -> None:
        """What the training has come to, for a caller that is killed before it has written that."""
        with atomic_path(self.finished_file) as temporary:
            torch.save({**self.state_dict(), "stopped": self.stopped}, temporary)

    def load_finished(self) -> None:
        """Take what :meth:`_save_finished` has left; all processes, none ahead of the others."""
        content = torch.load(self.finished_file, map_location="cpu", weights_only=True)
        self.load_state_dict(content)
        self.stopped = content["stopped"]
        parallel.meet()


def fingerprint(*parts: Any) -> str:
    """A name for a training: the same for the same net, frozen alike, data and recipe."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, nn.Module):
            net, frozen = part, _frozen_parts(part)
            part = {key: value.cpu().contiguous() for key, value in part.state_dict().items()}
            digest.update(to_bytes(part))
            digest.update(repr((net, frozen)).encode())
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()[:16]


def _frozen_parts(net: nn.Module) -> list[str]:
    """Parameters without a gradient, and modules in evaluation mode within a net in training."""
    still = [name for name, parameter in net.named_parameters() if not parameter.requires_grad]
    return still + [name for name, part in net.named_modules() if net.training != part.training]


def fit(
    module: Classifier,
    train: DataLoader,
    val: DataLoader,
    recipe: Recipe,
    name: str,
    identity: Any = None,
    on_epoch: OnEpoch | None = None,
    work_dir: Path = WORK_DIR,
    log_dir: Path = LOG_DIR,
    dvclive: bool = True,
    keys: Keys = Keys(),
) -> FitResult:
    """Train ``module.net``; afterwards it holds the weights of the best epoch.

    The best epoch is that of the highest validation top-1; of equals, the lowest validation loss.
    Killed at any moment, the same call goes on after the last finished epoch, and ends with the same
    weights as an uninterrupted one. A training that has ended is kept until :meth:`FitResult.finish`;
    until then the same call returns the same again, and trains nothing. Under torchrun every process
    calls this, and all return the same.

    Args:
        module: the net with its loss.
        train: batches to train on; its sampler is told the epoch.
        val: batches to validate on.
        recipe: how to train.
        name: of the training, for its folder, its logs and the progress bar.
        identity: whatever the data depends on (clip ids, input); changed, it starts afresh.
        on_epoch: called with the row of each epoch that is trained; where it returns True, training
            stops.
        work_dir: where trainings are kept that are not finished.
        log_dir: gets what :class:`~dancestyle.training.live.LiveLog` writes.
        dvclive: whether DVCLive is told too.
        keys: to be named where memory runs out.

    Raises:
        TrainingError: the loss became NaN, or memory ran out; the message says what to lower.
    """
    machine.make_deterministic()
    heap.keep()
    pl.seed_everything(recipe.seed % 2**32, workers=True, verbose=False)
    mark = fingerprint(asdict(recipe), identity, len(train.dataset), module.net)  # type: ignore[arg-type]
    for logger in ("pytorch_lightning.utilities.rank_zero", "pytorch_lightning.accelerators"):
        logging.getLogger(logger).setLevel(logging.WARNING)
    machine.fast_layout(module)
    # A net that was loaded from a file is in evaluation mode, and Lightning leaves it so.
    module.train()
    # What DDP averages is settled when training starts, so it must see what is set free later on.
    module.set_frozen(recipe.epochs if parallel.world() > 1 else 1)
    log = LiveLog(name, recipe.epochs, log_dir, dvclive) if parallel.is_main() else None
    keeper = _Keeper(work_dir / f"{name}-{mark}", log, on_epoch)
    try:
        if keeper.finished_file.exists():
            _say(f"{name}: trained before, taken from {keeper.finished_file}")
            keeper.load_finished()
        else:
            _run(module, train, val, recipe, name, keeper, keys)
    finally:
        if log is not None:
            log.close()
    module.net.load_state_dict(keeper.best_weights)
    return FitResult(keeper.history, keeper.best_epoch, keeper.stopped, keeper.work_dir)


def _say(sentence: str) -> None:
    if parallel.is_main():
        print(sentence, flush=True)


def _run(
    module: Classifier,
    train: DataLoader,
    val: DataLoader,
    recipe: Recipe,
    name: str,
    keeper: _Keeper,
    keys: Keys,
) -> None:
    """Train from the last finished epoch on; errors that a person can act on become sentences."""
    resume = keeper.resume_file if keeper.resume_file.exists() else None
    if resume is not None:
        _say(f"{name}: going on from {resume}")
    trainer = _trainer(recipe, keeper)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*does not have many workers.*")
            warnings.filterwarnings("ignore", ".*smaller than the logging interval.*")
            warnings.filterwarnings("ignore", ".*in eval mode at the start of training.*")
            warnings.filterwarnings("ignore", ".*isinstance.treespec, LeafSpec.*")
            trainer.fit(module, train, val, ckpt_path=resume, weights_only=False)
    except NotANumberError as error:
        sentence = f"{name}: {error}. {_what_is_kept(keeper)}"
        raise NotANumberError(sentence, keeper.history) from None
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, TrainingError) or not _out_of_memory(error):
            raise
        raise TrainingError(f"{name}: {_too_large(module, keys)}") from error


def _trainer(recipe: Recipe, keeper: _Keeper) -> pl.Trainer:
    bar = [TQDMProgressBar(refresh_rate=10)] if sys.stderr.isatty() else []
    many = parallel.world() > 1
    return pl.Trainer(
        max_epochs=recipe.epochs,
        accelerator="gpu" if torch.cuda.is_available() else "cpu",
        devices=parallel.local_world(),
        num_nodes=parallel.world() // parallel.local_world(),
        # Buffers are shared before validation: doing it at every step would stop at the last, where
        # some processes may have a batch less.
        strategy=DDPStrategy(forward_sync_buffers=False) if many else "auto",
        sync_batchnorm=many and torch.cuda.is_available(),
        use_distributed_sampler=False,
        precision="bf16-mixed" if machine.precision(recipe.precision) == "bf16" else "32-true",
        gradient_clip_val=recipe.clip_gradient or None,
        accumulate_grad_batches=recipe.accumulate,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=bool(bar),
        num_sanity_val_steps=0,
        callbacks=[keeper, *bar],
        plugins=[_Files()],
        deterministic="warn",
    )


def _what_is_kept(keeper: _Keeper) -> str:
    if not keeper.resume_file.exists():
        return "There is no finished epoch whose weights could be kept"
    return (
        f"Epoch {len(keeper.history)} is kept in {keeper.resume_file}, with the weights of epoch "
        f"{keeper.best_epoch}, the best so far"
    )


def _too_large(module: Classifier, keys: Keys) -> str:
    if not module.batch_shape:
        what = "before the first batch"
    elif len(module.batch_shape) == 5:
        count, _, frames, height, width = module.batch_shape
        what = f"with batches of {count} snippets of {frames} frames of {height} x {width} pixels"
    else:
        count, _, height, width = module.batch_shape
        what = f"with batches of {count} pictures of {height} x {width} pixels"
    return (
        f"out of memory {what}; in params.yaml lower {keys.batch_size} (and raise "
        f"{keys.accumulate}, which keeps the step the same) or {' or '.join(keys.snippet)}. A loader "
        "process that was killed says that main memory ran out: lower machine.workers too"
    )


def _out_of_memory(error: BaseException) -> bool:
    signs = ("not enough memory", "can't allocate memory", "is killed by signal: Killed")
    return isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or any(
        sign in str(error) for sign in signs
    )
