"""What spoke for a style adds up to its score, and lies where the net looked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import LABELS, SIDE, make_model, picture

from dancestyle import nets
from dancestyle.explain import ExplainError, class_map, explain
from dancestyle.nets.base import VideoNet
from dancestyle.predict import load_model


@pytest.mark.parametrize("name", ["i3d_r50", "slowfast_r50"])
def test_the_map_adds_up_to_the_logit(name: str) -> None:
    """Its mean is the logit less the mean logit, the biases apart: nothing is left out or made up."""
    torch.manual_seed(0)
    net = nets.create(name, 5).eval()
    x = torch.rand(2, 3, 16, 64, 64)
    with torch.inference_mode():
        logits = net(x) - net.head.bias
    for label in (0, 3):
        found = class_map(net, x, label, "fp32")
        wanted = logits[:, label] - logits.mean(dim=1)
        tolerance = 1e-4 * float(logits.abs().max())
        if name == "i3d_r50":  # SlowFast's pathways have maps of their own lengths
            torch.testing.assert_close(found.mean(dim=(1, 2, 3)), wanted, atol=tolerance, rtol=1e-3)
        assert found.shape[0] == 2 and found.dim() == 4


class Bright(VideoNet):
    """A net whose first feature is the brightness of each place, and whose second is darkness."""

    stages = ()
    feature_size = 2

    def __init__(self) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))
        self._set_head(len(LABELS), 0.0)
        with torch.no_grad():
            self.head.weight.zero_()
            self.head.weight[1, 0] = 1.0

    def trunk(self, x: torch.Tensor) -> torch.Tensor:
        bright = x.mean(dim=1, keepdim=True).clamp(min=0)
        return torch.nn.functional.avg_pool3d(torch.cat((bright, -bright), dim=1), (1, 4, 4))

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.trunk(x).mean(dim=(2, 3, 4))


def test_the_moments_and_places_that_spoke_are_found(tmp_path: Path) -> None:
    """A bright square in one corner, for a second in the middle: there and then, and nowhere else."""
    predictor = load_model(make_model(tmp_path / "m.ckpt", "rgb"), num_clips=12)
    (member,) = predictor.members
    object.__setattr__(member.model, "net", Bright().eval())
    frames = [np.zeros((SIDE, SIDE, 3), np.uint8) for _ in range(100)]
    for frame in frames[40:65]:
        frame[4:14, 20:32] = 255
    found = explain(predictor, frames, LABELS[1], most=2)
    assert len(found.seconds) == len(found.scores) == 100
    lit = (found.seconds >= 1.7) & (found.seconds < 2.5)  # its edges fall between sampled frames
    dark = np.abs(found.seconds - 2.1) > 1
    assert found.scores[lit].min() > 0.9 and np.abs(found.scores[dark]).max() < 0.05
    assert len(found.moments) == 2
    best = max(found.moments, key=lambda one: one.score)
    assert 1.6 <= best.second < 2.6
    inside = best.heat[4:14, 20:32].mean()
    assert inside > 0.5 and best.heat[20:, :16].mean() < 0.05
    assert best.heat.shape == best.image.shape[:2] == best.overlay().shape[:2]
    against = explain(predictor, frames, LABELS[0], most=2)
    assert against.scores[lit].max() < 0


def test_two_streams_and_all_frames_are_explained_too(models: dict[str, Path]) -> None:
    frames = [picture(n) for n in range(60)]
    for options in ({}, {"views": "all"}, {"num_crops": 3}):
        predictor = load_model(list(models.values()), **options)
        found = explain(predictor, frames, LABELS[0], most=3)
        assert len(found.scores) == 60 and np.isfinite(found.scores).all()
        assert [one.second for one in found.moments] == sorted(one.second for one in found.moments)


def test_what_cannot_be_explained_is_said(tmp_path: Path, models: dict[str, Path]) -> None:
    with pytest.raises(ExplainError, match="'polonaise' is none of"):
        explain(load_model(models["rgb"]), [picture(0)], "polonaise")
    with pytest.raises(ExplainError, match="C3D has layers between"):
        class_map(nets.create("c3d", 3).eval(), torch.zeros(1, 3, 16, 112, 112), 0, "fp32")
