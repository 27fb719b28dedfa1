"""The whole training loop beside its bare step: ``python -m benchmarks.training``.

Trains the Inception-I3D at the sample's size on made-up dancers and measures, in clips a second and
within one run: the bare step (ready batches: forward, backward, clipping, optimiser), the whole loop
(reading, decoding, augmenting, the step, counting), and the loader alone; one process against two;
what keeping a checkpoint an epoch costs; and the augmentation against torchvision's transforms v2.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torchvision.transforms import v2

from benchmarks import material, record
from dancestyle import nets, params
from dancestyle.clips import Clip
from dancestyle.flow import store
from dancestyle.training import data, fit, heap, machine, tasks
from dancestyle.training.data import Augmentation, InputSpec
from dancestyle.training.module import Classifier
from dancestyle.training.recipe import Recipe, make_optimiser
from dancestyle.video import transforms
from dancestyle.video.writer import write_clip

ROOT = Path(__file__).parents[1]
CLASSES, BATCH, CLIPS, FRAMES = 19, 8, 320, 75  # the sample trains on some 1,000 clips
SIZE = (74, 56)  # width, height of a clip of the sample
SPECS = {
    "rgb": InputSpec("rgb", frames=16, stride=4, size=48),
    "flow": InputSpec("flow", frames=16, stride=4, size=48, bound=1.5),
}
RECIPE = Recipe(seed=1, epochs=3, batch_size=BATCH, lr=1e-4)


def make_clips(folder: Path) -> list[Clip]:
    """``CLIPS`` clips, out of a few dances, with flow."""
    dances = [
        material.shrunk(material.dancers(FRAMES, (2 * SIZE[0], 2 * SIZE[1]), label), SIZE)
        for label in ("salsa dancing", "tap dancing")
    ]
    fields = np.random.default_rng(0).normal(size=(FRAMES - 1, SIZE[1], SIZE[0], 2)) * 0.3
    found = []
    for n in range(CLIPS + 2 * BATCH):
        path = folder / f"clip{n}.mp4"
        write_clip(path, np.roll(dances[n % 2], n, axis=0))
        store.write(folder / "flow" / f"clip{n}.mkv", fields.astype(np.float32), bound=4.0)
        clip = Clip(f"clip{n}", f"v{n}", "folder", f"style {n % CLASSES}", n % CLASSES, str(path),
                    FRAMES, 25.0, *SIZE)  # fmt: skip
        found.append(clip)
    return found


def settings() -> params.Machine:
    """The sample's."""
    found: params.Machine = params.load("machine", ROOT / "params.yaml")
    return found


def loop(
    modality: str,
    clips: list[Clip],
    flow_dir: Path,
    epochs: int = 3,
    count: int = CLIPS,
    batch: int = BATCH,
) -> float:
    """Training clips a second of the whole loop, the first epoch (loaders start) left aside."""
    torch.manual_seed(0)
    spec = SPECS[modality]
    net = nets.create("i3d_inception", CLASSES, in_channels=spec.channels)
    recipe = replace(RECIPE, epochs=epochs, batch_size=batch)
    name = f"bench_{modality}"
    result = tasks.train_classifier(
        net, CLASSES, clips[:count], clips[CLIPS:], spec, recipe, name, settings(),
        flow_dir=flow_dir, dvclive=False,
    )  # fmt: skip
    result.finish()
    with Path(f"logs/training/{name}.csv").open(encoding="utf-8", newline="") as file:
        return median([float(row["clips_per_second"]) for row in csv.DictReader(file)][1:])


def bare(modality: str, learns: bool = True, steps: int = 20) -> float:
    """Clips a second of the step alone, on ready batches; ``learns``: with clipping and optimiser, else
    forward, loss and backward, which is the step of ``benchmarks.nets_speed``."""
    machine.make_deterministic()
    heap.keep()
    torch.manual_seed(0)
    spec = SPECS[modality]
    net = nets.create("i3d_inception", CLASSES, in_channels=spec.channels)
    module = Classifier(machine.fast_layout(net), CLASSES, RECIPE).train()
    optimiser = make_optimiser(net, RECIPE)
    x = torch.randn(BATCH, spec.channels, spec.frames, spec.size, spec.size)
    targets = torch.arange(BATCH) % CLASSES

    def step() -> None:
        with machine.autocast("auto"):
            loss = module.loss(net(x), targets)
        optimiser.zero_grad()
        loss.backward()
        if learns:
            torch.nn.utils.clip_grad_norm_(net.parameters(), RECIPE.clip_gradient)
            optimiser.step()

    for _ in range(2):
        step()
    begun = time.perf_counter()
    for _ in range(steps):
        step()
    return BATCH * steps / (time.perf_counter() - begun)


def loader(modality: str, clips: list[Clip], flow_dir: Path) -> float:
    """Clips a second of the loader when nothing else runs, its start left aside."""
    snippets = data.TrainSnippets(clips[:CLIPS], SPECS[modality], Augmentation(), 1, flow_dir)
    workers = tasks.loader_workers(settings(), snippets.memory.fill(modality))
    batches = data.train_loader(snippets, 1, BATCH, workers)
    rates = []
    for _ in range(4):
        begun = time.perf_counter()
        count = sum(len(x) for x, _ in batches)
        rates.append(count / (time.perf_counter() - begun))
    return median(rates[1:])


def processes(folder: Path, count: int, threads: int, batch: int = BATCH) -> float:
    """Clips a second of the whole loop in ``count`` processes of ``threads`` threads each.

    ``batch`` clips are a step of all processes together.
    """
    out = folder / f"rate{count}x{threads}x{batch}.json"
    start = [sys.executable]
    if count > 1:
        start += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    subprocess.run(
        [*start, "-m", "benchmarks.training", "--loop", str(folder), str(out), str(batch)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    rate: float = json.loads(out.read_text(encoding="utf-8"))
    return rate


def checkpoint(clips: list[Clip], flow_dir: Path) -> tuple[float, float]:
    """Seconds that keeping a checkpoint takes, and its size in MB."""
    seconds, size = [], 0.0
    save = fit._Keeper._save

    def timed(keeper: fit._Keeper, trainer: object) -> None:
        nonlocal size
        begun = time.perf_counter()
        save(keeper, trainer)  # type: ignore[arg-type]
        seconds.append(time.perf_counter() - begun)
        size = keeper.resume_file.stat().st_size / 1e6

    fit._Keeper._save = timed  # type: ignore[method-assign,assignment]
    try:
        loop("rgb", clips, flow_dir, epochs=4, count=2 * BATCH)
    finally:
        fit._Keeper._save = save  # type: ignore[method-assign]
    return median(seconds), size


def augmenting(frames: int, size: tuple[int, int], out: int, repeats: int) -> tuple[float, float]:
    """Milliseconds a snippet of the augmentation: ours, and torchvision's transforms v2.

    Both from decoded pictures to a normalised tensor: a random square of 0.8 to 1 of the shorter side,
    resized; brightness and contrast; mirroring.
    """
    snippet = np.random.default_rng(0).integers(0, 256, (frames, size[1], size[0], 3), np.uint8)
    generator = np.random.default_rng(1)
    how = Augmentation()
    theirs = v2.Compose([
        v2.RandomResizedCrop(out, scale=(0.8**2 * size[1] / size[0], size[1] / size[0]), ratio=(1, 1)),
        v2.ColorJitter(how.jitter, how.jitter),
        v2.RandomHorizontalFlip(),
        v2.ToDtype(torch.float32),
        v2.Normalize([127.5] * 3, [127.5] * 3),
    ])  # fmt: skip

    def ours() -> torch.Tensor:
        top, left, side = transforms.random_box(size[1], size[0], how.smallest_crop, generator)
        cut = transforms.crop_resize(snippet, (top, left, side), out)
        x = transforms.rgb_tensor(
            transforms.jitter_colour(cut, how.jitter, generator), [127.5] * 3, [127.5] * 3
        )
        return transforms.mirror_rgb(x) if generator.random() < how.mirror else x

    def v2s() -> torch.Tensor:
        return theirs(torch.from_numpy(snippet).permute(0, 3, 1, 2)).transpose(0, 1)

    assert ours().shape == v2s().shape
    return _milliseconds(ours, repeats), _milliseconds(v2s, repeats)


def _milliseconds(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return 1000 * median(times)


def speed_parts(clips: list[Clip], flow_dir: Path, rounds: int) -> Iterator[str]:
    """The loop against the step, in turns, so that a change of the machine's mood meets both."""
    rows, claims = [], []
    for modality in SPECS:
        turns = [
            (bare(modality, learns=False), bare(modality), loop(modality, clips, flow_dir))
            for _ in range(rounds)
        ]
        alone = loader(modality, clips, flow_dir)
        rates = [median(own) for own in zip(*turns, strict=True)]
        rows.append([modality, *(f"{rate:.1f}" for rate in rates), f"{alone:.0f}"])
        for words, place in (("step", 1), ("step without clipping and optimiser", 0)):
            share = median(turn[2] / turn[place] for turn in turns)
            claims.append(record.claim(f"{modality}: whole loop / {words}", share, least=0.9))
    header = ["stream, clips/s", "forward, backward", "with clipping, optimiser", "whole loop"]
    header.append("loader alone")
    yield record.table(header, rows)
    yield "\n".join(claims)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="keep the result in the repository")
    parser.add_argument(
        "--loop", nargs=3, metavar=("FOLDER", "OUT", "BATCH"), help=argparse.SUPPRESS
    )
    arguments = parser.parse_args()
    if arguments.loop:
        folder, out, batch = Path(arguments.loop[0]), Path(arguments.loop[1]), arguments.loop[2]
        rows = json.loads((folder / "clips.json").read_text(encoding="utf-8"))
        with chdir(folder):
            made = [Clip(**row) for row in rows]
            rate = loop("rgb", made, folder / "flow", batch=int(batch))
        out.write_text(json.dumps(rate), encoding="utf-8")
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        clips = make_clips(folder)
        (folder / "clips.json").write_text(json.dumps([vars(clip) for clip in clips]))
        with chdir(folder):
            parts = list(speed_parts(clips, folder / "flow", arguments.rounds))
            seconds, size = checkpoint(clips, folder / "flow")
        cases = [(1, 1, BATCH), (1, 2, BATCH), (2, 1, BATCH), (2, 1, 2 * BATCH)]
        rates = {case: processes(folder, *case) for case in cases}
    small, large = augmenting(16, SIZE, 48, 40), augmenting(64, (340, 256), 224, 8)
    parts += [
        record.table(
            ["processes x threads", "clips a step", "clips/s", "efficiency"],
            [
                [
                    f"{count} x {threads}",
                    str(batch),
                    f"{rate:.1f}",
                    f"{rate / rates[cases[0]] / count:.2f}" if threads == 1 else "",
                ]
                for (count, threads, batch), rate in rates.items()
            ],
        ),
        "Efficiency: clips/s over those of one process, by the number of processes. They share two "
        "cores, their caches and the way to memory with each other and with their loaders.",
        f"A checkpoint of {size:.0f} MB an epoch takes {seconds:.2f} s, as long as "
        f"{seconds * rates[1, 2, BATCH]:.0f} clips.",
        record.table(
            ["augmentation, ms a snippet", "ours", "torchvision v2"],
            [
                ["16 x 56 x 74 to 48", f"{small[0]:.2f}", f"{small[1]:.2f}"],
                ["64 x 256 x 340 to 224", f"{large[0]:.1f}", f"{large[1]:.1f}"],
            ],
        ),
    ]
    packages = ("torch", "pytorch-lightning", "torchvision")
    record.show("training", "Training", parts, packages, arguments.write)


if __name__ == "__main__":
    main()
