"""ResNet-50 over video: the study's two fine-tuned I3D models, and their kin of the same blocks.

Sources: Wang et al., "Non-local Neural Networks", CVPR 2018, table 1 and section 4.1 (the I3D and
C2D baselines and where the blocks go); MMAction2's configurations ``i3d_imagenet-pretrained-r50_
8xb8-32x2x1`` and ``..-r50-nl-dot-product_8xb8-32x2x1`` (temporal strides, which blocks are
inflated); Feichtenhofer et al., "SlowFast Networks for Video Recognition", ICCV 2019, table 1 (the
slow pathway alone). Module names are torchvision's, so that a 2D ResNet-50 inflates without a
renaming table.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from dancestyle.nets.base import (
    GREY_MEAN,
    GREY_STD,
    IMAGENET_MEAN,
    IMAGENET_STD,
    NativeInput,
    VideoNet,
    initialise,
)
from dancestyle.nets.non_local import NonLocalBlock
from dancestyle.nets.normed import conv_norm, conv_norm_pool

DEPTHS = (3, 4, 6, 3)
# Blocks whose first 1x1 convolution becomes 3x1x1.
INFLATED = ((1, 1, 1), (1, 0, 1, 0), (1, 0, 1, 0, 1, 0), (0, 1, 0))
INFLATED_LATE = ((0,) * 3, (0,) * 4, (1,) * 6, (1,) * 3)
INFLATED_NEVER = tuple((0,) * depth for depth in DEPTHS)
# Blocks that a non-local block follows: two in res3, three in res4.
NON_LOCAL = ((0, 0, 0), (0, 1, 0, 1), (0, 1, 0, 1, 0, 1), (0, 0, 0))
EXPANSION = 4
# What PyTorchVideo's I3D R50, with strides in time of 1, 1 and 2, was trained on.
SHORT = NativeInput(frames=8, stride=8, size=224, mean=GREY_MEAN, std=GREY_STD)


class Bottleneck(nn.Module):
    """1x1x1 (or 3x1x1), 1x3x3, 1x1x1 and the shortcut; space is strided in the middle one."""

    def __init__(self, cin: int, width: int, stride: int, inflated: bool) -> None:
        super().__init__()
        temporal = 3 if inflated else 1
        self.conv1 = nn.Conv3d(
            cin, width, (temporal, 1, 1), padding=(temporal // 2, 0, 0), bias=False
        )
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = nn.Conv3d(width, width, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False)
        self.bn2 = nn.BatchNorm3d(width)
        self.conv3 = nn.Conv3d(width, width * EXPANSION, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(width * EXPANSION)
        self.downsample: nn.Sequential | None = None
        if stride > 1 or cin != width * EXPANSION:
            self.downsample = nn.Sequential(
                nn.Conv3d(cin, width * EXPANSION, 1, (1, stride, stride), bias=False),
                nn.BatchNorm3d(width * EXPANSION),
            )
        self.non_local: NonLocalBlock | None = None

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, T, H, W) -> (N, 4 width, T, H / stride, W / stride)``, rounded up."""
        shortcut = x
        if self.downsample is not None:
            conv, norm = self.downsample
            shortcut = conv_norm(conv, norm, x)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)
        x = conv_norm(self.conv3, self.bn3, x, shortcut)
        return x if self.non_local is None else self.non_local(x)


def residual_stage(cin: int, width: int, inflated: Sequence[int], stride: int) -> nn.Sequential:
    """The blocks of one stage, one for each flag of ``inflated``; the first has the stride."""
    blocks = []
    for block, flag in enumerate(inflated):
        blocks.append(Bottleneck(cin, width, stride if block == 0 else 1, bool(flag)))
        cin = width * EXPANSION
    return nn.Sequential(*blocks)


class ResNetI3D(VideoNet):
    """I3D ResNet-50: ``(N, C, T, H, W)``, T >= 8, H and W >= 32.

    32 frames of 224x224 leave the trunk as 4x7x7: time is halved by the first convolution and by
    each of the two pools, space as in the 2D net.

    Args:
        num_classes: size of the head.
        in_channels: 3 for RGB, 2 for flow.
        dropout: probability before the head.
        non_local: a mode of :class:`~dancestyle.nets.non_local.NonLocalBlock`, or None for plain.
        time_strides: of the first convolution, the first pool and the pool after res2. MMAction2's
            nets have (2, 2, 2) and see 32 frames; PyTorchVideo's have (1, 1, 2) and see 8.
    """

    native = NativeInput(frames=32, stride=2, size=224, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    feature_size = 512 * EXPANSION
    stages = (
        ("stem", ("conv1", "bn1")),
        ("res2", ("layer1",)),
        ("res3", ("layer2",)),
        ("res4", ("layer3",)),
        ("res5", ("layer4",)),
    )
    stem_length = 5
    inflated: tuple[tuple[int, ...], ...] = INFLATED
    default_time_strides = (2, 2, 2)

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        dropout: float = 0.5,
        non_local: str | None = None,
        time_strides: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        strides = tuple(self.default_time_strides if time_strides is None else time_strides)
        if len(strides) != 3 or not set(strides) <= {1, 2}:
            raise ValueError(f"time_strides must be three numbers, each 1 or 2, found {strides}")
        self.time_strides = strides
        if type(self) is ResNetI3D and strides == (1, 1, 2):
            self.native = SHORT
        length = self.stem_length
        self.conv1 = nn.Conv3d(
            in_channels, 64, (length, 7, 7), (strides[0], 2, 2), (length // 2, 3, 3), bias=False
        )
        self.bn1 = nn.BatchNorm3d(64)
        self.maxpool = nn.MaxPool3d((1, 3, 3), (strides[1], 2, 2), (0, 1, 1))
        self.pool2 = nn.MaxPool3d((2, 1, 1), (2, 1, 1)) if strides[2] == 2 else nn.Identity()
        self.layer1 = residual_stage(64, 64, self.inflated[0], 1)
        self.layer2 = residual_stage(256, 128, self.inflated[1], 2)
        self.layer3 = residual_stage(512, 256, self.inflated[2], 2)
        self.layer4 = residual_stage(1024, 512, self.inflated[3], 2)
        initialise(self)
        if non_local is not None:
            self._add_non_local(non_local)
        self._set_head(num_classes, dropout)

    def _add_non_local(self, mode: str) -> None:
        # After the initialisation, since the blocks have their own.
        for layer, marks in zip(
            (self.layer1, self.layer2, self.layer3, self.layer4), NON_LOCAL, strict=True
        ):
            for block, marked in zip(layer, marks, strict=True):
                if marked:
                    assert isinstance(block, Bottleneck)
                    block.non_local = NonLocalBlock(block.conv3.out_channels, mode)

    def trunk(self, x: Tensor) -> Tensor:
        """``(N, C, T, H, W) -> (N, 2048, T', H/32, W/32)``, T' being T through the time strides."""
        x = conv_norm_pool(self.conv1, self.bn1, self.maxpool, x)
        x = self.layer1(x)
        if x.shape[2] > 1:
            x = self.pool2(x)
        return self.layer4(self.layer3(self.layer2(x)))

    def features(self, x: Tensor) -> Tensor:
        """Pooled features ``(N, 2048)``."""
        return self.trunk(x).mean(dim=(2, 3, 4))


class SlowResNet(ResNetI3D):
    """Slow R50: no stride in time, kernels along time only in res4 and res5 (SlowFast, table 1)."""

    native = NativeInput(frames=8, stride=8, size=224, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    stem_length = 1
    inflated = INFLATED_LATE
    default_time_strides = (1, 1, 1)


class C2DResNet(ResNetI3D):
    """C2D R50: no kernel along time at all; frames meet in one pool and the average."""

    native = NativeInput(frames=8, stride=8, size=224, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    stem_length = 1
    inflated = INFLATED_NEVER
    default_time_strides = (1, 1, 2)
