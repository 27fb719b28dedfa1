"""What build_dataset writes of a clip's poses goes into the net of the third stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dancestyle import nets, poses
from dancestyle.nets.pose import heat_maps


def written(path: Path, frames: int) -> poses.Poses:
    """Two persons at 25 poses a second, each where its frame's number says."""
    joints = np.full((frames, 2, 17, 2), np.nan, np.float32)
    joints[:, 0] = np.arange(frames, dtype=np.float32)[:, None, None] / frames
    times = np.arange(frames, dtype=np.float32) / 25
    np.savez_compressed(path, joints=joints, times=times)
    return poses.read(path)


def test_poses_are_found_by_time(tmp_path: Path) -> None:
    found = written(tmp_path / "a.npz", 20)
    wanted = np.array([-1.0, 0.0, 0.055, 0.065, 0.4, 9.0])
    assert (found.at(wanted)[:, 0, 0, 0] * 20).round().tolist() == [0, 0, 1, 2, 10, 19]
    assert np.isnan(found.at(wanted)[:, 1]).all()


def test_a_file_becomes_logits(tmp_path: Path) -> None:
    snippet = written(tmp_path / "a.npz", 20).at(np.arange(8) / 12.5)
    maps = heat_maps(torch.from_numpy(snippet), 32, crop=False)
    assert maps.shape == (17, 8, 32, 32) and maps.amax(dim=(2, 3)).min() > 0.5
    net = nets.create("pose", 19, in_channels=17).eval()
    assert net(maps[None]).shape == (1, 19)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npz: no file of poses"):
        poses.read(path)
    np.savez(path, joints=np.zeros((0, 1, 17, 2)), times=np.zeros(0))
    with pytest.raises(ValueError, match="are no poses"):
        poses.read(path)
    with pytest.raises(ValueError, match="not found"):
        poses.read(tmp_path / "b.npz")
