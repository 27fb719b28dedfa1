"""The two-stream net of 2014: one 2D net sees single frames, another stacks of ten flow fields.

Source: Simonyan & Zisserman, "Two-Stream Convolutional Networks for Action Recognition in Videos",
NIPS 2014, figure 1 and sections 2 and 3. Both nets are Chatfield et al.'s CNN-M-2048 ("Return of
the Devil in the Details", BMVC 2014, table 1); the temporal one has no second normalisation.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dancestyle.nets.base import IMAGENET_MEAN, IMAGENET_STD, NativeInput, VideoNet, initialise

STACK = 10  # flow fields that the temporal net sees at once
SPATIAL, TEMPORAL = 3, 2  # channels of a frame, and of a flow field
POOLED = 6  # rows and columns that 224 pixels leave
FEATURES = 2048


class CnnM(nn.Module):
    """CNN-M-2048 over each time step by itself: ``(N, C, T, H, W) -> (N, T, 2048)``.

    Its first dense layer needs the 6x6 positions that 224 pixels leave; those of other sizes are
    averaged, or repeated, to as many.
    """

    def __init__(self, in_channels: int, second_norm: bool, dropout: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(in_channels, 96, (1, 7, 7), (1, 2, 2))
        self.conv2 = nn.Conv3d(96, 256, (1, 5, 5), (1, 2, 2), (0, 1, 1))
        self.conv3 = nn.Conv3d(256, 512, (1, 3, 3), padding=(0, 1, 1))
        self.conv4 = nn.Conv3d(512, 512, (1, 3, 3), padding=(0, 1, 1))
        self.conv5 = nn.Conv3d(512, 512, (1, 3, 3), padding=(0, 1, 1))
        self.fc6 = nn.Linear(512 * POOLED * POOLED, 4096)
        self.fc7 = nn.Linear(4096, FEATURES)
        self.norm1 = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
        self.norm2 = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0) if second_norm else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """``fc7`` after its ReLU."""
        x = _pool(self.norm1(F.relu(self.conv1(x), inplace=True)))
        x = F.relu(self.conv2(x), inplace=True)
        x = _pool(x if self.norm2 is None else self.norm2(x))
        x = F.relu(self.conv3(x), inplace=True)
        x = F.relu(self.conv4(x), inplace=True)
        x = _pool(F.relu(self.conv5(x), inplace=True))
        x = F.adaptive_avg_pool3d(x, (x.shape[2], POOLED, POOLED))  # (N, 512, T, 6, 6)
        x = x.transpose(1, 2).flatten(2)  # (N, T, 512 * 6 * 6)
        x = self.dropout(F.relu(self.fc6(x), inplace=True))
        return F.relu(self.fc7(x), inplace=True)


def _pool(x: Tensor) -> Tensor:
    """3x3 maxima at every 2nd position; a map of a single row or column is left as it is."""
    if min(x.shape[3:]) < 2:
        return x
    return F.max_pool3d(x, (1, 3, 3), (1, 2, 2), ceil_mode=True)


def flow_stacks(flow: Tensor, length: int = STACK) -> Tensor:
    """Flow ``(N, 2, T, H, W)`` as stacks ``(N, 2 length, S, H, W)``, spread evenly over the T fields.

    There are as many stacks as it takes to see every field once, ``S = T / length`` rounded up, the
    last fields being repeated where T < length. Channels are x, y of the first field, x, y of the
    second and so on (equation 1 of the paper); each field's mean is taken off it, which is a plain
    way to be rid of the camera's movement (section 3.1, "Mean flow subtraction").
    """
    flow = flow - flow.mean(dim=(3, 4), keepdim=True)
    frames = flow.shape[2]
    count = -(-frames // length)
    spare = max(frames - length, 0)
    starts = [round(n * spare / max(count - 1, 1)) for n in range(count)]
    index = torch.tensor([[min(s + k, frames - 1) for k in range(length)] for s in starts])
    stacks = flow[:, :, index.to(flow.device)]  # (N, 2, S, length, H, W)
    return stacks.permute(0, 3, 1, 2, 4, 5).flatten(1, 2)


class TwoStream(VideoNet):
    """Two-stream net: ``(N, C, T, H, W)``, any T, H and W >= 32.

    What ``in_channels`` says is what the net has: 3 the spatial stream, over each frame; 2 the
    temporal one, over stacks of ten flow fields; 5 (RGB, then flow) both. Each stream's ``fc7`` is
    averaged over time, and one linear head over both streams' features is the same as adding two
    streams' logits: late fusion.
    """

    native = NativeInput(frames=10, stride=1, size=224, mean=IMAGENET_MEAN, std=IMAGENET_STD)

    def __init__(self, num_classes: int, in_channels: int = 3, dropout: float = 0.5) -> None:
        super().__init__()
        if in_channels not in (SPATIAL, TEMPORAL, SPATIAL + TEMPORAL):
            raise ValueError(
                f"two_stream takes 3 channels (RGB), 2 (flow) or 5 (RGB and flow), not {in_channels}"
            )
        self.spatial = CnnM(SPATIAL, True, dropout) if in_channels != TEMPORAL else None
        self.temporal = CnnM(TEMPORAL * STACK, False, dropout) if in_channels != SPATIAL else None
        streams = [name for name in ("spatial", "temporal") if getattr(self, name) is not None]
        layers = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7")
        self.stages = tuple((layer, tuple(f"{s}.{layer}" for s in streams)) for layer in layers)
        self.feature_size = FEATURES * len(streams)
        initialise(self)
        self._set_head(num_classes, dropout)

    def features(self, x: Tensor) -> Tensor:
        """``fc7`` of each stream, averaged over time: ``(N, 2048)`` or ``(N, 4096)``."""
        parts = []
        if self.spatial is not None:
            parts.append(self.spatial(x[:, :SPATIAL]).mean(dim=1))
        if self.temporal is not None:
            parts.append(self.temporal(flow_stacks(x[:, -TEMPORAL:])).mean(dim=1))
        return torch.cat(parts, dim=1)
