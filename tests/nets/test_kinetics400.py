"""Kinetics-400's labels, and a head for them read as a dance classifier."""

from __future__ import annotations

import pytest
import torch
import torchvision

from dancestyle.labels import KINETICS400_STYLES, STYLES
from dancestyle.nets.kinetics400 import LABELS, dance_logits, style_indices


def test_the_table_is_whole_and_in_the_order_of_the_heads() -> None:
    assert len(LABELS) == len(set(LABELS)) == 400
    assert list(LABELS) == sorted(LABELS, key=str.lower)
    # torchvision's heads bring their labels along.
    theirs = torchvision.models.video.R3D_18_Weights.KINETICS400_V1.meta["categories"]
    assert list(LABELS) == theirs


def test_all_fifteen_styles_are_among_them() -> None:
    found = style_indices()
    assert list(found) == list(KINETICS400_STYLES) and len(found) == 15
    assert all(LABELS[index] == style for style, index in found.items())
    assert found["salsa dancing"] == 283


def test_a_general_head_becomes_a_dance_classifier() -> None:
    logits = torch.randn(3, 400)
    probabilities = dance_logits(logits, STYLES).softmax(dim=1)
    assert probabilities.shape == (3, 19)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(3))
    unknown = [STYLES.index(style) for style in STYLES if style not in KINETICS400_STYLES]
    assert not probabilities[:, unknown].any()
    # Among the styles it is the head's own opinion.
    chosen = logits[:, list(style_indices().values())].argmax(dim=1)
    names = [KINETICS400_STYLES[i] for i in chosen]
    assert [STYLES[i] for i in probabilities.argmax(dim=1)] == names


def test_other_heads_bring_their_labels() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0]])
    result = dance_logits(logits, ["zumba", "tango dancing"], ["running", "Tango_Dancing", "zumba"])
    assert result.tolist() == [[3.0, 2.0]]


def test_what_cannot_be_read_is_an_error() -> None:
    with pytest.raises(ValueError, match="19 logits for 400 labels"):
        dance_logits(torch.zeros(1, 19), STYLES)
    with pytest.raises(ValueError, match="knows none of the styles"):
        dance_logits(torch.zeros(1, 2), STYLES, ["running", "jumping"])
