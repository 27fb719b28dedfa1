"""Convolutions that are right on short clips and small maps, in bfloat16 on CPUs too, and fast there.

oneDNN's bfloat16 backward pass (torch 2.14.1 on a CPU with AMX) leaves parts of a weight's gradient
unwritten where a padded axis is shorter than the kernel (or, with a stride, about as short), so that
whatever was in memory before becomes a gradient: a 3x3x3 kernel over 2 frames, which is what a
16-frame snippet has left in the last stage of an I3D, is such a case. float32 shares it for large
kernels with a stride. Padding such an axis by hand avoids it, gives the same sums, and costs
little, since the maps concerned are small.

On small maps oneDNN is slow too: with many weights and few positions, most of the time goes into
bringing weights and gradients into an order of its own and back. There the weight's gradient is one
matrix product, and a kernel of one element is three of them: forward, and both gradients.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Most positions N T' H' W' of a map at which matrix products are the faster way, for kernels of one
# element and for larger ones (benchmarks/conv.py; two cores, with AMX for bfloat16).
FEW_POSITIONS = {torch.bfloat16: 1024, torch.float32: 64}
FEW_OF_ONE = {torch.bfloat16: 2048, torch.float32: 64}

_CONV = {2: F.conv2d, 3: F.conv3d}


class _Guarded:
    """What :class:`Conv2d` and :class:`Conv3d` share."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        conv: Any = self
        axes = len(conv.kernel_size)
        if input.dim() != axes + 2:  # a single clip, without the axis of the batch
            unbatched: Tensor = super()._conv_forward(input, weight, bias)  # type: ignore[misc]
            return unbatched
        pads = _pads_by_hand(input, conv)
        padding: Any = conv.padding
        if any(pads):
            padding = [
                0 if short else own
                for short, own in zip(_short_axes(input, conv), _padding(conv), strict=True)
            ]
            input = F.pad(input, pads)
        elif conv.padding_mode != "zeros":
            padded: Tensor = super()._conv_forward(input, weight, bias)  # type: ignore[misc]
            return padded
        if _has_few_positions(input, conv, padding):
            if torch.is_autocast_enabled("cpu"):
                kind = torch.get_autocast_dtype("cpu")
                input, weight = input.to(kind), weight.to(kind)
                bias = None if bias is None else bias.to(kind)
            out: Tensor = _FewPositions.apply(input, weight, bias, conv.stride, tuple(padding))
            return out
        return _CONV[axes](input, weight, bias, conv.stride, padding, conv.dilation, conv.groups)


class Conv3d(_Guarded, nn.Conv3d):
    """``nn.Conv3d``, the same to rounding, that is right and fast on small maps too.

    It pads an axis shorter than its kernel by hand, and works on small maps by matrix products.
    """


class Conv2d(_Guarded, nn.Conv2d):
    """``nn.Conv2d``, likewise."""


_KINDS: dict[type[nn.Module], type[nn.Module]] = {nn.Conv2d: Conv2d, nn.Conv3d: Conv3d}


class _FewPositions(torch.autograd.Function):
    """A convolution whose weight's gradient is one matrix product: of the output's gradient, a row a
    channel, and the patch of input at each position, a row a position. With kernels of one element
    the output and the input's gradient are such products too."""

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
        ctx.of_one = _of_one_element(weight.shape[2:], padding)
        if not ctx.of_one:
            return _CONV[len(stride)](x, weight, bias, stride, padding)
        seen = x[_every(stride)]
        rows = _rows(seen) @ weight.flatten(1).t()  # (P, O)
        if bias is not None:
            rows += bias
        return _map(rows, seen)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        rows = _rows(g)  # (P, O)
        of_bias = rows.sum(0) if ctx.has_bias else None
        of_x = None
        if ctx.of_one:
            if ctx.needs_input_grad[0]:
                of_seen = _map(rows @ weight.flatten(1), g)
                of_x = of_seen
                if max(ctx.stride) > 1:
                    of_x = torch.zeros_like(x)
                    of_x[_every(ctx.stride)] = of_seen
            of_weight = (rows.t() @ _rows(x[_every(ctx.stride)])).view(weight.shape)
            return of_x, of_weight, of_bias, None, None
        axes = len(ctx.stride)
        if ctx.needs_input_grad[0]:
            of_x = torch.ops.aten.convolution_backward(
                g,
                x,
                weight,
                None,
                ctx.stride,
                ctx.padding,
                (1,) * axes,
                False,
                (0,) * axes,
                1,
                (True, False, False),
            )[0]
        kernel = weight.shape[2:]
        product = rows.t() @ _patches(x, kernel, ctx.stride, ctx.padding, g.shape[2:])
        of_weight = product.unflatten(1, (*kernel, x.shape[1])).movedim(-1, 1)
        return of_x, of_weight, of_bias, None, None


def _of_one_element(kernel: tuple[int, ...], padding: tuple[int, ...]) -> bool:
    return max(kernel) == 1 and not any(padding)


def _every(stride: tuple[int, ...]) -> tuple[slice, ...]:
    """The positions of a map that a kernel of one element looks at."""
    return (slice(None), slice(None), *(slice(None, None, step) for step in stride))


def _rows(x: Tensor) -> Tensor:
    """``(N, C, ...)`` with a row a position: ``(P, C)``, a view where channels come last."""
    return x.movedim(1, -1).flatten(0, -2)


def _map(rows: Tensor, like: Tensor) -> Tensor:
    """The opposite: ``(P, C)`` as ``(N, C, ...)``, sized like ``like`` but for the channels."""
    return rows.unflatten(0, (len(like), *like.shape[2:])).movedim(-1, 1)


def _patches(
    x: Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    size: tuple[int, ...],
) -> Tensor:
    """What the kernel sees of ``(N, C, ...)`` at each position: ``(P, kernel elements * C)``."""
    x = x.movedim(1, -1)  # (N, ..., C)
    if any(padding):
        x = F.pad(x, [0, 0, *(p for own in reversed(padding) for p in (own, own))])
    step = x.stride()
    windows = x.as_strided(
        (len(x), *size, *kernel, x.shape[-1]),
        (
            step[0],
            *(each * by for each, by in zip(step[1:-1], stride, strict=True)),
            *step[1:-1],
            step[-1],
        ),
    )
    return windows.flatten(len(size) + 1).flatten(0, len(size))


def _has_few_positions(x: Tensor, conv: Any, padding: Any) -> bool:
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
    for axis, kernel in enumerate(conv.kernel_size):
        room = x.shape[2 + axis] + 2 * padding[axis] - kernel
        positions *= room // conv.stride[axis] + 1
    few = FEW_OF_ONE if _of_one_element(conv.kernel_size, padding) else FEW_POSITIONS
    return positions <= few.get(kind, 0)


def _padding(conv: Any) -> tuple[int, ...]:
    """Elements on either side of each axis; none where it is given by a word."""
    return (0,) * len(conv.kernel_size) if isinstance(conv.padding, str) else conv.padding


def _short_axes(x: Tensor, conv: Any) -> list[bool]:
    """Which axes behind the channels are too short for the kernel there, and padded."""
    padding = _padding(conv)
    if conv.padding_mode != "zeros":
        return [False] * len(padding)
    return [
        padding[axis] > 0 and x.shape[2 + axis] < kernel + conv.stride[axis] - 1
        for axis, kernel in enumerate(conv.kernel_size)
    ]


def _pads_by_hand(x: Tensor, conv: Any) -> list[int]:
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
    """Make every convolution over two or three axes one of these, in place; keys and weights stay."""
    for module in net.modules():
        for plain, ours in _KINDS.items():
            own, theirs = (getattr(kind, "_conv_forward", None) for kind in (type(module), plain))
            if isinstance(module, plain) and own is theirs:
                module.__class__ = ours
    return net
