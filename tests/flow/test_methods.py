from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from dancestyle.flow import methods
from dancestyle.flow.methods import FlowError
from tests.flow import known

# name, options, and the bounds of the mean end-point error in pixels on a smooth field and on one
# with motion edges, at 56x74 (motion of 1.5 pixels) and at 128x170 (3 pixels)
CONTRACT: list[tuple[str, dict[str, Any], tuple[float, float], tuple[float, float]]] = [
    ("dis", {}, (0.1, 0.11), (0.13, 0.11)),
    ("dis", {"preset": "refined"}, (0.1, 0.11), (0.13, 0.11)),
    ("dis", {"preset": "medium"}, (0.1, 0.11), (0.16, 0.19)),
    ("dis", {"preset": "fast"}, (0.12, 0.12), (0.6, 0.6)),
    ("dis", {"finest_scale": 0, "refinements": 8}, (0.1, 0.11), (0.09, 0.1)),
    ("farneback", {}, (0.22, 0.3), (0.22, 0.3)),
    ("tvl1", {}, (0.09, 0.07), (0.06, 0.06)),
    ("tvl1", {"preset": "opencv"}, (0.14, 0.1), (0.11, 0.1)),
]


NAMES = ["dis", "farneback", "raft", "tvl1"]
"""What holds for a method whatever it has learnt; the errors above are of those that learn nothing."""


@pytest.fixture(scope="module")
def options_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    """The options that a method needs: for RAFT a file of weights, which are as they were drawn."""

    def options(name: str) -> dict[str, Any]:
        if name != "raft":
            return {}
        torch = pytest.importorskip("torch")
        from torchvision.models.optical_flow import raft_small

        path = tmp_path_factory.getbasetemp() / "drawn.pth"
        if not path.exists():
            torch.manual_seed(0)
            torch.save(raft_small().state_dict(), path)
        return {"weights": str(path), "iterations": 2}

    return options


def test_every_method_is_held_to_it() -> None:
    assert methods.names() == NAMES


@pytest.mark.parametrize(("name", "options", "small", "large"), CONTRACT)
def test_known_fields(
    name: str, options: dict[str, Any], small: tuple[float, float], large: tuple[float, float]
) -> None:
    method = methods.create(name, **options)
    for (height, width, amplitude), bounds in (((56, 74, 1.5), small), ((128, 170, 3.0), large)):
        for make, bound in zip((known.smooth_field, known.edge_field), bounds, strict=True):
            field = make(height, width, amplitude)
            found = method(*known.pair(field))
            assert found.shape == (height, width, 2) and found.dtype == np.float32
            assert known.error(found, field) < bound


@pytest.mark.parametrize("name", NAMES)
def test_two_times_the_same_and_nothing_moves(
    name: str, options_of: Callable[[str], dict[str, Any]]
) -> None:
    method = methods.create(name, **options_of(name))
    first, second = known.pair(known.smooth_field(48, 64, 1.0))
    found = method(first, second)
    assert found.dtype == np.float32 and found.any()
    assert np.array_equal(method(first, second), found)
    assert name == "raft" or np.abs(method(first, first)).mean() < 0.01


def test_noise_goes_and_edges_stay() -> None:
    true = known.edge_field(128, 170, 3.0)
    noise = np.random.default_rng(0).normal(scale=0.1, size=true.shape).astype(np.float32)
    found = methods.steady(true + noise)
    step = np.abs(cv2.blur(true, (15, 15)) - true)
    away, near = step == 0, step > methods.STEADY + 0.5
    assert np.abs(found - true)[away].mean() < 0.2 * np.abs(noise)[away].mean()
    assert near.sum() > 500 and np.array_equal(found[near], (true + noise)[near])
    still = np.zeros_like(true)
    assert not methods.steady(still).any()


def test_pictures_of_another_size_in_between_change_nothing() -> None:
    method = methods.create("dis", preset="fast")
    large = known.pair(known.smooth_field(128, 170, 3.0))
    before = method(*large)
    method(*known.pair(known.smooth_field(40, 40, 1.0)))
    assert np.array_equal(method(*large), before)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(32, 32), (34, 200), (200, 34), (57, 75)])
def test_sizes_and_views(
    name: str, size: tuple[int, int], options_of: Callable[[str], dict[str, Any]]
) -> None:
    first, second = known.pair(known.smooth_field(*size, 0.5))
    method = methods.create(name, **options_of(name))
    found = method(first[:, ::-1], second[:, ::-1])
    assert found.shape == (*size, 2)
    assert np.isfinite(found).all()


def test_fields_of_a_clip() -> None:
    frames = known.texture(40, 40)[None].repeat(4, 0).astype(np.uint8)
    assert methods.of_clip(methods.create("dis"), frames).shape == (3, 40, 40, 2)
    with pytest.raises(FlowError, match="two frames"):
        methods.of_clip(methods.create("dis"), frames[:1])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("horn", {}, "there are dis, farneback, raft, tvl1"),
        ("dis", {"speed": 1}, r"no option \['speed'\]; it has \['preset'"),
        ("dis", {"preset": "best"}, "no preset 'best'"),
        ("tvl1", {"preset": "best"}, "no preset 'best'"),
        ("tvl1", {"settings": {"Speed": 1}}, "no setting Speed"),
        ("farneback", {"neighbourhood": 6}, "5 or 7"),
        ("raft", {}, "needs weights"),
        ("raft", {"weights": "nowhere.pth"}, "not found"),
        ("raft", {"weights": "hub", "size": "huge"}, "small or large"),
    ],
)
def test_wrong_options(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(FlowError, match=message):
        methods.create(name, **options)


def test_raft_from_a_file(tmp_path: Path) -> None:
    """Weights that answer (3, -2) whatever they see: order, sign, unit and size are as they should."""
    torch = pytest.importorskip("torch")
    from torchvision.models.optical_flow import raft_small

    torch.manual_seed(0)
    net = raft_small()
    last = net.update_block.flow_head.conv2
    torch.nn.init.zeros_(last.weight)
    with torch.no_grad():  # the net works at an eighth of the size, in two steps
        last.bias.copy_(torch.tensor([3.0, -2.0]) / 8 / 2)
    torch.save(net.state_dict(), tmp_path / "raft.pth")
    method = methods.create("raft", weights=str(tmp_path / "raft.pth"), iterations=2)
    image = np.zeros((128, 160, 3), np.uint8)
    assert np.allclose(method(image, image), (3, -2), atol=1e-3)
    # half as large: what the net says of the enlarged picture is twice what moves in this one
    assert np.allclose(method(image[::2, ::2], image[::2, ::2]), (1.5, -1), atol=1e-3)
    assert method(image[:100, :131], image[:100, :131]).shape == (100, 131, 2)


@pytest.mark.slow
def test_raft_that_has_learnt(tmp_path: Path) -> None:
    """A net taught one movement and its reverse finds them: the contract's bound for ``raft``."""
    torch = pytest.importorskip("torch")
    from torchvision.models.optical_flow import raft_small

    torch.manual_seed(0)
    torch.set_num_threads(1)
    field = np.full((128, 128, 2), (3, -2), np.float32)
    pictures = known.pair(field)
    first = (
        torch.stack([torch.from_numpy(p).permute(2, 0, 1) for p in pictures]).float() / 127.5 - 1
    )
    target = torch.tensor([[3.0, -2.0], [-3.0, 2.0]])[:, :, None, None]
    net = raft_small()
    optimiser = torch.optim.AdamW(net.parameters(), lr=6e-4)
    for _ in range(70):
        flows = net(first, first.flip(0), num_flow_updates=2)
        loss = sum((flow - target).abs().mean() for flow in flows)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
    torch.save(net.state_dict(), tmp_path / "raft.pth")
    method = methods.create("raft", weights=str(tmp_path / "raft.pth"), iterations=2)
    assert known.error(method(*pictures), field) < 1
    assert known.error(method(*pictures[::-1]), -field) < 1


def test_resizing_scales_the_vectors() -> None:
    field = np.zeros((8, 12, 2), np.float32)
    field[..., 0], field[..., 1] = 3.0, -2.0
    half = methods.resize(field, (4, 6))
    assert half.shape == (4, 6, 2)
    assert np.allclose(half[..., 0], 1.5) and np.allclose(half[..., 1], -1.0)
    assert np.allclose(methods.resize(field, (16, 12))[..., 1], -4.0)
    assert np.array_equal(methods.resize(np.zeros_like(field), (5, 7)), np.zeros((5, 7, 2)))
    # the flow of a smaller picture is the smaller flow
    large = known.smooth_field(112, 148, 3.0)
    first, second = (
        methods.cv2.resize(image, (74, 56), interpolation=methods.cv2.INTER_AREA)
        for image in known.pair(large)
    )
    found = methods.create("dis")(first, second)
    assert known.error(found, methods.resize(large, (56, 74))) < 0.15
