"""Convolutions done otherwise than by oneDNN give what it gives, and the gradients that it omits."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from dancestyle import nets
from dancestyle.nets import conv as conv_module
from dancestyle.nets import products
from dancestyle.nets.conv import Conv2d, Conv3d, guard
from dancestyle.nets.products import fold_strides

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


# channels in and out, kernel, padding, stride, (T, H, W)
WIDE = [
    (48, 16, (3, 1, 1), (1, 0, 0), 1, (4, 56, 56)),
    (16, 48, (3, 1, 1), (1, 0, 0), 1, (4, 56, 56)),
    (16, 48, (5, 1, 1), (2, 0, 0), (4, 1, 1), (9, 56, 28)),
    (32, 16, (5, 1, 1), 0, 1, (6, 56, 28)),
    (64, 128, 1, 0, 1, (4, 56, 56)),
    (64, 128, 1, 0, (1, 2, 2), (4, 56, 56)),
    (40, 48, (1, 3, 3), (0, 1, 1), 1, (4, 56, 56)),
    (40, 48, 3, 1, 1, (4, 56, 28)),
    (40, 48, 3, 1, 2, (5, 55, 56)),
    (40, 16, (4, 3, 3), (2, 1, 1), (3, 1, 2), (6, 28, 56)),
    (12, 32, 4, 0, 1, (7, 59, 59)),
    (3, 32, (5, 7, 7), (2, 3, 3), (1, 2, 2), (4, 112, 112)),
]


@pytest.mark.parametrize(("cin", "cout", "kernel", "padding", "stride", "size"), WIDE)
@pytest.mark.parametrize("clips", [1, 2])
def test_gradients_of_wide_maps_in_bfloat16(
    clips, cin, cout, kernel, padding, stride, size
) -> None:
    """oneDNN's own gradient of the weight misses parts of the last frame there, by chance."""
    torch.manual_seed(0)
    conv = Conv3d(cin, cout, kernel, stride, padding, bias=False)
    conv.weight.data = conv.weight.data.bfloat16().float()
    conv.to(memory_format=torch.channels_last_3d)
    plain = nn.Conv3d(cin, cout, kernel, stride, padding, bias=False)
    plain.load_state_dict(conv.state_dict())
    x = torch.randn(clips, cin, *size).bfloat16().float()
    with torch.no_grad():
        g = torch.randn_like(plain(x)).bfloat16().float()
    expected = passes(plain, x, g, bf16=False)
    for _ in range(2):
        for found, wanted in zip(passes(conv, x, g, bf16=True), expected, strict=True):
            assert found.shape == wanted.shape
            assert (found.float() - wanted).abs().max() <= 0.01 * wanted.abs().max()


@pytest.mark.parametrize(
    ("kernel", "padding", "stride", "size"),
    [
        (3, 1, 2, (4, 7, 1)),
        (3, 1, 2, (4, 7, 2)),
        ((1, 3, 3), (0, 1, 1), (1, 2, 2), (4, 9, 2)),
        (3, 0, (1, 1, 2), (4, 9, 4)),
        (1, 0, (1, 2, 2), (4, 40, 2)),
    ],
)
@pytest.mark.parametrize("frozen", [False, True])
def test_strides_that_leave_one_column_are_right_in_bfloat16(
    kernel, padding, stride, size, frozen
) -> None:
    """oneDNN's own output is wrong there, and has NaN in it."""
    torch.manual_seed(0)
    conv = Conv3d(64, 64, kernel, stride, padding, bias=False).requires_grad_(not frozen)
    conv.weight.data = conv.weight.data.bfloat16().float()
    x = torch.randn(2, 64, *size).bfloat16().float().requires_grad_()
    expected = F.conv3d(x, conv.weight, None, stride, padding)
    g = torch.randn_like(expected).bfloat16().float()
    wanted = torch.autograd.grad(expected, [x] if frozen else [x, conv.weight], g)
    with torch.autocast("cpu", torch.bfloat16):
        y = conv(x)
    found = torch.autograd.grad(y, [x] if frozen else [x, conv.weight], g.bfloat16())
    assert expected.shape[-1] == 1 and y.dtype == torch.bfloat16
    for each, own in zip((y, *found), (expected, *wanted), strict=True):
        assert (each.float() - own).abs().max() <= 0.01 * own.abs().max()


def test_the_gradient_of_a_weight_over_three_axes_is_never_onednns_own(monkeypatch) -> None:
    asked = []
    own = products.gradient

    def spy(g, x, weight, stride, padding, wanted):
        asked.append((weight.dim(), wanted))
        return own(g, x, weight, stride, padding, wanted)

    monkeypatch.setattr(products, "gradient", spy)
    monkeypatch.setattr(conv_module, "gradient", spy)
    for _, _, kernel, padding, stride, size in WIDE:
        conv = Conv3d(33, 8, kernel, stride, padding)
        x = torch.randn(1, 33, *(min(length, 12) for length in size), requires_grad=True)
        monkeypatch.setattr(conv_module, "FEW_POSITIONS", {})
        monkeypatch.setattr(conv_module, "FEW_OF_ONE", {torch.bfloat16: 0})
        with torch.autocast("cpu", torch.bfloat16):
            y = conv(x)
        steps, nodes = [], [y.grad_fn]
        while nodes:
            node = nodes.pop()
            steps.append(node.name())
            nodes += [each for each, _ in node.next_functions if each is not None]
        assert "ConvolutionBackward0" not in steps
        y.float().sum().backward()
    assert {dim for dim, (_, of_weight) in asked if of_weight} == {4}


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
    """Matrix products give what oneDNN gives, whether the weight's gradient alone or all three are
    such, and on contiguous input and weights too."""
    torch.manual_seed(0)
    conv = (Conv3d if len(size) == 3 else Conv2d)(6, 10, kernel, stride, padding, bias=bias)
    last = torch.channels_last_3d if len(size) == 3 else torch.channels_last
    x = torch.randn(2, 6, *size, requires_grad=True)

    def passes(few: int, few_of_many: int) -> tuple[torch.Tensor, ...]:
        for limit in ("FEW_POSITIONS", "FEW_OF_ONE"):
            monkeypatch.setattr(conv_module, limit, {torch.float32: few})
        monkeypatch.setattr(conv_module, "MANY_WEIGHTS", 0)
        monkeypatch.setattr(conv_module, "FEW_OF_MANY", few_of_many)
        y = conv(x)
        products = "Permute" if kernel == 1 else "_Convolution"
        assert (products in str(y.grad_fn)) == bool(few or few_of_many)
        return y, *torch.autograd.grad(y.square().sum(), [x, *conv.parameters()])

    plain, weights_only = passes(0, 0), passes(10**6, 0)
    conv.to(memory_format=last)
    for found in (weights_only, passes(10**6, 0), passes(0, 10**6)):
        for product, expected in zip(found, plain, strict=True):
            torch.testing.assert_close(product, expected, rtol=1e-4, atol=1e-4)


@given(
    axes=st.lists(
        st.tuples(st.integers(1, 9), st.integers(1, 7), st.integers(1, 3), st.integers(0, 3)),
        min_size=2,
        max_size=3,
    ),
    channels=st.integers(1, 4),
)
def test_a_stride_folded_into_channels_changes_nothing(axes, channels) -> None:
    axes = [(max(size, kernel - 2 * pad), kernel, step, pad) for size, kernel, step, pad in axes]
    size, kernel, stride, padding = zip(*axes, strict=True)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, channels, *size, generator=generator, dtype=torch.double)
    weight = torch.randn(5, channels, *kernel, generator=generator, dtype=torch.double)
    convolve = {2: F.conv2d, 3: F.conv3d}[len(axes)]
    folded = convolve(*fold_strides(x, weight, stride, padding))
    torch.testing.assert_close(folded, convolve(x, weight, None, stride, padding))


@given(
    axes=st.tuples(
        *[st.tuples(st.integers(1, 7), st.integers(1, 5), st.integers(1, 3), st.integers(0, 3))] * 3
    ),
    channels=st.sampled_from([1, 3, products.SIDE_BY_SIDE + 1]),
    flat=st.booleans(),
    clips=st.integers(1, 2),
)
def test_gradients_of_weights_without_onednns_own(axes, channels, flat, clips) -> None:
    if flat:  # one element in space
        axes = (axes[0], *((size, 1, 1, 0) for size, *_ in axes[1:]))
    axes = [(max(size, kernel - 2 * pad), kernel, step, pad) for size, kernel, step, pad in axes]
    size, kernel, stride, padding = zip(*axes, strict=True)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(clips, channels, *size, generator=generator, dtype=torch.double)
    weight = torch.randn(4, channels, *kernel, generator=generator, dtype=torch.double)
    weight.requires_grad_()
    y = F.conv3d(x, weight, None, stride, padding)
    g = torch.randn(y.shape, generator=generator, dtype=torch.double)
    (expected,) = torch.autograd.grad(y, weight, g)
    found = products.weight_gradient(g, x, weight.detach(), stride, padding)
    torch.testing.assert_close(found, expected)


def test_pictures_have_their_strides_folded_in_bfloat16(monkeypatch) -> None:
    torch.manual_seed(0)
    conv = Conv3d(3, 8, (5, 7, 7), (1, 2, 2), (2, 3, 3), bias=True)
    x, calls = torch.randn(2, 3, 4, 16, 15), []

    def spy(*arguments):
        calls.append(arguments)
        return fold_strides(*arguments)

    monkeypatch.setattr(conv_module, "fold_strides", spy)
    with torch.autocast("cpu", torch.bfloat16):
        found = conv(x)
    found.float().square().sum().backward()
    of_weight = conv.weight.grad
    assert of_weight is not None and len(calls) == 1 and found.dtype == torch.bfloat16
    conv.weight.grad = None
    expected = conv(x)
    assert len(calls) == 1  # oneDNN is faster in float32
    expected.square().sum().backward()
    assert conv.weight.grad is not None
    assert (found.float() - expected).norm() <= 0.01 * expected.norm()
    assert (of_weight - conv.weight.grad).norm() <= 0.02 * conv.weight.grad.norm()


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
