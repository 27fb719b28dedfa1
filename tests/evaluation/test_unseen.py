"""No test clip is read before the evaluation: not by tuning, not by training, not by fine-tuning."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from small_world import LABELS, make_clips, make_model

from dancestyle import clips, labels
from dancestyle.training.checkpoints import save_weights
from dancestyle.training.pose import net_2d

ROOT = Path(__file__).parents[2]
BEFORE = ("augment", "tune", "train", "finetune")
"""Stages whose choices end up in a model."""


@pytest.mark.parametrize("stage", BEFORE)
def test_no_table_of_test_clips_is_a_dependency(stage: str) -> None:
    found = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage]
    deps = [str(dep) for dep in found.get("do", found)["deps"]]
    tables = [dep for dep in deps if dep.startswith("data/splits")]
    lists = [dep for dep in deps if dep.startswith("data/content")]
    assert tables and lists
    assert all(table.endswith(("train.csv", "val.csv")) for table in tables), tables
    known = ("train.sha256", "val.sha256", "_augmented.sha256")
    assert all(one.endswith(known) for one in lists), lists
    assert not any(dep.startswith(("data/dataset/clips", "data/flow")) for dep in deps), deps


def make_world(root: Path, *, with_test_clips: bool) -> None:
    """Eight clips to train and choose by; four test clips as they are, or gone and their ids others."""
    made = make_clips(root)
    train, val, test = made[:6], made[6:8], made[8:]
    if not with_test_clips:
        for clip in test:
            (root / clip.path).unlink()
            (root / f"data/flow/{clip.clip_id}.mkv").unlink()
        test = [
            replace(clip, clip_id=f"x_{clip.clip_id}", video_id="x", label=LABELS[0], label_id=0)
            for clip in test
        ]
    labels.write(root / "data/dataset/labels.txt", LABELS)
    for name, part in {"train": train, "val": val, "subset1_train": made[:8]}.items():
        clips.write(root / f"data/splits/{name}.csv", part)
    if with_test_clips:
        clips.write(root / "data/splits/test.csv", test)
        clips.write(root / "data/splits/subset1_test.csv", test)
    torch.manual_seed(0)
    weights = net_2d("inception", 1).state_dict()
    save_weights(root / "models/pretrained/inception_2d.ckpt", weights)
    make_model(root / "models/pretrained/r50.ckpt", "i3d_r50", "rgb", ["juggling", "zumba"])
    settings = yaml.safe_load((ROOT / "params.yaml").read_text())
    settings["machine"] |= {"workers": 1, "precision": "fp32"}
    settings["input"] |= {"frames": 16, "stride": 1, "size": 48}
    settings["tune"] |= {"trials": 1, "epochs": 1, "clips": None, "batch_size": 3}
    settings["train"] |= {"epochs": 1, "batch_size": 3, "use_augmented": False}
    settings["finetune"] |= {
        "batch_size": 4,
        "runs": {
            "tried": {"net": "r50", "subset": "subset1", "schedule": "optimal", "freeze": "res5",
                      "epochs": 1}
        },
    }  # fmt: skip
    (root / "params.yaml").write_text(yaml.safe_dump(settings))


@pytest.mark.slow
def test_the_models_are_the_same_bytes_without_the_test_clips(tmp_path: Path) -> None:
    """Were a test clip's id, label, picture or flow read anywhere, the second world would show it."""
    results = []
    for world in (True, False):
        root = tmp_path / str(world)
        make_world(root, with_test_clips=world)
        for stage in (["tune"], ["train", "flow"], ["finetune", "tried"]):
            done = subprocess.run(
                [sys.executable, "-m", f"stages.{stage[0]}", *stage[1:]],
                cwd=root,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
        made = ("models/tune/best.yaml", "models/tune/study.log", "models/i3d_flow.ckpt",
                "models/finetune/tried.ckpt", "metrics/train_flow.json")  # fmt: skip
        results.append({name: (root / name).read_bytes() for name in made})
    assert results[0] == results[1]
