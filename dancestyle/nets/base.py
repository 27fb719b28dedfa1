"""What every net has in common: tensors in, logits out; features, heads and freezing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor, nn


@dataclass(frozen=True)
class NativeInput:
    """What a net was designed for: frames of a snippet, their stride at 25-30 fps, size in pixels.

    ``mean`` and ``std`` are in grey levels (0 to 255), one a channel, for RGB input.
    """

    frames: int
    stride: int
    size: int
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    std: tuple[float, float, float] = (127.5, 127.5, 127.5)


IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
# PyTorchVideo's: mean 0.45 and deviation 0.225 of the range from 0 to 1.
GREY_MEAN, GREY_STD = (114.75,) * 3, (57.375,) * 3


class VideoNet(nn.Module):
    """A net over video: ``(N, C, T, H, W)`` to logits ``(N, num_classes)``.

    A subclass sets ``native``, ``stages`` (lowest first, each a name and the dotted paths of its
    modules), ``feature_size``, and implements :meth:`features`.
    """

    native: NativeInput
    stages: tuple[tuple[str, tuple[str, ...]], ...]
    feature_size: int
    name = ""  # what :func:`dancestyle.nets.create` was asked for, with its options
    options: Mapping[str, object] = MappingProxyType({})

    def __init__(self) -> None:
        super().__init__()
        self._frozen: tuple[str, ...] = ()
        self._freeze_norm = False

    def _set_head(self, num_classes: int, dropout: float) -> None:
        if num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, found {num_classes}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), found {dropout}")
        self.dropout = nn.Dropout(dropout)
        self.reset_head(num_classes)

    def features(self, x: Tensor) -> Tensor:
        """Pooled features ``(N, feature_size)``, before dropout and head."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(N, num_classes)`` of ``(N, C, T, H, W)``."""
        return self.head(self.dropout(self.features(x)))

    def reset_head(self, num_classes: int) -> None:
        """Replace the head by a fresh one: weights from N(0, 0.01), zero bias."""
        head = nn.Linear(self.feature_size, num_classes)
        nn.init.normal_(head.weight, std=0.01)
        nn.init.zeros_(head.bias)
        self.head = head.to(next(self.parameters()).device)

    def stage_names(self) -> tuple[str, ...]:
        """Names of the stages that :meth:`freeze` knows, lowest first."""
        return tuple(name for name, _ in self.stages)

    def stages_up_to(self, last: str) -> tuple[str, ...]:
        """The stages from the lowest to ``last``, both included; ``"none"`` gives no stage."""
        if last == "none":
            return ()
        names = self.stage_names()
        if last not in names:
            raise ValueError(f"no stage '{last}'; the stages are: none, {', '.join(names)}")
        return names[: names.index(last) + 1]

    def freeze(self, stages: Iterable[str], norm: bool = False) -> None:
        """Fix the named stages: no gradient, BatchNorm statistics as they are, even in training.

        Args:
            stages: names out of :meth:`stage_names`; those not named are set free.
            norm: keep the BatchNorm statistics of the free stages fixed too.

        Raises:
            ValueError: a name is not one of the net's stages.
        """
        names = tuple(stages)
        for name in names:
            if name not in self.stage_names():
                known = ", ".join(self.stage_names())
                raise ValueError(f"no stage '{name}'; the stages are: {known}")
        self._frozen, self._freeze_norm = names, norm
        for name, attributes in self.stages:
            for attribute in attributes:
                for parameter in self.get_submodule(attribute).parameters():
                    parameter.requires_grad_(name not in names)
        self.train(self.training)

    def train(self, mode: bool = True) -> VideoNet:
        """As in torch, except that frozen BatchNorm stays in evaluation mode."""
        super().train(mode)
        if mode:
            for name, attributes in self.stages:
                if name in self._frozen or self._freeze_norm:
                    for attribute in attributes:
                        for module in self.get_submodule(attribute).modules():
                            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                                module.eval()
        return self


def initialise(module: nn.Module) -> None:
    """He initialisation of convolutions (fan out), ones and zeros for BatchNorm."""
    for m in module.modules():
        if isinstance(m, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            if m.bias is not None:
                nn.init.zeros_(m.bias)
        elif isinstance(m, nn.modules.batchnorm._BatchNorm):
            nn.init.ones_(m.weight)
            nn.init.zeros_(m.bias)


def count_parameters(net: nn.Module) -> int:
    """Number of learnable scalars, frozen ones included."""
    return sum(p.numel() for p in net.parameters())
