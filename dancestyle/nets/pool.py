"""Maxima over windows, in the type of what comes in.

``autocast`` has them done in float32 on a CPU: copies of the largest maps there are, forward and
back, for a maximum that is the same in bfloat16. Windows that do not overlap are compared whole,
frame with frame or row with row, rather than element by element.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dancestyle.nets.products import frames_of, map_of


class MaxPool3d(nn.MaxPool3d):
    """``nn.MaxPool3d``, the same outputs: ``(N, C, T, H, W)`` in the type of the input."""

    def forward(self, input: Tensor) -> Tensor:
        """Maxima, each axis divided by its stride."""
        if input.dim() != 5 or self.return_indices or self.dilation not in (1, (1, 1, 1)):
            found: Tensor = super().forward(input)
            return found
        kernel, stride, padding = (
            (own,) * 3 if isinstance(own, int) else tuple(own)
            for own in (self.kernel_size, self.stride, self.padding)
        )
        return max_pool3d(input, kernel, stride, padding, self.ceil_mode)


def max_pool3d(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool = False,
) -> Tensor:
    """``F.max_pool3d`` of ``(N, C, T, H, W)``, done in the type of ``x`` under autocast too."""
    sizes = list(kernel), list(stride), list(padding)
    if x.device.type != "cpu" or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return F.max_pool3d(x, *sizes, ceil_mode=ceil_mode)
    with torch.autocast("cpu", enabled=False):
        if sizes == ([2, 1, 1], [2, 1, 1], [0, 0, 0]) and not ceil_mode:
            pairs: Tensor = _MaxOfPairs.apply(x)
            return pairs
        if kernel[0] == stride[0] == 1 and not padding[0]:
            # Frame by frame: backward takes two thirds of the time.
            window, steps, edges = (each[1:] for each in sizes)
            frames = F.max_pool2d(frames_of(x), window, steps, edges, ceil_mode=ceil_mode)
            return map_of(frames.movedim(1, -1), (len(x), -1))
        return F.max_pool3d(x, *sizes, ceil_mode=ceil_mode)


class _MaxOfPairs(torch.autograd.Function):
    """The larger of each two frames; of equal ones the first counts, as in ``max_pool3d``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        first, second = _pairs(x)
        ctx.save_for_backward(first >= second)
        ctx.like = x.shape
        return torch.maximum(first, second)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> Tensor:
        (is_first,) = ctx.saved_tensors
        n, c, t, h, w = ctx.like
        of_x = g.new_empty((n, t, h, w, c)).movedim(-1, 1)
        first, second = _pairs(of_x)
        torch.mul(g, is_first, out=first)
        torch.sub(g, first, out=second)
        if t % 2:
            of_x[:, :, -1] = 0
        return of_x


def _pairs(x: Tensor) -> tuple[Tensor, Tensor]:
    even = x[:, :, : x.shape[2] // 2 * 2]
    return even[:, :, ::2], even[:, :, 1::2]
