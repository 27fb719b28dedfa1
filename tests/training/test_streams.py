"""Where the training of a stream starts."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import torch

from dancestyle import nets, params
from dancestyle.nets.checkpoints import WeightsError
from dancestyle.training import streams
from tests.nets import foreign_files

ROOT = Path(__file__).parents[2]


def settings(**starts: str) -> params.Train:
    config: params.Train = params.load("train", ROOT / "params.yaml")
    return config.model_copy(
        update={"checkpoints": params.Starts(**{"rgb": None, "flow": None, **starts})}
    )


@pytest.mark.parametrize(("modality", "channels"), [("rgb", 3), ("flow", 2)])
def test_published_weights_of_a_stream(
    modality: Literal["rgb", "flow"],
    channels: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.manual_seed(5)
    published = nets.create("i3d_inception", 400, in_channels=channels)
    file = tmp_path / "imagenet.pt"
    torch.save(foreign_files.piergiaj(published), file)
    config = settings(**{modality: str(file)})
    net = streams.stream_net(modality, 19, "no 2D file is wanted", config, dropout=0.4)
    assert "its head dropped" in capsys.readouterr().out
    theirs = published.state_dict()
    for key, value in net.state_dict().items():
        if key.startswith("head."):
            assert value.shape[0] == 19
        else:
            assert torch.equal(value, theirs[key]), key
    again = streams.stream_net(modality, 19, "", config, dropout=0.4)
    assert torch.equal(net.head.weight, again.head.weight), "the head's draw is of train.seed"


def test_weights_of_the_other_stream(tmp_path: Path) -> None:
    file = tmp_path / "flow_imagenet.pt"
    torch.save(foreign_files.piergiaj(nets.create("i3d_inception", 400, in_channels=2)), file)
    with pytest.raises(WeightsError, match=r"flow_imagenet.pt.*another shape"):
        streams.stream_net("rgb", 19, "", settings(rgb=str(file)), dropout=0.4)
