"""How fast videos are predicted and evaluated: ``python -m benchmarks.predict --mmaction2 FOLDER``.

Prediction: a 10 s film of 340 x 256, by the RGB stream and by both, 3 snippets; warm (the model is
loaded) and cold (``python -m dancestyle predict`` from its start to its end). The nets are the whole
Inception-v1 I3D with random weights, which take as long as trained ones, at the sample profile's input
and at the study's.

Evaluation: clips a second of the I3D ResNet-50 over 10 views (32 frames every 2nd, 224 x 224) of one
clip of the dataset, reading included. FOLDER is a checkout of MMAction2, whose own transforms and whose
own net of the same architecture then look at the same views of the same file (they need decord,
mmengine, einops and mmcv or mmcv-lite 2.1).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks import material, record
from dancestyle import nets, predict
from dancestyle.clips import Clip
from dancestyle.evaluation import models, report
from dancestyle.labels import STYLES
from dancestyle.training.checkpoints import ModelMeta, save_model
from dancestyle.training.data import InputSpec
from dancestyle.video.reader import decode
from dancestyle.video.writer import write_clip

SECONDS = 10
SIZES = {"16 frames of 48x48": (16, 4, 48, 56), "64 frames of 224x224": (64, 1, 224, 256)}
"""Frames, stride, size, shorter side of the clips."""
VIEWS = 10
ROOT = Path(__file__).parents[1]


def model(folder: Path, net: str, modality: str, size: tuple[int, int, int, int]) -> Path:
    """A model file of a whole net with random weights."""
    torch.manual_seed(0)
    frames, stride, pixels, short_side = size
    spec = InputSpec(modality, frames, stride, pixels, bound=20.0)
    made = nets.create(net, len(STYLES), in_channels=spec.channels)
    flow = {"method": "dis", "options": {}, "short_side": None} if modality == "flow" else {}
    path = folder / f"{net}_{modality}_{pixels}.ckpt"
    save_model(path, made, ModelMeta(net, STYLES, spec, short_side=short_side, flow=flow))
    return path


def timed(call: Callable[[], object], repeats: int) -> float:
    """The median of the seconds of ``repeats`` calls after a first one."""
    call()
    taken = []
    for _ in range(repeats):
        before = time.perf_counter()
        call()
        taken.append(time.perf_counter() - before)
    return statistics.median(taken)


def predictions(folder: Path, film: Path, repeats: int) -> list[list[str]]:
    """Seconds of a prediction, by input and streams."""
    rows = []
    for name, size in SIZES.items():
        files = {one: model(folder, "i3d_inception", one, size) for one in ("rgb", "flow")}
        for what, some in (("RGB", [files["rgb"]]), ("two streams", list(files.values()))):
            loaded = predict.load_model(some)
            warm = timed(lambda loaded=loaded: loaded.predict(film), repeats)
            options = [word for path in some for word in ("--model", str(path))]
            command = [sys.executable, "-m", "dancestyle", "predict", *options, str(film)]

            def cold(command: list[str] = command) -> None:
                subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)

            rows.append([name, what, f"{warm:.2f}", f"{timed(cold, repeats):.2f}"])
    return rows


def ours(path: Path, clip: Clip, precision: str) -> Callable[[], object]:
    """Our evaluation of one clip."""
    how = models.Views(num_clips=VIEWS, precision=precision)
    return lambda: models.predict(path, [clip], STYLES, how)


def mmaction2(folder: str | None, path: Path) -> Callable[[], object] | None:
    """MMAction2's evaluation of one clip, from a checkout."""
    if not folder or not (Path(folder) / "mmaction").is_dir():
        return None
    sys.path.insert(0, folder)
    from mmaction.datasets import transforms as peer
    from mmaction.registry import MODELS
    from mmaction.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    net = MODELS.build(
        {
            "type": "Recognizer3D",
            "backbone": {
                "type": "ResNet3d", "pretrained": None, "depth": 50, "conv1_kernel": (5, 7, 7),
                "conv1_stride_t": 2, "pool1_stride_t": 2, "conv_cfg": {"type": "Conv3d"},
                "inflate": ((1, 1, 1), (1, 0, 1, 0), (1, 0, 1, 0, 1, 0), (0, 1, 0)),
            },
            "cls_head": {
                "type": "I3DHead", "num_classes": len(STYLES), "in_channels": 2048,
                "average_clips": "prob",
            },
            "data_preprocessor": {
                "type": "ActionDataPreprocessor", "mean": [123.675, 116.28, 103.53],
                "std": [58.395, 57.12, 57.375], "format_shape": "NCTHW",
            },
        }
    ).eval()  # fmt: skip
    steps = [
        peer.DecordInit(),
        peer.SampleFrames(clip_len=32, frame_interval=2, num_clips=VIEWS, test_mode=True),
        peer.DecordDecode(),
        peer.Resize(scale=(-1, 256)),
        peer.CenterCrop(224),
        peer.FormatShape("NCTHW"),
        peer.PackActionInputs(),
    ]

    def evaluate() -> object:
        found = {"filename": str(path), "start_index": 0, "modality": "RGB", "label": 0}
        for step in steps:
            found = step(found)
        with torch.no_grad():
            return net.test_step(
                {"inputs": [found["inputs"]], "data_samples": [found["data_samples"]]}
            )

    return evaluate


def evaluations(folder: Path, film: Path, peer: str | None, repeats: int) -> list[list[str]]:
    """Clips a second over the same views, ours and MMAction2's."""
    frames = decode(film, short_side=256, max_seconds=SECONDS)
    path = folder / "clip.mp4"
    write_clip(path, frames)
    clip = Clip("clip", "v", "folder", STYLES[0], 0, str(path), len(frames), 25.0,
                frames.shape[2], frames.shape[1])  # fmt: skip
    file = model(folder, "i3d_r50", "rgb", (32, 2, 224, 256))
    ways: dict[str, Callable[[], object] | None] = {
        "ours": ours(file, clip, "auto"),
        "ours, float32": ours(file, clip, "fp32"),
        "MMAction2": mmaction2(peer, path),
    }
    rates = {name: 1 / timed(way, repeats) for name, way in ways.items() if way}
    least = rates.get("MMAction2")
    return [
        [name, f"{rates[name]:.3f}", f"{rates[name] / least:.2f}" if least else "not there"]
        if name in rates
        else [name, "not there", ""]
        for name in ways
    ]


def the_report(root: Path) -> str:
    """Size of the report of the last run, and how long it takes to make."""
    if not (root / "metrics/evaluate.json").exists():
        return "Report: no run here."
    before = time.perf_counter()
    page = report.html(report.build(root, "Dancing in Style"))
    taken = time.perf_counter() - before
    size = len(page.encode()) / 1e6
    return "\n".join(
        [
            record.claim("size of the report in MB", size, most=5),
            record.claim("seconds to make it", taken, most=10),
        ]
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mmaction2", metavar="FOLDER", help="checkout of MMAction2")
    parser.add_argument("--run", metavar="FOLDER", default=".", help="a project that has been run")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="keep the result in the repository")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        frames = material.dancers(SECONDS * material.FPS, (340, 256))
        film = material.film(folder / "film.mp4", np.asarray(frames))
        rows = predictions(folder, film, arguments.repeats)
        compared = evaluations(folder, film, arguments.mmaction2, arguments.repeats)
    record.show(
        "predict",
        "Prediction, evaluation and report",
        [
            "Seconds to predict a 10 s film of 340 x 256, 3 snippets, random weights:",
            record.table(("input", "model", "warm", "cold"), rows),
            f"Evaluation, I3D ResNet-50, {VIEWS} views of 32 frames of 224 x 224, one 10 s clip of the "
            "dataset at a time, reading included; ours reads the net from its file each time:",
            record.table(("who", "clips a second", "times MMAction2's"), compared),
            the_report(Path(arguments.run)),
        ],
        ("torch", "av", "opencv-contrib-python-headless"),
        arguments.write,
    )


if __name__ == "__main__":
    main()
