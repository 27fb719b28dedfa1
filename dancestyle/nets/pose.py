"""A small net over skeletons: the third stream of Let's Dance, on heat maps of the joints.

Sources: Castro et al., "Let's Dance: Learning From Online Dance Videos", 2018, section 4 (poses as
pictures, in a stream of their own); Duan et al., "Revisiting Skeleton-based Action Recognition",
CVPR 2022, section 3 (a volume of Gaussian heat maps, one channel a joint, into a slow and narrow 3D
ResNet whose shallow stages see no time).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dancestyle.nets.base import NativeInput, VideoNet, initialise
from dancestyle.nets.resnet_i3d import EXPANSION, residual_stage

JOINTS = 17  # COCO key points
WIDTHS = (16, 32, 64)
# As in the paper's net: kernels along time in the upper two stages alone.
INFLATED = ((0, 0, 0), (1, 1, 1, 1), (1, 1, 1))


def heat_maps(joints: Tensor, size: int, sigma: float = 0.02, crop: bool = True) -> Tensor:
    """Joints of a clip as pictures: a Gaussian around each, the larger of them where persons meet.

    Args:
        joints: ``(T, persons, J, 2)``, x and y as shares of the picture, as
            :func:`dancestyle.poses.read` has them from a file; a joint with NaN was not seen and
            draws nothing.
        size: side of the maps in pixels.
        sigma: of the Gaussian, as a share of the side.
        crop: show the square around all that was seen in the clip (Duan et al., "subjects-centred
            cropping") in place of the whole picture. Shares of width and height count alike.

    Returns:
        ``(J, T, size, size)`` in [0, 1], float32.

    Raises:
        ValueError: the joints are of another shape.
    """
    if joints.ndim != 4 or joints.shape[-1] != 2:
        raise ValueError(f"joints must be (T, persons, J, 2), found {tuple(joints.shape)}")
    joints = joints.float()
    seen = joints.isfinite().all(dim=-1)  # (T, persons, J)
    if crop and bool(seen.any()):
        low, high = joints[seen].amin(dim=0), joints[seen].amax(dim=0)
        side = ((high - low).max() * 1.25).clamp(min=1e-3)  # an eighth of margin on each side
        joints = (joints - (low + high - side) / 2) / side
    centres = (torch.arange(size, device=joints.device) + 0.5) / size
    # A Gaussian over the plane is the product of one along x and one along y.
    x, y = (
        torch.exp(-((centres - joints[..., axis, None]) ** 2) / (2 * sigma**2)) for axis in (0, 1)
    )  # each (T, persons, J, size)
    maps = joints.new_zeros(*seen.shape[::2], size, size)
    for person in range(joints.shape[1]):  # one at a time: all at once may be gigabytes
        own = y[:, person, :, :, None] * x[:, person, :, None, :]
        maps = torch.where(seen[:, person, :, None, None], torch.maximum(maps, own), maps)
    return maps.transpose(0, 1)


class PoseNet(VideoNet):
    """A narrow 3D ResNet of 0.5 million weights: ``(N, C, T, H, W)``, any T, H and W >= 8.

    C is 17 for heat maps of COCO key points (:func:`heat_maps`); 3 takes drawn skeletons.
    """

    native = NativeInput(frames=48, stride=1, size=56, mean=(0.0,) * 3, std=(255.0,) * 3)
    feature_size = WIDTHS[-1] * EXPANSION
    stages = (
        ("stem", ("conv1", "bn1")),
        ("res2", ("layer1",)),
        ("res3", ("layer2",)),
        ("res4", ("layer3",)),
    )

    def __init__(self, num_classes: int, in_channels: int = JOINTS, dropout: float = 0.5) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(in_channels, 32, (1, 7, 7), padding=(0, 3, 3), bias=False)
        self.bn1 = nn.BatchNorm3d(32)
        cin = 32
        for number, (width, flags) in enumerate(zip(WIDTHS, INFLATED, strict=True), start=1):
            self.add_module(f"layer{number}", residual_stage(cin, width, flags, stride=2))
            cin = width * EXPANSION
        initialise(self)
        # A map is dark but for a spot. With weights of this size its first activations have a variance
        # of about 1, which is what BatchNorm's statistics start from; else they take long to get there.
        nn.init.normal_(self.conv1.weight, std=1.0)
        self._set_head(num_classes, dropout)

    def features(self, x: Tensor) -> Tensor:
        """Pooled features ``(N, 256)``."""
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        for number in range(1, len(WIDTHS) + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return x.mean(dim=(2, 3, 4))
