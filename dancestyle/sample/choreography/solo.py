"""Styles of the stage and the ballroom that one dancer dances alone.

Every description reads in beats: ``Keys(4, {0: ..., 2: ...})`` is a phrase of four beats with key
poses at beats 0 and 2. Feet are (left, up, forward) from the floor under the dancer, hands from
their own shoulder; body height is 1.
"""

from __future__ import annotations

from dancestyle.sample.choreography.dance import Dance, solo
from dancestyle.sample.curves import Hold, Keys, Ramp, Wave
from dancestyle.sample.skeleton import Moves

# --- belly dancing: feet stay, the hips draw circles, the arms are two slow snakes --------------
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
            left_hand=Keys(
                4, {0: (0.28, -0.04, 0.05), 1.2: (-0.06, 0.22, 0.16), 3.2: (0.0, 0.28, 0.1)}
            ),
            right_hand=Keys(
                4, {0: (0.0, -0.12, 0.26), 1.2: (0.06, 0.22, 0.16), 3.2: (0.0, 0.28, 0.1)}
            ),
            knees_out=1.2,
        ),
        Moves(  # développé: the leg unfolds to the side up to the shoulder, arms float up
            turn=Wave(16, 0.05),
            pelvis=Keys(4, {0: (0, -0.05, 0), 2: (0.05, 0.04, 0)}),
            hips=Keys(4, {0: (0, 0, 0), 2: (0, 18, 0)}),
            spine=Keys(4, {0: (0, 0, 0), 2: (0, -6, 0)}),
            left_foot=Hold((0.03, 0, 0)),
            right_foot=Keys(
                4,
                {
                    0: (-0.05, 0, 0.03),
                    1: (-0.15, 0.27, 0.04),
                    2: (-0.48, 0.55, 0.03),
                    2.6: (-0.48, 0.5, 0.03),
                },
            ),
            left_hand=Keys(4, {0: (0.03, -0.26, 0.12), 2: (0.05, 0.3, 0.04)}),
            right_hand=Keys(4, {0: (-0.03, -0.26, 0.12), 2: (-0.28, 0.1, 0.06)}),
            knees_out=1.2,
        ),
    ),
)

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
            turn=Wave(16, 0.06),
            pelvis=Wave(2, (0, 0.05, 0)) + Wave(4, (0.04, 0, 0)) + Hold((0, -0.16, 0)),
            spine=Hold((34, 0, 0)) + Wave(4, (0, 10, 0)),
            left_foot=Wave(4, (0.13, 0, 0)) + Hold((0.16, 0, 0)),
            right_foot=Wave(4, (-0.13, 0, 0)) + Hold((-0.16, 0, 0)),
            left_hand=Wave(4, (0.24, 0, 0.0)) + Hold((-0.02, -0.2, 0.14)),
            right_hand=Wave(4, (-0.24, 0, 0.0)) + Hold((0.02, -0.2, 0.14)),
            knees_out=0.2,
        ),
    ),
)

# --- macarena: one arm a beat to the next station, feet together, then the hips -----------------
_stations: dict[float, tuple[float, float, float]] = {
    0: (0.02, -0.02, 0.32),  # out
    2: (0.2, 0.16, 0.16),  # palm up, opened
    4: (-0.17, 0.0, 0.1),  # on the other shoulder
    6: (0.1, 0.24, -0.05),  # behind the head
    8: (-0.14, -0.3, 0.12),  # on the other hip
    10: (0.1, -0.28, -0.08),  # on its own hip
}
MACARENA = Dance(
    "dancing macarena",
    tempo=(150, 186),  # a station on every second beat, the left arm a beat after the right
    figures=solo(
        Moves(
            turn=Keys(24, {0: 0.1, 11.4: 0.1, 12: -0.15, 23.4: -0.15}),  # jumps round to the side
            pelvis=Wave(4, (0.075, 0, 0)) + Wave(2, (0, 0.02, 0)) + Hold((0, -0.05, 0)),
            hips=Wave(4, (0, 16, 0)),
            left_hand=Keys(12, {key + 1: value for key, value in _stations.items()}, ease="snap"),
            right_hand=Keys(
                12, {key: (-value[0], *value[1:]) for key, value in _stations.items()}, ease="snap"
            ),
        ),
    ),
)

# --- cumbia: a shuffle that drags one foot behind, while the arms sweep a wide skirt ------------
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
)

# --- tap: a quiet upper body over quick feet: shuffles, heels, brushes to the side --------------
_shuffle = Keys(
    4,
    {
        0: (0.08, 0, 0),
        0.5: (0.12, 0.12, 0.24),
        1: (0.08, 0.0, 0.0),
        1.5: (0.26, 0.12, 0.1),
        2: (0.08, 0, 0),
    },
)
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
            right_foot=Keys(
                2,
                {0: (-0.1, 0, 0), 0.5: (0.06, 0, 0.1), 1: (-0.1, 0, 0), 1.5: (-0.16, 0.14, -0.16)},
            ),
            left_hand=Hold((0.14, -0.26, 0.1)) + Wave(2, (0.0, 0.02, 0.03)),
            right_hand=Hold((-0.14, -0.26, 0.1)) + Wave(2, (0.0, 0.02, -0.03)),
        ),
    ),
)

# --- zumba: aerobics: wide lunges from side to side, both arms swept over the head --------------
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
            right_hand=Keys(
                2, {0: (-0.02, -0.24, 0.16), 0.5: (-0.3, -0.02, 0.1), 1: (-0.14, 0.28, 0)}
            ),
        ),
    ),
)

SOLO = (BELLY, BALLET, CHARLESTON, MACARENA, CUMBIA, TAP, ZUMBA)
