"""Kinetics-400's labels, and a head for them read as a dance classifier."""

from __future__ import annotations

import numpy as np
import torchvision

from dancestyle.evaluation.general import known_labels, read_head
from dancestyle.labels import KINETICS400_STYLES, STYLES
from dancestyle.nets.kinetics400 import LABELS


def test_the_table_is_whole_and_in_the_order_of_the_heads() -> None:
    assert len(LABELS) == len(set(LABELS)) == 400
    assert list(LABELS) == sorted(LABELS, key=str.lower)
    # torchvision's heads bring their labels along.
    theirs = torchvision.models.video.R3D_18_Weights.KINETICS400_V1.meta["categories"]
    assert list(LABELS) == theirs


def test_all_fifteen_styles_are_among_them() -> None:
    found = known_labels(LABELS, KINETICS400_STYLES)
    assert len(found) == len(KINETICS400_STYLES) == 15
    assert all(LABELS[place] == KINETICS400_STYLES[number] for number, place in found.items())
    assert found[KINETICS400_STYLES.index("salsa dancing")] == 283


def test_a_general_head_becomes_a_dance_classifier() -> None:
    general = np.random.default_rng(1).dirichlet(np.ones(400), 3)
    found = read_head(general, LABELS, STYLES)
    assert found.shape == (3, 19)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    unknown = [STYLES.index(style) for style in STYLES if style not in KINETICS400_STYLES]
    assert not found[:, unknown].any()
    # Among the styles it is the head's own opinion.
    chosen = general[:, [LABELS.index(style) for style in KINETICS400_STYLES]].argmax(axis=1)
    assert [STYLES[i] for i in found.argmax(axis=1)] == [KINETICS400_STYLES[i] for i in chosen]
