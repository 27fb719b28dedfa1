"""BatchNorm and its neighbours, trained together on a CPU: fewer passes over the largest maps, and
less kept for the way back. The formulas are those of Ioffe & Szegedy, "Batch Normalization", ICML
2015, section 3, in other words; only the rounding differs.

*With the convolution before it.* The last convolution of a bottleneck makes four channels of each.
Its output is the largest map of the block; BatchNorm, the sum and ReLU each read and write it, and
keep it. None of that is needed: mean and variance of ``y = W x`` follow from those of ``x``,

    mean(y) = W mean(x),    var(y) = diag(W cov(x) W'),

so that the normalised output is a convolution with other weights, to which oneDNN adds the shortcut
and applies ReLU as it writes. Nor do the gradients need ``y``: the sum over positions of ``dy y`` is
made of the weight's gradient and ``W``, that of ``y x`` is ``W cov(x)``.

*With the pool behind it.* BatchNorm of a scale that is not negative, and ReLU, keep what is larger
larger. So the maximum comes first, and they are done for the maxima alone. Where a scale is negative,
its channel is turned round in the convolution and in the scale. The gradient of BatchNorm's input is
that of the maxima, where they are, and a multiple of the input plus a constant, a channel each.

The modules that are done together are not called themselves, so that hooks of theirs do not run in
training.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dancestyle.nets.pool import Window, maxima, scatter, small
from dancestyle.nets.products import is_eager, kind_of, map_of, rows_of

# From how many times the channels, and how many positions N T H W, in all and for each of the input's
# channels, the covariance costs less than it saves (benchmarks/normed.py; two cores).
WIDENS, POSITIONS, PER_CHANNEL = 4, 4096, 32


@runtime_checkable
class MaxPool(Protocol):
    """A maximum over ``(N, C, T, H, W)``, of this project."""

    def window(self, size: Sequence[int]) -> Window:
        """What it is taken over, for an input of ``size`` (T, H, W)."""


def conv_norm(
    conv: nn.Module, norm: nn.Module, x: Tensor, shortcut: Tensor | None = None
) -> Tensor:
    """``norm(conv(x))``, or ``relu(norm(conv(x)) + shortcut)`` where there is a shortcut.

    Where it is faster, in one pass; BatchNorm's running statistics follow as ever. ``x`` is
    ``(N, C, T, H, W)``, the shortcut of the output's size.
    """
    if not _in_one_pass(conv, norm, x):
        normal: Tensor = norm(conv(x))
        return normal if shortcut is None else F.relu(normal + shortcut, inplace=True)
    assert isinstance(conv, nn.Conv3d) and isinstance(norm, nn.BatchNorm3d)
    kind = kind_of(x)
    shortcut = None if shortcut is None else shortcut.to(kind)
    with torch.autocast("cpu", enabled=False):
        out, mean, variance = _ConvNorm.apply(
            x.to(kind), conv.weight, norm.weight, norm.bias, shortcut, norm.eps
        )
        _follow(norm, mean, variance, _positions(x))
    return out


class _ConvNorm(torch.autograd.Function):
    """The output, and the mean and the biased variance (O,) of what is normalised.

    In what follows rows are positions: X (P, C), W (O, C), dZ (P, O).
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        scale: Tensor,
        shift: Tensor,
        shortcut: Tensor | None,
        eps: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        rows, exact = rows_of(x), torch.promote_types(x.dtype, torch.float32)
        matrix = weight.flatten(1).to(exact)
        centred = rows.to(exact)
        mean_x = centred.mean(0)
        centred = centred.sub_(mean_x) if centred.dtype != x.dtype else centred - mean_x
        covariance = centred.t() @ centred / len(rows)
        seen = matrix @ covariance  # (O, C)
        mean, variance = matrix @ mean_x, (seen * matrix).sum(1).clamp_(min=0)
        inverse = torch.rsqrt(variance + eps)
        steep = scale * inverse
        folded = (steep[:, None] * matrix).to(x.dtype)
        offset = (shift - steep * mean).to(x.dtype)
        out = _linear(x, folded, offset, shortcut)
        ctx.relu = shortcut is not None
        kept = out if ctx.relu else None
        ctx.save_for_backward(x, weight, scale, mean_x, seen, inverse, folded, kept)
        ctx.mark_non_differentiable(mean, variance)
        return out, mean, variance

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, scale, mean_x, seen, inverse, folded, out = ctx.saved_tensors
        with torch.autocast("cpu", enabled=False):
            if ctx.relu:
                g = torch.ops.aten.threshold_backward(g, out, 0)
            rows, of_out = rows_of(x), rows_of(g)
            count, exact = len(rows), mean_x.dtype
            matrix = weight.flatten(1).to(exact)
            of_shift = of_out.sum(0).to(exact)
            # dZ' (X - mean): of it come the gradients of scale and weight.
            moments = (of_out.t() @ rows).to(exact).sub_(of_shift[:, None] * mean_x)
            of_scale = inverse * (moments * matrix).sum(1)
            steep, share = scale * inverse, inverse * of_scale
            of_weight = steep[:, None] * (moments - share[:, None] * seen)
            of_x = None
            if ctx.needs_input_grad[0]:
                back = matrix.t() @ ((steep * share / count)[:, None] * matrix)  # (C, C)
                constant = mean_x @ back - (steep * of_shift / count) @ matrix
                of_rows = torch.addmm(constant.to(x.dtype), rows, back.neg_().to(x.dtype))
                of_rows.addmm_(of_out, folded)
                of_x = map_of(of_rows, (len(x), *x.shape[2:]))
        of_shortcut = g if ctx.relu else None
        return of_x, of_weight.view_as(weight), of_scale, of_shift, of_shortcut, None


def _linear(x: Tensor, matrix: Tensor, offset: Tensor, shortcut: Tensor | None) -> Tensor:
    """``matrix`` (O, C) for every position of ``x``; with a shortcut, the sum with it and ReLU."""
    weight = matrix[:, :, None, None, None]
    if shortcut is None:
        return F.conv3d(x, weight, offset)
    fused = torch.backends.mkldnn.is_available() and x.dtype in (torch.float32, torch.bfloat16)
    if not fused:
        return F.conv3d(x, weight, offset).add_(shortcut).relu_()
    once = [1] * 3
    how: Any = [0] * 3, once, once, 1, "add", 1.0, "relu", [], ""
    out: Tensor = torch.ops.mkldnn._convolution_pointwise.binary(x, shortcut, weight, offset, *how)
    return out


def conv_norm_pool(conv: nn.Module, norm: nn.Module, pool: nn.Module, x: Tensor) -> Tensor:
    """``pool(relu(norm(conv(x))))``, with a maximum as ``pool``; ``x`` is ``(N, C, T, H, W)``."""
    if not isinstance(pool, MaxPool) or not _trains(conv, norm, x):
        # ReLU of the largest is the largest after ReLU, and fewer.
        return F.relu(pool(norm(conv(x))))
    assert isinstance(conv, nn.Conv3d) and isinstance(norm, nn.BatchNorm3d)
    scale: Tensor = norm.weight
    weight: Tensor = conv.weight
    signs: Tensor | None = None
    if bool((scale < 0).any()):
        signs = torch.where(scale < 0, -1.0, 1.0).to(scale.dtype)
        scale, weight = scale * signs, weight * signs[:, None, None, None, None]
    y = conv._conv_forward(x, weight, None)
    if _positions(y) == 1:
        norm(y)  # complains
    with torch.autocast("cpu", enabled=False):
        out, mean, variance = _NormPool.apply(
            y, scale, norm.bias, norm.eps, pool.window(y.shape[2:])
        )
        _follow(norm, mean if signs is None else mean * signs, variance, _positions(y))
    return out


class _NormPool(torch.autograd.Function):
    """The maxima of a map after BatchNorm and ReLU, and the map's mean and biased variance (C,)."""

    @staticmethod
    def forward(
        ctx: Any, y: Tensor, scale: Tensor, shift: Tensor, eps: float, window: Window
    ) -> tuple[Tensor, Tensor, Tensor]:
        # Statistics come in the type of those that they would be added to.
        unused = torch.zeros_like(scale), torch.ones_like(scale), 0.0
        mean, variance = torch.ops.aten.batch_norm_update_stats(y, *unused)
        peaks, where = maxima(y, window)
        out = F.batch_norm(peaks, mean, variance, scale, shift, eps=eps).relu_()
        ctx.save_for_backward(y, scale, mean, variance, peaks, small(where, y, window), out)
        ctx.eps, ctx.window = eps, window
        ctx.mark_non_differentiable(mean, variance)
        return out, mean, variance

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        y, scale, mean, variance, peaks, where, out = ctx.saved_tensors
        with torch.autocast("cpu", enabled=False):
            g = torch.ops.aten.threshold_backward(g, out, 0)
            inverse = torch.rsqrt(variance + ctx.eps)
            # In its evaluation BatchNorm does not follow the batch: the gradients of the maxima.
            of_peaks, of_scale, of_shift = torch.ops.aten.native_batch_norm_backward(
                g, peaks, scale, mean, variance, None, None, False, ctx.eps, [True, True, True]
            )
            of_y = scatter(of_peaks, y, ctx.window, where)
            # What the mean and the variance bring: - scale / std (of_shift + y' of_scale) / P.
            share = -scale * inverse / _positions(y)
            rest = F.batch_norm(y, mean, variance, share * of_scale, share * of_shift, eps=ctx.eps)
            of_y = of_y.add_(rest)
        return of_y, of_scale, of_shift, None, None


def _follow(norm: nn.BatchNorm3d, mean: Tensor, variance: Tensor, count: int) -> None:
    """Move the running statistics as BatchNorm does, with the unbiased variance."""
    assert norm.running_mean is not None and norm.running_var is not None
    assert norm.num_batches_tracked is not None and norm.momentum is not None
    norm.num_batches_tracked.add_(1)
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), norm.momentum)
    unbiased = variance * (count / (count - 1))
    norm.running_var.lerp_(unbiased.to(norm.running_var.dtype), norm.momentum)


def _positions(x: Tensor) -> int:
    return len(x) * prod(x.shape[2:])


def _trains(conv: nn.Module, norm: nn.Module, x: Tensor) -> bool:
    """Whether both learn, from the statistics of a batch, on a CPU, and nothing is being traced."""
    if not is_eager(x):  # first, since a question about a size that is traced fixes it
        return False
    if not isinstance(conv, nn.Conv3d) or type(norm) is not nn.BatchNorm3d or conv.bias is not None:
        return False
    follows = norm.training and norm.affine and norm.running_mean is not None
    learns = torch.is_grad_enabled() and conv.weight.requires_grad and norm.momentum is not None
    several = x.dim() == 5 and _positions(x) > 1  # of one, BatchNorm complains
    return bool(follows and learns and several)


def _in_one_pass(conv: nn.Module, norm: nn.Module, x: Tensor) -> bool:
    """Whether the output of the convolution can be left out, and doing so is faster."""
    if not _trains(conv, norm, x):
        return False
    assert isinstance(conv, nn.Conv3d)
    plain = conv.kernel_size == conv.stride == (1, 1, 1) and conv.padding == (0, 0, 0)
    pays = conv.out_channels >= WIDENS * conv.in_channels and conv.groups == 1
    return plain and pays and _positions(x) >= max(POSITIONS, PER_CHANNEL * conv.in_channels)
