"""Nets made fast give what the nets give: to rounding in float32, and the same answers in bfloat16."""

from __future__ import annotations

import copy
import shutil

import pytest
import torch
from made_up_nets import randomise, video
from torch import nn

from dancestyle import nets
from dancestyle.nets.base import VideoNet
from dancestyle.nets.fast import FastMaxPool, FastNet, FusedConv, has_fast_bf16
from dancestyle.nets.non_local import MODES
from dancestyle.training import machine

# The study's own nets; the others are among the slow tests.
OWN = ("i3d_inception", "i3d_r50", "i3d_r50_nl")
SIZES = [(16, 48, 48), (9, 63, 33)]


def made_up(name: str, **options: object) -> VideoNet:
    torch.manual_seed(0)
    net = nets.create(name, 5, **options)
    randomise(net, video(2, 3, 16, 48, 48))
    return net.eval()


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in OWN else pytest.mark.slow) for n in nets.names()]
)
def test_float32_is_the_same_to_rounding(name: str) -> None:
    net = made_up(name)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    exact = copy.deepcopy(net).double()
    fast = nets.optimise_for_inference(net, "fp32")
    for size in SIZES:
        x = video(2, 3, *size)
        with torch.inference_mode():
            exact_features, features = exact.features(x.double()), net.features(x)
            exact_logits, logits = exact.head(exact_features), net.head(features)
        for found, plain, truth in (
            (fast(x), logits, exact_logits),
            (fast.features(x), features, exact_features),
        ):
            assert found.dtype == torch.float32 and not found.requires_grad
            own_error, error = (distance(each, truth) for each in (plain, found))
            # Made-up nets magnify rounding errors, their own too; where they do not, it is 1e-4.
            assert error <= max(1e-4, 3 * own_error)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert net(x).shape == (2, 5)


def distance(found: torch.Tensor, truth: torch.Tensor) -> float:
    """Largest difference as a share of the largest value."""
    return float((found - truth).abs().max() / truth.abs().max())


def moving_spots(clips: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise in which a spot moves left, right, up or down: ``(N, 3, 8, 32, 32)`` and the labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(4, (clips,), generator=generator)
    x = torch.randn(clips, 3, 8, 32, 32, generator=generator) * 0.5
    start = torch.randint(12, 20, (clips, 2), generator=generator)
    steps = torch.tensor([[0, -2], [0, 2], [-2, 0], [2, 0]])
    for n in range(clips):
        for t in range(8):
            row, column = (start[n] + (t - 4) * steps[labels[n]]).tolist()
            x[n, :, t, max(row - 3, 0) : row + 3, max(column - 3, 0) : column + 3] += 2
    return x, labels


@pytest.mark.slow
@pytest.mark.parametrize("name", ["i3d_inception", "i3d_r50"])
def test_bfloat16_answers_as_float32_on_a_trained_net(name: str) -> None:
    torch.manual_seed(0)
    net = nets.create(name, 4, dropout=0.0)
    optimiser = torch.optim.AdamW(net.parameters(), 1e-3, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-3, total_steps=100)
    for step in range(100):
        x, labels = moving_spots(8, step)
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(net(x), labels).backward()
        optimiser.step()
        schedule.step()
    x, labels = moving_spots(100, 1000)
    with torch.inference_mode():
        wanted = net.eval()(x).softmax(dim=1)
        with machine.autocast("bf16"):
            usual = net(x).float().softmax(dim=1)
    found = nets.optimise_for_inference(net, "bf16")(x).softmax(dim=1)
    assert (wanted.argmax(dim=1) == labels).float().mean() >= 0.8  # it is a trained net
    assert (found.argmax(dim=1) == wanted.argmax(dim=1)).float().mean() >= 0.99
    apart, usually = ((one - wanted).abs().amax(dim=1) for one in (found, usual))
    assert apart.median() <= 0.01
    # Where the net itself is in two minds, rounding moves a probability by more, whoever rounds.
    assert apart.max() <= max(0.01, 1.5 * float(usually.max()))
    assert not torch.equal(found, wanted)


@pytest.mark.parametrize("name", ["i3d_inception", "i3d_r50"])
def test_bfloat16_of_a_narrow_video(name: str) -> None:
    """Its last stage has one column and several rows."""
    torch.manual_seed(0)
    net = nets.create(name, 5).eval()
    x = torch.randn(2, 3, 16, 96, 32)
    with torch.no_grad():
        expected = net.features(x)
    found = nets.optimise_for_inference(net, "bf16").features(x)
    assert (found - expected).norm() <= 0.05 * expected.norm()


@pytest.mark.parametrize("summed", [False, True])
def test_a_stride_that_leaves_one_column_in_bfloat16(summed: bool) -> None:
    """oneDNN's own output is wrong there, and has NaN in it."""
    torch.manual_seed(0)
    conv = nn.Conv3d(64, 64, 3, 2, 1)
    x, other = torch.randn(2, 64, 4, 7, 2), torch.randn(2, 64, 2, 4, 1)
    fast = FusedConv(conv).bfloat16()
    fast.finish(fuse=True)
    with torch.no_grad():
        expected = (conv(x) + other).relu() if summed else conv(x)
        x, other = (
            each.bfloat16().contiguous(memory_format=torch.channels_last_3d) for each in (x, other)
        )
        found = fast.added_to(other, x) if summed else fast(x)
    assert (found - expected).norm() <= 0.02 * expected.norm()


@pytest.mark.parametrize("mode", MODES)
def test_every_kind_of_non_local_block(mode: str) -> None:
    net = made_up("i3d_r50_nl", non_local=mode)
    x = video(1, 3, 8, 32, 32)
    with torch.inference_mode():
        expected = net(x)
    found = nets.optimise_for_inference(net, "fp32")(x)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("name", nets.names())
def test_no_batchnorm_is_left_that_a_convolution_could_take(name: str) -> None:
    with torch.device("meta"):
        net = nets.create(name, 5)
    fast = nets.optimise_for_inference(net, "fp32")
    norms = [m for m in fast.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    # Its spatial half is a module of its own, whose BatchNorm stands outside.
    assert not norms or name == "r2plus1d_18"
    assert not [m for m in fast.modules() if isinstance(m, nn.Conv3d)]


def test_the_input_is_left_alone_and_may_be_of_any_layout() -> None:
    fast = nets.optimise_for_inference(made_up("i3d_r50"), "fp32")
    x = video(2, 3, 8, 32, 32)
    copy = x.clone()
    first = fast(x)
    assert torch.equal(x, copy)
    # This one is already in the net's own order, so it is not copied on the way in.
    last = x.to(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(fast(last), first)
    assert torch.equal(last, copy)
    torch.testing.assert_close(fast(x), first)


@pytest.mark.parametrize("shape", [(1, 2, 1, 1, 1), (2, 3, 2, 3, 4), (1, 4, 5, 1, 2)])
def test_maxima_axis_by_axis(shape: tuple[int, ...]) -> None:
    for x in (torch.randn(shape).relu(), torch.randn(shape).bfloat16()):
        assert torch.equal(FastMaxPool()(x), torch.max_pool3d(x, 3, 1, 1))


@pytest.mark.parametrize("fuse", [False, True])
def test_a_sum_and_relu_are_those_of_the_parts(fuse: bool) -> None:
    conv = nn.Conv3d(4, 6, 1)
    fused = FusedConv(conv).requires_grad_(False)
    fused.finish(fuse)
    x = video(2, 4, 3, 5, 5).to(memory_format=torch.channels_last_3d)
    other = video(2, 6, 3, 5, 5, seed=4).to(memory_format=torch.channels_last_3d)
    expected = torch.relu(other + conv(x)).detach()
    torch.testing.assert_close(fused.added_to(other.clone(), x), expected)


def test_it_can_only_predict() -> None:
    net = made_up("i3d_r50")
    fast = nets.optimise_for_inference(net, "fp32").train()
    assert not any(module.training for module in fast.modules())
    x = video(2, 3, 8, 32, 32)
    assert torch.equal(fast(x), fast(x)), "no dropout"


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("c++"), reason="needs a C++ compiler")
def test_compiled_it_gives_the_same() -> None:
    net = made_up("i3d_r50")
    x = video(1, 3, 8, 32, 32)
    expected = nets.optimise_for_inference(net, "fp32")(x)
    found = nets.optimise_for_inference(net, "fp32", compile=True)(x)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


def test_bfloat16_in_hardware_is_asked_of_the_right_device() -> None:
    assert not has_fast_bf16("mps")
    assert has_fast_bf16("cpu") in (True, False)


def test_what_evaluation_runs() -> None:
    """Nets that bfloat16 has been tried on run wholly in it, others under autocast."""
    for name, rewritten in (("i3d_inception", True), ("i3d_r50_nl", True), ("r3d_18", False)):
        net = made_up(name)
        x = video(2, 3, 16, 48, 48)
        with torch.inference_mode():
            expected = net(x)
            ready = machine.for_inference(net, "bf16")
            with machine.autocast("bf16"):
                found = ready(x).float()
            exact = machine.for_inference(net, "fp32")
            torch.testing.assert_close(exact(x), expected, rtol=1e-2, atol=1e-2)
        assert isinstance(ready, FastNet) == rewritten and isinstance(exact, FastNet)
        assert found.shape == expected.shape and found.isfinite().all()


def test_an_unknown_precision_is_an_error() -> None:
    with pytest.raises(ValueError, match="precision 'fp16' is not one of: auto, bf16, fp32"):
        nets.optimise_for_inference(made_up("pose"), "fp16")
