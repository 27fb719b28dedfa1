"""A convolution that is right on short clips and small maps, in bfloat16 on CPUs too.

oneDNN's bfloat16 backward pass (torch 2.14.1 on a CPU with AMX) leaves parts of a weight's gradient
unwritten where a padded axis is shorter than the kernel (or, with a stride, about as short), so that
whatever was in memory before becomes a gradient: a 3x3x3 kernel over 2 frames, which is what a
16-frame snippet has left in the last stage of an I3D, is such a case. float32 shares it for large
kernels with a stride. Padding such an axis by hand avoids it, gives the same sums, and costs
little, since the maps concerned are small.

On small maps oneDNN is slow too: with many weights and few positions, most of the time of a weight's
gradient goes into bringing it into an order of its own and back. There it is computed as one matrix
product, two to eight times as fast.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_PLAIN = nn.Conv3d._conv_forward

# Most positions N T' H' W' of a map at which the matrix product is the faster way to a weight's
# gradient (measured on a Zen 4, one thread and two): 512 in bfloat16, 64 in float32.
FEW_POSITIONS = {torch.bfloat16: 512, torch.float32: 64}


class Conv3d(nn.Conv3d):
    """``nn.Conv3d``, the same to rounding, that is right and fast on small maps too.

    It pads an axis shorter than its kernel by hand, and finds the weight's gradient of a small map
    by a matrix product.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        pads = _pads_by_hand(input, self)
        padding: Any = self.padding
        if any(pads):
            padding = [
                0 if short else own
                for short, own in zip(_short_axes(input, self), _padding(self), strict=True)
            ]
            input = F.pad(input, pads)
        elif self.padding_mode != "zeros":
            return super()._conv_forward(input, weight, bias)
        if _has_few_positions(input, self, padding):
            if torch.is_autocast_enabled("cpu"):
                kind = torch.get_autocast_dtype("cpu")
                input, weight = input.to(kind), weight.to(kind)
                bias = None if bias is None else bias.to(kind)
            out: Tensor = _FewPositions.apply(input, weight, bias, self.stride, tuple(padding))
            return out
        return F.conv3d(input, weight, bias, self.stride, padding, self.dilation, self.groups)


class _FewPositions(torch.autograd.Function):
    """``conv3d`` whose weight's gradient is one matrix product: of the output's gradient, a row a
    channel, and the patch of input at each position, a row a position."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: tuple[int, ...],
        padding: tuple[int, ...],
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding, ctx.has_bias = stride, padding, bias is not None
        return F.conv3d(x, weight, bias, stride, padding)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = torch.ops.aten.convolution_backward(
                g,
                x,
                weight,
                None,
                ctx.stride,
                ctx.padding,
                (1, 1, 1),
                False,
                (0, 0, 0),
                1,
                (True, False, False),
            )[0]
        rows = g.movedim(1, -1).flatten(0, 3)  # (P, O)
        kernel = weight.shape[2:]
        product = rows.t() @ _patches(x, kernel, ctx.stride, ctx.padding, g.shape[2:])
        of_weight = product.unflatten(1, (*kernel, x.shape[1])).movedim(-1, 1)
        return of_x, of_weight, rows.sum(0) if ctx.has_bias else None, None, None


def _patches(
    x: Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    size: tuple[int, ...],
) -> Tensor:
    """What the kernel sees of ``(N, C, T, H, W)`` at each position: ``(P, kernel elements * C)``."""
    x = x.movedim(1, -1)  # (N, T, H, W, C)
    if any(padding):
        x = F.pad(x, [0, 0, *(p for own in reversed(padding) for p in (own, own))])
    step = x.stride()
    windows = x.as_strided(
        (len(x), *size, *kernel, x.shape[4]),
        (
            step[0],
            *(each * by for each, by in zip(step[1:4], stride, strict=True)),
            *step[1:4],
            step[4],
        ),
    )
    return windows.flatten(4).flatten(0, 3)


def _has_few_positions(x: Tensor, conv: nn.Conv3d, padding: Any) -> bool:
    """Whether the weight's gradient is wanted, and sooner had as a matrix product."""
    if (
        x.device.type != "cpu"
        or not (torch.is_grad_enabled() and conv.weight.requires_grad)
        or isinstance(padding, str)
        or conv.groups > 1
        or set(conv.dilation) != {1}
        or torch.compiler.is_compiling()
        or torch.jit.is_tracing()
    ):
        return False
    kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    positions = len(x)
    for axis in range(3):
        room = x.shape[2 + axis] + 2 * padding[axis] - conv.kernel_size[axis]
        positions *= room // conv.stride[axis] + 1
    return positions <= FEW_POSITIONS.get(kind, 0)


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
