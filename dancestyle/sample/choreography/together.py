"""Styles that are danced by two or more: couples, lines, squares and a crowd."""

from __future__ import annotations

from dancestyle.sample.choreography.dance import Dance, Dancer, Figure, couple
from dancestyle.sample.curves import Hold, Keys, Ramp, Staircase, Wave
from dancestyle.sample.skeleton import Moves

# --- salsa: forward and back on 1-2-3, 5-6-7 in one slot, hips, now and then the lady turns -----
_basic_left = Keys(8, {0: (0.08, 0, 0), 1: (0.08, 0, 0.24), 3: (0.08, 0, 0)}, lift=0.04)
_basic_right = Keys(8, {0: (-0.08, 0, 0), 5: (-0.08, 0, -0.24), 7: (-0.08, 0, 0)}, lift=0.04)
_salsa_hips = Wave(4, (0, 16, 0)) + Wave(4, (0, 0, 14), 0.25)
_salsa_sway = Wave(4, (0.05, 0, 0)) + Wave(8, (0, 0, 0.1), -0.1) + Hold((0, -0.04, 0))
_held_left = Wave(4, (0.06, 0.07, 0.0)) + Hold((0.1, -0.1, 0.24))
_held_right = Wave(4, (0.06, -0.07, 0.0)) + Hold((-0.1, -0.1, 0.24))
_salsa_leader = Moves(
    pelvis=_salsa_sway,
    hips=_salsa_hips,
    spine=Wave(4, (0, -16, 0)),
    left_foot=_basic_left,
    right_foot=_basic_right,
    left_hand=_held_left,
    right_hand=_held_right,
)
_salsa_follower = Moves(  # does the same steps half a phrase apart: he goes forward, she goes back
    pelvis=Wave(4, (0.05, 0, 0)) + Wave(8, (0, 0, -0.1), -0.1) + Hold((0, -0.04, 0)),
    hips=_salsa_hips,
    spine=Wave(4, (0, -16, 0)),
    left_foot=Keys(8, {0: (0.08, 0, 0), 5: (0.08, 0, 0.24), 7: (0.08, 0, 0)}, lift=0.04),
    right_foot=Keys(8, {0: (-0.08, 0, 0), 1: (-0.08, 0, -0.24), 3: (-0.08, 0, 0)}, lift=0.04),
    left_hand=_held_right.mirror(),
    right_hand=_held_left.mirror(),
)
_salsa_turning = Moves(
    turn=Keys(8, {0: 0.0, 1: 0.0, 5: -1.0, 7.9: -1.0}),
    pelvis=_salsa_sway,
    hips=_salsa_hips,
    left_foot=_basic_left,
    right_foot=_basic_right,
    left_hand=Hold((0.12, -0.14, 0.18)),
    right_hand=Hold((-0.02, 0.28, 0.06)),
)
_salsa_turner = Moves(
    pelvis=_salsa_sway,
    hips=_salsa_hips,
    left_foot=_basic_left,
    right_foot=_basic_right,
    left_hand=Keys(8, {0: (0.1, -0.1, 0.24), 2: (0.02, 0.24, 0.2), 5: (0.02, 0.24, 0.2)}),
    right_hand=Hold((-0.14, -0.16, 0.16)),
)
SALSA = Dance(
    "salsa dancing",
    tempo=(172, 208),
    figures=(
        Figure(couple(_salsa_leader, _salsa_follower, 0.5), turn=Wave(32, 0.05)),
        Figure(couple(_salsa_turner, _salsa_turning, 0.5), turn=Wave(32, 0.05)),
    ),
    size=(0.56, 0.7),
)

# --- swing: bounce, rock step, the couple flings apart and springs back -------------------------
_bounce = Wave(1, (0, 0.028, 0)) + Hold((0, -0.07, 0))
_rock = Keys(
    4, {0: (0.08, 0, 0.0), 1: (0.1, 0.1, 0.16), 2: (0.08, 0, 0), 3: (0.1, 0.0, -0.2)}, lift=0.08
)
_elastic = Keys(4, {0: (0, 0, 0.12), 1: (0, 0, 0.12), 2.4: (0, 0, -0.26), 3: (0, 0, -0.26)})
_swing_leader = Moves(
    travel=_elastic,
    pelvis=_bounce,
    spine=Keys(4, {0: (10, 0, 0), 2: (22, 0, 15), 3: (0, 0, 0)}),
    left_foot=_rock,
    right_foot=_rock.mirror(2),
    left_hand=Keys(4, {0: (0.05, -0.12, 0.16), 2.4: (0.02, -0.06, 0.32)}),
    right_hand=Keys(4, {0: (-0.05, -0.12, 0.2), 2.4: (-0.3, 0.08, -0.08)}),
)
_swing_follower = Moves(
    travel=_elastic,
    turn=Keys(8, {0: 0.0, 1: 0.0, 2.6: 1.0, 7.99: 1.0}),
    pelvis=_bounce,
    left_foot=_rock.mirror(0).mirror(2),
    right_foot=_rock.mirror(0),
    left_hand=Keys(4, {0: (0.05, -0.12, 0.2), 2.4: (0.3, 0.12, -0.06)}),
    right_hand=Keys(4, {0: (-0.05, -0.12, 0.16), 2.4: (-0.02, -0.06, 0.32)}),
)
SWING = Dance(
    "swing dancing",
    tempo=(128, 156),
    figures=(
        Figure(couple(_swing_leader, _swing_follower, 0.6), turn=Staircase(8, 0.0)),
        Figure(couple(_swing_leader, _swing_follower, 0.6), turn=Ramp(16, 0.5)),
    ),
    size=(0.54, 0.68),
)

# --- tango: chest to chest, long stalking steps across the floor, a stop, a sharp twist ---------
_stalk_left = Keys(
    4, {0: (0.06, 0, 0.2), 1: (0.06, 0, -0.14), 2: (0.06, 0, 0.2), 3: (0.06, 0, 0.02)}, lift=0.03
)
_stalk_right = Keys(
    4,
    {0: (-0.06, 0, -0.14), 1: (-0.06, 0, 0.2), 2: (-0.06, 0, -0.14), 3: (-0.06, 0, 0.02)},
    lift=0.03,
)
_close_left = Hold((0.2, 0.0, 0.14))
_close_right = Hold((-0.02, -0.1, 0.2))
_tango_leader = Moves(
    pelvis=Hold((0, -0.09, 0.02)),
    hips=Hold((4, 0, 0)),
    spine=Keys(8, {0: (0, 0, 0), 3: (0, 0, 0), 3.3: (0, 0, 28), 4: (0, 0, 0)}, ease="snap"),
    head=Keys(8, {0: (0, 0, 35), 3.2: (0, 0, -40), 4: (0, 0, 35)}, ease="snap"),
    left_foot=_stalk_left,
    right_foot=_stalk_right,
    left_hand=_close_left,
    right_hand=_close_right,
)
_tango_follower = Moves(  # walks backwards, and hooks a leg at the stop
    pelvis=Hold((0, -0.08, 0.02)),
    spine=Keys(8, {0: (-6, 0, 0), 3: (-6, 0, 0), 3.3: (-22, 0, -28), 4: (-6, 0, 0)}, ease="snap"),
    head=Keys(8, {0: (0, 0, 35), 3.2: (-15, 0, -40), 4: (0, 0, 35)}, ease="snap"),
    left_foot=Keys(
        4,
        {
            0: (0.06, 0, 0.14),
            1: (0.06, 0, -0.2),
            2: (0.06, 0, 0.14),
            2.6: (0.06, 0.3, -0.22),
            3.4: (0.06, 0, 0),
        },
        lift=0.03,
    ),
    right_foot=Keys(
        4,
        {0: (-0.06, 0, -0.2), 1: (-0.06, 0, 0.14), 2: (-0.06, 0, -0.2), 3: (-0.06, 0, -0.02)},
        lift=0.03,
    ),
    left_hand=_close_right.mirror(),
    right_hand=_close_left.mirror(),
)
TANGO = Dance(
    "tango dancing",
    tempo=(66, 84),
    figures=(
        Figure(  # along the line of dance, and back
            couple(_tango_leader, _tango_follower, 0.27),
            travel=Keys(
                8,
                {0: (-0.34, 0, 0), 3: (0.34, 0, 0), 4: (0.34, 0, 0), 7: (-0.34, 0, 0)},
                ease="linear",
            ),
        ),
        Figure(  # a giro: round each other, then a stop
            couple(_tango_leader, _tango_follower, 0.27),
            turn=Staircase(4, -0.75, share=0.7),
        ),
    ),
    size=(0.58, 0.72),
)

# --- country line dancing: rows in step, grapevine left, grapevine right, thumbs in the belt ----
_vine = Keys(
    8, {0: (-0.24, 0, 0), 3: (0.24, 0, 0), 4: (0.24, 0, 0), 7: (-0.24, 0, 0)}, ease="linear"
)
_vine_left = Keys(2, {0: (0.16, 0, 0), 1: (0.02, 0, 0.0)}, lift=0.07)
_vine_right = Keys(2, {0: (-0.02, 0, -0.08), 1: (-0.16, 0, 0)}, lift=0.07)
_belt = Hold((0.03, -0.26, 0.06))
_vine_moves = Moves(
    travel=_vine,
    pelvis=Wave(2, (0, 0.02, 0)) + Hold((0, -0.05, 0)),
    left_foot=_vine_left,
    right_foot=_vine_right,
    left_hand=_belt,
    right_hand=_belt.mirror(),
)
_heel_moves = Moves(  # heels forward in turn, a quarter turn every four beats
    turn=Staircase(4, 0.25, share=0.25),
    travel=Keys(4, {0: (0, 0, -0.08), 2: (0, 0, 0.1)}),
    pelvis=Wave(2, (0, 0.02, 0)) + Hold((0, -0.05, 0)),
    left_foot=Keys(2, {0: (0.07, 0.04, 0.26), 0.5: (0.08, 0, 0), 1.5: (0.08, 0, 0)}),
    right_foot=Keys(2, {0: (-0.08, 0, 0), 1: (-0.07, 0.04, 0.26), 1.5: (-0.08, 0, 0)}),
    left_hand=_belt,
    right_hand=_belt.mirror(),
)


def _rows(moves: Moves) -> tuple[Dancer, ...]:
    places = ((0.0, 0.25), (0.5, 0.2), (-0.5, 0.2), (0.27, -0.35), (-0.27, -0.35))
    return tuple(Dancer(moves, at=place) for place in places)


LINE = Dance(
    "country line dancing",
    tempo=(116, 138),
    figures=(Figure(_rows(_vine_moves)), Figure(_rows(_heel_moves))),
    size=(0.48, 0.58),
)

# --- square dancing: a ring that circles, runs to the middle and back, or couples that swing ----
_skip_left = Keys(2, {0: (0.1, 0, 0.1), 1: (0.1, 0.08, -0.1)}, lift=0.05)
_skip_right = _skip_left.mirror(1)
_joined = Hold((0.24, -0.14, 0.1))
_ring_moves = Moves(
    travel=Keys(8, {0: (0, 0, -0.06), 4: (0, 0, -0.06), 5.5: (0, 0, 0.22), 7: (0, 0, -0.06)}),
    pelvis=Wave(1, (0, 0.02, 0)) + Hold((0, -0.04, 0)),
    left_foot=_skip_left,
    right_foot=_skip_right,
    left_hand=Keys(
        8,
        {
            0: (0.24, -0.14, 0.1),
            4: (0.24, -0.14, 0.1),
            5.5: (0.16, 0.22, 0.12),
            7: (0.24, -0.14, 0.1),
        },
    ),
    right_hand=Keys(
        8,
        {
            0: (-0.24, -0.14, 0.1),
            4: (-0.24, -0.14, 0.1),
            5.5: (-0.16, 0.22, 0.12),
            7: (-0.24, -0.14, 0.1),
        },
    ),
)
_star_moves = Moves(  # right-hand star: all right hands joined in the middle, walking round it
    pelvis=Wave(1, (0, 0.02, 0)) + Hold((0, -0.04, 0)),
    left_foot=_skip_left,
    right_foot=_skip_right,
    left_hand=Hold((0.1, -0.24, -0.06)),
    right_hand=Hold((-0.3, 0.02, 0.04)),
)
SQUARE = Dance(
    "square dancing",
    tempo=(116, 132),
    figures=(
        Figure(
            tuple(
                Dancer(_ring_moves, at=at, facing=facing)
                for at, facing in (
                    ((0.0, 0.46), 0.5),
                    ((0.46, 0.0), -0.25),
                    ((0.0, -0.46), 0.0),
                    ((-0.46, 0.0), 0.25),
                )
            ),
            turn=Ramp(8, 0.75),
        ),
        Figure(
            tuple(
                Dancer(_star_moves, at=at, facing=facing)
                for at, facing in (
                    ((0.0, 0.36), 0.25),
                    ((0.36, 0.0), 0.5),
                    ((0.0, -0.36), -0.25),
                    ((-0.36, 0.0), 0.0),
                )
            ),
            turn=Ramp(8, 0.9),
        ),
    ),
    size=(0.48, 0.58),
)

# --- mosh pit: a packed crowd, everybody jumps and shoves in their own time, fists in the air ---
_pogo = Keys(1, {0: (0, -0.08, 0), 0.5: (0, 0.14, 0)})
_airborne = Keys(1, {0: (0.1, 0, 0), 0.5: (0.1, 0.12, -0.04)})


def _mosher(shove: float, reach: float) -> Moves:
    return Moves(
        travel=Wave(3, (shove, 0, 0)) + Wave(5, (0, 0, shove)),
        turn=Wave(7, 0.12),
        pelvis=_pogo,
        spine=Wave(3, (10, 18, 10)) + Hold((8, 0, 0)),
        left_foot=_airborne,
        right_foot=_airborne.mirror(),
        left_hand=Wave(1, (0.04, 0.1, 0.06)) + Hold((0.1, reach, 0.12)),
        right_hand=Wave(1, (0.04, 0.14, 0.06), 0.4) + Hold((-0.1, 0.14, 0.12)),
    )


_pit = (
    ((0.0, 0.3), 0.2),
    ((0.42, 0.2), -0.1),
    ((-0.42, 0.2), 0.16),
    ((0.22, -0.15), -0.1),
    ((-0.22, -0.15), 0.22),
    ((0.66, -0.2), 0.2),
    ((-0.66, -0.2), -0.1),
)
MOSH = Dance(
    "mosh pit dancing",
    tempo=(112, 140),
    figures=(
        Figure(
            tuple(
                Dancer(_mosher(0.16, reach), at=at, facing=0.04 * n - 0.1)
                for n, (at, reach) in enumerate(_pit)
            ),
            loose=4.0,
        ),
    ),
    size=(0.48, 0.6),
)

TOGETHER = (SALSA, SWING, TANGO, LINE, SQUARE, MOSH)
