"""Gradients are right where kernels are larger than what they work on, in bfloat16 too."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from dancestyle import nets
from dancestyle.nets import conv as conv_module
from dancestyle.nets.conv import Conv2d, Conv3d, guard

# kernel, padding, stride, (T, H, W); each leaves an axis shorter than the kernel.
CASES = [
    (3, 1, 1, (2, 2, 2)),
    (3, 1, 1, (2, 7, 7)),
    ((3, 1, 1), (1, 0, 0), 1, (2, 3, 3)),
    ((5, 1, 1), (2, 0, 0), 1, (4, 3, 3)),
    (3, 1, 2, (4, 1, 1)),
    ((5, 7, 7), (2, 3, 3), 2, (3, 9, 9)),
    (7, 3, 2, (6, 7, 7)),
    (7, 3, 2, (7, 7, 7)),
]


def dirty_memory(weight: Tensor) -> None:
    """Leave NaN behind in blocks of the weight's size, for the next one who asks for memory."""
    blocks = [
        torch.full((weight.numel(),), torch.nan, dtype=kind)
        for kind in (torch.float32, torch.bfloat16)
        for _ in range(4)
    ]
    del blocks


def passes(conv: nn.Conv3d, x: Tensor, g: Tensor, bf16: bool) -> tuple[Tensor, Tensor, Tensor]:
    x = x.clone(memory_format=torch.channels_last_3d).requires_grad_()
    conv.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        y = conv(x)
    dirty_memory(conv.weight)
    y.backward(g.to(y.dtype))
    assert x.grad is not None and conv.weight.grad is not None
    return y.detach(), x.grad, conv.weight.grad


@pytest.mark.parametrize(("kernel", "padding", "stride", "size"), CASES)
def test_gradients_are_those_of_float64(kernel, padding, stride, size) -> None:
    torch.manual_seed(0)
    conv = Conv3d(8, 16, kernel, stride, padding, bias=False)
    conv.to(memory_format=torch.channels_last_3d)
    plain = nn.Conv3d(8, 16, kernel, stride, padding, bias=False)
    plain.load_state_dict(conv.state_dict())
    x = torch.randn(4, 8, *size)
    g = torch.randn_like(plain(x))
    # In float64 nothing goes through oneDNN.
    expected = [each.float() for each in passes(plain.double(), x.double(), g, bf16=False)]
    for found, wanted in zip(passes(conv, x, g, bf16=False), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)  # fp32
    for _ in range(3):
        for found, wanted in zip(passes(conv, x, g, bf16=True), expected, strict=True):
            assert (found.float() - wanted).norm() <= 0.02 * wanted.norm()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("kernel", "padding", "stride", "size"),
    [
        *CASES,
        (1, 0, 1, (2, 3, 3)),
        (1, 0, (1, 2, 2), (2, 3, 4)),
        (3, 1, 1, (4, 5, 6)),
        (1, 0, 1, (3, 3)),
        (1, 0, 2, (5, 4)),
        (3, 1, 1, (2, 2)),
        (3, 1, 2, (7, 6)),
    ],
)
def test_few_positions_change_nothing(kernel, padding, stride, size, bias, monkeypatch) -> None:
    """The product of matrices gives what oneDNN gives, on contiguous input and weights too."""
    torch.manual_seed(0)
    conv = (Conv3d if len(size) == 3 else Conv2d)(6, 10, kernel, stride, padding, bias=bias)
    x = torch.randn(2, 6, *size, requires_grad=True)
    found = []
    for few in (10**6, 0):
        monkeypatch.setattr(conv_module, "FEW_POSITIONS", {torch.float32: few})
        monkeypatch.setattr(conv_module, "FEW_OF_ONE", {torch.float32: few})
        y = conv(x)
        assert ("FewPositions" in str(y.grad_fn)) == bool(few)
        wanted = [x, *conv.parameters()]
        found.append((y, *torch.autograd.grad(y.square().sum(), wanted)))
    for product, plain in zip(*found, strict=True):
        torch.testing.assert_close(product, plain, rtol=1e-4, atol=1e-4)


def test_a_frozen_weight_gets_no_gradient_but_its_input_does() -> None:
    conv = Conv3d(4, 8, 3, padding=1)
    conv.weight.requires_grad_(False)
    x = torch.randn(1, 4, 2, 2, 2, requires_grad=True)
    conv(x).sum().backward()
    assert conv.weight.grad is None
    assert conv.bias is not None and conv.bias.grad is not None and x.grad is not None


def test_every_net_is_guarded() -> None:
    for name in nets.names():
        plain = nn.Conv2d | nn.Conv3d
        kinds = {type(m) for m in nets.create(name, 2).modules() if isinstance(m, plain)}
        assert kinds <= {Conv2d, Conv3d}, name


def test_other_kinds_of_convolution_are_left_alone() -> None:
    class Own(nn.Conv3d):
        def _conv_forward(self, input, weight, bias):
            return input

    plain = nn.Sequential(Own(1, 1, 1), nn.Conv1d(1, 1, 1), nn.Conv2d(1, 1, 1), nn.Conv3d(1, 1, 1))
    assert [type(m) for m in guard(plain)] == [Own, nn.Conv1d, Conv2d, Conv3d]


def test_a_clip_without_a_batch_is_taken_too() -> None:
    conv = Conv3d(2, 3, 3, padding=1)
    x = torch.randn(2, 2, 2, 2)
    torch.testing.assert_close(conv(x), nn.Conv3d.forward(conv, x[None])[0])
