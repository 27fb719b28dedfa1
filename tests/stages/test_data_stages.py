"""From folders of videos to split and augmented clips, as the stages do it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from dancestyle import clips, content, labels
from dancestyle.video.writer import write_clip
from stages import augment, build_dataset, split

PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve short videos of two styles, and the project's params made small."""
    monkeypatch.chdir(tmp_path)
    for number in range(12):
        path = Path(f"mine/{'waacking' if number % 2 else 'voguing'}/{number}.mp4")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_clip(path, np.random.default_rng(number).integers(0, 255, (6, 32, 32, 3), np.uint8))
    content = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    content["machine"]["workers"] = 1
    content["build_dataset"] |= {
        "sources": [{"kind": "folder", "root": "mine"}],
        "short_side": 16,
        "min_frames": 4,
        "kinetics400_ids": None,
    }
    subset = {"clips": 4, "train": 0.5}
    content["split"] |= {"subset1": subset, "subset2": subset, "min_val": 1, "min_test": 2}
    content["augment"]["share"] = 0.5
    Path("params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return tmp_path


def run() -> dict[str, bytes]:
    """Run the stages; every file they made, by its path."""
    build_dataset.main()
    split.main()
    augment.main()
    made = [p for name in ("data", "metrics", "plots") for p in Path(name).rglob("*")]
    return {str(path): path.read_bytes() for path in made if path.is_file()}


def test_all_outputs_are_there_and_the_same_again(project: Path) -> None:
    first = run()
    assert {
        "data/dataset/clips.csv",
        "data/dataset/rejected.csv",
        "data/dataset/seen.csv",
        "data/splits/subset2_test.csv",
        "data/splits/annotations/train.txt",
        "data/augmented/clips.csv",
        "data/content/dataset.sha256",
        "data/content/rgb/subset1_train.sha256",
        "data/content/rgb_augmented.sha256",
        "metrics/dataset.json",
        "metrics/split.json",
        "plots/dataset/class_balance.csv",
        "plots/dataset/contact_sheet.jpg",
    } <= set(first)
    dealt = [clips.read(f"data/splits/{name}.csv") for name in ("train", "val", "test")]
    assert sum(map(len, dealt)) == 12 and all(dealt)
    assert json.loads(first["metrics/split.json"])["leaking_videos"] == 0
    for row in clips.read("data/augmented/clips.csv"):
        assert Path(row.path).is_file()
    assert labels.read("data/dataset/labels.txt") == ["voguing", "waacking"]
    for name in ("rgb/train", "rgb/test", "rgb_augmented"):
        table = f"data/splits/{name[4:]}.csv" if "/" in name else "data/augmented/clips.csv"
        held = content.read(f"data/content/{name}.sha256")
        assert held == {
            row.path: hashlib.sha256(Path(row.path).read_bytes()).hexdigest()
            for row in clips.read(table)
        }
    assert run() == first
