"""torchvision's own video nets behind our interface; their weights keep their names, in ``body``.

Sources: Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR
2018 (R3D, MC3, R(2+1)D); Xie et al., "Rethinking Spatiotemporal Feature Learning", ECCV 2018 (S3D);
Li et al., "MViTv2", CVPR 2022; Liu et al., "Video Swin Transformer", CVPR 2022.

torchvision is imported when the first of them is made, since that takes a second or two.
"""

from __future__ import annotations

import importlib
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from dancestyle.nets.base import (
    GREY_MEAN,
    GREY_STD,
    IMAGENET_MEAN,
    IMAGENET_STD,
    NativeInput,
    VideoNet,
)

# Of torchvision's weights, in grey levels.
KINETICS_MEAN = (110.2008, 100.63983, 95.99475)
KINETICS_STD = (58.14765, 56.46975, 55.332195)


class _TorchvisionNet(VideoNet):
    """A net of torchvision without its head; ``stem`` is where its first convolution is."""

    builder: ClassVar[str]
    stem: ClassVar[str]

    def _build(self, num_classes: int, in_channels: int, dropout: float, **options: object) -> None:
        models = importlib.import_module("torchvision.models.video")
        self.body: nn.Module = getattr(models, self.builder)(weights=None, **options)
        if in_channels != 3:
            self._replace_stem(in_channels)
        self._set_head(num_classes, dropout)

    def _replace_stem(self, in_channels: int) -> None:
        parent, _, name = self.stem.rpartition(".")
        old = self.body.get_submodule(self.stem)
        assert isinstance(old, nn.Conv3d)
        new = nn.Conv3d(
            in_channels,
            old.out_channels,
            old.kernel_size,  # type: ignore[arg-type]
            old.stride,  # type: ignore[arg-type]
            old.padding,  # type: ignore[arg-type]
            bias=old.bias is not None,
        )
        setattr(self.body.get_submodule(parent), name, new)

    def features(self, x: Tensor) -> Tensor:
        """Pooled features ``(N, feature_size)``."""
        return self.body(x)


class _ResNet18(_TorchvisionNet):
    native = NativeInput(16, 2, 112, KINETICS_MEAN, KINETICS_STD)
    feature_size = 512
    stem = "stem.0"
    stages = (
        ("stem", ("body.stem",)),
        ("res2", ("body.layer1",)),
        ("res3", ("body.layer2",)),
        ("res4", ("body.layer3",)),
        ("res5", ("body.layer4",)),
    )

    def __init__(self, num_classes: int, in_channels: int = 3, dropout: float = 0.5) -> None:
        super().__init__()
        self._build(num_classes, in_channels, dropout)
        self.body.fc = nn.Identity()


class R3D18(_ResNet18):
    """R3D-18: 3x3x3 kernels throughout. ``(N, C, T, H, W)``, T >= 1, H and W >= 16."""

    builder = "r3d_18"


class MC318(_ResNet18):
    """MC3-18: kernels along time in the lower half only."""

    builder = "mc3_18"


class R2Plus1D18(_ResNet18):
    """R(2+1)D-18: each kernel split into one over space and one over time."""

    builder = "r2plus1d_18"


class S3D(_TorchvisionNet):
    """S3D: Inception-v1 with kernels split as in R(2+1)D. T >= 8, H and W >= 32.

    torchvision pools 2x7x7 windows, which a small input does not have; here space is averaged
    wholly and time in pairs, which is the same at its native size.
    """

    native = NativeInput(128, 2, 224, KINETICS_MEAN, KINETICS_STD)
    feature_size = 1024
    builder = "s3d"
    stem = "features.0.0.0"
    stages = (
        ("stem", ("body.features.0", "body.features.2", "body.features.3")),
        ("mixed_3", ("body.features.5", "body.features.6")),
        ("mixed_4", tuple(f"body.features.{n}" for n in range(8, 13))),
        ("mixed_5", ("body.features.14", "body.features.15")),
    )

    def __init__(self, num_classes: int, in_channels: int = 3, dropout: float = 0.5) -> None:
        super().__init__()
        self._build(num_classes, in_channels, dropout)
        self.body.classifier = nn.Identity()

    def features(self, x: Tensor) -> Tensor:
        """Pooled features ``(N, 1024)``."""
        x = self.body.get_submodule("features")(x).mean(dim=(3, 4))  # (N, 1024, T/8)
        if x.shape[2] > 1:
            x = F.avg_pool1d(x, 2, stride=1)
        return x.mean(dim=2)


class Swin3DT(_TorchvisionNet):
    """Video Swin, tiny. ``(N, C, T, H, W)``, any size; odd ones are padded with zeros."""

    native = NativeInput(32, 2, 224, IMAGENET_MEAN, IMAGENET_STD)
    feature_size = 768
    builder = "swin3d_t"
    stem = "patch_embed.proj"
    stages = (
        ("stem", ("body.patch_embed",)),
        ("stage1", ("body.features.0",)),
        ("stage2", ("body.features.1", "body.features.2")),
        ("stage3", ("body.features.3", "body.features.4")),
        ("stage4", ("body.features.5", "body.features.6", "body.norm")),
    )

    def __init__(self, num_classes: int, in_channels: int = 3, dropout: float = 0.5) -> None:
        super().__init__()
        self._build(num_classes, in_channels, dropout)
        self.body.head = nn.Identity()


class MViTV2S(_TorchvisionNet):
    """MViTv2, small. ``(N, C, T, H, W)``, T >= 2, H and W >= 32: any size, as Swin.

    torchvision's forward pass knows 16 frames of 224x224 alone. Its positions are relative, and
    their tables are interpolated to the size at hand, so the blocks themselves take any.
    """

    native = NativeInput(16, 4, 224, GREY_MEAN, GREY_STD)
    feature_size = 768
    builder = "mvit_v2_s"
    stem = "conv_proj"
    stages = (
        ("stem", ("body.conv_proj", "body.pos_encoding")),
        ("scale1", ("body.blocks.0",)),
        ("scale2", ("body.blocks.1", "body.blocks.2")),
        ("scale3", tuple(f"body.blocks.{n}" for n in range(3, 14))),
        ("scale4", ("body.blocks.14", "body.blocks.15", "body.norm")),
    )

    def __init__(self, num_classes: int, in_channels: int = 3, dropout: float = 0.5) -> None:
        super().__init__()
        self._build(num_classes, in_channels, dropout)
        self.body.head = nn.Identity()

    def features(self, x: Tensor) -> Tensor:
        """The class token after the last block, ``(N, 768)``."""
        x = self.body.get_submodule("conv_proj")(x)  # (N, 96, T/2, H/4, W/4)
        size: tuple[int, ...] = tuple(x.shape[2:])
        tokens = self.body.get_submodule("pos_encoding")(x.flatten(2).transpose(1, 2))
        for block in self.body.get_submodule("blocks").children():
            tokens, size = block(tokens, size)
        return self.body.get_submodule("norm")(tokens)[:, 0]
