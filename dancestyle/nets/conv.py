"""A convolution that is right on short clips and small maps, in bfloat16 on CPUs too.

oneDNN's bfloat16 backward pass (torch 2.14.1 on a CPU with AMX) leaves parts of a weight's gradient
unwritten where a padded axis is shorter than the kernel (or, with a stride, about as short), so that
whatever was in memory before becomes a gradient: a 3x3x3 kernel over 2 frames, which is what a
16-frame snippet has left in the last stage of an I3D, is such a case. float32 shares it for large
kernels with a stride. Padding such an axis by hand avoids it, gives the same sums, and costs
little, since the maps concerned are small.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

_PLAIN = nn.Conv3d._conv_forward


class Conv3d(nn.Conv3d):
    """``nn.Conv3d`` that pads an axis shorter than its kernel by hand: the same in every other way."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        pads = _pads_by_hand(input, self)
        if not any(pads):
            return super()._conv_forward(input, weight, bias)
        padding = [
            0 if short else own
            for short, own in zip(_short_axes(input, self), _padding(self), strict=True)
        ]
        return F.conv3d(
            F.pad(input, pads), weight, bias, self.stride, padding, self.dilation, self.groups
        )


def _padding(conv: nn.Conv3d) -> tuple[int, ...]:
    """Elements on either side of time, height and width; none where it is given by a word."""
    return (0, 0, 0) if isinstance(conv.padding, str) else conv.padding


def _short_axes(x: Tensor, conv: nn.Conv3d) -> list[bool]:
    """Which of time, height and width are too short for the kernel there, and padded."""
    padding = _padding(conv) if conv.padding_mode == "zeros" else (0, 0, 0)
    return [
        padding[axis] > 0 and x.shape[2 + axis] < conv.kernel_size[axis] + conv.stride[axis] - 1
        for axis in range(3)
    ]


def _pads_by_hand(x: Tensor, conv: nn.Conv3d) -> list[int]:
    """What ``F.pad`` is told, last axis first; as much at the end as the kernel reaches."""
    pads: list[int] = []
    if x.device.type != "cpu":
        return pads
    for axis, short in reversed(list(enumerate(_short_axes(x, conv)))):
        size, before, stride = x.shape[2 + axis], _padding(conv)[axis], conv.stride[axis]
        kernel = conv.dilation[axis] * (conv.kernel_size[axis] - 1) + 1
        reached = (size + 2 * before - kernel) // stride * stride + kernel
        pads += [before, max(reached - size - before, 0)] if short else [0, 0]
    return pads


def guard(net: nn.Module) -> nn.Module:
    """Make every ``nn.Conv3d`` of a net a :class:`Conv3d`, in place; keys and weights stay."""
    for module in net.modules():
        if isinstance(module, nn.Conv3d) and type(module)._conv_forward is _PLAIN:
            module.__class__ = Conv3d
    return net
