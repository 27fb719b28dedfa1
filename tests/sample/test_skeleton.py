"""The figure keeps its bones, whatever it dances."""

import numpy as np
import pytest

from dancestyle.sample.choreography import ACTIONS, BALLROOM, STYLES
from dancestyle.sample.performance import Performance, mirror, perform
from dancestyle.sample.skeleton import COCO_INDEX, INDEX, JOINTS, Body, Moves, joints
from dancestyle.seeds import rng

SECONDS = np.arange(50) / 25
EVERY = {**STYLES, **ACTIONS, **BALLROOM}


def bone(points, start, end):
    return np.linalg.norm(points[:, INDEX[start]] - points[:, INDEX[end]], axis=-1)


def test_standing_at_ease_is_upright_and_symmetric():
    points = joints(Moves().at(np.zeros(1)), Body())
    assert len(JOINTS) >= 15 and points.shape == (1, len(JOINTS), 3)
    assert (
        points[0, INDEX["nose"], 1] > points[0, INDEX["chest"], 1] > points[0, INDEX["pelvis"], 1]
    )
    assert 0.0 < points[0, INDEX["left_ankle"], 1] < 0.06
    np.testing.assert_allclose(mirror(points), points, atol=1e-9)
    assert points[0, INDEX["left_wrist"], 0] > points[0, INDEX["right_wrist"], 0]


@pytest.mark.parametrize("label", EVERY)
def test_bones_keep_their_length_and_nothing_is_undefined(label):
    for figure in EVERY[label].figures:
        performance = Performance(figure, EVERY[label].tempo[1], 3.3, 1.1, mirrored=False)
        body = Body()
        for points in perform(performance, [body] * 8, SECONDS, rng(1, label)):
            assert np.isfinite(points).all() and len(COCO_INDEX) == 17
            for side in ("left", "right"):
                np.testing.assert_allclose(bone(points, f"{side}_hip", f"{side}_knee"), body.thigh)
                np.testing.assert_allclose(bone(points, f"{side}_knee", f"{side}_ankle"), body.shin)
                forearm = bone(points, f"{side}_elbow", f"{side}_wrist")
                np.testing.assert_allclose(forearm, body.forearm)


@pytest.mark.parametrize("label", EVERY)
def test_somebody_moves_and_nobody_leaves_or_tears(label):
    figure = EVERY[label].figures[0]
    performance = Performance(figure, EVERY[label].tempo[0], 0.0, 1.0, mirrored=False)
    points = np.stack(perform(performance, [Body()] * 8, SECONDS, rng(2, label)))
    assert np.ptp(points, axis=1).max() > 0.1
    assert np.abs(points[..., [0, 2]]).max() < 1.6
    assert np.abs(np.diff(points, axis=1)).max() < 0.35  # body heights a frame
