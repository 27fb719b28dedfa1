"""Pose of rendered stills as a pretext task: what stands in for ImageNet in the sample profile.

A 2D net that can tell where the joints are has learnt the filters that matter for dance; inflated,
they are the start of the 3D nets (the study starts from ImageNet).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torch.utils.data import Dataset
from torchmetrics import MeanMetric
from torchvision.models.resnet import Bottleneck

from dancestyle.nets.base import initialise
from dancestyle.nets.conv import guard
from dancestyle.seeds import rng
from dancestyle.training.module import Classifier
from dancestyle.training.recipe import Recipe
from dancestyle.video import transforms

JOINTS = 17  # COCO key points
PAIRS = np.arange(1, JOINTS).reshape(
    -1, 2
)  # left and right eye, ear, shoulder, ... in COCO's order
OUTPUTS = 2 * JOINTS + 3  # the joints within the figure, the figure's centre and its size


class StillsError(ValueError):
    """A stills file that cannot be used."""


def net_2d(kind: str, outputs: int) -> nn.Module:
    """torchvision's GoogLeNet (``inception``) or ResNet-50 (``resnet``), freshly initialised."""
    if kind == "inception":
        net: nn.Module = torchvision.models.googlenet(
            weights=None, num_classes=outputs, aux_logits=False, init_weights=False, dropout=0.0
        )
    elif kind == "resnet":
        net = torchvision.models.resnet50(weights=None, num_classes=outputs)
    else:
        raise ValueError(f"no 2D net '{kind}'; there are: inception, resnet")
    initialise(net)
    for module in net.modules():
        # A residual block begins as the identity, so that a deep net learns from the first steps
        # (Goyal et al. 2017, section 5.1).
        if isinstance(module, Bottleneck):
            nn.init.zeros_(module.bn3.weight)
    return guard(net)


class Stills(Dataset[tuple[Tensor, tuple[Tensor, Tensor]]]):
    """The stills of a file that the sample wrote (``dancestyle.sample.stills.pack``).

    Items ``(3, S, S)`` with targets ``(OUTPUTS,)`` and their weights ``(OUTPUTS,)``, 0 or 1.

    The joints are given within the figure: from its centre, in units of its size. Where it stands is
    told apart from how it stands, since the nets' features are averages over the picture, which say
    the second better than the first.

    Keyed by ``(epoch, index)`` for random crops, mirroring and brightness, by ``index`` for none.
    """

    def __init__(
        self,
        path: Path | str,
        size: int,
        seed: int,
        part: slice,
        mean: tuple[float, ...],
        std: tuple[float, ...],
    ) -> None:
        with _opened(path) as content:
            packed, ends = content["jpeg"], content["ends"]
            starts = np.concatenate([[0], ends[:-1]])
            self.images = np.stack(
                [
                    _decoded(packed[start:end])
                    for start, end in zip(starts[part], ends[part], strict=True)
                ]
            )
            self.joints = content["joints"][part].astype(np.float32)
            self.visible = content["visible"][part]
        self.size, self.seed, self.mean, self.std = size, seed, mean, std

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        random = isinstance(key, tuple)
        index = key[1] if isinstance(key, tuple) else key
        image = self.images[index : index + 1]
        joints, visible = self.joints[index].copy(), self.visible[index]
        height, width = image.shape[1:3]
        if random:
            generator = rng(self.seed, "still", *key)  # type: ignore[misc]
            box = transforms.random_box(height, width, 0.75, generator)
            image = transforms.jitter_colour(image, 0.3, generator)
            mirrored = generator.random() < 0.5
        else:
            box, mirrored = transforms.view_box(height, width, 0.875, 0, 1), False
        x = transforms.rgb_tensor(
            transforms.crop_resize(image, box, self.size), self.mean, self.std
        )[:, 0]
        top, left, side = box
        joints = (joints * (width, height) - (left, top)) / side * 2 - 1
        if mirrored:
            x = x.flip(-1)
            joints[:, 0] *= -1
        joints, visible = by_side(joints, visible)
        inside = visible & (np.abs(joints) <= 1).all(axis=1)
        return x, figure_targets(joints, inside)


def count(path: Path | str) -> int:
    """How many stills a file holds.

    Raises:
        StillsError: it is no file of stills.
    """
    with _opened(path) as content:
        return len(content["ends"])


@contextmanager
def _opened(path: Path | str) -> Iterator[Any]:
    try:
        with np.load(path) as content:
            yield content
    except (OSError, KeyError, ValueError, TypeError, IndexError) as error:
        raise StillsError(f"{path}: not a file of stills with poses: {error}") from None


def _decoded(data: np.ndarray) -> np.ndarray:
    """A JPEG as (H, W, 3) RGB."""
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if len(data) else None
    if picture is None:
        raise ValueError("a picture cannot be decoded")
    return picture


def by_side(joints: np.ndarray, visible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Joints (17, 2) and their visibility with each pair in the order of the picture, left first.

    At these sizes nobody sees whether a figure faces the camera or turns its back on it, which is all
    that tells its left knee from its right one; and movement is the same for whichever is which.
    """
    order = np.arange(JOINTS)
    swapped = np.flatnonzero(joints[PAIRS[:, 0], 0] > joints[PAIRS[:, 1], 0])
    order[PAIRS[swapped]] = PAIRS[swapped, ::-1]
    return joints[order], visible[order]


def figure_targets(joints: np.ndarray, visible: np.ndarray) -> tuple[Tensor, Tensor]:
    """Targets and weights ``(OUTPUTS,)`` of joints ``(17, 2)`` in [-1, 1] of the picture.

    The centre is the visible joints' mean, the size the larger side of the box around them. With
    fewer than four joints in the picture there is no figure to speak of, and all weights are 0.
    """
    targets = np.zeros(OUTPUTS, np.float32)
    weights = np.zeros(OUTPUTS, np.float32)
    seen = joints[visible]
    if len(seen) >= 4:
        centre, size = seen.mean(axis=0), max(np.ptp(seen, axis=0).max(), 0.1)
        targets[: 2 * JOINTS] = ((joints - centre) / size * 2).ravel()
        targets[2 * JOINTS :] = (*centre, size - 1)
        weights[: 2 * JOINTS] = visible.repeat(2)
        weights[2 * JOINTS :] = 1
    return torch.from_numpy(targets), torch.from_numpy(weights)


class PoseRegressor(Classifier):
    """A 2D net that learns the figure's pose; its score is the mean joint error in figure sizes."""

    def __init__(self, net: nn.Module, recipe: Recipe) -> None:
        super().__init__(net, 2, recipe)

    def _set_metrics(self, num_classes: int) -> None:
        self.error = MeanMetric()

    def loss(self, outputs: Tensor, targets: Any, smoothing: float = 0.0) -> Tensor:
        """Smooth L1 over the visible joints, the centre and the size."""
        wanted, weights = targets
        error = F.smooth_l1_loss(outputs.float(), wanted, reduction="none", beta=0.1)
        return (error * weights).sum() / weights.sum().clamp(min=1)

    def on_validation_epoch_start(self) -> None:
        """Start counting anew."""
        self.val_loss.reset()
        self.error.reset()
        self.share_buffers()

    def update_scores(self, outputs: Tensor, targets: Any) -> None:
        """Count the joint errors."""
        wanted, weights = (each[:, : 2 * JOINTS].unflatten(1, (JOINTS, 2)) for each in targets)
        distance = (outputs[:, : 2 * JOINTS].unflatten(1, (JOINTS, 2)) - wanted).norm(dim=2) / 2
        self.error.update(distance[weights[..., 0] > 0])

    def scores(self) -> dict[str, float]:
        """Loss and mean joint error (shares of the figure's size)."""
        return {
            "val_loss": float(self.val_loss.compute()),
            "joint_error": float(self.error.compute()),
        }
