"""A dance performed: from a choreography and chance to joints in space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dancestyle.sample.choreography import Dance, Figure
from dancestyle.sample.curves import Array
from dancestyle.sample.skeleton import JOINTS, REST, SWAPPED, Body, Moves, joints

# What chance may do to a channel without changing the dance: standard deviation of a slow drift.
_DRIFT = {
    "travel": 0.02, "turn": 0.012, "pelvis": 0.006, "hips": 2.0, "spine": 3.0, "head": 6.0,
    "left_foot": 0.004, "right_foot": 0.004, "left_hand": 0.02, "right_hand": 0.02,
}  # fmt: skip
_SCALED = ("pelvis", "hips", "spine", "left_foot", "right_foot", "left_hand", "right_hand")


@dataclass(frozen=True)
class Performance:
    """How a clip is danced: everything that is chosen once a clip.

    Attributes:
        figure: formation.
        tempo: beats a minute.
        start: beat at the clip's first frame.
        amplitude: how large the movements are, 1 as written.
        mirrored: left and right swapped.
    """

    figure: Figure
    tempo: float
    start: float
    amplitude: float
    mirrored: bool

    @classmethod
    def random(cls, dance: Dance, rng: np.random.Generator) -> Performance:
        """Any performance of ``dance``."""
        return cls(
            figure=dance.figures[rng.integers(len(dance.figures))],
            tempo=rng.uniform(*dance.tempo),
            start=rng.uniform(0, 64),
            amplitude=rng.uniform(0.88, 1.15),
            mirrored=bool(rng.random() < 0.5),
        )


def _drifting(rng: np.random.Generator, beats: Array, size: float, width: int) -> Array:
    out = np.zeros((len(beats), width))
    for period in (7.0, 19.0):
        phase = rng.uniform(0, 2 * np.pi, width)
        weight = rng.normal(0, size, width)
        out += weight * np.sin(2 * np.pi * beats[:, None] / period + phase)
    return out


def dance_moves(
    moves: Moves, beats: Array, amplitude: float, rng: np.random.Generator
) -> dict[str, Array]:
    """The channels of a dancer at ``beats`` (T,), enlarged by ``amplitude``, never quite even."""
    channels = moves.at(beats)
    for name, value in channels.items():
        if name in _SCALED and not moves.planted:
            value = REST[name] + amplitude * (value - REST[name])
        channels[name] = value + _drifting(rng, beats, _DRIFT[name], value.shape[1])
    return channels


def place(figure_joints: Array, at: tuple[float, float], facing: float) -> Array:
    """Joints (T, J, 3) of a dancer put at a place of the floor, ``facing`` turns to the left."""
    angle = 2 * np.pi * facing
    return _spin(figure_joints, np.array([angle])) + np.array([at[0], 0.0, at[1]])


def _spin(points: Array, angle: Array) -> Array:
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    return np.stack([c * x + s * z, y + 0 * c, -s * x + c * z], axis=-1)


def perform(
    performance: Performance, bodies: list[Body], seconds: Array, rng: np.random.Generator
) -> list[NDArray[np.float64]]:
    """Joints (T, J, 3) of every dancer of the formation at times (T,), in body heights.

    ``bodies`` must be at least as many as the formation has dancers.
    """
    figure = performance.figure
    beats = performance.start + seconds * performance.tempo / 60
    beats = beats + _drifting(rng, beats, 0.03, 1)[:, 0]
    out = []
    for dancer, body in zip(figure.dancers, bodies, strict=False):
        own = beats - dancer.late + rng.normal(0, figure.loose)
        channels = dance_moves(dancer.moves, own, performance.amplitude, rng)
        local = joints(
            channels, body, planted=dancer.moves.planted, knees_out=dancer.moves.knees_out
        )
        placed = place(local, dancer.at, dancer.facing)
        placed = _spin(placed, 2 * np.pi * figure.turn.at(beats)[:, 0])
        out.append(placed + figure.travel.at(beats)[:, None])
    if performance.mirrored:
        out = [mirror(each) for each in out]
    return out


def mirror(points: Array) -> Array:
    """The same joints (T, J, 3) seen in a mirror: a left-hander's dance."""
    assert points.shape[1] == len(JOINTS)
    return np.asarray(points[:, SWAPPED] * np.array([-1.0, 1.0, 1.0]))
