"""Made-up weights for the tests of the nets."""

from __future__ import annotations

import torch
from torch import nn


def video(*shape: int, seed: int = 2) -> torch.Tensor:
    """Noise ``(N, C, T, H, W)``."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def randomise(net: nn.Module, x: torch.Tensor) -> None:
    """Give every BatchNorm scales as after a training, and the statistics of ``net(x)``.

    With those of a fresh net activations grow from layer to layer, beyond all bounds where a
    non-local block multiplies them with each other.
    """
    generator = torch.Generator().manual_seed(1)
    norms = [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
        with torch.no_grad():
            norm.weight.uniform_(0.5, 1.5, generator=generator)
            norm.bias.uniform_(-0.2, 0.2, generator=generator)
    training = net.training
    with torch.no_grad():
        net.train()(x)
    net.train(training)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
