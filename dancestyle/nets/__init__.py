"""Nets over video: tensors in, logits out; nothing here knows of files, params or DVC."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial

from dancestyle.nets.base import NativeInput, VideoNet
from dancestyle.nets.c3d import C3D
from dancestyle.nets.conv import guard
from dancestyle.nets.fast import optimise_for_inference
from dancestyle.nets.inception_i3d import InceptionI3D
from dancestyle.nets.pose import PoseNet
from dancestyle.nets.resnet_i3d import C2DResNet, ResNetI3D, SlowResNet
from dancestyle.nets.slowfast import SlowFast
from dancestyle.nets.torchvision_nets import MC318, R3D18, S3D, MViTV2S, R2Plus1D18, Swin3DT
from dancestyle.nets.two_stream import TwoStream

_NETS: dict[str, Callable[..., VideoNet]] = {
    "i3d_inception": InceptionI3D,
    "i3d_r50": ResNetI3D,
    "i3d_r50_nl": partial(ResNetI3D, non_local="dot_product"),
    "c2d_r50": C2DResNet,
    "slow_r50": SlowResNet,
    "slowfast_r50": SlowFast,
    "c3d": C3D,
    "two_stream": TwoStream,
    "pose": PoseNet,
    "s3d": S3D,
    "r3d_18": R3D18,
    "mc3_18": MC318,
    "r2plus1d_18": R2Plus1D18,
    "mvit_v2_s": MViTV2S,
    "swin3d_t": Swin3DT,
}


def names() -> list[str]:
    """All nets that :func:`create` knows."""
    return list(_NETS)


def create(
    name: str, num_classes: int, in_channels: int = 3, dropout: float = 0.5, **options: object
) -> VideoNet:
    """A freshly initialised net, mapping ``(N, C, T, H, W)`` to logits ``(N, num_classes)``.

    Raises:
        ValueError: the name is unknown, or an option is not one of the net's.
    """
    if name not in _NETS:
        raise ValueError(f"no net '{name}'; the nets are: {', '.join(_NETS)}")
    try:
        net = _NETS[name](
            num_classes=num_classes, in_channels=in_channels, dropout=dropout, **options
        )
    except TypeError as error:
        raise ValueError(f"net '{name}' does not take these options: {error}") from None
    net.name, net.options = name, all_options(name, options)
    guard(net)
    return net


def all_options(name: str, given: Mapping[str, object]) -> dict[str, object]:
    """The options that the net of that name has, as ``given`` or else as they are by themselves.

    Those that every net has (``in_channels``, ``dropout``, ...) are not among them.
    """
    parameters = inspect.signature(_NETS[name]).parameters
    common = inspect.signature(create).parameters
    return {
        key: given.get(key, one.default) for key, one in parameters.items() if key not in common
    }


__all__ = ["NativeInput", "VideoNet", "all_options", "create", "names", "optimise_for_inference"]
