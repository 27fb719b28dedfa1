"""Everyday actions, labelled as in Kinetics-400, for pre-training on something other than dance."""

from __future__ import annotations

from dancestyle.sample.choreography.dance import Dance, solo
from dancestyle.sample.curves import Hold, Keys, Wave
from dancestyle.sample.skeleton import Moves

_arm_swing = Wave(2, (0, 0.04, 0.18)) + Hold((0.06, -0.2, 0.08))
_stride = Keys(2, {0: (0.06, 0.0, 0.16), 1: (0.06, 0.0, -0.16), 1.5: (0.06, 0.24, -0.12)})
_push = Keys(2, {0: (0, 0.0, 0), 1: (0, -0.16, 0)})

EVERYDAY = (
    Dance(
        "jogging",
        (150, 180),
        solo(
            Moves(
                turn=Hold(0.15),
                pelvis=Wave(1, (0, 0.03, 0)) + Hold((0, -0.04, 0)),
                left_foot=_stride,
                right_foot=_stride.mirror(1),
                left_hand=_arm_swing,
                right_hand=_arm_swing.mirror(1),
                spine=Hold((10, 0, 0)),
            )
        ),
    ),
    Dance(
        "squat",
        (50, 70),
        solo(
            Moves(
                turn=Hold(0.08),
                pelvis=Keys(2, {0: (0, 0, 0), 1: (0, -0.26, -0.1)}),
                spine=Keys(2, {0: (0, 0, 0), 1: (35, 0, 0)}),
                left_foot=Hold((0.13, 0, 0)),
                right_foot=Hold((-0.13, 0, 0)),
                left_hand=Hold((0.02, 0.0, 0.3)),
                right_hand=Hold((-0.02, 0.0, 0.3)),
            )
        ),
    ),
    Dance(
        "push up",
        (60, 84),
        solo(
            Moves(
                turn=Hold(0.22),
                pelvis=Hold((0, -0.33, 0)) + _push,
                hips=Hold((76, 0, 0)),
                left_foot=Hold((0.06, 0.0, -0.5)),
                right_foot=Hold((-0.06, 0.0, -0.5)),
                left_hand=Hold((0.16, 0, 0.3)),
                right_hand=Hold((-0.16, 0, 0.3)),
                planted=True,
                knees_out=0.0,
            )
        ),
    ),
    Dance(
        "situp",
        (50, 70),
        solo(
            Moves(
                turn=Hold(0.22),
                pelvis=Hold((0, -0.46, 0)),
                hips=Keys(2, {0: (-75, 0, 0), 1: (-5, 0, 0)}),
                spine=Keys(2, {0: (-8, 0, 0), 1: (35, 0, 0)}),
                left_foot=Hold((0.08, 0, 0.34)),
                right_foot=Hold((-0.08, 0, 0.34)),
                left_hand=Hold((0.04, 0.14, 0.06)),
                right_hand=Hold((-0.04, 0.14, 0.06)),
            )
        ),
    ),
    Dance(
        "lunge",
        (56, 76),
        solo(
            Moves(
                turn=Hold(0.14),
                pelvis=Keys(2, {0: (0, 0, 0), 1: (0, -0.22, 0.0)}),
                left_foot=Keys(
                    4,
                    {0: (0.07, 0, 0), 1: (0.07, 0, 0.32), 2: (0.07, 0, 0), 3: (0.07, 0, -0.3)},
                    lift=0.08,
                ),
                right_foot=Keys(
                    4,
                    {0: (-0.07, 0, 0), 1: (-0.07, 0, -0.3), 2: (-0.07, 0, 0), 3: (-0.07, 0, 0.32)},
                    lift=0.08,
                ),
                left_hand=Hold((0.02, -0.26, 0.06)),
                right_hand=Hold((-0.02, -0.26, 0.06)),
            )
        ),
    ),
    Dance(
        "hula hooping",
        (104, 126),
        solo(
            Moves(
                pelvis=Wave(1, (0.07, 0, 0)) + Wave(1, (0, 0, 0.09), 0.25) + Hold((0, -0.03, 0)),
                hips=Wave(1, (12, 0, 0), 0.25),
                left_foot=Hold((0.08, 0, 0.08)),
                right_foot=Hold((-0.08, 0, -0.06)),
                left_hand=Hold((0.3, 0.02, 0.06)),
                right_hand=Hold((-0.3, 0.02, 0.06)),
            )
        ),
    ),
    Dance(
        "skipping rope",
        (120, 144),
        solo(
            Moves(
                pelvis=Keys(1, {0: (0, -0.04, 0), 0.5: (0, 0.07, 0)}),
                left_foot=Keys(1, {0: (0.04, 0, 0), 0.5: (0.04, 0.09, 0)}),
                right_foot=Keys(1, {0: (-0.04, 0, 0), 0.5: (-0.04, 0.09, 0)}),
                left_hand=Wave(1, (0.05, 0, 0))
                + Wave(1, (0, 0.06, 0.04), 0.25)
                + Hold((0.16, -0.22, 0.12)),
                right_hand=Wave(1, (-0.05, 0, 0))
                + Wave(1, (0, 0.06, 0.04), 0.25)
                + Hold((-0.16, -0.22, 0.12)),
            )
        ),
    ),
    Dance(
        "clapping",
        (110, 140),
        solo(
            Moves(
                left_hand=Keys(1, {0: (-0.09, -0.06, 0.24), 0.5: (0.12, 0.0, 0.22)}),
                right_hand=Keys(1, {0: (0.09, -0.06, 0.24), 0.5: (-0.12, 0.0, 0.22)}),
            )
        ),
    ),
    Dance(
        "punching bag",
        (100, 130),
        solo(
            Moves(
                turn=Hold(0.18),
                pelvis=Wave(2, (0.02, 0.02, 0.03)) + Hold((0, -0.07, 0)),
                spine=Wave(2, (0, 0, 25)) + Hold((8, 0, 0)),
                left_foot=Hold((0.1, 0, 0.14)),
                right_foot=Hold((-0.1, 0, -0.12)),
                left_hand=Keys(2, {0: (0.0, 0.02, 0.33), 0.5: (0.0, 0.0, 0.12)}, ease="snap"),
                right_hand=Keys(2, {0.5: (0.0, 0.0, 0.12), 1: (0.0, 0.02, 0.33)}, ease="snap"),
            )
        ),
    ),
    Dance(
        "yoga",
        (36, 48),
        solo(
            Moves(
                pelvis=Keys(4, {0: (0, -0.02, 0), 2: (0, -0.18, 0)}),
                spine=Keys(4, {0: (0, 0, 0), 2: (0, 32, 0)}),
                left_foot=Hold((0.32, 0, 0)),
                right_foot=Hold((-0.26, 0, 0)),
                left_hand=Keys(4, {0: (0.3, 0, 0), 2: (0.16, -0.28, 0)}),
                right_hand=Keys(4, {0: (-0.3, 0, 0), 2: (0.05, 0.3, 0)}),
            )
        ),
    ),
    Dance(
        "exercising arm",
        (56, 80),
        solo(
            Moves(
                left_hand=Keys(2, {0: (0.08, -0.3, 0.04), 1: (0.06, -0.04, 0.1)}),
                right_hand=Keys(2, {0: (-0.06, -0.04, 0.1), 1: (-0.08, -0.3, 0.04)}),
            )
        ),
    ),
    Dance(
        "high kick",
        (60, 80),
        solo(
            Moves(
                turn=Hold(0.15),
                pelvis=Keys(2, {0: (0, -0.05, 0), 1: (0, 0.0, 0)}),
                spine=Keys(2, {0: (6, 0, 0), 1: (-16, 0, 0)}),
                left_foot=Keys(
                    2,
                    {
                        0: (0.08, 0, -0.12),
                        0.6: (0.08, 0.2, 0.2),
                        1: (0.06, 0.78, 0.42),
                        1.4: (0.08, 0.2, 0.2),
                    },
                ),
                right_foot=Hold((-0.06, 0, 0)),
                left_hand=Hold((0.08, -0.12, 0.16)),
                right_hand=Hold((-0.08, -0.12, 0.16)),
            )
        ),
    ),
)
