"""Styles that one dancer dances alone.

Every description reads in beats: ``Keys(4, {0: ..., 2: ...})`` is a phrase of four beats with key
poses at beats 0 and 2. Feet are (left, up, forward) from the floor under the dancer, hands from
their own shoulder; body height is 1.
"""

from __future__ import annotations

from dancestyle.sample.choreography.dance import Dance, solo
from dancestyle.sample.curves import Hold, Keys, Ramp, Staircase, Wave
from dancestyle.sample.skeleton import Moves

# --- belly dancing: feet stay, the hips draw circles, the arms are two slow snakes -------------
_hip_circle = Wave(2, (0.085, 0, 0)) + Wave(2, (0, 0, 0.07), 0.25) + Hold((0, -0.04, 0))
_snake = Wave(4, (0.04, 0.24, 0.0)) + Hold((0.24, 0.04, 0.07))
BELLY = Dance(
    "belly dancing",
    tempo=(84, 112),
    figures=solo(
        Moves(
            turn=Wave(16, 0.06),
            pelvis=_hip_circle,
            hips=Wave(2, (0, 16, 0), 0.05) + Wave(2, (0, 0, 18), 0.25),
            spine=Wave(2, (0, -20, 0), 0.05) + Wave(2, (0, 0, -18), 0.25),
            left_foot=Hold((0.07, 0, 0.03)),
            right_foot=Hold((-0.07, 0, -0.02)),
            left_hand=_snake,
            right_hand=_snake.mirror(2),  # one arm rises while the other sinks
        ),
        Moves(  # hip drops: one hip up and down, the arms held high, swaying
            turn=Wave(16, 0.06),
            pelvis=Wave(2, (0.09, 0, 0)) + Wave(1, (0, 0.012, 0)) + Hold((0, -0.04, 0)),
            hips=Wave(2, (0, 24, 0)),
            spine=Wave(2, (0, -30, 0)),
            left_hand=Wave(4, (0.08, 0.05, 0)) + Hold((0.08, 0.27, 0.05)),
            right_hand=_snake.mirror(1),
        ),
    ),
)

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

# --- ballet: held long and high, whole turns on one leg, a leg that unfolds to the side ---------
BALLET = Dance(
    "dancing ballet",
    tempo=(66, 84),
    figures=solo(
        Moves(  # pirouettes: plié, then two turns on one leg with the other at the knee
            turn=Keys(4, {0: 0.0, 1: 0.0, 3.4: 2.0, 3.99: 2.0}),
            pelvis=Keys(4, {0: (0, -0.1, 0), 1.1: (0, 0.05, 0), 3.2: (0, 0.05, 0)}),
            left_foot=Hold((0.03, 0, 0)),
            right_foot=Keys(
                4, {0: (-0.14, 0, -0.12), 1.1: (-0.12, 0.27, 0.05), 3.2: (-0.12, 0.27, 0.05)}
            ),
            left_hand=Keys(4, {0: (0.28, -0.04, 0.05), 1.2: (-0.06, 0.22, 0.16), 3.2: (0.0, 0.28, 0.1)}),
            right_hand=Keys(4, {0: (0.0, -0.12, 0.26), 1.2: (0.06, 0.22, 0.16), 3.2: (0.0, 0.28, 0.1)}),
            knees_out=1.2,
        ),
        Moves(  # développé: the leg unfolds to the side up to the shoulder, arms float up
            turn=Wave(16, 0.05),
            pelvis=Keys(4, {0: (0, -0.05, 0), 2: (0.05, 0.04, 0)}),
            hips=Keys(4, {0: (0, 0, 0), 2: (0, 18, 0)}),
            spine=Keys(4, {0: (0, 0, 0), 2: (0, -6, 0)}),
            left_foot=Hold((0.03, 0, 0)),
            right_foot=Keys(4, {0: (-0.05, 0, 0.03), 1: (-0.15, 0.27, 0.04), 2: (-0.48, 0.55, 0.03), 2.6: (-0.48, 0.5, 0.03)}),
            left_hand=Keys(4, {0: (0.03, -0.26, 0.12), 2: (0.05, 0.3, 0.04)}),
            right_hand=Keys(4, {0: (-0.03, -0.26, 0.12), 2: (-0.28, 0.1, 0.06)}),
            knees_out=1.2,
        ),
    ),
)  # fmt: skip

# --- charleston: kick forward, kick back, arms swinging the other way, knees swivelling ---------
_kick = Keys(
    4,
    {0: (0.07, 0, 0), 1: (0.05, 0.3, 0.42), 2: (0.07, 0, 0), 3: (0.08, 0.0, 0.02)},
)
_back = Keys(
    4,
    {0: (0.07, 0, 0), 1: (0.07, 0, 0.02), 2: (0.07, 0, 0), 3: (0.08, 0.22, -0.38)},
)
CHARLESTON = Dance(
    "dancing charleston",
    tempo=(168, 204),
    figures=solo(
        Moves(
            turn=Hold(0.1) + Wave(16, 0.05),
            pelvis=Wave(2, (0, 0.03, 0)) + Hold((0, -0.07, 0)),
            spine=Wave(4, (16, 0, 0), 0.5) + Wave(4, (0, 0, 30)) + Hold((8, 0, 0)),
            left_foot=_kick,
            right_foot=_back.mirror(),
            left_hand=Wave(4, (0, 0.05, -0.3)) + Hold((0.08, -0.16, 0.02)),
            right_hand=Wave(4, (0, 0.05, 0.3)) + Hold((-0.08, -0.16, 0.02)),
        ),
        Moves(  # bee's knees: low, the knees in and out, the forearms crossing before them
            turn=Wave(16, 0.08),
            pelvis=Wave(4, (0.03, 0.02, 0)) + Hold((0, -0.15, 0)),
            spine=Hold((34, 0, 0)) + Wave(4, (0, 6, 0)),
            left_foot=Wave(4, (0.1, 0, 0)) + Hold((0.14, 0, 0)),
            right_foot=Wave(4, (-0.1, 0, 0)) + Hold((-0.14, 0, 0)),
            left_hand=Wave(4, (0.2, 0, 0.0)) + Hold((-0.04, -0.2, 0.14)),
            right_hand=Wave(4, (-0.2, 0, 0.0)) + Hold((0.04, -0.2, 0.14)),
            knees_out=0.2,
        ),
    ),
)

# --- gangnam style: riding a horse, reins in front or a lasso over the head ----------------------
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

# --- macarena: one arm a beat to the next station, feet together, then the hips --------------------
_stations: dict[float, tuple[float, float, float]] = {
    0: (0.02, -0.02, 0.32),  # out
    2: (0.03, 0.05, 0.31),  # palm up
    4: (-0.17, 0.0, 0.1),  # on the other shoulder
    6: (0.02, 0.2, -0.05),  # behind the head
    8: (-0.14, -0.3, 0.12),  # on the other hip
    10: (0.07, -0.3, -0.08),  # on its own hip, and sway
    14: (0.06, -0.31, 0.04),
}
_macarena_hips = Keys(
    16, {0: (0, 0, 0), 11: (0, 0, 0), 12: (0.1, 0, 0), 13: (-0.1, 0, 0), 14: (0.1, 0, 0), 15: (0, 0, 0)}
)  # fmt: skip
MACARENA = Dance(
    "dancing macarena",
    tempo=(150, 186),  # stations on every beat of the doubled count
    figures=solo(
        Moves(
            turn=Staircase(16, 0.25, share=0.08),
            pelvis=_macarena_hips + Hold((0, -0.02, 0)),
            left_hand=Keys(16, {key + 1: value for key, value in _stations.items()}, ease="snap"),
            right_hand=Keys(
                16, {key: (-value[0], *value[1:]) for key, value in _stations.items()}, ease="snap"
            ),
        ),
    ),
)

# --- jumpstyle: a hop on every beat, kicks high in front and behind, arms hanging --------------------
_jump = Keys(
    4,
    {
        0: (0.07, 0.04, 0.0), 0.5: (0.07, 0.38, 0.46), 1: (0.07, 0.04, 0), 1.5: (0.07, 0.1, 0.0),
        2: (0.07, 0.04, 0.0), 2.5: (0.08, 0.36, -0.36), 3: (0.07, 0.04, 0), 3.5: (0.07, 0.1, 0.0),
    },
)  # fmt: skip
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

# --- robot: one joint at a time, a sudden move, then nothing ----------------------------------------
ROBOT = Dance(
    "robot dancing",
    tempo=(76, 96),
    figures=solo(
        Moves(  # right angles at the elbows, forearms tick up and down in turn
            turn=Keys(8, {0: 0, 3: 0.1, 5: -0.1}, ease="snap"),
            spine=Keys(4, {0: (0, 0, 30), 1: (0, 0, 30), 2: (0, 0, -30), 3.5: (12, 0, -30)}, ease="snap"),
            head=Keys(4, {0: (0, 0, -35), 1.5: (0, 0, 35), 3: (0, 20, 0)}, ease="snap"),
            left_hand=Keys(4, {0: (0.17, -0.17, 0.15), 0.5: (0.17, 0.15, 0.02), 2.5: (0.17, -0.3, 0.0)}, ease="snap"),
            right_hand=Keys(4, {0: (-0.17, 0.15, 0.02), 1: (-0.17, -0.3, 0.0), 3: (-0.17, -0.17, 0.15)}, ease="snap"),
        ),
        Moves(  # bent at the waist like a crane, the arms hanging from the elbows
            turn=Keys(8, {0: 0.05, 4: -0.08}, ease="snap"),
            spine=Keys(4, {0: (0, 0, 0), 1: (42, 0, 0), 2: (42, 0, 30), 3: (0, 0, 30)}, ease="snap"),
            head=Keys(4, {0: (0, 0, 0), 2.5: (0, 0, 40)}, ease="snap"),
            left_hand=Keys(4, {0: (0.2, -0.13, 0.02), 1.5: (0.22, -0.1, 0.16), 3.5: (0.3, 0.0, 0.0)}, ease="snap"),
            right_hand=Keys(4, {0: (-0.3, 0.0, 0), 0.5: (-0.2, -0.13, 0.02), 2.5: (-0.1, -0.1, 0.25)}, ease="snap"),
        ),
    ),
)  # fmt: skip

# --- shoot: hops on one leg, the other swings across and out, fists wind and punch up ---------------
_swing_leg = Keys(
    4,
    {0: (0.06, 0.16, 0.14), 0.5: (0.4, 0.26, 0.12), 1: (0.02, 0.16, 0.14), 1.5: (0.4, 0.26, 0.12),
     2: (0.08, 0, 0), 3: (0.08, 0.0, 0)},
)  # fmt: skip
_pump = Keys(4, {0: (0.05, -0.12, 0.2), 0.5: (0.22, 0.24, 0.05), 1: (0.05, -0.12, 0.2),
                 1.5: (0.22, 0.24, 0.05), 2: (0.1, -0.22, 0.14), 3: (0.1, -0.22, 0.14)})  # fmt: skip
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

# --- cumbia: a shuffle that drags one foot behind, while the arms sweep a wide skirt ------------------
_drag = Keys(4, {0: (0.08, 0, 0), 1: (0.02, 0, -0.22), 2: (0.08, 0, 0)}, lift=0.03)
_skirt = Keys(
    4, {0: (0.3, 0.06, 0.05), 1: (0.16, -0.24, 0.2), 2: (0.02, -0.16, 0.28), 3: (0.2, -0.26, 0.1)}
)
CUMBIA = Dance(
    "cumbia",
    tempo=(92, 112),
    figures=solo(
        Moves(
            turn=Ramp(8, 1),
            pelvis=Wave(4, (0.06, 0, 0)) + Wave(2, (0, 0.02, 0)) + Hold((0, -0.05, 0)),
            hips=Wave(4, (0, 12, 0)) + Wave(4, (0, 0, 16), 0.25),
            spine=Wave(4, (0, -14, 0)) + Hold((6, 0, 0)),
            left_foot=_drag,
            right_foot=_drag.mirror(2),
            left_hand=_skirt,
            right_hand=_skirt.mirror(2),
        ),
        Moves(  # the same round the other way, a candle held high
            turn=Ramp(8, -1),
            pelvis=Wave(4, (0.06, 0, 0)) + Wave(2, (0, 0.02, 0)) + Hold((0, -0.05, 0)),
            hips=Wave(4, (0, 12, 0)) + Wave(4, (0, 0, 16), 0.25),
            spine=Wave(4, (0, -14, 0)),
            left_foot=_drag,
            right_foot=_drag.mirror(2),
            left_hand=Hold((0.06, 0.28, 0.06)),
            right_hand=_skirt.mirror(2),
        ),
    ),
)  # fmt: skip

# --- tap: a quiet upper body over quick feet: shuffles, heels, brushes to the side -------------------
_shuffle = Keys(
    4,
    {0: (0.08, 0, 0), 0.5: (0.12, 0.12, 0.24), 1: (0.08, 0.0, 0.0), 1.5: (0.26, 0.12, 0.1), 2: (0.08, 0, 0)},
)  # fmt: skip
TAP = Dance(
    "tap dancing",
    tempo=(112, 132),
    figures=solo(
        Moves(
            turn=Wave(16, 0.04),
            travel=Wave(8, (0.06, 0, 0)),
            pelvis=Wave(1, (0, 0.018, 0)) + Hold((0, -0.04, 0)),
            spine=Hold((5, 0, 0)),
            left_foot=_shuffle,
            right_foot=_shuffle.mirror(2),
            left_hand=Hold((0.19, -0.14, 0.12)) + Wave(4, (0.02, 0.02, 0)),
            right_hand=Hold((-0.19, -0.14, 0.12)) + Wave(4, (0.02, 0.02, 0)),
        ),
        Moves(  # running flaps: the feet run on the spot and cross, the arms hang
            turn=Wave(16, 0.05),
            travel=Wave(8, (0.05, 0, 0)),
            pelvis=Wave(1, (0, 0.015, 0)) + Hold((0, -0.05, 0)),
            left_foot=Keys(2, {0: (0.1, 0, 0), 0.5: (0.16, 0.14, -0.16), 1: (-0.06, 0, 0.1)}),
            right_foot=Keys(2, {0: (-0.1, 0, 0), 0.5: (0.06, 0, 0.1), 1: (-0.1, 0, 0), 1.5: (-0.16, 0.14, -0.16)}),
            left_hand=Hold((0.14, -0.26, 0.1)) + Wave(2, (0.0, 0.02, 0.03)),
            right_hand=Hold((-0.14, -0.26, 0.1)) + Wave(2, (0.0, 0.02, -0.03)),
        ),
    ),
)  # fmt: skip

# --- zumba: aerobics: wide lunges from side to side, both arms swept over the head -------------------
_lunge = Keys(4, {0: (0.3, 0, 0), 1: (0.3, 0, 0), 2: (0.1, 0, 0), 3: (0.1, 0, 0)}, lift=0.08)
ZUMBA = Dance(
    "zumba",
    tempo=(128, 148),
    figures=solo(
        Moves(
            turn=Wave(16, 0.04),
            travel=Keys(4, {0.5: (0.18, 0, 0), 2.5: (-0.18, 0, 0)}),
            pelvis=Keys(2, {0.5: (0, -0.14, 0), 1.5: (0, -0.01, 0)}),
            spine=Wave(4, (0, -14, 0)),
            left_foot=_lunge,
            right_foot=_lunge.mirror(2),
            left_hand=Wave(4, (0.26, 0, 0), 0.0) + Wave(2, (0, 0.1, 0)) + Hold((0, 0.18, 0.08)),
            right_hand=Wave(4, (0.26, 0, 0), 0.0) + Wave(2, (0, 0.1, 0)) + Hold((0, 0.18, 0.08)),
        ),
        Moves(  # squats with both arms thrown up from the floor
            turn=Wave(16, 0.04),
            travel=Keys(8, {1: (0.15, 0, 0), 5: (-0.15, 0, 0)}),
            pelvis=Keys(2, {0: (0, -0.2, -0.04), 1: (0, 0.0, 0)}),
            spine=Keys(2, {0: (28, 0, 0), 1: (0, 0, 0)}),
            left_foot=Hold((0.2, 0, 0)) + Wave(8, (0, 0, 0.03)),
            right_foot=Hold((-0.2, 0, 0)),
            left_hand=Keys(2, {0: (0.02, -0.24, 0.16), 0.5: (0.3, -0.02, 0.1), 1: (0.14, 0.28, 0)}),
            right_hand=Keys(2, {0: (-0.02, -0.24, 0.16), 0.5: (-0.3, -0.02, 0.1), 1: (-0.14, 0.28, 0)}),
        ),
    ),
)  # fmt: skip

SOLO = (
    BELLY, BREAKING, BALLET, CHARLESTON, GANGNAM, MACARENA, JUMPSTYLE, KRUMPING, ROBOT, SHOOT,
    CUMBIA, TAP, ZUMBA,
)  # fmt: skip
