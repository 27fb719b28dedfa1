"""Inflation: 2D weights become 3D weights that do the same on a video of one repeated frame.

Source: Carreira & Zisserman 2017, section 2.4 ("Bootstrapping parameters from pre-trained ImageNet
models"): repeat the kernel along time and divide by its length. ``centre`` puts the kernel into the
middle time slice instead and zeros elsewhere; it shares the property, and does not blur motion away
before training has begun.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from dancestyle.nets.base import VideoNet
from dancestyle.nets.inception_i3d import MIXED, InceptionI3D
from dancestyle.nets.resnet_i3d import ResNetI3D

MODES = ("spread", "centre")
NOT_INFLATED = ("fc.", "aux")  # the head, and GoogLeNet's auxiliary classifiers

# Our module: torchvision GoogLeNet's module.
_GOOGLENET_STEM = {"Conv3d_1a_7x7": "conv1", "Conv3d_2b_1x1": "conv2", "Conv3d_2c_3x3": "conv3"}
_GOOGLENET_BRANCH = {
    "b0": "branch1",
    "b1a": "branch2.0",
    "b1b": "branch2.1",
    "b2a": "branch3.0",
    "b2b": "branch3.1",
    "b3b": "branch4.1",
}


def inflate_kernel(weight: Tensor, time: int, mode: str = "spread") -> Tensor:
    """``(O, I, H, W) -> (O, I, time, H, W)``; summed along time it is ``weight`` again."""
    if mode == "spread":
        return (weight / time).unsqueeze(2).repeat(1, 1, time, 1, 1)
    if mode == "centre":
        kernel = weight.new_zeros(*weight.shape[:2], time, *weight.shape[2:])
        kernel[:, :, time // 2] = weight
        return kernel
    raise ValueError(f"inflation '{mode}' is not one of: {', '.join(MODES)}")


def to_channels(weight: Tensor, channels: int) -> Tensor:
    """First-layer kernels ``(O, 3, ...)`` for another number of channels: their mean, repeated.

    Source: Wang et al., "Temporal Segment Networks", ECCV 2016, section 3.2 (cross-modality
    pre-training). Ours is scaled by 3 / channels, so that the response to equal channels stays as
    large, which BatchNorm with statistics of the old channels expects.
    """
    if weight.shape[1] == channels:
        return weight
    mean = weight.mean(dim=1, keepdim=True) * (weight.shape[1] / channels)
    return mean.expand(-1, channels, *weight.shape[2:]).contiguous()


def googlenet_names() -> dict[str, str]:
    """Module of our Inception-v1 I3D: module of torchvision's GoogLeNet, each a conv and its bn."""
    names = dict(_GOOGLENET_STEM)
    for mixed in MIXED:
        for ours, theirs in _GOOGLENET_BRANCH.items():
            # Mixed_3b is inception3a: the papers count the stem as the first letter.
            names[f"{mixed}.{ours}"] = f"inception{mixed[-2]}{chr(ord(mixed[-1]) - 1)}.{theirs}"
    return names


def _source_key(net: VideoNet, key: str, names: Mapping[str, str]) -> str:
    if isinstance(net, ResNetI3D):
        return key
    module, unit, leaf = key.rsplit(".", 2)
    return f"{names[module]}.{'conv' if unit == 'conv3d' else 'bn'}.{leaf}"


def inflate(net: VideoNet, weights_2d: Mapping[str, Tensor], mode: str = "spread") -> list[str]:
    """Fill ``net`` from the state dict of torchvision's GoogLeNet or ResNet-50, its head excepted.

    Args:
        net: an :class:`InceptionI3D` or a :class:`ResNetI3D`, for any number of input channels.
        weights_2d: torchvision's keys; a head and auxiliary classifiers are ignored.
        mode: one of :data:`MODES`.

    Returns:
        The keys of ``net`` that have no 2D counterpart (non-local blocks), left as they were.

    Raises:
        ValueError: the net is of another kind, or a weight is missing, left over (those of a deeper
            ResNet) or of another shape; the net stays as it was.
    """
    if not isinstance(net, InceptionI3D | ResNetI3D):
        raise ValueError(f"a {type(net).__name__} cannot be inflated from 2D weights")
    names = googlenet_names() if isinstance(net, InceptionI3D) else {}
    state = net.state_dict()
    left, missing, misshapen = [], [], []
    unused = {key for key in weights_2d if not key.startswith(NOT_INFLATED)}
    filled: dict[str, Tensor] = {}
    for key, target in state.items():
        if key.startswith("head."):
            continue
        if ".non_local." in key:
            left.append(key)
            continue
        source_key = _source_key(net, key, names)
        source = weights_2d.get(source_key)
        unused.discard(source_key)
        if source is None:
            if not key.endswith("num_batches_tracked"):
                missing.append(source_key)
            continue
        if target.ndim == 5:
            source = inflate_kernel(to_channels(source, target.shape[1]), target.shape[2], mode)
        if source.shape != target.shape:
            misshapen.append(f"{source_key} {tuple(source.shape)} for {tuple(target.shape)}")
            continue
        filled[key] = source
    if missing or misshapen or unused:
        raise ValueError(
            f"these 2D weights do not fit a {type(net).__name__}: "
            f"missing {missing[:5]} ({len(missing)}), of another shape {misshapen[:5]} "
            f"({len(misshapen)}), left over {sorted(unused)[:5]} ({len(unused)}); "
            "torchvision's GoogLeNet or ResNet-50 is expected"
        )
    with torch.no_grad():
        for key, source in filled.items():
            state[key].copy_(source)
    return left
