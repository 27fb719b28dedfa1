"""The poses of a clip, as ``build_dataset`` keeps them for collections that bring some."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dancestyle.sources.lets_dance import KEYPOINTS


@dataclass(frozen=True)
class Poses:
    """Who was seen where, and when.

    Attributes:
        joints: float32 (T, persons, 17, 2), x and y as shares of the picture, NaN where nothing was
            found.
        times: float32 (T,), seconds from the clip's first frame, rising.
    """

    joints: NDArray[np.float32]
    times: NDArray[np.float32]

    def at(self, seconds: NDArray[np.floating]) -> NDArray[np.float32]:
        """The poses nearest to each of these times: (len(seconds), persons, 17, 2).

        The net takes them as ``heat_maps(torch.from_numpy(poses.at(seconds)), size)``.
        """
        middles = (self.times[1:] + self.times[:-1]) / 2
        return self.joints[np.searchsorted(middles, seconds)]


def read(path: Path | str) -> Poses:
    """A file of ``data/dataset/poses``.

    Raises:
        ValueError: the file is missing, damaged, or has no poses.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            joints, times = content["joints"], content["times"]
    except FileNotFoundError:
        raise ValueError(
            f"{path}: not found; build_dataset writes it for clips with poses"
        ) from None
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: no file of poses, or damaged: {error}") from None
    if (
        joints.ndim != 4
        or joints.shape[2:] != (len(KEYPOINTS), 2)
        or not len(joints) == len(times) > 0
    ):
        raise ValueError(f"{path}: joints {joints.shape} at {times.shape} times are no poses")
    return Poses(joints, times)
