"""Our maxima over windows are torch's, and stay in bfloat16 where autocast would not."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dancestyle import nets
from dancestyle.nets.pool import MaxPool3d, Window, max_pool3d

AXES = st.tuples(st.integers(1, 7), st.integers(1, 3), st.integers(1, 3), st.integers(0, 1))


def torchs(x: torch.Tensor, window: Window) -> torch.Tensor:
    *sides, ceil_mode = window
    return F.max_pool3d(x, *sides, ceil_mode=ceil_mode)


@given(axes=st.tuples(AXES, AXES, AXES), ceil_mode=st.booleans(), last=st.booleans())
def test_maxima_and_their_gradients_are_those_of_torch(axes, ceil_mode, last) -> None:
    # No more padding than half the window, and at least one window.
    axes = [(max(n, k), k, s, min(p, k // 2)) for n, k, s, p in axes]
    size, kernel, stride, padding = zip(*axes, strict=True)
    generator = torch.Generator().manual_seed(0)
    # Few values, so that many are equal: there the first counts.
    x = torch.randint(0, 4, (2, 3, *size), generator=generator).double()
    if last:
        x = x.contiguous(memory_format=torch.channels_last_3d)
    passes = []
    window = Window(kernel, stride, padding, ceil_mode)
    for pool in (torchs, max_pool3d):
        own = x.clone().requires_grad_()
        y = pool(own, window)
        weights = torch.arange(1.0, y.numel() + 1, dtype=torch.double).view(y.shape)
        (gradient,) = torch.autograd.grad(y, own, weights)
        passes.append((y.detach(), gradient))
    for found, expected in zip(passes[1], passes[0], strict=True):
        assert torch.equal(found, expected)
    assert torch.equal(max_pool3d(x, window), passes[0][0])  # without a gradient


@pytest.mark.parametrize(
    ("kernel", "size", "most"), [((1, 3, 3), 48, 2), ((3, 3, 3), 48, 4), ((3, 3, 3), 8, 2)]
)
def test_places_are_kept_in_few_bytes(kernel, size, most) -> None:
    x, kept = torch.randn(1, 2, 16, size, size, requires_grad=True), []
    with torch.autograd.graph.saved_tensors_hooks(kept.append, lambda _: None):
        y = max_pool3d(x, Window(kernel, (1, 1, 1), (0, 0, 0)))
    places = sum(tensor.nbytes for tensor in kept if not tensor.is_floating_point())
    assert places == most * y.numel()


@pytest.mark.parametrize("kernel", [(2, 1, 1), (1, 3, 3), (3, 3, 3)])
def test_bfloat16_stays_bfloat16_under_autocast(kernel) -> None:
    x = torch.randn(1, 4, 6, 8, 8).bfloat16().contiguous(memory_format=torch.channels_last_3d)
    x.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        assert F.max_pool3d(x, kernel).dtype == torch.float32  # else all this is needless
        y = MaxPool3d(kernel)(x)
    y.sum().backward()
    assert y.dtype == torch.bfloat16 and torch.equal(y, F.max_pool3d(x, kernel))
    assert x.grad is not None and x.grad.dtype == torch.bfloat16
    assert y.is_contiguous(memory_format=torch.channels_last_3d)


def test_what_only_torch_does_is_left_to_it() -> None:
    x = torch.randn(2, 8, 8, 8)
    assert torch.equal(MaxPool3d(2)(x), nn.MaxPool3d(2)(x))  # without a batch
    y, indices = MaxPool3d(2, return_indices=True)(x[None])
    assert indices.dtype == torch.long and torch.equal(y, nn.MaxPool3d(2)(x[None]))
    dilated = MaxPool3d(2, 1, dilation=2)
    assert torch.equal(dilated(x[None]), nn.MaxPool3d(2, 1, dilation=2)(x[None]))


def test_every_net_has_them() -> None:
    for name in nets.names():
        with torch.device("meta"):
            pools = [m for m in nets.create(name, 2).modules() if isinstance(m, nn.MaxPool3d)]
        assert all(type(pool) is MaxPool3d for pool in pools), name
