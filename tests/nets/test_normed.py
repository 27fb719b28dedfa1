"""BatchNorm done together with its neighbours is BatchNorm, then and in the gradients."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dancestyle import nets
from dancestyle.nets import normed
from dancestyle.nets.pool import MaxPool3d

WINDOWS = {
    "stem": ((1, 3, 3), (1, 2, 2), (0, 1, 1)),
    "and time": ((1, 3, 3), (2, 2, 2), (0, 1, 1)),
    "all axes": ((3, 3, 3), (2, 2, 2), (1, 1, 1)),
    "pairs": ((2, 1, 1), (2, 1, 1), (0, 0, 0)),
}


@pytest.fixture(autouse=True, scope="module")
def on_small_maps() -> Iterator[None]:
    """What is done for speed on large maps is tried on small ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(normed, "POSITIONS", 1)
        patch.setattr(normed, "PER_CHANNEL", 0)
        yield


def parts(cin: int, cout: int, kernel: int = 1, spread: float = 1.0):
    """A convolution and a BatchNorm whose scales have either sign."""
    conv = nn.Conv3d(cin, cout, kernel, padding=kernel // 2, bias=False)
    norm = nn.BatchNorm3d(cout, momentum=0.3)
    nn.init.normal_(norm.weight, 0.3, spread)
    nn.init.normal_(norm.bias)
    nn.init.normal_(norm.running_mean)
    return nn.ModuleList([conv, norm])


def one_by_one(modules, x, shortcut=None, pool=None):
    y = modules[1](modules[0](x))
    if pool is not None:
        return pool(F.relu(y))
    return y if shortcut is None else F.relu(y + shortcut)


def learn(call, modules, *inputs):
    """Output, gradients of inputs and parameters, and buffers after a pass with a wild loss."""
    own = copy.deepcopy(modules).train()
    inputs = [x.clone().requires_grad_() for x in inputs]
    y = call(own, *inputs)
    torch.manual_seed(1)
    wanted = [*inputs, *own.parameters()]
    gradients = torch.autograd.grad((y.float() * torch.randn(y.shape)).sum(), wanted)
    return y.detach(), *gradients, *own.buffers()


def together(modules, x, shortcut=None, pool=None):
    conv, norm = modules
    if pool is not None:
        return normed.conv_norm_pool(conv, norm, pool, x)
    return normed.conv_norm(conv, norm, x, shortcut)


def assert_same(found, expected, atol: float) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == theirs.dtype
        largest = theirs.double().abs().max().clamp(min=1)
        assert torch.allclose(ours.double() / largest, theirs.double() / largest, atol=atol)


def kept_bytes(call) -> int:
    """Of what is kept for the gradients, each memory once."""
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        call()
    return sum(kept.values())


@given(
    cin=st.integers(1, 6),
    gain=st.integers(4, 5),
    size=st.tuples(*[st.integers(1, 4)] * 4),
    shortcut=st.booleans(),
    last=st.booleans(),
    offset=st.sampled_from([0.0, 30.0]),
)
def test_a_widening_convolution_and_its_norm(cin, gain, size, shortcut, last, offset) -> None:
    torch.manual_seed(0)
    n, *axes = size[0] + 1, *size[1:]
    modules = parts(cin, cin * gain).double()
    inputs = [torch.randn(n, cin, *axes).double() + offset]
    if shortcut:
        inputs.append(torch.randn(n, cin * gain, *axes).double())
    if last:
        inputs = [x.contiguous(memory_format=torch.channels_last_3d) for x in inputs]
    assert normed._in_one_pass(*modules.train(), inputs[0])
    assert_same(learn(together, modules, *inputs), learn(one_by_one, modules, *inputs), 1e-9)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("spread", [0.0, 1.0], ids=["positive", "either sign"])
def test_a_norm_and_the_pool_behind_it(window, spread) -> None:
    torch.manual_seed(0)
    modules, pool = parts(3, 8, 3, spread).double(), MaxPool3d(*WINDOWS[window])
    x = torch.randn(2, 3, 4, 7, 6).double()
    found = learn(lambda own, x: together(own, x, pool=pool), modules, x)
    assert_same(found, learn(lambda own, x: one_by_one(own, x, pool=pool), modules, x), 1e-9)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("what", ["shortcut", "none", "pool"])
def test_in_float32_and_either_order(what, last) -> None:
    torch.manual_seed(0)
    modules = parts(16, 64, 1 if what != "pool" else 3)
    inputs = [torch.randn(2, 16, 4, 6, 5), torch.randn(2, 64, 4, 6, 5)]
    if last:
        inputs = [x.contiguous(memory_format=torch.channels_last_3d) for x in inputs]
    inputs = inputs if what == "shortcut" else inputs[:1]
    pool = MaxPool3d(*WINDOWS["stem"]) if what == "pool" else None
    ours, theirs = (
        learn(lambda *all_, call=call: call(*all_, pool=pool), modules, *inputs)
        for call in (together, one_by_one)
    )
    assert_same(ours, theirs, 1e-4)


@pytest.mark.parametrize("what", ["shortcut", "none", "pool"])
def test_bfloat16_is_as_near_to_float32_as_one_by_one(what) -> None:
    torch.manual_seed(0)
    modules, pool = parts(16, 64, 1 if what != "pool" else 3), None
    x = F.relu(torch.randn(2, 16, 4, 12, 12) + 0.5)
    inputs = [x, torch.randn(2, 64, 4, 12, 12)] if what == "shortcut" else [x]
    inputs = [x.contiguous(memory_format=torch.channels_last_3d) for x in inputs]
    if what == "pool":
        pool = MaxPool3d(*WINDOWS["stem"])

    def in_bfloat16(call):
        def run(*arguments):
            with torch.autocast("cpu", torch.bfloat16):
                return call(*arguments, pool=pool)

        return learn(run, modules, *inputs)

    exact = learn(lambda *all_: one_by_one(*all_, pool=pool), modules, *inputs)
    ours, theirs = in_bfloat16(together), in_bfloat16(one_by_one)
    assert ours[0].dtype == torch.bfloat16
    for own, plain, true in zip(ours, theirs, exact, strict=True):
        errors = [
            (each - true).double().norm() / true.double().norm().clamp(min=1)
            for each in (own, plain)
        ]
        assert errors[0] <= 1.5 * errors[1] + 2e-3, errors


@pytest.mark.parametrize("what", ["shortcut", "pool"])
def test_less_is_kept(what) -> None:
    modules = parts(16, 64, 1 if what == "shortcut" else 3).train()
    x, shortcut = torch.randn(2, 16, 4, 16, 16), torch.randn(2, 64, 4, 16, 16)
    pool = MaxPool3d(*WINDOWS["stem"]) if what == "pool" else None
    shortcut = None if pool else shortcut
    ours, theirs = (
        kept_bytes(lambda call=call: call(modules, x, shortcut, pool))
        for call in (together, one_by_one)
    )
    a_map = 2 * 64 * 4 * 16 * 16 * 4
    assert theirs - ours >= a_map / 2


def test_what_is_not_learning_is_done_one_by_one() -> None:
    modules, x = parts(2, 8), torch.randn(2, 2, 3, 4, 4)
    pool = MaxPool3d(*WINDOWS["stem"])
    conv, norm = modules.train()
    assert normed._in_one_pass(conv, norm, x)
    still = norm.running_mean.clone()
    with torch.no_grad():
        assert not normed._trains(conv, norm, x)
    norm.eval()
    for found, expected in (
        (together(modules, x), one_by_one(modules, x)),
        (together(modules, x, pool=pool), one_by_one(modules, x, pool=pool)),
    ):
        assert torch.equal(found, expected)
    assert torch.equal(norm.running_mean, still)
    norm.train()
    conv.requires_grad_(False)
    assert not normed._trains(conv, norm, x)
    for size, kernel, behind in (((1, 1, 1), 1, None), ((3, 3, 3), 5, pool)):
        own = parts(2, 8, kernel).train()
        own[0].padding = (1, 1, 1) if behind else (0, 0, 0)
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            together(own, torch.randn(1, 2, *size), pool=behind)


@pytest.mark.parametrize("name", ["i3d_inception", "i3d_r50", "slowfast_r50"])
def test_nets_train_by_it(name, monkeypatch) -> None:
    calls = []
    for kind in (normed._ConvNorm, normed._NormPool):
        apply = kind.apply
        monkeypatch.setattr(
            kind,
            "apply",
            lambda *all_, apply=apply, kind=kind: calls.append(kind) or apply(*all_),
        )
    nets.create(name, 3)(torch.randn(2, 3, 32, 64, 64)).sum().backward()
    assert normed._NormPool in calls and (normed._ConvNorm in calls) == (name != "i3d_inception")
