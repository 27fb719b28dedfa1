"""Convolutions on a CPU taken apart: into matrix products, and into convolutions over fewer axes.

``(N, C, ...)`` is a map over two or three axes, P its positions, ``(O, C, ...)`` a weight; all are
fastest, and most of what is here is a view, where channels come last.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SIDE_BY_SIDE = 32  # channels, of which so few are a part of a tile of AMX


def is_eager(x: Tensor) -> bool:
    """Whether ``x`` is on a CPU and what is done to it is done now: not traced, not compiled."""
    traced = torch.jit.is_tracing() or torch.jit.is_scripting() or torch.compiler.is_compiling()
    return x.device.type == "cpu" and not traced


def kind_of(x: Tensor) -> torch.dtype:
    """The type that a convolution of ``x`` is done in on a CPU."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


def of_one_element(kernel: Sequence[int], padding: Sequence[int]) -> bool:
    """Whether each position of the output sees one of the input."""
    return max(kernel) == 1 and not any(padding)


def weight_gradient(
    g: Tensor, x: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int]
) -> Tensor:
    """The gradient ``(O, C, T, H, W)`` of a weight over three axes, without oneDNN's own.

    A sum over frames for each place of the kernel along time, each of them a gradient over two axes;
    or a matrix product, where the kernel has one element in space.

    Args:
        g: the gradient of the output.
        x: the input.
        weight: as it was used; only its size matters.
        stride: of the convolution, an axis each.
        padding: likewise, in elements.
    """
    kernel = weight.shape[2:]
    in_space = max(kernel[1:]) > 1 or max(stride[1:]) > 1 or any(padding[1:])
    if of_one_element(kernel, padding):
        return patch_gradient(g, x, kernel, stride, padding)
    if not in_space and stride[0] == 1 and padding[0] < kernel[0] and len(weight) <= x.shape[1]:
        return _temporal_gradient(g, x, kernel[0], padding[0])
    if x.shape[1] <= SIDE_BY_SIDE:
        return _stacked_gradient(g, x, weight, stride, padding)
    flat = torch.empty_like(weight[:, :, 0], memory_format=torch.channels_last)
    taps = []
    for place in range(kernel[0]):
        # The output's frames for which the input has one at this place: t stride + place - padding.
        offset = place - padding[0]
        first = max(-(offset // stride[0]), 0)
        last = min((x.shape[2] - 1 - offset) // stride[0], g.shape[2] - 1)
        if last < first:
            taps.append(torch.zeros_like(flat))
            continue
        start, stop = first * stride[0] + offset, last * stride[0] + offset + 1
        own, seen = (
            frames_of(g[:, :, first : last + 1]),
            frames_of(x[:, :, start : stop : stride[0]]),
        )
        taps.append(gradient(own, seen, flat, stride[1:], padding[1:], (False, True)))
    return torch.stack(taps, dim=2)


def _temporal_gradient(g: Tensor, x: Tensor, length: int, padding: int) -> Tensor:
    """Of a kernel of ``length`` frames and one element in space: what each position's input had a
    part in, ``length`` frames of ``g``, times that input."""
    beyond = length - 1 - padding
    parts = patches_of(g, (length, 1, 1), (1, 1, 1), (beyond, 0, 0), x.shape[2:])
    products = parts.t() @ rows_of(x)  # the last place comes first
    return products.unflatten(0, (length, -1)).flip(0).permute(1, 2, 0)[..., None, None]


def _stacked_gradient(
    g: Tensor, x: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int]
) -> Tensor:
    """With the frames that the kernel sees side by side, as channels of one."""
    (length, *kernel), size = weight.shape[2:], (g.shape[2], *x.shape[3:])
    stacks = patches_of(x, (length, 1, 1), (stride[0], 1, 1), (padding[0], 0, 0), size)
    seen = map_of(stacks, (-1, *x.shape[3:]))
    wide = weight.new_empty((len(weight), seen.shape[1], *kernel))
    wide = wide.contiguous(memory_format=torch.channels_last)
    found = gradient(frames_of(g), seen, wide, stride[1:], padding[1:], (False, True))
    return found.unflatten(1, (length, -1)).movedim(1, 2)


def patch_gradient(
    g: Tensor, x: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> Tensor:
    """The weight's gradient as one product: of ``g``, a row a channel, and the patch of input at each
    position, a row a position."""
    products = rows_of(g).t() @ patches_of(x, kernel, stride, padding, g.shape[2:])
    return products.unflatten(1, (*kernel, x.shape[1])).movedim(-1, 1)


def frames_of(x: Tensor) -> Tensor:
    """``(N, C, T, H, W)`` as ``(N T, C, H, W)``, a view where it can be."""
    return x.movedim(1, -1).flatten(0, 1).movedim(-1, 1)  # channels stay last


def clips_of(frames: Tensor, count: int) -> Tensor:
    """The opposite: ``(N T, C, H, W)`` as ``count`` clips ``(N, C, T, H, W)``."""
    return map_of(frames.movedim(1, -1), (count, -1))


def as_product(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
) -> Tensor:
    """The convolution of ``(N, C, ...)`` as one matrix product, a row a position of the output."""
    kernel = weight.shape[2:]
    size = output_size(x.shape[2:], kernel, stride, padding)
    rows, matrix = patches_of(x, kernel, stride, padding, size), matrix_of(weight).t()
    out = rows @ matrix if bias is None else torch.addmm(bias, rows, matrix)  # (P, O)
    return map_of(out, (len(x), *size))


def gradient(
    g: Tensor,
    x: Tensor,
    weight: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    wanted: tuple[bool, bool],
) -> Tensor:
    """oneDNN's gradient of the input or of the weight, the one that is wanted."""
    axes = len(stride)
    rest = (1,) * axes, False, (0,) * axes, 1, (*wanted, False)
    both = torch.ops.aten.convolution_backward(g, x, weight, None, stride, padding, *rest)
    found: Tensor = both[0] if wanted[0] else both[1]
    return found


def output_size(
    size: Sequence[int], kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> tuple[int, ...]:
    """Positions of the output along each axis."""
    axes = zip(size, kernel, stride, padding, strict=True)
    return tuple((length + 2 * pad - reach) // step + 1 for length, reach, step, pad in axes)


def rows_of(x: Tensor) -> Tensor:
    """``(N, C, ...)`` with a row a position: ``(P, C)``, a view where channels come last."""
    return x.movedim(1, -1).flatten(0, -2)


def map_of(rows: Tensor, size: tuple[int, ...]) -> Tensor:
    """The opposite: ``(P, C)`` as ``(N, C, ...)``; ``size`` is that without C."""
    return rows.unflatten(0, size).movedim(-1, 1)


def matrix_of(weight: Tensor) -> Tensor:
    """``(O, C, ...)`` with a row an output: ``(O, kernel elements * C)``, a view likewise."""
    return weight.movedim(1, -1).flatten(1)


def windows_of(
    x: Tensor, kernel: Sequence[int], stride: Sequence[int], size: Sequence[int]
) -> Tensor:
    """``(N, ..., C)`` as what the kernel sees of it: ``(N, *size, *kernel, C)``, a view."""
    step = x.stride()
    strided = [each * by for each, by in zip(step[1:-1], stride, strict=True)]
    return x.as_strided(
        (len(x), *size, *kernel, x.shape[-1]), (step[0], *strided, *step[1:-1], step[-1])
    )


def patches_of(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    size: Sequence[int],
) -> Tensor:
    """What the kernel sees of ``(N, C, ...)`` at each position: ``(P, kernel elements * C)``."""
    if of_one_element(kernel, padding) and max(stride) == 1:
        return rows_of(x)
    x = x.movedim(1, -1)  # (N, ..., C)
    if any(padding):
        x = F.pad(x, [0, 0, *(p for own in reversed(padding) for p in (own, own))])
    return windows_of(x, kernel, stride, size).flatten(len(size) + 1).flatten(0, len(size))


def from_patches(
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
    windows = windows_of(x, kernel, stride, size)
    patches = patches.view(windows.shape)
    for tap in np.ndindex(*kernel):
        windows[(..., *tap, slice(None))] += patches[(..., *tap, slice(None))]
    inner = [slice(pad, pad + length) for length, pad in zip(shape[2:], padding, strict=True)]
    return x[(slice(None), *inner)].to(patches.dtype).movedim(-1, 1)


def lone_column(
    x: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> tuple[Tensor, tuple[int, ...], tuple[int, ...]]:
    """Input, stride and padding of the same convolution without a stride along the last axis, where
    its output has one column: of an input that is as wide as the kernel.

    oneDNN's bfloat16 convolution over three axes (torch 2.14.1 with AMX) is wrong there, NaN included,
    if the output has several rows; https://github.com/pytorch/pytorch/issues/169688.
    """
    width, before, step = x.shape[-1], padding[-1], stride[-1]
    if len(kernel) != 3 or step == 1 or (width + 2 * before - kernel[-1]) // step > 0:
        return x, tuple(stride), tuple(padding)
    x = F.pad(x, (before, kernel[-1] - before - width))  # a negative number takes away
    return x, (*stride[:-1], 1), (*padding[:-1], 0)


def fold_strides(
    x: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Input and weight with which a convolution without stride or padding gives the same sums.

    What lies within one step becomes channels: ``x[s (o + q) + r] w[s q + r]``, summed over q and r,
    is a kernel over q, of ``s`` times the channels, numbered by r. Hardware that multiplies tiles by
    32 channels does little with the three of a picture.
    """
    kernel, channels, axes = weight.shape[2:], x.shape[1], len(stride)
    size = output_size(x.shape[2:], kernel, stride, padding)
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
