"""SlowFast R50: a wide net on few frames and a thin one on all of them, which feeds the first.

Source: Feichtenhofer, Fan, Malik & He, "SlowFast Networks for Video Recognition", ICCV 2019,
section 3 and table 1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dancestyle.nets.base import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    NativeInput,
    VideoNet,
    initialise,
)
from dancestyle.nets.normed import conv_norm_pool
from dancestyle.nets.resnet_i3d import DEPTHS, EXPANSION, INFLATED_LATE, residual_stage

BETA = 8  # the slow pathway has this many times the fast one's channels
LATERAL_GAIN = 2  # a lateral connection doubles the fast channels
SLOW_FRAMES = ("stride", "spread")


class Pathway(nn.Module):
    """One ResNet-50 without strides in time; ``lateral`` channels join before each stage."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        stem_length: int,
        inflated: tuple[tuple[int, ...], ...],
        lateral: bool,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(
            in_channels,
            width,
            (stem_length, 7, 7),
            (1, 2, 2),
            (stem_length // 2, 3, 3),
            bias=False,
        )
        self.bn1 = nn.BatchNorm3d(width)
        self.maxpool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        cin = width
        for number, flags in enumerate(inflated):
            joined = cin * LATERAL_GAIN // BETA if lateral else 0
            stage = residual_stage(cin + joined, width << number, flags, 2 if number else 1)
            self.add_module(f"layer{number + 1}", stage)
            cin = (width << number) * EXPANSION

    def stem(self, x: Tensor) -> Tensor:
        """``(N, C, T, H, W) -> (N, width, T, H/4, W/4)``."""
        return conv_norm_pool(self.conv1, self.bn1, self.maxpool, x)


class Lateral(nn.Module):
    """Fast to slow: a convolution along time whose stride is the ratio of the frame rates."""

    def __init__(self, channels: int, alpha: int, length: int, norm: bool) -> None:
        super().__init__()
        self.conv = nn.Conv3d(
            channels,
            channels * LATERAL_GAIN,
            (length, 1, 1),
            (alpha, 1, 1),
            (length // 2, 0, 0),
            bias=False,
        )
        self.bn = nn.BatchNorm3d(channels * LATERAL_GAIN) if norm else None

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, T, H, W) -> (N, 2 C, T / alpha, H, W)``, rounded up."""
        x = self.conv(x)
        return x if self.bn is None else F.relu(self.bn(x), inplace=True)


class SlowFast(VideoNet):
    """SlowFast R50: ``(N, C, T, H, W)`` with all the fast pathway's frames, T >= 8, H and W >= 32.

    Args:
        num_classes: size of the head.
        in_channels: 3 for RGB, 2 for flow.
        dropout: probability before the head.
        alpha: the slow pathway sees every ``alpha``-th frame (4 in the paper's 8x8 net).
        lateral_length: frames that a lateral connection spans.
        lateral_norm: BatchNorm and ReLU in the lateral connections, as PyTorchVideo's nets and the
            authors' have and MMAction2's have not.
        slow_frames: ``stride`` takes frames 0, alpha, 2 alpha, ... (the authors, MMAction2),
            ``spread`` spreads as many from the first to the last (PyTorchVideo's scores).
    """

    native = NativeInput(frames=32, stride=2, size=224, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    feature_size = 512 * EXPANSION * (BETA + 1) // BETA
    stages = (
        ("stem", ("slow.conv1", "slow.bn1", "fast.conv1", "fast.bn1", "lateral.0")),
        ("res2", ("slow.layer1", "fast.layer1", "lateral.1")),
        ("res3", ("slow.layer2", "fast.layer2", "lateral.2")),
        ("res4", ("slow.layer3", "fast.layer3", "lateral.3")),
        ("res5", ("slow.layer4", "fast.layer4")),
    )

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        dropout: float = 0.5,
        alpha: int = 4,
        lateral_length: int = 7,
        lateral_norm: bool = True,
        slow_frames: str = "stride",
    ) -> None:
        super().__init__()
        if alpha < 1:
            raise ValueError(f"alpha must be at least 1, found {alpha}")
        if lateral_length < 1 or lateral_length % 2 == 0:
            raise ValueError(f"lateral_length must be odd, found {lateral_length}")
        if slow_frames not in SLOW_FRAMES:
            raise ValueError(f"slow_frames '{slow_frames}' is not one of: {', '.join(SLOW_FRAMES)}")
        self.alpha, self.slow_frames = alpha, slow_frames
        always = tuple((1,) * depth for depth in DEPTHS)
        self.slow = Pathway(in_channels, 64, 1, INFLATED_LATE, lateral=True)
        self.fast = Pathway(in_channels, 64 // BETA, 5, always, lateral=False)
        widths = (64 // BETA, *(64 // BETA * EXPANSION << stage for stage in range(3)))
        self.lateral = nn.ModuleList(
            Lateral(width, alpha, lateral_length, lateral_norm) for width in widths
        )
        initialise(self)
        self._set_head(num_classes, dropout)

    def sub_sampled(self, x: Tensor) -> Tensor:
        """The slow pathway's frames of ``x``, as many as T / alpha rounded up."""
        if self.slow_frames == "stride":
            return x[:, :, :: self.alpha]
        count = -(-x.shape[2] // self.alpha)
        index = torch.linspace(0, x.shape[2] - 1, count, device=x.device).long()
        return x[:, :, index]

    def trunk(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Slow ``(N, 2048, T/alpha, H/32, W/32)`` and fast maps ``(N, 256, T, H/32, W/32)``."""
        slow, fast = self.slow.stem(self.sub_sampled(x)), self.fast.stem(x)
        for number, lateral in enumerate(self.lateral, start=1):
            slow = torch.cat((slow, lateral(fast)), dim=1)
            slow = self.slow.get_submodule(f"layer{number}")(slow)
            fast = self.fast.get_submodule(f"layer{number}")(fast)
        return slow, fast

    def features(self, x: Tensor) -> Tensor:
        """Pooled features ``(N, 2304)``: the slow pathway's 2048, then the fast one's 256."""
        return torch.cat([maps.mean(dim=(2, 3, 4)) for maps in self.trunk(x)], dim=1)
