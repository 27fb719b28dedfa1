"""Inflated nets do on a video of one repeated frame what the 2D net does on that frame.

In double precision, so that what is left is a difference of the architectures.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import torchvision
from made_up_nets import randomise
from torch import Tensor, nn

from dancestyle import nets
from dancestyle.nets.base import VideoNet
from dancestyle.nets.inception_i3d import InceptionI3D
from dancestyle.nets.inflate import MODES, inflate, inflate_kernel, to_channels
from dancestyle.nets.resnet_i3d import ResNetI3D


def frames(count: int, size: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(count, 3, size, size, generator=generator, dtype=torch.float64)


def standstill(frame: Tensor, length: int) -> Tensor:
    """``(N, C, H, W) -> (N, C, length, H, W)``."""
    return frame.unsqueeze(2).expand(-1, -1, length, -1, -1).contiguous()


@pytest.fixture(scope="module")
def googlenet() -> nn.Module:
    torch.manual_seed(0)
    net = torchvision.models.googlenet(weights=None, aux_logits=False, init_weights=False)
    randomise(net.double(), frames(4, 63))
    return net.eval()


@pytest.fixture(scope="module")
def resnet50() -> nn.Module:
    torch.manual_seed(0)
    net = torchvision.models.resnet50(weights=None)
    randomise(net.double(), frames(4, 48))
    return net.eval()


def trunk(net: nn.Module, x: Tensor) -> Tensor:
    """torchvision's net up to its pooling: both are plain chains of their children."""
    for name, module in net.named_children():
        if name == "avgpool":
            break
        x = module(x)
    return x


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("time", [1, 2, 3, 5, 7])
def test_an_inflated_kernel_sums_to_the_kernel(mode: str, time: int) -> None:
    kernel = torch.randn(4, 3, 3, 3)
    inflated = inflate_kernel(kernel, time, mode)
    assert inflated.shape == (4, 3, time, 3, 3)
    torch.testing.assert_close(inflated.sum(dim=2), kernel)


def test_where_the_kernel_goes() -> None:
    kernel = torch.randn(2, 3, 1, 1)
    spread, centre = (inflate_kernel(kernel, 3, mode) for mode in ("spread", "centre"))
    for t in range(3):
        torch.testing.assert_close(spread[:, :, t], kernel / 3)
    assert torch.equal(centre[:, :, 1], kernel)
    assert not centre[:, :, [0, 2]].any()


def test_an_unknown_mode_is_an_error() -> None:
    with pytest.raises(ValueError, match="'sideways' is not one of: spread, centre"):
        inflate_kernel(torch.zeros(1, 1, 1, 1), 3, "sideways")


@pytest.mark.parametrize("channels", [1, 2, 17])
def test_other_channels_respond_to_equal_planes_as_colour_does_to_grey(channels: int) -> None:
    kernel = torch.randn(8, 3, 7, 7)
    plane = torch.randn(1, 1, 20, 20)
    torch.testing.assert_close(
        F.conv2d(plane.expand(-1, channels, -1, -1), to_channels(kernel, channels)),
        F.conv2d(plane.expand(-1, 3, -1, -1), kernel),
        rtol=1e-4,
        atol=1e-4,
    )
    assert to_channels(kernel, 3) is kernel


def assert_repeats(net: VideoNet, frame: Tensor, length: int, border: int, maps: Tensor) -> None:
    """The trunk's steps in time, ``border`` of them at either end left out, all equal ``maps``."""
    with torch.no_grad():
        steps = net.trunk(standstill(frame, length)).unbind(dim=2)
    clear = steps[border : len(steps) - border]
    assert len(steps) == length // 8 and clear
    for step in clear:
        torch.testing.assert_close(step, maps)


# Through evenly spread kernels a step of the trunk sees 99 frames (Inception-v1) or 129
# (ResNet-50), 8 further on than the step before. Kernels in the middle slice see no border at all.
@pytest.mark.parametrize("mode, length, border", [("spread", 120, 6), ("centre", 24, 0)])
def test_inception_repeats_googlenet(
    googlenet: nn.Module, mode: str, length: int, border: int
) -> None:
    """At 63 pixels torchvision's padding and TensorFlow's "SAME" are the same in every layer."""
    net = InceptionI3D(5).eval().double()
    assert inflate(net, googlenet.state_dict(), mode) == []
    frame = frames(1, 63)
    with torch.no_grad():
        maps = trunk(googlenet, frame)
    assert_repeats(net, frame, length, border, maps)


@pytest.mark.parametrize("mode, length, border", [("spread", 136, 8), ("centre", 24, 0)])
@pytest.mark.parametrize("name", ["i3d_r50", "i3d_r50_nl"])
def test_resnet_i3d_repeats_resnet50(
    resnet50: nn.Module, name: str, mode: str, length: int, border: int
) -> None:
    net = nets.create(name, 5).eval().double()
    left = inflate(net, resnet50.state_dict(), mode)
    assert bool(left) == (name == "i3d_r50_nl") and all(".non_local." in key for key in left)
    frame = frames(1, 33)
    with torch.no_grad():
        maps = trunk(resnet50, frame)
    assert_repeats(net, frame, length, border, maps)


def test_spread_kernels_fade_at_the_ends_of_the_video(googlenet: nn.Module) -> None:
    """What the paper's border effect is: black frames before the first and after the last."""
    net = InceptionI3D(5).eval().double()
    inflate(net, googlenet.state_dict(), "spread")
    with torch.no_grad():
        maps = net.trunk(standstill(frames(1, 63), 16))
        assert (maps[:, :, 0] - trunk(googlenet, frames(1, 63))).abs().max() > 0.01


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["i3d_inception", "i3d_r50", "c2d_r50"])
def test_flow_nets_inflate_from_colour(
    googlenet: nn.Module, resnet50: nn.Module, name: str, mode: str
) -> None:
    """Two equal flow planes look to the first layer as a grey picture does; the rest is one."""
    source = (googlenet if name == "i3d_inception" else resnet50).state_dict()
    rgb, flow = (nets.create(name, 5, in_channels=c).eval().double() for c in (3, 2))
    inflate(rgb, source, mode)
    inflate(flow, source, mode)
    plane = torch.randn(1, 1, 8, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(
            flow.features(plane.expand(-1, 2, -1, -1, -1)),
            rgb.features(plane.expand(-1, 3, -1, -1, -1)),
        )


def test_the_head_is_left_alone(resnet50: nn.Module) -> None:
    net = ResNetI3D(1000)
    head = net.head.weight.clone()
    inflate(net, resnet50.state_dict())
    assert torch.equal(net.head.weight, head)


def test_weights_of_another_net_are_refused_and_named(
    googlenet: nn.Module, resnet50: nn.Module
) -> None:
    with pytest.raises(ValueError, match=r"do not fit a InceptionI3D: missing \['conv1.conv.wei"):
        inflate(InceptionI3D(5), resnet50.state_dict())
    with pytest.raises(ValueError, match="do not fit a ResNetI3D: missing"):
        inflate(ResNetI3D(5), googlenet.state_dict())
    broken = {**resnet50.state_dict(), "layer1.0.conv2.weight": torch.zeros(64, 64, 5, 5)}
    with pytest.raises(ValueError, match=r"another shape \['layer1.0.conv2.weight \(64, 64"):
        inflate(ResNetI3D(5), broken)


def test_weights_without_the_batch_count_of_old_files_will_do(resnet50: nn.Module) -> None:
    old = {k: v for k, v in resnet50.state_dict().items() if "num_batches" not in k}
    assert inflate(ResNetI3D(5), old) == []
