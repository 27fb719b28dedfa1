"""The alphabet of choreography."""

import numpy as np
import pytest

from dancestyle.sample.curves import Hold, Keys, Ramp, Staircase, Wave

BEATS = np.linspace(0, 16, 321)


def test_keys_reach_their_values_and_repeat():
    curve = Keys(4, {0: (0.0, 0.0, 0.0), 1: (1.0, 2.0, 3.0)})
    np.testing.assert_allclose(curve.at(np.array([0.0, 1.0, 4.0, 5.0]))[:, 1], [0, 2, 0, 2])


@pytest.mark.parametrize("ease", ["smooth", "snap", "linear"])
def test_keys_stay_between_their_values(ease):
    values = Keys(3, {0.5: -1.0, 2: 1.0}, ease=ease).at(BEATS)
    assert values.min() >= -1 and values.max() <= 1


def test_a_snap_holds_after_its_third_of_the_way():
    curve = Keys(2, {0: 0.0, 1: 1.0}, ease="snap")
    np.testing.assert_allclose(curve.at(np.array([0.4, 0.6, 0.9]))[:, 0], 1.0)


def test_a_step_lifts_the_foot_only_while_it_moves():
    curve = Keys(4, {0: (0, 0, 0), 1: (1, 0, 0), 2: (1, 0, 0)}, lift=0.1)
    height = curve.at(np.array([0.0, 0.5, 1.0, 1.5]))[:, 1]
    np.testing.assert_allclose(height, [0, 0.1, 0, 0], atol=1e-9)


def test_sums_mirrors_and_steady_changes():
    wave = Wave(2, (1.0, 0.5, 0.0)) + Hold((0.1, 0.0, 0.0))
    np.testing.assert_allclose(wave.mirror().at(BEATS)[:, 0], -wave.at(BEATS)[:, 0])
    np.testing.assert_allclose(wave.mirror(1).at(BEATS + 1)[:, 1], wave.at(BEATS)[:, 1])
    assert Ramp(4, 1).at(np.array([8.0]))[0, 0] == 2
    np.testing.assert_allclose(
        Staircase(4, 0.25).at(np.array([3.0, 4.0, 8.0]))[:, 0], [0.25, 0.25, 0.5]
    )
