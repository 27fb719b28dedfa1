"""What :func:`dancestyle.nets.create` makes, and what it says of arguments that do not fit."""

from __future__ import annotations

import pytest
import torch
from made_up_nets import video

from dancestyle import nets
from dancestyle.nets.published import PUBLISHED


@pytest.mark.parametrize("name", nets.names())
def test_create_takes_flow(name: str) -> None:
    net = nets.create(name, 4, in_channels=2).eval()
    with torch.inference_mode():
        assert net(video(1, 2, 8, 32, 32)).shape == (1, 4)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({"name": "i3d_rgb"}, "no net 'i3d_rgb'; the nets are: i3d_inception"),
        ({"num_classes": 0}, "num_classes must be at least 1, found 0"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), found 1.0"),
        ({"depth": 7}, "net 'i3d_inception' does not take these options.*depth"),
        ({"name": "i3d_r50_nl", "non_local": "cosine"}, "'cosine' is not one of: dot_product"),
    ],
)
def test_create_says_what_is_wrong(arguments: dict[str, object], sentence: str) -> None:
    defaults: dict[str, object] = {"name": "i3d_inception", "num_classes": 5}
    with pytest.raises(ValueError, match=sentence):
        nets.create(**{**defaults, **arguments})  # type: ignore[arg-type]


def test_strides_in_time_bring_the_input_they_were_made_for() -> None:
    native = nets.create("i3d_r50", 3, time_strides=(1, 1, 2)).native
    assert native == PUBLISHED["pytorchvideo/i3d_r50"].input
    assert nets.create("i3d_r50", 3).native == PUBLISHED["mmaction2/i3d_r50"].input


def test_a_net_knows_what_it_was_made_as() -> None:
    net = nets.create("slowfast_r50", 3, alpha=8, lateral_length=5)
    assert net.name == "slowfast_r50"
    assert net.options == {
        "alpha": 8, "lateral_length": 5, "lateral_norm": True, "slow_frames": "stride"
    }  # fmt: skip
