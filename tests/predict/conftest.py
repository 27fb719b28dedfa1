"""Model files and videos for all tests of what uses a trained model."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_models import make_model, picture

from dancestyle.video.writer import write_clip


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {name: make_model(root / f"{name}.ckpt", name) for name in ("rgb", "flow")}


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("videos")
    lengths = {"short": 40, "long": 570}
    for name, frames in lengths.items():
        write_clip(root / f"{name}.mp4", (picture(n) for n in range(frames)), fps=25)
    (root / "bad.mp4").write_bytes(b"no video at all" * 50)
    return {path.stem: path for path in root.iterdir()}
