"""Convolutions that are right on short clips and small maps, in bfloat16 on CPUs too, and fast there.

oneDNN's bfloat16 backward pass (torch 2.14.1 on a CPU with AMX) leaves parts of a weight's gradient
unwritten where a padded axis is shorter than the kernel (or, with a stride, about as short), so that
whatever was in memory before becomes a gradient: a 3x3x3 kernel over 2 frames, which is what a
16-frame snippet has left in the last stage of an I3D, is such a case. float32 shares it for large
kernels with a stride. Padding such an axis by hand avoids it, gives the same sums, and costs
little, since the maps concerned are small.

On small maps oneDNN is slow too: with many weights and few positions, most of the time goes into
bringing weights and gradients into an order of its own and back. There the weight's gradient is one
matrix product; a kernel of one element, or one with very many weights, is three of them: forward, and
both gradients. It is slow on the few channels of a picture too; there the stride is folded into them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Most positions N T' H' W' of a map at which matrix products are the faster way, for kernels of one
# element and for larger ones (benchmarks/conv.py; two cores, with AMX for bfloat16).
FEW_POSITIONS = {torch.bfloat16: 1024, torch.float32: 64}
FEW_OF_ONE = {torch.bfloat16: 2048, torch.float32: 64}
# From so many weights and at most so many positions larger kernels are products throughout too, and
# where no gradient is wanted any kernel is.
MANY_WEIGHTS, FEW_OF_MANY = 2**20, 512
MANY_FORWARD, FEW_FORWARD = 2**18, 128
FEW_CHANNELS = 4  # of pictures, of flow

_CONV = {2: F.conv2d, 3: F.conv3d}


class _Guarded:
    """What :class:`Conv2d` and :class:`Conv3d` share."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        conv: Any = self
        axes = len(conv.kernel_size)
        if input.dim() != axes + 2:  # a single clip, without the axis of the batch
            unbatched: Tensor = super()._conv_forward(input, weight, bias)  # type: ignore[misc]
            return unbatched
        if _folds_strides(input, conv):
            kind = torch.bfloat16
            bias = None if bias is None else bias.to(kind)
            folded = fold_strides(input.to(kind), weight.to(kind), conv.stride, conv.padding)
            strideless: Tensor = _CONV[axes](*folded, bias)
            return strideless
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
            if _of_one_element(conv.kernel_size, padding):
                seen = input[_every(conv.stride)] if max(conv.stride) > 1 else input
                return F.linear(seen.movedim(1, -1), weight.flatten(1), bias).movedim(-1, 1)
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
    channel, and the patch of input at each position, a row a position. With many weights the output
    and the input's gradient are such products too."""

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
        kernel = weight.shape[2:]
        size = _output_size(x.shape[2:], kernel, stride, padding)
        ctx.whole = _outweighs(weight, len(x) * prod(size))
        if not ctx.whole:
            return _CONV[len(stride)](x, weight, bias, stride, padding)
        return as_product(x, weight, bias, stride, padding)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        kernel, size, rows = weight.shape[2:], g.shape[2:], _rows(g)  # (P, O)
        of_x = None
        if ctx.needs_input_grad[0] and ctx.whole:
            patches = rows @ _matrix(weight)
            of_x = _unpatched(patches, x.shape, kernel, ctx.stride, ctx.padding, size)
        elif ctx.needs_input_grad[0]:
            axes = len(ctx.stride)
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
        weights = rows.t() @ _patches(x, kernel, ctx.stride, ctx.padding, size)
        of_weight = weights.unflatten(1, (*kernel, x.shape[1])).movedim(-1, 1)
        of_bias = rows.sum(0) if ctx.has_bias else None
        return of_x, of_weight, of_bias, None, None


def as_product(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
) -> Tensor:
    """The convolution of ``(N, C, ...)`` as one matrix product, a row a position of the output."""
    kernel = weight.shape[2:]
    size = _output_size(x.shape[2:], kernel, stride, padding)
    rows, matrix = _patches(x, kernel, stride, padding, size), _matrix(weight).t()
    out = rows @ matrix if bias is None else torch.addmm(bias, rows, matrix)  # (P, O)
    return _map(out, (len(x), *size))


def sooner_as_product(
    x: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int]
) -> bool:
    """Whether :func:`as_product` is the faster way on a CPU, where no gradient is wanted."""
    size = _output_size(x.shape[2:], weight.shape[2:], stride, padding)
    return weight.numel() >= MANY_FORWARD and len(x) * prod(size) <= FEW_FORWARD


def _of_one_element(kernel: Sequence[int], padding: Sequence[int]) -> bool:
    return max(kernel) == 1 and not any(padding)


def _every(stride: Sequence[int]) -> tuple[slice, ...]:
    """The positions of a map that a kernel of one element looks at."""
    return (slice(None), slice(None), *(slice(None, None, step) for step in stride))


def _outweighs(weight: Tensor, positions: int) -> bool:
    """Whether the weights are so many that bringing them into oneDNN's order takes longest."""
    channels_last = weight.movedim(1, -1).is_contiguous()
    return channels_last and weight.numel() >= MANY_WEIGHTS and positions <= FEW_OF_MANY


def _output_size(
    size: Sequence[int], kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> tuple[int, ...]:
    axes = zip(size, kernel, stride, padding, strict=True)
    return tuple((length + 2 * pad - reach) // step + 1 for length, reach, step, pad in axes)


def _rows(x: Tensor) -> Tensor:
    """``(N, C, ...)`` with a row a position: ``(P, C)``, a view where channels come last."""
    return x.movedim(1, -1).flatten(0, -2)


def _map(rows: Tensor, size: tuple[int, ...]) -> Tensor:
    """The opposite: ``(P, C)`` as ``(N, C, ...)``; ``size`` is that without C."""
    return rows.unflatten(0, size).movedim(-1, 1)


def _matrix(weight: Tensor) -> Tensor:
    """``(O, C, ...)`` with a row an output: ``(O, kernel elements * C)``, a view likewise."""
    return weight.movedim(1, -1).flatten(1)


def _windows(
    x: Tensor, kernel: Sequence[int], stride: Sequence[int], size: Sequence[int]
) -> Tensor:
    """``(N, ..., C)`` as what the kernel sees of it: ``(N, *size, *kernel, C)``, a view."""
    step = x.stride()
    strided = [each * by for each, by in zip(step[1:-1], stride, strict=True)]
    return x.as_strided(
        (len(x), *size, *kernel, x.shape[-1]), (step[0], *strided, *step[1:-1], step[-1])
    )


def _patches(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    size: Sequence[int],
) -> Tensor:
    """What the kernel sees of ``(N, C, ...)`` at each position: ``(P, kernel elements * C)``."""
    if max(kernel) == max(stride) == 1 and not any(padding):
        return _rows(x)
    x = x.movedim(1, -1)  # (N, ..., C)
    if any(padding):
        x = F.pad(x, [0, 0, *(p for own in reversed(padding) for p in (own, own))])
    return _windows(x, kernel, stride, size).flatten(len(size) + 1).flatten(0, len(size))


def _unpatched(
    patches: Tensor,
    shape: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    size: Sequence[int],
) -> Tensor:
    """The opposite, patches that overlap being added up: ``(N, C, ...)`` of that ``shape``."""
    padded = [length + 2 * pad for length, pad in zip(shape[2:], padding, strict=True)]
    # Sums are made in float32, as convolutions do.
    x = patches.new_zeros((shape[0], *padded, shape[1]), dtype=torch.float32)
    windows = _windows(x, kernel, stride, size)
    patches = patches.view(windows.shape)
    for tap in np.ndindex(*kernel):
        windows[(..., *tap, slice(None))] += patches[(..., *tap, slice(None))]
    inner = [slice(pad, pad + length) for length, pad in zip(shape[2:], padding, strict=True)]
    return x[(slice(None), *inner)].to(patches.dtype).movedim(-1, 1)


def fold_strides(
    x: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Input and weight with which a convolution without stride or padding gives the same sums.

    What lies within one step becomes channels: ``x[s (o + q) + r] w[s q + r]``, summed over q and r,
    is a kernel over q, of ``s`` times the channels, numbered by r. Hardware that multiplies tiles by
    32 channels does little with the three of a picture.
    """
    kernel, channels, axes = weight.shape[2:], x.shape[1], len(stride)
    size = _output_size(x.shape[2:], kernel, stride, padding)
    steps = [-(-length // step) for length, step in zip(kernel, stride, strict=True)]  # q
    cells = [length + q - 1 for length, q in zip(size, steps, strict=True)]  # o + q
    after = [
        step * own - pad - length
        for step, own, pad, length in zip(stride, cells, padding, x.shape[2:], strict=True)
    ]
    x = F.pad(x, [p for ends in zip(padding[::-1], after[::-1], strict=True) for p in ends])
    beyond = [q * step - own for q, step, own in zip(steps, stride, kernel, strict=True)]
    weight = F.pad(weight, [p for end in beyond[::-1] for p in (0, end)])
    order = (0, *range(2, 2 * axes + 2, 2), *range(3, 2 * axes + 3, 2), 1)
    folded = []
    for tensor, own in ((x, cells), (weight, steps)):
        pairs = [length for pair in zip(own, stride, strict=True) for length in pair]
        last = tensor.reshape(len(tensor), channels, *pairs).permute(order)
        folded.append(last.reshape(len(tensor), *own, -1).movedim(-1, 1))
    return folded[0], folded[1]


def few_channels(x: Tensor, weight: Tensor, stride: Sequence[int]) -> bool:
    """Whether :func:`fold_strides` makes a convolution in bfloat16 faster."""
    return x.dtype == torch.bfloat16 and weight.shape[1] <= FEW_CHANNELS and max(stride) > 1


def _folds_strides(x: Tensor, conv: Any) -> bool:
    strided = conv.in_channels <= FEW_CHANNELS and max(conv.stride) > 1
    zeros = conv.padding_mode == "zeros" and not isinstance(conv.padding, str)
    return strided and zeros and _kind(x) == torch.bfloat16 and _is_plain(x, conv)


def _kind(x: Tensor) -> torch.dtype:
    """The type that a convolution of ``x`` is done in."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


def _is_plain(x: Tensor, conv: Any) -> bool:
    """On a CPU, in one group, without gaps, and not being traced."""
    return (
        x.device.type == "cpu"
        and conv.groups == 1
        and set(conv.dilation) == {1}
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
    )


def _has_few_positions(x: Tensor, conv: Any, padding: Any) -> bool:
    """Whether the weight's gradient is wanted, and sooner had as a matrix product."""
    wanted = torch.is_grad_enabled() and conv.weight.requires_grad
    if not wanted or isinstance(padding, str) or not _is_plain(x, conv):
        return False
    kind = _kind(x)
    positions = len(x) * prod(_output_size(x.shape[2:], conv.kernel_size, conv.stride, padding))
    few = FEW_OF_ONE if _of_one_element(conv.kernel_size, padding) else FEW_POSITIONS
    return kind in few and (positions <= few[kind] or _outweighs(conv.weight, positions))


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
