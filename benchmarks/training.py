"""The whole training loop beside its bare step: ``python -m benchmarks.training``.

Trains the Inception-I3D on made-up dancers, at the sample's size and at those of
``benchmarks.nets_speed``, and measures, in clips a second and within one run: the bare step on ready
batches (forward and backward, which is the step of ``benchmarks.nets_speed``; and with clipping and
optimiser), the whole loop (reading, decoding, augmenting, the step, counting), and the loader alone;
one process against two; what keeping a checkpoint an epoch costs; and the augmentation against
torchvision's transforms v2.
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
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import numpy as np
import torch
from torchvision.transforms import v2

from benchmarks import material, record
from dancestyle import nets, params
from dancestyle.clips import Clip
from dancestyle.flow import methods, store
from dancestyle.training import data, fit, heap, machine, tasks
from dancestyle.training.data import Augmentation, InputSpec
from dancestyle.training.fit import OnEpoch
from dancestyle.training.module import Classifier
from dancestyle.training.recipe import Recipe, clip_gradient, make_optimiser
from dancestyle.video import transforms
from dancestyle.video.writer import write_clip

ROOT = Path(__file__).parents[1]
CLASSES = 19


@dataclass(frozen=True)
class Case:
    """What is trained on.

    Attributes:
        modality: ``rgb`` or ``flow``.
        batch: clips a step.
        frames: of a snippet.
        stride: of its frames.
        side: of its pictures.
        size: of the clips, width and height.
        length: of the clips, in frames.
        clips: that an epoch has.
        steps: that are measured alone after each epoch.
        decoded: whether every snippet is decoded from its file, as where the clips do not fit into
            memory.
    """

    modality: str
    batch: int
    frames: int
    stride: int
    side: int
    size: tuple[int, int]
    length: int = 75
    clips: int = 320
    steps: int = 20
    decoded: bool = False

    def __str__(self) -> str:
        where = "files" if self.decoded else "memory"
        return (
            f"{self.modality}, {self.frames}x{self.side}x{self.side}, batch {self.batch}, {where}"
        )

    @property
    def spec(self) -> InputSpec:
        """The net's input."""
        bound = {"bound": 1.5} if self.modality == "flow" else {}
        return InputSpec(self.modality, self.frames, self.stride, self.side, **bound)

    @property
    def recipe(self) -> Recipe:
        """How it is trained."""
        return Recipe(seed=1, epochs=3, batch_size=self.batch, lr=1e-4)

    def memory(self) -> Any:
        """A context in which clips stay decoded, or do not."""
        return mock.patch.object(data, "IN_MEMORY", 0 if self.decoded else data.IN_MEMORY)


SAMPLE = Case("rgb", 8, 16, 4, 48, (74, 56))  # the sample trains on some 1,000 clips
CASES = (
    SAMPLE,
    replace(SAMPLE, modality="flow"),
    Case("rgb", 8, 16, 4, 64, (98, 74)),
    Case("rgb", 1, 64, 1, 224, (340, 256), length=125, clips=24, steps=8, decoded=True),
    Case("flow", 1, 64, 1, 224, (340, 256), length=125, clips=24, steps=8, decoded=True),
)


def make_clips(folder: Path, case: Case) -> list[Clip]:
    """Clips to train on and, last, two batches to validate on; out of a few dances, with flow."""
    width, height = case.size
    dances = [
        material.shrunk(material.dancers(case.length, (2 * width, 2 * height), label), case.size)
        for label in ("salsa dancing", "tap dancing")
    ]
    fields = methods.of_clip(methods.create("dis"), dances[0]) if case.modality == "flow" else None
    found = []
    for n in range(case.clips + 2 * case.batch):
        path = folder / f"clip{n}.mp4"
        write_clip(path, np.roll(dances[n % 2], n, axis=0))
        if fields is not None:
            store.write(folder / "flow" / f"clip{n}.mkv", fields)
        clip = Clip(f"clip{n}", f"v{n}", "folder", f"style {n % CLASSES}", n % CLASSES, str(path),
                    case.length, 25.0, width, height)  # fmt: skip
        found.append(clip)
    return found


def settings() -> params.Machine:
    """The sample's."""
    found: params.Machine = params.load("machine", ROOT / "params.yaml")
    return found


def loop(
    case: Case, clips: list[Clip], epochs: int = 3, on_epoch: OnEpoch | None = None
) -> list[float]:
    """Training clips a second of the whole loop, an epoch each; the first is left aside, in which
    memory is still being brought in.

    The clips are in the working directory; the last two batches are validated on. ``on_epoch`` is
    called after each epoch, outside of what is measured.
    """
    torch.manual_seed(0)
    net = nets.create("i3d_inception", CLASSES, in_channels=case.spec.channels)
    recipe = replace(case.recipe, epochs=epochs)
    name = f"bench_{case.modality}"
    train, held = clips[: -2 * case.batch], clips[-2 * case.batch :]

    with case.memory():
        result = tasks.train_classifier(
            net, CLASSES, train, held, case.spec, recipe, name, settings(), flow_dir="flow",
            dvclive=False, on_epoch=on_epoch,
        )  # fmt: skip
    result.finish()
    with Path(f"logs/training/{name}.csv").open(encoding="utf-8", newline="") as file:
        return [float(row["clips_per_second"]) for row in csv.DictReader(file)][1:]


class Step:
    """The step alone, on a batch that is ready."""

    def __init__(self, case: Case) -> None:
        machine.make_deterministic()
        heap.keep()
        torch.manual_seed(0)
        spec = case.spec
        self.case = case
        self.net = nets.create("i3d_inception", CLASSES, in_channels=spec.channels)
        self.module = Classifier(machine.fast_layout(self.net), CLASSES, case.recipe).train()
        self.optimiser = make_optimiser(self.net, case.recipe)
        self.x = torch.randn(case.batch, spec.channels, spec.frames, spec.size, spec.size)
        self.targets = torch.arange(case.batch) % CLASSES

    def run(self, learns: bool) -> None:
        """Forward, loss and backward, which is the step of ``benchmarks.nets_speed``; and, with
        ``learns``, clipping and optimiser."""
        with machine.autocast("auto"):
            loss = self.module.loss(self.net(self.x), self.targets)
        self.optimiser.zero_grad()
        loss.backward()
        if learns:
            clip_gradient(self.net, self.case.recipe.clip_gradient)
            self.optimiser.step()

    def rate(self, learns: bool) -> float:
        """Clips a second."""
        self.run(learns)
        begun = time.perf_counter()
        for _ in range(self.case.steps):
            self.run(learns)
        return self.case.batch * self.case.steps / (time.perf_counter() - begun)


def loader(case: Case, clips: list[Clip]) -> float:
    """Clips a second of the loader when nothing else runs, its start left aside."""
    train = clips[: -2 * case.batch]
    with case.memory():
        snippets = data.TrainSnippets(train, case.spec, Augmentation(), 1, "flow")
        snippets.memory.fill(case.modality)
        batches = data.train_loader(snippets, 1, case.batch, tasks.loader_workers(settings()))
        rates = []
        for _ in range(4):
            begun = time.perf_counter()
            count = sum(len(x) for x, _ in batches)
            rates.append(count / (time.perf_counter() - begun))
    return median(rates[1:])


def processes(folder: Path, count: int, threads: int, batch: int) -> float:
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


def checkpoint(clips: list[Clip]) -> tuple[float, float]:
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
        loop(SAMPLE, clips[-4 * SAMPLE.batch :], epochs=4)
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
        cut = transforms.jitter_colour(cut, how.jitter, generator)
        if generator.random() < how.mirror:
            cut = transforms.mirror_rgb(cut)
        return transforms.rgb_tensor(cut, [127.5] * 3, [127.5] * 3)

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


def speed_row(case: Case, rounds: int) -> tuple[list[str], list[str]]:
    """The loop against the step, in turns: after each epoch a few steps, so that a change of the
    machine's mood meets both. An epoch is compared with the steps before it and after it."""
    steps: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as temporary, chdir(temporary):
        clips = make_clips(Path(temporary), case)
        step = Step(case)
        whole = loop(
            case, clips, rounds + 1, lambda _: steps.append((step.rate(False), step.rate(True)))
        )
        alone = loader(case, clips)
    bare, learning = zip(*steps, strict=True)
    rates = [median(bare), median(learning), median(whole), alone]
    claims = []
    for words, own in (("forward and backward", bare), ("step", learning)):
        beside = [(before + after) / 2 for before, after in pairwise(own)]
        share = median(rate / other for rate, other in zip(whole, beside, strict=True))
        claims.append(record.claim(f"{case}: whole loop / {words}", share, least=0.9))
    return [str(case), *(f"{rate:.3g}" for rate in rates)], claims


def speed_parts(rounds: int) -> list[str]:
    """A row and two claims a case."""
    found = [speed_row(case, rounds) for case in CASES]
    header = ["clips/s", "forward, backward", "with clipping, optimiser", "whole loop"]
    return [
        record.table([*header, "loader alone"], [row for row, _ in found]),
        "\n".join(claim for _, claims in found for claim in claims),
    ]


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
            rate = median(loop(replace(SAMPLE, batch=int(batch)), made))
        out.write_text(json.dumps(rate), encoding="utf-8")
        return
    parts = speed_parts(arguments.rounds)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        clips = make_clips(folder, SAMPLE)
        (folder / "clips.json").write_text(json.dumps([vars(clip) for clip in clips]))
        with chdir(folder):
            seconds, size = checkpoint(clips)
        batch = SAMPLE.batch
        cases = [(1, 1, batch), (1, 2, batch), (2, 1, batch), (2, 1, 2 * batch)]
        rates = {case: processes(folder, *case) for case in cases}
    small, large = augmenting(16, SAMPLE.size, 48, 40), augmenting(64, (340, 256), 224, 8)
    parts += [
        record.table(
            ["processes x threads", "clips a step", "clips/s", "efficiency"],
            [
                [
                    f"{count} x {threads}",
                    str(at_once),
                    f"{rate:.1f}",
                    f"{rate / rates[cases[0]] / count:.2f}" if threads == 1 else "",
                ]
                for (count, threads, at_once), rate in rates.items()
            ],
        ),
        "Efficiency: clips/s over those of one process, by the number of processes. They share two "
        "cores, their caches and the way to memory.",
        f"A checkpoint of {size:.0f} MB an epoch takes {seconds:.2f} s, as long as "
        f"{seconds * rates[1, 2, batch]:.0f} clips.",
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
