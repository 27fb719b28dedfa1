"""Joints follow their pixels through crop, resize and mirror."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dancestyle.sample.encode import jpeg, write_npz
from dancestyle.sample.stills import pack
from dancestyle.training.module import Recipe
from dancestyle.training.pose import (
    JOINTS,
    OUTPUTS,
    PAIRS,
    PoseRegressor,
    Stills,
    StillsError,
    by_side,
    count,
    figure_targets,
    net_2d,
)

SIZE, DOT = 96, 2
# COCO's order, so that the mirror's table is checked against names and not against itself.
NAMES = [
    "nose",
    *("left_eye", "right_eye"),
    *("left_ear", "right_ear"),
    *("left_shoulder", "right_shoulder"),
    *("left_elbow", "right_elbow"),
    *("left_wrist", "right_wrist"),
    *("left_hip", "right_hip"),
    *("left_knee", "right_knee"),
    *("left_ankle", "right_ankle"),
]


def write(path: Path, joints: np.ndarray, bright: int | None = None) -> Path:
    """A file of one dark still; joint number ``bright`` is a white dot in it."""
    image = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    if bright is not None:
        x, y = (joints[bright] * SIZE).astype(int)
        image[0, max(y - DOT, 0) : y + DOT + 1, max(x - DOT, 0) : x + DOT + 1] = 255
    visible = np.ones((1, JOINTS), bool)
    write_npz(path, pack([jpeg(image[0], 95)], joints[None].astype(np.float32), visible))
    return path


def stills(path: Path, size: int = 64) -> Stills:
    return Stills(path, size, 1, slice(None), (0.0, 0.0, 0.0), (255.0, 255.0, 255.0))


def places(targets: torch.Tensor) -> torch.Tensor:
    """Joints (17, 2) in [-1, 1] of the picture, back from targets within the figure."""
    joints = targets[: 2 * JOINTS].reshape(JOINTS, 2)
    centre, size = targets[2 * JOINTS : 2 * JOINTS + 2], targets[2 * JOINTS + 2] + 1
    return joints / 2 * size + centre


def test_targets_are_within_the_figure() -> None:
    joints = np.random.default_rng(0).uniform(-0.9, 0.9, (JOINTS, 2)).astype(np.float32)
    visible = np.ones(JOINTS, bool)
    visible[3] = False
    targets, weights = figure_targets(joints, visible)
    assert targets.shape == weights.shape == (OUTPUTS,)
    torch.testing.assert_close(places(targets), torch.from_numpy(joints))
    assert weights[6:8].tolist() == [0, 0] and float(weights.sum()) == OUTPUTS - 2
    moved, _ = figure_targets(joints * 0.5 + 0.1, visible)
    torch.testing.assert_close(moved[: 2 * JOINTS], targets[: 2 * JOINTS], atol=1e-5, rtol=1e-4)
    assert not figure_targets(joints, np.arange(JOINTS) < 3)[1].any(), "too few to be a figure"


def test_pairs_stand_in_the_order_of_the_picture() -> None:
    for left, right in PAIRS:
        assert NAMES[left].replace("left", "right") == NAMES[right]
    joints = np.random.default_rng(0).uniform(-1, 1, (JOINTS, 2))
    visible = np.random.default_rng(1).random(JOINTS) < 0.5
    ordered, seen = by_side(joints, visible)
    assert (ordered[PAIRS[:, 0], 0] <= ordered[PAIRS[:, 1], 0]).all()
    assert (ordered[0] == joints[0]).all() and seen.sum() == visible.sum()
    turned, _ = by_side(joints * (-1, 1), visible)
    expected = ordered * (-1, 1)
    expected[PAIRS] = expected[PAIRS[:, ::-1]]
    np.testing.assert_array_equal(turned, expected)
    again = by_side(ordered, seen)
    np.testing.assert_array_equal(again[0], ordered)
    np.testing.assert_array_equal(again[1], seen)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    joint=st.integers(0, JOINTS - 1),
    epoch=st.integers(0, 50) | st.none(),
    size=st.sampled_from([48, 64, 112]),
)
def test_a_bright_dot_stays_at_its_joint(
    tmp_path: Path, seed: int, joint: int, epoch: int | None, size: int
) -> None:
    joints = np.random.default_rng(seed).uniform(0.05, 0.95, (JOINTS, 2))
    path = write(tmp_path / "stills.npz", joints, joint)
    x, (targets, weights) = stills(path, size)[0 if epoch is None else (epoch, 0)]
    assert x.shape == (3, size, size)
    inside = weights[: 2 * JOINTS : 2] > 0
    # The dot may have become its partner: the left wrist is whichever is more to the left.
    candidates = [joint, *(int(n) for pair in PAIRS if joint in pair for n in pair if n != joint)]
    picture = x.mean(dim=0)
    picture = picture - picture.min()  # jitter may lift the black
    if picture.max() < 0.1:
        assert not inside[candidates].all(), "an invisible dot is not called visible"
        return
    where = (picture > picture.max() / 2).nonzero().float().mean(dim=0) + 0.5
    dot = torch.stack([where[1], where[0]]) / size * 2 - 1
    error = min(float((places(targets)[one] - dot).abs().max()) for one in candidates)
    assert error < 2 * (2 * DOT + 2) / (0.75 * SIZE)


def test_without_a_draw_it_is_the_centre(tmp_path: Path) -> None:
    joints = np.random.default_rng(0).uniform(0.2, 0.8, (JOINTS, 2))
    joints[0], joints[1] = (0.5, 0.5), (0.01, 0.5)
    _, (targets, weights) = stills(write(tmp_path / "s.npz", joints))[0]
    torch.testing.assert_close(places(targets)[0], torch.zeros(2), atol=1e-5, rtol=0)
    assert weights[0] == 1 and weights[2] == 0, "the second is cut off by the crop"


def test_a_draw_depends_on_epoch_and_index(tmp_path: Path) -> None:
    path = write(tmp_path / "s.npz", np.full((JOINTS, 2), 0.4), 0)
    one, again, later = (stills(path)[epoch, 0][0] for epoch in (0, 0, 1))
    assert torch.equal(one, again) and not torch.equal(one, later)


def test_the_score_is_the_error_in_shares_of_the_figure() -> None:
    module = PoseRegressor(torch.nn.Identity(), Recipe(seed=1, epochs=1, batch_size=1, lr=0.1))
    truth, weights = torch.zeros(1, OUTPUTS), torch.zeros(1, OUTPUTS)
    weights[0, :4] = 1
    guess = torch.zeros(1, OUTPUTS)
    guess[0, 0] = 1.0  # half the figure's size
    guess[0, 10] = 99.0  # invisible, so it does not count
    module.on_validation_epoch_start()
    module.validation_step((guess, (truth, weights)), 0)
    assert module.scores()["joint_error"] == pytest.approx(0.25)
    assert float(module.loss(guess, (truth, weights))) == pytest.approx(0.95 / 4)
    assert float(module.loss(guess, (truth, weights * 0))) == 0


def test_what_is_no_file_of_stills(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", pictures=np.zeros(3))
    (tmp_path / "text.npz").write_text("hello")
    for name in ("other.npz", "text.npz", "none.npz"):
        for read in (stills, count):
            with pytest.raises(StillsError, match=name):
                read(tmp_path / name)
    empty = pack([b"no picture"], np.zeros((1, JOINTS, 2), np.float32), np.ones((1, JOINTS), bool))
    write_npz(tmp_path / "broken.npz", empty)
    with pytest.raises(StillsError, match=r"broken\.npz.*cannot be decoded"):
        stills(tmp_path / "broken.npz")


def test_no_such_net() -> None:
    with pytest.raises(ValueError, match="inception, resnet"):
        net_2d("vgg", 1)
