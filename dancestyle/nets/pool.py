"""Maxima over windows, in the type of what comes in.

``autocast`` has them done in float32 on a CPU: copies of the largest maps there are, forward and
back, for a maximum that is the same in bfloat16. Windows that do not overlap are compared whole,
frame with frame or row with row, rather than element by element.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dancestyle.nets.products import clips_of, frames_of, is_eager


class Window(NamedTuple):
    """What a maximum is taken over: elements along time, height and width."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    ceil_mode: bool = False

    @property
    def by_frame(self) -> bool:
        """Whether every frame has its own maxima."""
        return self.kernel[0] == self.stride[0] == 1 and not self.padding[0]

    def in_space(self) -> Window:
        """The same without time."""
        return Window(self.kernel[1:], self.stride[1:], self.padding[1:], self.ceil_mode)


class MaxPool3d(nn.MaxPool3d):
    """``nn.MaxPool3d``, the same outputs: ``(N, C, T, H, W)`` in the type of the input."""

    def window(self, size: Sequence[int]) -> Window:
        """For an input of ``size`` (T, H, W)."""
        kernel, stride, padding = (
            (own,) * 3 if isinstance(own, int) else tuple(own)
            for own in (self.kernel_size, self.stride, self.padding)
        )
        return Window(kernel, stride, padding, self.ceil_mode)

    def forward(self, input: Tensor) -> Tensor:
        """Maxima, each axis divided by its stride."""
        if input.dim() != 5 or self.return_indices or self.dilation not in (1, (1, 1, 1)):
            found: Tensor = super().forward(input)
            return found
        return max_pool3d(input, self.window(input.shape[2:]))


def max_pool3d(x: Tensor, window: Window) -> Tensor:
    """``F.max_pool3d`` of ``(N, C, T, H, W)``, done in the type of ``x`` under autocast too."""
    if not is_eager(x):
        kernel, stride, padding, ceil_mode = window
        return F.max_pool3d(x, kernel, stride, padding, ceil_mode=ceil_mode)
    pairs = window == ((2, 1, 1), (2, 1, 1), (0, 0, 0), False)
    if torch.is_grad_enabled() and x.requires_grad:
        found: Tensor = (_MaxOfPairs if pairs else _Max).apply(x, window)
        return found
    return torch.maximum(*_pairs(x)) if pairs else maxima(x, window)[0]


def maxima(x: Tensor, window: Window) -> tuple[Tensor, Tensor]:
    """:func:`max_pool3d` outside of autograd, and where they are, as :func:`scatter` wants it."""
    kernel, stride, padding, ceil_mode = window.in_space() if window.by_frame else window
    if not window.by_frame:
        found: tuple[Tensor, Tensor] = torch.ops.aten.max_pool3d_with_indices(
            x, kernel, stride, padding, 1, ceil_mode
        )
        return found
    # Backward takes two thirds of the time of that over three axes.
    frames, where = torch.ops.aten.max_pool2d_with_indices(
        frames_of(x), kernel, stride, padding, 1, ceil_mode
    )
    return clips_of(frames, len(x)), where


def small(where: Tensor, x: Tensor, window: Window) -> Tensor:
    """Places in a frame or a clip of ``x`` as numbers to keep: PyTorch's take four times the room
    of the maxima."""
    places = prod(x.shape[3 if window.by_frame else 2 :])
    return where.to(torch.int16 if places <= 2**15 else torch.int32)


def scatter(g: Tensor, x: Tensor, window: Window, where: Tensor) -> Tensor:
    """The gradient of ``x`` from that of its :func:`maxima`: zero where there is none.

    Only the size and the order of ``x`` matter.
    """
    kernel, stride, padding, ceil_mode = window.in_space() if window.by_frame else window
    rest = kernel, stride, padding, 1, ceil_mode, where.long()
    if window.by_frame:
        frames = torch.ops.aten.max_pool2d_with_indices_backward(frames_of(g), frames_of(x), *rest)
        return clips_of(frames, len(x))
    found: Tensor = torch.ops.aten.max_pool3d_with_indices_backward(g, x, *rest)
    return found


class _Max(torch.autograd.Function):
    """Maxima over windows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, window: Window) -> Tensor:
        found, where = maxima(x, window)
        ctx.save_for_backward(x, small(where, x, window))
        ctx.window = window
        return found

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        x, where = ctx.saved_tensors
        return scatter(g, x, ctx.window, where), None


class _MaxOfPairs(torch.autograd.Function):
    """The larger of each two frames; of equal ones the first counts, as in ``max_pool3d``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, window: Window) -> Tensor:
        first, second = _pairs(x)
        ctx.save_for_backward(first >= second)
        ctx.like = x.shape
        return torch.maximum(first, second)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        (is_first,) = ctx.saved_tensors
        n, c, t, h, w = ctx.like
        of_x = g.new_empty((n, t, h, w, c)).movedim(-1, 1)
        first, second = _pairs(of_x)
        torch.mul(g, is_first, out=first)
        torch.sub(g, first, out=second)
        if t % 2:
            of_x[:, :, -1] = 0
        return of_x, None


def _pairs(x: Tensor) -> tuple[Tensor, Tensor]:
    even = x[:, :, : x.shape[2] // 2 * 2]
    return even[:, :, ::2], even[:, :, 1::2]
