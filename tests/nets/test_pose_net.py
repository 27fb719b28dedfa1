"""Joints become heat maps where they are; the net tells movements apart by them."""

from __future__ import annotations

import pytest
import torch

from dancestyle import nets
from dancestyle.nets.base import count_parameters
from dancestyle.nets.pose import JOINTS, heat_maps

NOBODY = float("nan")


def test_each_joint_is_brightest_where_it_is() -> None:
    joints = torch.rand(3, 1, JOINTS, 2, generator=torch.Generator().manual_seed(1))
    maps = heat_maps(joints, 50, crop=False)
    assert maps.shape == (JOINTS, 3, 50, 50) and maps.min() >= 0 and maps.max() <= 1
    flat = maps.flatten(2).argmax(dim=2).T  # (T, J)
    found = torch.stack((flat % 50, flat // 50), dim=2)
    assert (found - (joints[:, 0] * 50).floor()).abs().max() <= 0


def test_the_width_of_a_spot_is_sigma() -> None:
    maps = heat_maps(torch.full((1, 1, 1, 2), 0.5), 101, sigma=0.1, crop=False)[0, 0]
    assert maps[50, 50] == 1
    one_sigma = torch.exp(torch.tensor(-0.5 * (10 / 10.1) ** 2))
    torch.testing.assert_close(maps[50, 60], one_sigma, rtol=1e-4, atol=0)
    torch.testing.assert_close(maps, maps.T)


def test_what_was_not_seen_draws_nothing_and_persons_share_a_map() -> None:
    joints = torch.full((2, 2, 2, 2), NOBODY)
    joints[0, 0, 0] = 0.25
    joints[0, 1, 0] = 0.75
    maps = heat_maps(joints, 20, sigma=0.05, crop=False)
    assert maps[0, 0, 5, 5] > 0.5 and maps[0, 0, 15, 15] > 0.5
    assert maps[1].max() == 0 and maps[:, 1].max() == 0
    assert heat_maps(torch.full((2, 0, 2, 2), 0.5), 20).max() == 0


def test_cropped_to_the_dancer_place_and_size_do_not_matter() -> None:
    joints = torch.rand(4, 1, JOINTS, 2)
    torch.testing.assert_close(
        heat_maps(joints, 32), heat_maps(joints * 0.3 + 0.6, 32), rtol=1e-3, atol=1e-4
    )


def test_joints_of_another_shape_are_an_error() -> None:
    with pytest.raises(
        ValueError, match=r"joints must be \(T, persons, J, 2\), found \(3, 17, 2\)"
    ):
        heat_maps(torch.zeros(3, 17, 2), 32)


def test_the_net_is_small() -> None:
    assert count_parameters(nets.create("pose", 19, in_channels=JOINTS)) < 1e6


@pytest.mark.slow
def test_it_learns_which_arm_waves() -> None:
    """Two dances that differ in which of two joints moves, each at a place of its own."""
    torch.manual_seed(0)

    def dance(label: int) -> torch.Tensor:
        joints = torch.rand(2) * 0.3 + torch.tensor([[0.2, 0.2], [0.5, 0.2]])
        joints = joints.repeat(12, 1, 1)
        joints[:, label, 1] += 0.3 * torch.sin(torch.arange(12) + torch.rand(1) * 6)
        return heat_maps(joints[:, None], 24, sigma=0.05, crop=False)

    net = nets.create("pose", 2, in_channels=2, dropout=0.0)
    optimiser = torch.optim.AdamW(net.parameters(), 2e-3)
    for _ in range(25):
        labels = torch.randint(2, (16,))
        x = torch.stack([dance(int(label)) for label in labels])
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(net(x), labels).backward()
        optimiser.step()
    net.eval()  # also says that 25 steps are enough for BatchNorm's statistics
    labels = torch.arange(40) % 2
    with torch.inference_mode():
        found = net(torch.stack([dance(int(label)) for label in labels])).argmax(dim=1)
    assert (found == labels).float().mean() >= 0.9
