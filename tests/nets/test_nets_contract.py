"""What every net promises, whatever its architecture."""

from __future__ import annotations

import pytest
import torch
from made_up_nets import randomise, video
from torch import nn
from torchvision.ops import StochasticDepth

from dancestyle import nets
from dancestyle.nets.base import VideoNet

NORMS = (nn.modules.batchnorm._BatchNorm,)
SIZES = [(8, 32, 32), (16, 48, 48), (9, 63, 33)]
# The study's own nets; for the others the costlier tests are among the slow ones.
OWN = ("i3d_inception", "i3d_r50", "i3d_r50_nl")
# Parameters that a small input does not reach: the logits of MViT are its class token's alone,
# and the positions of one single key are as good as any others.
UNREACHED = ("rel_pos_", "blocks.15.attn.pool_q.pool")


@pytest.fixture(scope="module", params=nets.names())
def net(request: pytest.FixtureRequest) -> VideoNet:
    torch.manual_seed(0)
    net = nets.create(request.param, 5)
    randomise(net, video(2, 3, 16, 48, 48))
    return net


@pytest.fixture(autouse=True)
def as_new(net: VideoNet) -> None:
    """The net is shared by the tests of this file: each finds it free and in evaluation mode."""
    net.freeze([])
    net.zero_grad(set_to_none=True)
    net.eval()


@pytest.mark.parametrize("frames, height, width", SIZES)
def test_logits_and_features_have_their_shapes(
    net: VideoNet, frames: int, height: int, width: int
) -> None:
    x = video(1, 3, frames, height, width)
    with torch.inference_mode():
        features = net.features(x)
        logits, from_features = net(x), net.head(features)
    assert features.shape == (1, net.feature_size)
    assert logits.shape == (1, 5)
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(logits, from_features)


def test_clips_of_a_batch_do_not_see_each_other(net: VideoNet) -> None:
    x = video(3, 3, 8, 32, 32)
    order = torch.tensor([2, 0, 1])
    with torch.inference_mode():
        together, reordered, alone = net(x), net(x[order]), net(x[1:2])
    torch.testing.assert_close(reordered, together[order], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(alone, together[1:2], rtol=1e-3, atol=1e-3)


def test_logits_depend_on_the_input(net: VideoNet) -> None:
    x = video(2, 3, 8, 32, 32)
    with torch.inference_mode():
        logits = net(x)
    assert (logits[0] - logits[1]).abs().max() > 1e-6


def test_stages_name_every_weight_but_the_heads_once(net: VideoNet) -> None:
    """Otherwise freezing all of them would leave some part of the body free."""
    attributes = [attribute for _, names in net.stages for attribute in names]
    inside = [p for name in attributes for p in net.get_submodule(name).parameters()]
    outside = [p for name, p in net.named_parameters() if not name.startswith("head.")]
    assert len({id(p) for p in inside}) == len(inside) == len(outside)
    assert {id(p) for p in inside} == {id(p) for p in outside}
    assert len(set(net.stage_names())) == len(net.stage_names()) >= 2


@pytest.mark.parametrize("frozen", [0, 2])
def test_gradient_reaches_the_free_parameters_and_no_others(net: VideoNet, frozen: int) -> None:
    stages = net.stage_names()[:frozen]
    net.freeze(stages)
    net.train()
    for module in net.modules():
        if isinstance(module, StochasticDepth):
            module.p = 0.0  # a block that is left out by chance has no gradient
    net(video(2, 3, 8, 33, 33)).square().sum().backward()
    fixed = {
        id(p)
        for stage, attributes in net.stages
        if stage in stages
        for attribute in attributes
        for p in net.get_submodule(attribute).parameters()
    }
    assert bool(fixed) == bool(frozen)
    for name, parameter in net.named_parameters():
        assert parameter.requires_grad == (id(parameter) not in fixed), name
        assert (parameter.grad is not None) == (id(parameter) not in fixed), name
        if parameter.grad is not None:
            assert torch.isfinite(parameter.grad).all(), name
            if not any(part in name for part in UNREACHED):
                assert parameter.grad.abs().max() > 0, name


def _statistics(module: nn.Module) -> dict[str, torch.Tensor]:
    return {
        f"{name}.{key}": buffer.clone()
        for name, norm in module.named_modules()
        if isinstance(norm, NORMS)
        for key, buffer in norm.named_buffers()
    }


@pytest.mark.parametrize("norm", [False, True])
def test_batch_statistics_of_frozen_stages_stay(net: VideoNet, norm: bool) -> None:
    if not _statistics(net):
        pytest.skip("a net without BatchNorm")
    last = net.stage_names()[0]
    net.freeze(net.stages_up_to(last), norm=norm)
    net.eval().train()  # as a training loop does after each validation
    body = [(stage, net.get_submodule(a)) for stage, names in net.stages for a in names]
    before = [_statistics(module) for _, module in body]
    with torch.no_grad():
        net(video(2, 3, 8, 32, 32))
    for (stage, module), old in zip(body, before, strict=True):
        for key, new in _statistics(module).items():
            assert torch.equal(new, old[key]) == (norm or stage == last), f"{stage}.{key}"


def test_freezing_can_be_undone(net: VideoNet) -> None:
    net.freeze(net.stage_names(), norm=True)
    assert [n for n, p in net.named_parameters() if p.requires_grad] == ["head.weight", "head.bias"]
    net.freeze([])
    net.train()
    assert all(p.requires_grad for p in net.parameters())
    assert all(m.training for m in net.modules())


def test_a_new_head_changes_nothing_else(net: VideoNet) -> None:
    x = video(1, 3, 8, 32, 32)
    head = net.head
    with torch.inference_mode():
        before = net.features(x)
        try:
            net.reset_head(7)
            assert net(x).shape == (1, 7)
            torch.testing.assert_close(net.features(x), before)
        finally:
            net.head = head


def test_dropout_acts_in_training_only(net: VideoNet) -> None:
    net.freeze(net.stage_names(), norm=True)
    x = video(1, 3, 8, 32, 32)
    with torch.no_grad():
        assert torch.equal(net(x), net(x))
        net.train()
        assert not torch.equal(net(x), net(x))


@pytest.mark.parametrize(
    "net",
    [pytest.param(n, marks=() if n in OWN else pytest.mark.slow) for n in nets.names()],
    indirect=True,
)
def test_export_gives_a_program_with_the_same_logits(net: VideoNet) -> None:
    x = video(1, 3, 8, 32, 32)
    with torch.inference_mode():
        expected = net(x)
    program = torch.export.export(net, (x,)).module()
    with torch.inference_mode():
        torch.testing.assert_close(program(x), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "net", [pytest.param(n, marks=pytest.mark.slow) for n in nets.names()], indirect=True
)
def test_the_compiler_takes_it_whole(net: VideoNet) -> None:
    """What is traced, without the C++ compiler that would make a program of it."""
    x = video(1, 3, 8, 32, 32)
    torch._dynamo.reset()
    with torch.inference_mode():
        expected = net(x)
        found = torch.compile(net, backend="eager", fullgraph=True)(x)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_native_input_is_sound(net: VideoNet) -> None:
    native = net.native
    assert native.frames >= 1 and native.stride >= 1 and native.size >= 32
    assert len(native.mean) == len(native.std) == 3
    assert all(0 <= m <= 255 for m in native.mean) and all(s > 0 for s in native.std)


def test_stages_up_to(net: VideoNet) -> None:
    names = net.stage_names()
    assert net.stages_up_to("none") == ()
    assert net.stages_up_to(names[1]) == names[:2]
    assert net.stages_up_to(names[-1]) == names
    with pytest.raises(ValueError, match=f"no stage 'attic'.*{names[0]}"):
        net.stages_up_to("attic")
    with pytest.raises(ValueError, match=f"no stage 'attic'.*{names[0]}"):
        net.freeze(["attic"])
