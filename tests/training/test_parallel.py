"""Two processes that train together: the results of one, every clip scored once, one writer."""

from __future__ import annotations

import csv
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from dancestyle import clips, labels, params
from dancestyle.clips import Clip
from dancestyle.training import parallel
from dancestyle.training.checkpoints import load_model, save_weights
from dancestyle.training.pose import OUTPUTS, net_2d
from dancestyle.video.writer import write_clip

ROOT = Path(__file__).parents[2]
TOY = Path(__file__).with_name("toy_run.py")
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def run(command: list[str], cwd: Path) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    return done.stdout


def machine(**changes: object) -> params.Machine:
    plain = {
        "workers": 1,
        "cluster": None,
        "precision": "auto",
        "devices": "auto",
        "nodes": 1,
        "rendezvous": None,
    }
    return params.validate("machine", plain | changes)


@pytest.mark.slow
def test_two_processes_give_the_results_of_one(tmp_path: Path) -> None:
    options = ["unfreeze=1", "ema=0.8"]
    histories, weights = [], []
    for name, start in (("one", [sys.executable]), ("two", TORCHRUN)):
        run([*start, str(TOY), f"{name}.pt", *options], tmp_path)
        histories.append(json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8")))
        weights.append(torch.load(tmp_path / f"{name}.pt", weights_only=True))
    for one, two in zip(*histories, strict=True):
        for key in ("epoch", "lr", "val_top1", "val_top5"):
            assert one[key] == two[key], key
        for key in ("train_loss", "val_loss"):
            assert one[key] == pytest.approx(two[key], rel=1e-5), key
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, atol=1e-5, rtol=1e-4, msg=key)
    each = [(tmp_path / f"two.scored{rank}").read_text().split() for rank in (0, 1)]
    assert [len(one) for one in each] == [15, 12], "5 and 4 of 9 clips, in 3 epochs"
    assert sorted(map(int, each[0] + each[1])) == sorted(list(range(9)) * 3)
    assert len(list((tmp_path / "logs/training").iterdir())) == 1
    assert not list((tmp_path / ".cache/fit").iterdir())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What the train stage reads: 14 clips of two styles, and 2D weights."""
    rows = []
    for n in range(14):
        frames = np.random.default_rng(n).integers(0, 256, (8, 40, 48, 3), np.uint8)
        write_clip(tmp_path / f"c{n}.mp4", frames)
        path, label = f"c{n}.mp4", n % 2
        rows.append(Clip(f"c{n}", f"v{n}", "folder", "ab"[label], label, path, 8, 25.0, 48, 40))
    labels.write(tmp_path / "data/dataset/labels.txt", ["a", "b"])
    clips.write(tmp_path / "data/splits/train.csv", rows[:9])
    clips.write(tmp_path / "data/splits/val.csv", rows[9:])
    torch.manual_seed(0)
    weights = tmp_path / "models/pretrained/inception_2d.ckpt"
    save_weights(weights, net_2d("inception", OUTPUTS).state_dict())
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    content["input"] |= {"frames": 8, "stride": 1, "size": 32}
    content["train"] |= {"epochs": 1, "batch_size": 4, "use_tuned": False, "use_augmented": False}
    content["machine"] |= {"workers": 1, "devices": 1, "nodes": 2}
    content["machine"]["rendezvous"] = f"127.0.0.1:{free_port()}"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return tmp_path


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.mark.slow
def test_the_same_command_on_each_machine_trains_one_stream(project: Path) -> None:
    """Two machines are played by one; Inception has BatchNorm and dropout, and must not hang."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    stages = [
        subprocess.Popen(
            [sys.executable, "-m", "stages.train", "rgb"],
            cwd=project,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    said = [stage.communicate(timeout=600)[0] for stage in stages]
    assert [stage.returncode for stage in stages] == [0, 0], said
    lines = [line for text in said for line in text.splitlines() if "epoch 1/1" in line]
    assert len(lines) == 1, "only one of them speaks"
    (row,) = csv.DictReader((project / "plots/train/rgb.csv").open(encoding="utf-8", newline=""))
    assert float(row["val_top1"]) * 5 == pytest.approx(round(float(row["val_top1"]) * 5), abs=1e-4)
    model = load_model(project / "models/i3d_rgb.ckpt")
    assert model.meta.labels == ("a", "b")
    left = [path.name for path in project.rglob(".tmp-*")]
    assert not left


def test_one_device_needs_no_torchrun() -> None:
    assert parallel.world() == 1 and parallel.rank() == 0 and parallel.is_main()
    assert parallel.command(machine(devices=1), "stages.train", "rgb") is None
    assert parallel.own_batch(7) == 7


def test_several_devices_are_torchrun() -> None:
    line = parallel.command(machine(devices=2), "stages.train", "rgb")
    assert line is not None
    assert " ".join(line[1:]) == (
        "-m torch.distributed.run --standalone --nproc-per-node 2 -m stages.train rgb"
    )


def test_several_machines_must_know_where_they_meet() -> None:
    with pytest.raises(params.ParamsError, match=r"machine.rendezvous must name one of"):
        parallel.command(machine(nodes=2), "stages.train", "rgb")
    line = parallel.command(machine(nodes=2, rendezvous="host:29500"), "stages.train", "rgb")
    assert line is not None and line[line.index("--nnodes") + 1] == "2"
    assert line[line.index("--rdzv-endpoint") + 1] == "host:29500"


def test_a_batch_is_dealt_out_evenly_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "world", lambda: 3)
    assert parallel.own_batch(12) == 4
    with pytest.raises(
        params.ParamsError, match="a batch_size of 8 cannot be dealt out evenly to 3"
    ):
        parallel.own_batch(8)


@pytest.mark.parametrize("devices", [0, -1, "all"])
def test_devices_are_checked(devices: object) -> None:
    with pytest.raises(params.ParamsError, match=r"machine\.devices"):
        machine(devices=devices)
