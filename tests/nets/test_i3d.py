"""Facts of the two I3D architectures that their papers and published files state."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from made_up_nets import randomise, video

from dancestyle import nets
from dancestyle.nets.base import count_parameters
from dancestyle.nets.inception_i3d import InceptionI3D, MaxPoolSame, same_padding
from dancestyle.nets.resnet_i3d import ResNetI3D


@pytest.mark.parametrize(
    "name, options, millions",
    [
        ("i3d_r50", {}, 28.0),
        ("i3d_r50_nl", {}, 35.4),
        ("i3d_r50_nl", {"non_local": "embedded_gaussian"}, 35.4),
        ("i3d_r50_nl", {"non_local": "gaussian"}, 31.7),
        ("i3d_inception", {}, 12.7),
    ],
)
def test_parameter_counts_at_400_classes(
    name: str, options: dict[str, str], millions: float
) -> None:
    """The ResNets': as in MMAction2's model zoo. Inception-v1's: the published file's size."""
    with torch.device("meta"):
        net = nets.create(name, 400, **options)
    assert round(count_parameters(net) / 1e6, 1) == millions


def test_sizes_of_the_trunks() -> None:
    with torch.device("meta"):
        inception, resnet = InceptionI3D(400), ResNetI3D(400)
        assert inception.trunk(torch.empty(1, 3, 64, 224, 224)).shape == (1, 1024, 8, 7, 7)
        assert resnet.trunk(torch.empty(1, 3, 32, 224, 224)).shape == (1, 2048, 4, 7, 7)


@pytest.mark.parametrize("frames", [8, 16, 33])
def test_averaging_features_gives_the_papers_averaged_logits(frames: int) -> None:
    net = InceptionI3D(7)
    x = video(2, 3, frames, 32, 32)
    randomise(net, x)
    net.eval()
    with torch.no_grad():
        maps = net.trunk(x)  # (N, 1024, T', 1, 1)
        kernel = (min(2, maps.shape[2]), *maps.shape[3:])
        pooled = F.avg_pool3d(maps, kernel, stride=1)
        head = F.conv3d(pooled, net.head.weight[:, :, None, None, None], net.head.bias)
        expected = head.squeeze(4).squeeze(3).mean(dim=2)
        torch.testing.assert_close(net(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kernel, stride", [(1, 1), (2, 2), (3, 1), (3, 2), (7, 2)])
def test_same_padding_gives_the_size_over_the_stride_rounded_up(kernel: int, stride: int) -> None:
    for size in range(1, 70):
        before, after = same_padding(size, kernel, stride)
        assert 0 <= after - before <= 1
        assert (size + before + after - kernel) // stride + 1 == -(-size // stride)


@pytest.mark.parametrize(
    "kernel, stride", [((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (2, 2, 2)), ((2, 2, 2), (2, 2, 2))]
)
def test_pooling_equals_zero_padding_and_pooling(
    kernel: tuple[int, int, int], stride: tuple[int, int, int]
) -> None:
    """For the outputs of a ReLU, at odd and even sizes mixed."""
    pool = MaxPoolSame(kernel, stride)
    for shape in [(1, 1, 1), (2, 5, 6), (7, 8, 9), (4, 4, 4), (5, 7, 1)]:
        x = torch.randn(1, 2, *shape).relu()
        pads = [same_padding(*of_axis) for of_axis in zip(shape, kernel, stride, strict=True)]
        padded = F.pad(x, [p for pair in reversed(pads) for p in pair])
        assert torch.equal(pool(x), F.max_pool3d(padded, kernel, stride))


def test_non_local_blocks_start_as_nothing() -> None:
    """Added to the plain net they change no output, so they can be added to a trained one."""
    plain, non_local = nets.create("i3d_r50", 5).eval(), nets.create("i3d_r50_nl", 5).eval()
    missing, unexpected = non_local.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected and all(".non_local." in key for key in missing)
    blocks = {key.split(".non_local.")[0] for key in missing}
    assert blocks == {"layer2.1", "layer2.3", "layer3.1", "layer3.3", "layer3.5"}
    x = video(1, 3, 8, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(non_local(x), plain(x))
