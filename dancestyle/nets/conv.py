"""Convolutions that are right on short clips and small maps, in bfloat16 on CPUs too, and fast there.

oneDNN's bfloat16 gradient of a weight over three axes (torch 2.14.1 on a CPU with AMX:
``brgconv_bwd_w``) is wrong. On wide maps it leaves out rows of the last frame, by chance and on some
channels: a 3x1x1 kernel over four frames of 56x56, which I3D ResNet-50 has after res2, is off by up
to half of the largest value, and a kernel of one element over two clips of them by an eighth. Where a
padded axis is shorter than the kernel it leaves parts unwritten, so that whatever was in memory
becomes a gradient. Over two axes it is right. Here that gradient is therefore never asked for: it is
a matrix product, or the sum over frames of gradients over two axes, one for each place of the kernel
along time. An output is wrong where a stride leaves one column; there it is had without a stride.
float32 shares the second fault for large kernels with a stride; padding such an axis by hand avoids
it, and costs little, since the maps concerned are small.

On small maps oneDNN is slow too: with many weights and few positions, most of the time goes into
bringing weights and gradients into an order of its own and back. There the weight's gradient is one
matrix product; a kernel of one element, or one with very many weights, is three of them: forward, and
both gradients. It is slow on the few channels of a picture too; there the stride is folded into them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dancestyle.nets.pool import MaxPool3d
from dancestyle.nets.products import (
    as_product,
    fold_strides,
    from_patches,
    gradient,
    is_eager,
    kind_of,
    lone_column,
    matrix_of,
    of_one_element,
    output_size,
    patch_gradient,
    rows_of,
    weight_gradient,
)

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
            if axes == 3 and _wants_gradient(conv):
                of_cells: Tensor = _Convolution.apply(*folded, bias, (1,) * axes, (0,) * axes)
                return of_cells
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
        stride: Any = conv.stride
        if (
            not isinstance(padding, str)
            and kind_of(input) == torch.bfloat16
            and _is_plain(input, conv)
        ):
            input, stride, padding = lone_column(input, conv.kernel_size, stride, padding)
        if _learns(input, conv, padding) and _takes_over(
            kind_of(input), conv, padding, positions := _outputs(input, conv, stride, padding)
        ):
            if _is_sooner_seen(kind_of(input), conv, padding, positions):
                seen = input[_every(conv.stride)] if max(conv.stride) > 1 else input
                return F.linear(seen.movedim(1, -1), weight.flatten(1), bias).movedim(-1, 1)
            if torch.is_autocast_enabled("cpu"):
                kind = torch.get_autocast_dtype("cpu")
                input, weight = input.to(kind), weight.to(kind)
                bias = None if bias is None else bias.to(kind)
            out: Tensor = _Convolution.apply(input, weight, bias, stride, tuple(padding))
            return out
        return _CONV[axes](input, weight, bias, stride, padding, conv.dilation, conv.groups)


class Conv3d(_Guarded, nn.Conv3d):
    """``nn.Conv3d``, the same to rounding, that is right and fast on small maps too.

    It pads an axis shorter than its kernel by hand, and works on small maps by matrix products.
    """


class Conv2d(_Guarded, nn.Conv2d):
    """``nn.Conv2d``, likewise."""


_KINDS: dict[type[nn.Module], type[nn.Module]] = {nn.Conv2d: Conv2d, nn.Conv3d: Conv3d}


class _Convolution(torch.autograd.Function):
    """A convolution whose weight's gradient is not left to oneDNN: over few positions it is one
    matrix product, else :func:`weight_gradient`. With many weights over few positions the output and
    the input's gradient are matrix products too."""

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
        size = output_size(x.shape[2:], kernel, stride, padding)
        ctx.whole = _outweighs(weight, len(x) * prod(size))
        if not ctx.whole:
            return _CONV[len(stride)](x, weight, bias, stride, padding)
        return as_product(x, weight, bias, stride, padding)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        kernel, size = weight.shape[2:], g.shape[2:]
        of_x = None
        if ctx.needs_input_grad[0] and ctx.whole:
            patches = rows_of(g) @ matrix_of(weight)
            of_x = from_patches(patches, x.shape, kernel, ctx.stride, ctx.padding, size)
        elif ctx.needs_input_grad[0]:
            of_x = gradient(g, x, weight, ctx.stride, ctx.padding, (True, False))
        of_weight = None
        if ctx.needs_input_grad[1]:
            if len(kernel) == 2 or _are_few(x.dtype, weight, len(x) * prod(size), ctx.padding):
                of_weight = patch_gradient(g, x, kernel, ctx.stride, ctx.padding)
            else:
                of_weight = weight_gradient(g, x, weight, ctx.stride, ctx.padding)
        of_bias = rows_of(g).sum(0) if ctx.has_bias else None
        return of_x, of_weight, of_bias, None, None


def sooner_as_product(
    x: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int]
) -> bool:
    """Whether :func:`as_product` is the faster way on a CPU, where no gradient is wanted."""
    size = output_size(x.shape[2:], weight.shape[2:], stride, padding)
    return weight.numel() >= MANY_FORWARD and len(x) * prod(size) <= FEW_FORWARD


def _every(stride: Sequence[int]) -> tuple[slice, ...]:
    """The positions of a map that a kernel of one element looks at."""
    return (slice(None), slice(None), *(slice(None, None, step) for step in stride))


def _outweighs(weight: Tensor, positions: int) -> bool:
    """Whether the weights are so many that bringing them into oneDNN's order takes longest."""
    channels_last = weight.movedim(1, -1).is_contiguous()
    return channels_last and weight.numel() >= MANY_WEIGHTS and positions <= FEW_OF_MANY


def few_channels(kind: torch.dtype, channels: int, stride: Sequence[int]) -> bool:
    """Whether :func:`~dancestyle.nets.products.fold_strides` makes a convolution done in ``kind``
    faster."""
    return kind == torch.bfloat16 and channels <= FEW_CHANNELS and max(stride) > 1


def _folds_strides(x: Tensor, conv: Any) -> bool:
    zeros = conv.padding_mode == "zeros" and not isinstance(conv.padding, str)
    return zeros and few_channels(kind_of(x), conv.in_channels, conv.stride) and _is_plain(x, conv)


def _is_plain(x: Tensor, conv: Any) -> bool:
    """On a CPU, in one group, without gaps, and not being traced."""
    return is_eager(x) and conv.groups == 1 and set(conv.dilation) == {1}


def _wants_gradient(conv: Any) -> bool:
    return torch.is_grad_enabled() and bool(conv.weight.requires_grad)


def _learns(x: Tensor, conv: Any, padding: Any) -> bool:
    """Whether the weight's gradient is wanted, of a convolution that is known here."""
    return _wants_gradient(conv) and not isinstance(padding, str) and _is_plain(x, conv)


def _outputs(x: Tensor, conv: Any, stride: Sequence[int], padding: Sequence[int]) -> int:
    """Positions N T' H' W' of the output."""
    return len(x) * prod(output_size(x.shape[2:], conv.kernel_size, stride, padding))


def _takes_over(kind: torch.dtype, conv: Any, padding: Sequence[int], positions: int) -> bool:
    """Whether oneDNN's gradient of the weight is wrong or slow."""
    wrong = kind == torch.bfloat16 and len(conv.kernel_size) == 3
    return wrong or _are_few(kind, conv.weight, positions, padding)


def _are_few(kind: torch.dtype, weight: Tensor, positions: int, padding: Sequence[int]) -> bool:
    """Whether the gradient of a weight over so many positions is sooner had as a product."""
    few = FEW_OF_ONE if of_one_element(weight.shape[2:], padding) else FEW_POSITIONS
    return kind in few and (positions <= few[kind] or _outweighs(weight, positions))


def _is_sooner_seen(kind: torch.dtype, conv: Any, padding: Sequence[int], positions: int) -> bool:
    """Whether a kernel of one element sees every position, or few enough to be copied."""
    if not of_one_element(conv.kernel_size, padding):
        return False
    return max(conv.stride) == 1 or _are_few(kind, conv.weight, positions, padding)


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
    """Make every convolution over two or three axes one of these, in place, and every maximum over
    three one of :mod:`dancestyle.nets.pool`; keys and weights stay."""
    for module in net.modules():
        for plain, ours in _KINDS.items():
            own, theirs = (getattr(kind, "_conv_forward", None) for kind in (type(module), plain))
            if isinstance(module, plain) and own is theirs:
                module.__class__ = ours
        if type(module) is nn.MaxPool3d:
            module.__class__ = MaxPool3d
    return net
