"""Tiny model files and videos: the whole net with random weights, small input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from dancestyle import nets
from dancestyle.training.checkpoints import ModelMeta, save_model
from dancestyle.training.data import InputSpec

LABELS = ("polka", "salsa dancing", "zumba")
SIDE = 36
SPREAD = {"rgb": 0.1, "flow": 1.5}
FLOW = {"method": "farneback", "options": {}, "short_side": None}


def make_model(path: Path, modality: str, net: str = "i3d_inception", **about: object) -> Path:
    torch.manual_seed(1)
    spec = InputSpec(modality, frames=8, stride=2, size=32, bound=4.0)
    made = nets.create(net, len(LABELS), in_channels=spec.channels)
    with torch.no_grad():
        made.head.weight.mul_(SPREAD[modality])  # no style is certain
    facts = {"short_side": SIDE} | ({"flow": FLOW} if modality == "flow" else {}) | about
    save_model(path, made, ModelMeta(net, LABELS, spec, **facts))  # type: ignore[arg-type]
    return path


def picture(number: int, height: int = 40, width: int = 60) -> np.ndarray:
    """A frame: a bright square that moves over a slope."""
    image = np.empty((height, width, 3), np.uint8)
    image[:] = np.linspace(0, 120, width, dtype=np.uint8)[None, :, None]
    left = (2 * number) % (width - 12)
    image[10:24, left : left + 12] = (250, 200, 40)
    return image
