"""C3D: a VGG of 3x3x3 kernels over 16 frames.

Source: Tran, Bourdev, Fergus, Torresani & Paluri, "Learning Spatiotemporal Features with 3D
Convolutional Networks", ICCV 2015, section 3.2 and figure 3.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from dancestyle.nets.base import NativeInput, VideoNet, initialise

# Convolutions by stage, each with its input channels; a pool follows each stage.
STAGES: tuple[tuple[tuple[str, int, int], ...], ...] = (
    (("conv1a", 0, 64),),
    (("conv2a", 64, 128),),
    (("conv3a", 128, 256), ("conv3b", 256, 256)),
    (("conv4a", 256, 512), ("conv4b", 512, 512)),
    (("conv5a", 512, 512), ("conv5b", 512, 512)),
)
POOLED = (1, 4, 4)  # what 16 frames of 112x112 leave


class C3D(VideoNet):
    """C3D: ``(N, C, T, H, W)``, T >= 8, H and W >= 32; features are those of ``fc7``.

    Its first dense layer needs the 1x4x4 positions that 16 frames of 112x112 leave. Other sizes
    are averaged, or repeated, to as many, so that the net works (if less well) on all.
    """

    native = NativeInput(16, 1, 112, mean=(104.0, 117.0, 128.0), std=(1.0, 1.0, 1.0))
    feature_size = 4096
    stages = (
        *((f"conv{n}", tuple(c[0] for c in stage)) for n, stage in enumerate(STAGES, start=1)),
        ("fc6", ("fc6",)),
        ("fc7", ("fc7",)),
    )

    def __init__(self, num_classes: int, in_channels: int = 3, dropout: float = 0.5) -> None:
        super().__init__()
        for stage in STAGES:
            for name, cin, cout in stage:
                self.add_module(name, nn.Conv3d(cin or in_channels, cout, 3, padding=1))
        self.fc6 = nn.Linear(512 * POOLED[0] * POOLED[1] * POOLED[2], 4096)
        self.fc7 = nn.Linear(4096, 4096)
        initialise(self)
        for dense in (self.fc6, self.fc7):
            nn.init.normal_(dense.weight, std=0.005)
            nn.init.zeros_(dense.bias)
        self._set_head(num_classes, dropout)

    def trunk(self, x: Tensor) -> Tensor:
        """``(N, C, T, H, W) -> (N, 512, T/16, H/28, W/28)``, about."""
        for number, stage in enumerate(STAGES):
            for name, _, _ in stage:
                x = F.relu(self.get_submodule(name)(x), inplace=True)
            # Rounded up, a pool takes the single frame or odd row that short clips come down to;
            # at the native size nothing is left over to round.
            kernel = (1 if number == 0 else 2, 2, 2)
            padding = (0, 1, 1) if number == 4 else 0
            x = F.max_pool3d(x, kernel, kernel, padding, ceil_mode=True)
        return x

    def features(self, x: Tensor) -> Tensor:
        """``fc7`` after its ReLU, ``(N, 4096)``."""
        x = F.adaptive_avg_pool3d(self.trunk(x), POOLED).flatten(1)
        x = self.dropout(F.relu(self.fc6(x), inplace=True))
        return F.relu(self.fc7(x), inplace=True)
