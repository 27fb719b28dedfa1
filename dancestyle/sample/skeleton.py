"""The articulated figure: from what a dancer does (channels) to where its joints are.

Axes are right-handed: x to the dancer's left, y up, z forward; the unit is the body height. A pose
is driven the way dancers talk: where the pelvis is, how hips, spine and head are bent, where the
feet are on the floor and where the hands are beside the shoulders; knees and elbows follow by
two-bone inverse kinematics (law of cosines).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from dancestyle.sample.curves import Array, Curve, Hold

JOINTS = (
    "pelvis", "spine", "chest", "neck", "head", "nose", "left_eye", "right_eye", "left_ear",
    "right_ear", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist",
    "right_wrist", "left_hand", "right_hand", "left_hip", "right_hip", "left_knee", "right_knee",
    "left_ankle", "right_ankle", "left_toe", "right_toe",
)  # fmt: skip
INDEX = {name: number for number, name in enumerate(JOINTS)}
COCO = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee",
    "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
COCO_INDEX = np.array([INDEX[name] for name in COCO])
SWAPPED = np.array(
    [
        INDEX[name.replace("left", "#").replace("right", "left").replace("#", "right")]
        for name in JOINTS
    ]
)


@dataclass(frozen=True)
class Body:
    """Proportions, as shares of the body height."""

    height: float = 1.0  # of this body, in average body heights
    thigh: float = 0.245
    shin: float = 0.245
    ankle: float = 0.04
    torso: float = 0.30
    upper_arm: float = 0.17
    forearm: float = 0.15
    shoulders: float = 0.105  # half their width
    hips: float = 0.055  # half the distance of the hip joints
    head: float = 0.068  # radius
    girth: float = 1.0  # scales the thickness of every limb

    @classmethod
    def random(cls, rng: np.random.Generator) -> Body:
        """A body from the population; says nothing of what it dances."""
        legs = rng.uniform(0.94, 1.06)
        return cls(
            height=rng.uniform(0.9, 1.08),
            thigh=0.245 * legs,
            shin=0.245 * legs,
            torso=0.30 * rng.uniform(0.95, 1.06),
            upper_arm=0.17 * rng.uniform(0.94, 1.06),
            forearm=0.15 * rng.uniform(0.94, 1.06),
            shoulders=0.105 * rng.uniform(0.85, 1.15),
            hips=0.055 * rng.uniform(0.9, 1.25),
            head=0.068 * rng.uniform(0.92, 1.15),
            girth=rng.uniform(0.85, 1.4),
        )


def _hold(*value: float) -> Curve:
    return Hold(tuple(value))


@dataclass(frozen=True)
class Moves:
    """What one dancer does, channel by channel; the defaults stand at ease.

    Places are (left, up, forward) in body heights, angles (bend forward, lean left, twist left) in
    degrees, ``turn`` in whole turns to the left.
    """

    travel: Curve = field(default_factory=lambda: _hold(0, 0, 0))  # of the dancer, over the floor
    turn: Curve = field(default_factory=lambda: _hold(0))
    pelvis: Curve = field(default_factory=lambda: _hold(0, -0.01, 0))  # from standing straight
    hips: Curve = field(default_factory=lambda: _hold(0, 0, 0))  # angles of the pelvis
    spine: Curve = field(default_factory=lambda: _hold(0, 0, 0))  # angles of chest against pelvis
    head: Curve = field(default_factory=lambda: _hold(0, 0, 0))  # angles of head against chest
    left_foot: Curve = field(default_factory=lambda: _hold(0.08, 0, 0))  # from the floor below
    right_foot: Curve = field(default_factory=lambda: _hold(-0.08, 0, 0))
    left_hand: Curve = field(default_factory=lambda: _hold(0.06, -0.31, 0.04))  # from the shoulder
    right_hand: Curve = field(default_factory=lambda: _hold(-0.06, -0.31, 0.04))
    planted: bool = False  # hands are given like feet, from the floor below the dancer
    knees_out: float = 0.3  # how far the knees point outwards when they bend

    def at(self, beats: Array) -> dict[str, Array]:
        """Every channel's values (T, D) at beats (T,)."""
        return {
            item.name: getattr(self, item.name).at(beats)
            for item in fields(self)
            if item.name not in ("planted", "knees_out")
        }


REST: dict[str, Array] = {name: value[0] for name, value in Moves().at(np.zeros(1)).items()}


def rotation(angles: Array) -> Array:
    """Matrices (T, 3, 3) for (bend, lean, twist) degrees (T, 3): twist, then lean, then bend."""
    bend, lean, twist = np.deg2rad(angles).T
    return _about_y(twist) @ _about_z(-lean) @ _about_x(bend)


def _stack(rows: list[list[Array]]) -> Array:
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _about_x(angle: Array) -> Array:
    c, s, o, i = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    return _stack([[i, o, o], [o, c, -s], [o, s, c]])


def _about_y(angle: Array) -> Array:
    c, s, o, i = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    return _stack([[c, o, s], [o, i, o], [-s, o, c]])


def _about_z(angle: Array) -> Array:
    c, s, o, i = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    return _stack([[c, -s, o], [s, c, o], [o, o, i]])


def _apply(matrix: Array, vector: Array) -> Array:
    return np.asarray(np.einsum("tij,tj->ti", matrix, np.broadcast_to(vector, matrix.shape[:2])))


def _unit(vector: Array) -> Array:
    return np.asarray(vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-9))


def reach(
    start: Array, target: Array, upper: float, lower: float, hint: Array
) -> tuple[Array, Array]:
    """Middle and end joint (T, 3) of a two-bone limb that reaches from ``start`` for ``target``.

    The middle joint bends towards ``hint`` (T, 3). A target out of reach is approached as far as
    the limb goes.
    """
    way = target - start
    distance = np.linalg.norm(way, axis=1, keepdims=True)
    along = way / np.maximum(distance, 1e-9)
    distance = np.clip(distance, abs(upper - lower) + 0.02, (upper + lower) * 0.998)
    side = _unit(hint - np.sum(hint * along, axis=1, keepdims=True) * along)
    forward = (upper**2 - lower**2 + distance**2) / (2 * distance)
    outward = np.sqrt(np.maximum(upper**2 - forward**2, 0))
    return start + along * forward + side * outward, start + along * distance


def joints(
    moves: dict[str, Array], body: Body, *, planted: bool = False, knees_out: float = 0.3
) -> NDArray[np.float64]:
    """Joint places (T, J, 3), in the order of :data:`JOINTS`, on the dancer's own floor.

    Args:
        moves: channels as :meth:`Moves.at` gives them.
        body: proportions.
        planted: hands are places above the floor, not beside the shoulders.
        knees_out: how far bent knees point outwards.
    """
    count = len(moves["turn"])
    out = np.zeros((count, len(JOINTS), 3))
    yaw = _about_y(2 * np.pi * moves["turn"][:, 0])
    root = moves["travel"]
    leg = body.thigh + body.shin + body.ankle
    pelvis = root + _apply(yaw, moves["pelvis"] + np.array([0, leg, 0]))
    hips = yaw @ rotation(moves["hips"])
    chest_turn = hips @ rotation(moves["spine"])
    head_turn = chest_turn @ rotation(moves["head"])
    spine = pelvis + _apply(hips, np.array([0, body.torso * 0.38, 0]))
    chest = spine + _apply(chest_turn, np.array([0, body.torso * 0.62, 0]))
    neck = chest + _apply(chest_turn, np.array([0, 0.035, 0.0]))
    head = neck + _apply(head_turn, np.array([0, body.head * 1.15, 0.01]))
    face = {
        "nose": (0, 0, 1.0), "left_eye": (0.35, 0.25, 0.9), "right_eye": (-0.35, 0.25, 0.9),
        "left_ear": (0.95, 0.1, 0), "right_ear": (-0.95, 0.1, 0),
    }  # fmt: skip
    for name, place in face.items():
        out[:, INDEX[name]] = head + _apply(head_turn, np.array(place) * body.head)
    for name, value in (
        ("pelvis", pelvis), ("spine", spine), ("chest", chest), ("neck", neck), ("head", head),
    ):  # fmt: skip
        out[:, INDEX[name]] = value
    for side, sign in (("left", 1.0), ("right", -1.0)):
        shoulder = chest + _apply(chest_turn, np.array([sign * body.shoulders, -0.01, 0]))
        hand = moves[f"{side}_hand"]
        target = root + _apply(yaw, hand) if planted else shoulder + _apply(chest_turn, hand)
        hint = _apply(chest_turn, np.array([sign * 0.6, -0.5, -0.5]))
        elbow, wrist = reach(shoulder, target, body.upper_arm, body.forearm, hint)
        hip = pelvis + _apply(hips, np.array([sign * body.hips, -0.02, 0]))
        foot = root + _apply(yaw, moves[f"{side}_foot"] + np.array([0, body.ankle, 0]))
        bend = _apply(hips, np.array([sign * knees_out, 0, 1.0]))
        knee, ankle = reach(hip, foot, body.thigh, body.shin, bend)
        shin = _unit(ankle - knee)
        ahead = _unit(bend - np.sum(bend * shin, axis=1, keepdims=True) * shin)
        for name, value in (
            ("shoulder", shoulder), ("elbow", elbow), ("wrist", wrist),
            ("hand", wrist + 0.045 * _unit(wrist - elbow)),
            ("hip", hip), ("knee", knee), ("ankle", ankle),
            ("toe", ankle + 0.09 * _unit(ahead + 0.25 * shin)),
        ):  # fmt: skip
            out[:, INDEX[f"{side}_{name}"]] = value
    return out * body.height
