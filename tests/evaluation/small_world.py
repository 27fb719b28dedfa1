"""A world of twelve clips and untrained nets, laid out as the stages that evaluate find it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from dancestyle import nets
from dancestyle.clips import Clip
from dancestyle.flow import store
from dancestyle.training.checkpoints import ModelMeta, save_model
from dancestyle.training.data import InputSpec
from dancestyle.video.writer import write_clip

LABELS = ["polka", "salsa dancing", "zumba"]
FRAMES, SIDE = 12, 40


def make_clips(root: Path) -> list[Clip]:
    """Twelve clips of six videos with their flow, noise all of them, written below ``root``."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(12):
        name = f"clip_{number:02d}"
        path = Path(f"data/dataset/clips/{name}.mp4")
        frames = rng.integers(0, 255, (FRAMES, SIDE, SIDE, 3), dtype=np.uint8)
        write_clip(root / path, frames)
        store.write(
            root / f"data/flow/{name}.mkv",
            rng.normal(size=(FRAMES - 1, SIDE, SIDE, 2)).astype(np.float32),
        )
        made.append(
            Clip(name, f"video_{number // 2}", "folder", LABELS[number % 3], number % 3,
                 path.as_posix(), FRAMES, 25.0, SIDE, SIDE)
        )  # fmt: skip
    return made


def make_model(path: Path, net: str, modality: str, labels: list[str]) -> None:
    """A model file of a net with random weights."""
    torch.manual_seed(0)
    spec = InputSpec(modality, frames=8, stride=1, size=32)
    made = nets.create(net, len(labels), in_channels=spec.channels)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(path, made, ModelMeta(net, tuple(labels), spec))
