"""Styles of the street and the club that one dancer dances alone; read as in ``solo.py``."""

from __future__ import annotations

from dancestyle.sample.choreography.dance import Dance, solo
from dancestyle.sample.curves import Hold, Keys, Ramp, Staircase, Wave
from dancestyle.sample.skeleton import Moves

# --- breakdancing: down on the hands, the legs sweep round the floor ----------------------------
_prop = Keys(2, {0: (0.17, 0.0, 0.12), 1: (0.2, 0.22, 0.1)})
BREAKING = Dance(
    "breakdancing",
    tempo=(92, 116),
    figures=solo(
        Moves(  # six-step: weight on one hand at a time, feet run round the body
            turn=Ramp(4, 1),
            pelvis=Hold((0, -0.3, -0.08)) + Wave(1, (0, 0.04, 0)),
            hips=Hold((38, 0, 0)) + Wave(2, (0, 14, 0)),
            left_foot=Keys(2, {0: (0.12, 0, -0.38), 1: (0.3, 0, 0.0)}, lift=0.12),
            right_foot=Keys(2, {0: (-0.3, 0, 0.0), 1: (-0.12, 0, -0.38)}, lift=0.12),
            left_hand=_prop + Hold((0, 0, 0.12)),
            right_hand=_prop.mirror(1) + Hold((0, 0, 0.12)),
            planted=True,
        ),
        Moves(  # windmill: on the shoulders, legs wide in the air, round and round
            turn=Ramp(3, 1),
            pelvis=Hold((0, -0.3, 0)) + Wave(1.5, (0, 0.06, 0)),
            hips=Hold((105, 0, 0)) + Wave(1.5, (0, 25, 0)),
            left_foot=Wave(1.5, (0, 0.16, 0.0)) + Hold((0.42, 0.42, -0.2)),
            right_foot=Wave(1.5, (0, 0.16, 0.0), 0.5) + Hold((-0.42, 0.42, -0.2)),
            left_hand=Hold((0.14, 0.02, 0.2)),
            right_hand=Hold((-0.14, 0.02, 0.2)),
            planted=True,
        ),
    ),
)

# --- krumping: wide and low, stomps, chest pops and arm swings, hard and sudden -----------------
_jab = Keys(
    4,
    {0: (0.1, -0.1, 0.26), 1: (0.3, 0.16, 0.0), 1.5: (0.02, 0.02, 0.2), 3: (0.25, -0.22, -0.1)},
    ease="snap",
)
_stomp = Keys(4, {0: (0.2, 0, 0), 0.6: (0.24, 0.24, 0.12), 1: (0.24, 0, 0.06), 2: (0.2, 0, 0)})
KRUMPING = Dance(
    "krumping",
    tempo=(92, 116),
    figures=solo(
        Moves(
            turn=Keys(8, {0: -0.06, 2: 0.08, 4: -0.02, 6: 0.1}, ease="snap"),
            pelvis=Keys(
                2, {0: (0, -0.15, 0), 0.5: (0, -0.04, 0.05), 1: (0, -0.17, -0.02)}, ease="snap"
            ),
            spine=Keys(
                4,
                {0: (35, 0, 20), 1: (-24, 10, -20), 1.5: (30, -12, 10), 2.5: (-22, 0, 25)},
                ease="snap",
            ),
            head=Keys(2, {0: (20, 0, 0), 1: (-20, 0, 0)}, ease="snap"),
            left_foot=_stomp,
            right_foot=_stomp.mirror(2),
            left_hand=_jab,
            right_hand=_jab.mirror(2),
        ),
        Moves(  # both arms swung together from over the head to the floor, with a stomp
            turn=Keys(8, {0: 0.06, 2: -0.08, 4: 0.04, 6: -0.1}, ease="snap"),
            pelvis=Keys(2, {0: (0, -0.18, 0), 1: (0, -0.05, 0)}, ease="snap"),
            spine=Keys(2, {0: (48, 8, 0), 1: (-22, -6, 0)}, ease="snap"),
            left_foot=_stomp,
            right_foot=_stomp.mirror(2),
            left_hand=Keys(2, {0: (0.06, -0.25, 0.14), 1: (0.2, 0.24, 0.0)}, ease="snap"),
            right_hand=Keys(2, {0: (-0.2, -0.2, 0.0), 1: (-0.08, 0.26, 0.1)}, ease="snap"),
        ),
    ),
)

# --- gangnam style: riding a horse, reins in front or a lasso over the head ---------------------
_gallop = Keys(2, {0: (0.15, 0, 0), 0.5: (0.17, 0.17, 0.05), 1: (0.15, 0, 0)})
_ride = Wave(1, (0, 0.055, 0)) + Hold((0, -0.1, 0))
_reins = Wave(1, (0, 0.11, 0), 0.5) + Hold((-0.09, -0.12, 0.24))
GANGNAM = Dance(
    "dancing gangnam style",
    tempo=(124, 138),
    figures=solo(
        Moves(  # reins: wrists crossed, bouncing with the hop
            turn=Wave(16, 0.05),
            pelvis=_ride + Wave(4, (0.04, 0, 0)),
            spine=Hold((8, 0, 0)),
            left_foot=_gallop,
            right_foot=_gallop.mirror(1),
            left_hand=_reins,
            right_hand=_reins.mirror(),
        ),
        Moves(  # lasso: one arm circles over the head, the other hand at the chest
            turn=Wave(16, 0.05),
            pelvis=_ride + Wave(4, (0.04, 0, 0)),
            spine=Hold((4, 6, 0)),
            left_foot=_gallop,
            right_foot=_gallop.mirror(1),
            left_hand=Wave(2, (0.19, 0, 0)) + Wave(2, (0, 0.07, 0.15), 0.25) + Hold((0.0, 0.24, 0)),
            right_hand=Hold((0.1, -0.1, 0.22)),
        ),
    ),
)

# --- jumpstyle: a hop on every beat, kicks high in front and behind, arms hanging ---------------
_jump = Keys(
    4,
    {
        0: (0.07, 0.04, 0.0),
        0.5: (0.07, 0.38, 0.46),
        1: (0.07, 0.04, 0),
        1.5: (0.07, 0.1, 0.0),
        2: (0.07, 0.04, 0.0),
        2.5: (0.08, 0.36, -0.36),
        3: (0.07, 0.04, 0),
        3.5: (0.07, 0.1, 0.0),
    },
)
_hop = Keys(1, {0: (0, -0.06, 0), 0.5: (0, 0.1, 0)})
JUMPSTYLE = Dance(
    "jumpstyle dancing",
    tempo=(116, 134),
    figures=solo(
        Moves(
            turn=Hold(0.13) + Wave(32, 0.05),
            travel=Wave(8, (0.0, 0, 0.12)),
            pelvis=_hop,
            spine=Wave(2, (-10, 0, 0), 0.0),
            left_foot=_jump,
            right_foot=_jump.mirror(1),
            left_hand=Wave(2, (0.03, 0.0, 0.12)) + Hold((0.13, -0.26, 0.0)),
            right_hand=Wave(2, (-0.03, 0.0, 0.12), 0.5) + Hold((-0.13, -0.26, 0.0)),
        ),
        Moves(  # with a quarter turn on every second hop
            turn=Staircase(2, 0.25, share=0.4),
            pelvis=_hop,
            left_foot=_jump,
            right_foot=_jump.mirror(1),
            left_hand=Wave(1, (0.05, 0.05, 0)) + Hold((0.18, -0.22, 0.0)),
            right_hand=Wave(1, (-0.05, 0.05, 0)) + Hold((-0.18, -0.22, 0.0)),
        ),
    ),
)

# --- robot: one joint at a time, a sudden move, then nothing ------------------------------------
ROBOT = Dance(
    "robot dancing",
    tempo=(76, 96),
    figures=solo(
        Moves(  # right angles at the elbows, forearms tick up and down in turn
            turn=Keys(8, {0: 0, 3: 0.1, 5: -0.1}, ease="snap"),
            spine=Keys(
                4, {0: (0, 0, 30), 1: (0, 0, 30), 2: (0, 0, -30), 3.5: (12, 0, -30)}, ease="snap"
            ),
            head=Keys(4, {0: (0, 0, -35), 1.5: (0, 0, 35), 3: (0, 20, 0)}, ease="snap"),
            left_hand=Keys(
                4,
                {0: (0.17, -0.17, 0.15), 0.5: (0.17, 0.15, 0.02), 2.5: (0.17, -0.3, 0.0)},
                ease="snap",
            ),
            right_hand=Keys(
                4,
                {0: (-0.17, 0.15, 0.02), 1: (-0.17, -0.3, 0.0), 3: (-0.17, -0.17, 0.15)},
                ease="snap",
            ),
        ),
        Moves(  # bent at the waist like a crane, the arms hanging from the elbows
            turn=Keys(8, {0: 0.05, 4: -0.08}, ease="snap"),
            spine=Keys(
                4, {0: (0, 0, 0), 1: (42, 0, 0), 2: (42, 0, 30), 3: (0, 0, 30)}, ease="snap"
            ),
            head=Keys(4, {0: (0, 0, 0), 2.5: (0, 0, 40)}, ease="snap"),
            left_hand=Keys(
                4,
                {0: (0.2, -0.13, 0.02), 1.5: (0.22, -0.1, 0.16), 3.5: (0.3, 0.0, 0.0)},
                ease="snap",
            ),
            right_hand=Keys(
                4,
                {0: (-0.3, 0.0, 0), 0.5: (-0.2, -0.13, 0.02), 2.5: (-0.1, -0.1, 0.25)},
                ease="snap",
            ),
        ),
    ),
)

# --- shoot: hops on one leg, the other swings across and out, fists wind and punch up -----------
_swing_leg = Keys(
    4,
    {
        0: (0.06, 0.16, 0.14),
        0.5: (0.4, 0.26, 0.12),
        1: (0.02, 0.16, 0.14),
        1.5: (0.4, 0.26, 0.12),
        2: (0.08, 0, 0),
        3: (0.08, 0.0, 0),
    },
)
_pump = Keys(
    4,
    {
        0: (0.05, -0.12, 0.2),
        0.5: (0.22, 0.24, 0.05),
        1: (0.05, -0.12, 0.2),
        1.5: (0.22, 0.24, 0.05),
        2: (0.1, -0.22, 0.14),
        3: (0.1, -0.22, 0.14),
    },
)
SHOOT = Dance(
    "shoot dance",
    tempo=(104, 124),
    figures=solo(
        Moves(
            turn=Wave(16, 0.06),
            pelvis=Keys(1, {0: (0, -0.06, 0), 0.5: (0, 0.03, 0)}) + Wave(4, (-0.07, 0, 0), 0.0),
            hips=Wave(4, (0, -10, 0)),
            spine=Hold((-8, 0, 0)) + Wave(4, (0, 12, 0)),
            left_foot=_swing_leg,
            right_foot=_swing_leg.mirror(2),
            left_hand=_pump.mirror(2).mirror(),  # the arm opposite to the swinging leg
            right_hand=_pump.mirror(),
        ),
    ),
)

STREET = (BREAKING, KRUMPING, GANGNAM, JUMPSTYLE, ROBOT, SHOOT)
