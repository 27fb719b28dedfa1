"""Late fusion is a sum of logits; stacks hold what the paper's first equation says."""

from __future__ import annotations

import pytest
import torch
from made_up_nets import video

from dancestyle import nets
from dancestyle.nets.two_stream import CnnM, flow_stacks


def test_a_head_over_both_streams_adds_their_logits() -> None:
    both = nets.create("two_stream", 4, in_channels=5).eval()
    rgb = nets.create("two_stream", 4, in_channels=3).eval()
    flow = nets.create("two_stream", 4, in_channels=2).eval()
    state = both.state_dict()
    for net, half in ((rgb, slice(0, 2048)), (flow, slice(2048, None))):
        own = {key: state[key] for key in net.state_dict()}
        net.load_state_dict({**own, "head.weight": own["head.weight"][:, half]})
    x = video(2, 5, 12, 40, 40)
    with torch.inference_mode():
        summed = rgb(x[:, :3]) + flow(x[:, 3:])
        torch.testing.assert_close(both(x), summed - both.head.bias, rtol=1e-4, atol=1e-5)


def test_frames_are_averaged_and_their_order_is_not_seen() -> None:
    net = nets.create("two_stream", 4).eval()
    x = video(1, 3, 3, 40, 40)
    with torch.inference_mode():
        alone = torch.stack([net(x[:, :, [t]]) for t in range(3)]).mean(dim=0)
        torch.testing.assert_close(net(x), alone)
        torch.testing.assert_close(net(x.flip(2)), alone)


@pytest.mark.parametrize("frames, starts", [(10, [0]), (4, [0]), (11, [0, 1]), (25, [0, 8, 15])])
def test_stacks_alternate_x_and_y_and_see_every_field(frames: int, starts: list[int]) -> None:
    time = torch.arange(frames, dtype=torch.float32)
    flow = torch.stack((time, time + 100))[None, :, :, None, None].repeat(1, 1, 1, 2, 2)
    flow[..., 0] *= -1  # so that the mean, which is taken off, is 0
    stacks = flow_stacks(flow)[0, :, :, 0, 1]  # (20, S)
    for number, start in enumerate(starts):
        fields = [min(start + k, frames - 1) for k in range(10)]
        assert stacks[0::2, number].tolist() == fields
        assert stacks[1::2, number].tolist() == [f + 100 for f in fields]
    assert stacks.shape == (20, len(starts))
    assert set(stacks[0::2].flatten().tolist()) == set(range(frames))


def test_a_moving_camera_alone_is_no_movement() -> None:
    moved = torch.randn(1, 2, 10, 1, 1).expand(-1, -1, -1, 6, 6)
    torch.testing.assert_close(flow_stacks(moved), torch.zeros(1, 20, 1, 6, 6))


def test_the_native_size_leaves_six_by_six() -> None:
    """As in the paper's figure 1; the parameter count is that of CNN-M-2048's layers, by hand."""
    with torch.device("meta"):
        net = CnnM(3, True, 0.5)
        maps = []
        net.conv5.register_forward_hook(lambda module, inputs, output: maps.append(output.shape))
        assert net(torch.empty(1, 3, 2, 224, 224)).shape == (1, 2, 2048)
    assert maps[0][2:] == (2, 13, 13)
    weights = 96 * 3 * 49 + 256 * 96 * 25 + 512 * 256 * 9 + 2 * 512 * 512 * 9
    weights += 4096 * 512 * 36 + 2048 * 4096
    biases = 96 + 256 + 3 * 512 + 4096 + 2048
    assert sum(p.numel() for p in net.parameters()) == weights + biases


def test_other_channels_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"3 channels \(RGB\), 2 \(flow\) or 5"):
        nets.create("two_stream", 4, in_channels=4)
