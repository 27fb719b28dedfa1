"""Inception-v1 I3D: the two-dimensional GoogLeNet with every kernel inflated along time.

Source: Carreira & Zisserman, "Quo Vadis, Action Recognition? A New Model and the Kinetics
Dataset", CVPR 2017, section 2.4 and figure 3. The module names are those of the published
checkpoints (``Conv3d_1a_7x7``, ``Mixed_3b.b0``, ...), so that they load without a renaming table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dancestyle.nets.base import NativeInput, VideoNet, initialise
from dancestyle.nets.normed import conv_norm_pool
from dancestyle.nets.pool import Window, max_pool3d
from dancestyle.nets.products import is_eager

# name: (input channels, (b0, b1a, b1b, b2a, b2b, b3b)), the branches of figure 3 of the paper.
MIXED = {
    "Mixed_3b": (192, (64, 96, 128, 16, 32, 32)),
    "Mixed_3c": (256, (128, 128, 192, 32, 96, 64)),
    "Mixed_4b": (480, (192, 96, 208, 16, 48, 64)),
    "Mixed_4c": (512, (160, 112, 224, 24, 64, 64)),
    "Mixed_4d": (512, (128, 128, 256, 24, 64, 64)),
    "Mixed_4e": (512, (112, 144, 288, 32, 64, 64)),
    "Mixed_4f": (528, (256, 160, 320, 32, 128, 128)),
    "Mixed_5b": (832, (256, 160, 320, 32, 128, 128)),
    "Mixed_5c": (832, (384, 192, 384, 48, 128, 128)),
}
FEATURES = 1024


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Padding (before, after) of TensorFlow's "SAME" mode along one axis, in elements.

    The published weights were trained with it; for an even size and a stride of 2 it is lopsided.
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class ConvUnit(nn.Module):
    """Convolution, BatchNorm, ReLU: ``(N, C, T, H, W) -> (N, C', T', H', W')``, "SAME" padded."""

    def __init__(self, cin: int, cout: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        # With stride 1 and an odd kernel "SAME" is symmetric, and the convolution pads for free.
        padding = kernel // 2 if stride == 1 else 0
        self.conv3d = nn.Conv3d(cin, cout, kernel, stride, padding, bias=False)
        # The reference implementation's momentum of 0.99 (0.01 here) lags on short trainings.
        self.bn = nn.BatchNorm3d(cout, eps=1e-3, momentum=0.1)

    def padded(self, x: Tensor) -> Tensor:
        """The input with zeros around it, where the convolution does not add them."""
        if self.stride == 1:
            return x
        pads = [same_padding(n, self.kernel, self.stride) for n in x.shape[:1:-1]]
        return F.pad(x, [p for pair in pads for p in pair])

    def normalised(self, x: Tensor) -> Tensor:
        """What ReLU is applied to."""
        normal: Tensor = self.bn(self.conv3d(self.padded(x)))
        return normal

    def forward(self, x: Tensor) -> Tensor:
        """Activations, each axis divided by the stride and rounded up."""
        return F.relu(self.normalised(x), inplace=True)


class MaxPoolSame(nn.Module):
    """Max-pooling with "SAME" padding; zeros never win since every input is a ReLU's output."""

    def __init__(self, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def window(self, size: Sequence[int]) -> Window:
        """For an input of ``size`` (T, H, W)."""
        pads = [same_padding(*own) for own in zip(size, self.kernel, self.stride, strict=True)]
        # ceil_mode adds the missing element at the end, which is where "SAME" puts it.
        lopsided = any(before != after for before, after in pads)
        return Window(self.kernel, self.stride, tuple(before for before, _ in pads), lopsided)

    def forward(self, x: Tensor) -> Tensor:
        """Maxima, each axis divided by its stride and rounded up."""
        return max_pool3d(x, self.window(x.shape[2:]))


def pooled(unit: nn.Module, pool: nn.Module, x: Tensor) -> Tensor:
    """``pool(unit(x))``."""
    if isinstance(unit, ConvUnit):
        return conv_norm_pool(unit.conv3d, unit.bn, pool, unit.padded(x))
    found: Tensor = pool(unit(x))  # another net's, made for inference
    return found


class Mixed(nn.Module):
    """One Inception module: four branches, concatenated along the channels."""

    def __init__(self, cin: int, widths: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        b0, b1a, b1b, b2a, b2b, b3b = widths
        self.b0 = ConvUnit(cin, b0)
        self.b1a, self.b1b = ConvUnit(cin, b1a), ConvUnit(b1a, b1b, 3)
        self.b2a, self.b2b = ConvUnit(cin, b2a), ConvUnit(b2a, b2b, 3)
        self.b3a, self.b3b = MaxPoolSame((3, 3, 3), (1, 1, 1)), ConvUnit(cin, b3b)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, T, H, W)`` to as many positions of ``b0 + b1b + b2b + b3b`` channels."""
        ends = (
            (self.b0, x),
            (self.b1b, self.b1a(x)),
            (self.b2b, self.b2a(x)),
            (self.b3b, self.b3a(x)),
        )
        maps = [unit.normalised(own) for unit, own in ends]
        if not is_eager(x):
            return F.relu(torch.cat(maps, dim=1), inplace=True)
        joined: Tensor = _JoinedRelu.apply(*maps)
        return joined


class _JoinedRelu(torch.autograd.Function):
    """Maps side by side along the channels, then ReLU, whose output is kept: the next layer keeps it
    too, and the branches' own need not be. Their gradients are dense, as BatchNorm wants them."""

    @staticmethod
    def forward(ctx: Any, *maps: Tensor) -> Tensor:
        out = torch.cat(maps, dim=1).relu_()
        ctx.widths = [own.shape[1] for own in maps]
        ctx.save_for_backward(out)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, ...]:
        parts = zip(
            *(each.split(ctx.widths, dim=1) for each in (g, *ctx.saved_tensors)), strict=True
        )
        return tuple(torch.ops.aten.threshold_backward(own, out, 0) for own, out in parts)


class InceptionI3D(VideoNet):
    """Inception-v1 I3D, all layers and channels: ``(N, C, T, H, W)``, T >= 8, H and W >= 32.

    64 frames of 224x224 leave the trunk as 8x7x7. The paper averages space wholly and time in
    overlapping pairs, then averages the logits over time; here the features are averaged instead,
    which gives the same logits since the head is linear.
    """

    native = NativeInput(frames=64, stride=1, size=224)
    feature_size = FEATURES
    stages = (
        ("stem", ("Conv3d_1a_7x7", "Conv3d_2b_1x1", "Conv3d_2c_3x3")),
        ("mixed_3", ("Mixed_3b", "Mixed_3c")),
        ("mixed_4", ("Mixed_4b", "Mixed_4c", "Mixed_4d", "Mixed_4e", "Mixed_4f")),
        ("mixed_5", ("Mixed_5b", "Mixed_5c")),
    )

    def __init__(self, num_classes: int, in_channels: int = 3, dropout: float = 0.5) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = ConvUnit(in_channels, 64, 7, 2)
        self.MaxPool3d_2a_3x3 = MaxPoolSame((1, 3, 3), (1, 2, 2))
        self.Conv3d_2b_1x1 = ConvUnit(64, 64)
        self.Conv3d_2c_3x3 = ConvUnit(64, 192, 3)
        self.MaxPool3d_3a_3x3 = MaxPoolSame((1, 3, 3), (1, 2, 2))
        self.MaxPool3d_4a_3x3 = MaxPoolSame((3, 3, 3), (2, 2, 2))
        self.MaxPool3d_5a_2x2 = MaxPoolSame((2, 2, 2), (2, 2, 2))
        for name, (cin, widths) in MIXED.items():
            self.add_module(name, Mixed(cin, widths))
        initialise(self)
        self._set_head(num_classes, dropout)

    def trunk(self, x: Tensor) -> Tensor:
        """``(N, C, T, H, W) -> (N, 1024, T/8, H/32, W/32)``, each rounded up."""
        x = pooled(self.Conv3d_1a_7x7, self.MaxPool3d_2a_3x3, x)
        x = pooled(self.Conv3d_2c_3x3, self.MaxPool3d_3a_3x3, self.Conv3d_2b_1x1(x))
        for name in MIXED:
            if name == "Mixed_4b":
                x = self.MaxPool3d_4a_3x3(x)
            elif name == "Mixed_5b":
                x = self.MaxPool3d_5a_2x2(x)
            x = getattr(self, name)(x)
        return x

    def features(self, x: Tensor) -> Tensor:
        """Pooled features ``(N, 1024)``."""
        x = self.trunk(x).mean(dim=(3, 4))  # (N, 1024, T/8)
        if x.shape[2] > 1:
            x = F.avg_pool1d(x, 2, stride=1)
        return x.mean(dim=2)
