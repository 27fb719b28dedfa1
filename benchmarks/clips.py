"""What work over clips costs: ``python -m benchmarks.clips {grow,workers,memory}``.

``grow``: build_dataset, split, augment and flow on 2,000 tiny videos, as ``dvc repro`` starts them;
then one video more, and all of them again. ``workers``: clips normalised by one process and by two.
``memory``: the largest memory of the parent and of a worker for 2,000 and for 20,000 clips.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks import material, record
from dancestyle import clipmap, dataset, normalise, params
from dancestyle.progress import progress
from dancestyle.sources.base import SourceClip
from dancestyle.video.writer import write_clip

ROOT = Path(__file__).parents[1]
STAGES = ("build_dataset", "split", "augment", "flow")
PACKAGES = ["av", "numpy", "opencv-contrib-python-headless"]


def tiny_video(path: Path, seed: int) -> None:
    """Sixteen frames of 48 x 32, like no other's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 255, (16, 4, 6, 3), np.uint8)
    write_clip(path, blocks.repeat(8, axis=1).repeat(8, axis=2))


def project(folder: Path, count: int) -> None:
    """A project of ``count`` tiny videos of two styles, two clips a video."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    content["machine"]["workers"] = 0
    content["build_dataset"] |= {
        "sources": [{"kind": "folder", "root": "mine"}],
        "watch": {"first": "mine", "second": "mine", "kinetics400_ids": "mine"},
        "short_side": 32,
        "min_frames": 16,
        "kinetics400_ids": None,
    }
    subset = {"clips": 40, "train": 0.5}
    content["split"] |= {"subset1": subset, "subset2": subset}
    (folder / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    for number in progress(range(count), count, "videos"):
        tiny_video(folder / f"mine/{'waacking' if number % 2 else 'voguing'}/{number}.mp4", number)


def stages(folder: Path) -> dict[str, float]:
    """Run the stages; the seconds of each."""
    seconds = {}
    for stage in STAGES:
        begun = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", f"stages.{stage}"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        seconds[stage] = time.perf_counter() - begun
    return seconds


def grow(folder: Path, count: int, write: bool) -> None:
    """The cost of one clip more."""
    if not (folder / "params.yaml").exists():
        project(folder, count)
    for name in ("data", ".cache", "metrics", "plots", "logs"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "mine/voguing/more.mp4").unlink(missing_ok=True)
    full = stages(folder)
    tiny_video(folder / "mine/voguing/more.mp4", count + 1)
    more = stages(folder)
    again = stages(folder)
    rows = [
        [stage, f"{full[stage]:.1f}", f"{more[stage]:.2f}", f"{again[stage]:.2f}"]
        for stage in STAGES
    ]
    totals = [sum(times.values()) for times in (full, more, again)]
    rows.append(["all", *(f"{total:.2f}" for total in totals)])
    header = ["stage", f"{count} clips, s", "one more, s", "nothing changed, s"]
    goal = 0.01 * totals[0] + 5
    words = "seconds for one clip more, all stages together (1 % of the full run, and 5 s)"
    parts = [record.table(header, rows), record.claim(words, totals[1], most=round(goal, 2))]
    record.show("clips", "Adding a clip", parts, PACKAGES, write, "clips_grow")


def workers(folder: Path, write: bool, count: int = 96) -> None:
    """One process and two, on clips of 340 x 256."""
    path = material.film(folder / "film.mp4", material.dancers(50, (340, 256)))
    clips = [
        SourceClip(f"clip{n:03d}", f"clip{n:03d}", "folder", "x", str(path)) for n in range(count)
    ]
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(3):
        for number in (1, 2):
            os.chdir(tempfile.mkdtemp(dir=folder))
            begun = time.perf_counter()
            report = dataset.normalise_clips(
                clips, "out", settings(256), name=f"turn{turn}", workers=number
            )
            seconds[number].append(time.perf_counter() - begun)
            assert report.computed == count
    best = {number: min(times) for number, times in seconds.items()}
    rows = [[str(n), f"{best[n]:.2f}", f"{count / best[n]:.1f}"] for n in best]
    parts = [
        record.table(["processes", "seconds", "clips/s"], rows),
        record.claim("two processes, times one", best[1] / best[2], 1.8),
    ]
    record.show("clips", "Two processes", parts, PACKAGES, write, "clips_workers")


@functools.cache
def settings(short_side: int) -> params.BuildDataset:
    """Params of a dataset."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    changes = {"short_side": short_side, "min_frames": 4, "kinetics400_ids": None}
    found: params.BuildDataset = params.validate(
        "build_dataset", {**content["build_dataset"], **changes}
    )
    return found


def memory(folder: Path, write: bool) -> None:
    """The largest memory, each number of clips in a process of its own."""
    rows = []
    for count in (2_000, 20_000):
        run = subprocess.run(
            [sys.executable, "-m", "benchmarks.clips", "memory", "--of", str(count)],
            cwd=ROOT,
            env={**os.environ, "BENCHMARK_FOLDER": tempfile.mkdtemp(dir=folder)},
            capture_output=True,
            text=True,
            check=True,
        )
        rows.append((count, json.loads(run.stdout.splitlines()[-1])))
    (few, small), (many, large) = rows
    parts = [
        record.table(
            ["clips", "parent, MB", "largest worker, MB"],
            [[f"{n:,}", f"{m['parent']:.0f}", f"{m['worker']:.0f}"] for n, m in rows],
        ),
        record.claim(f"worker's memory, {many:,} clips, times {few:,}",
                     large["worker"] / small["worker"], most=1.05),
        f"- the parent takes {1000 * (large['parent'] - small['parent']) / (many - few):.1f} kB "
        "for each further clip: its row of the result",
    ]  # fmt: skip
    record.show("clips", "Memory", parts, PACKAGES, write, "clips_memory")


def memory_of(count: int, folder: Path) -> dict[str, Any]:
    """Normalise ``count`` clips of one tiny video; the largest memory, in MB."""
    os.chdir(folder)
    tiny_video(Path("a.mp4"), 0)
    args = {"start": 0.0, "end": None}
    items = [clipmap.Item(f"clip{n:05d}", ("a.mp4",), args) for n in range(count)]
    report = clipmap.run(
        items, work, name="memory", out_dir="out", suffix=".mp4", params={}, version="1"
    )
    assert report.computed == count
    worker = max(facts["memory"] for facts in report.done.values())
    return {"parent": used(), "worker": worker}


def work(item: clipmap.Item, path: Path) -> dict[str, Any]:
    """What ``build_dataset`` does for a clip, and the memory of the process until now."""
    keys = {"fps", "short_side", "max_seconds", "min_frames", "short_clips", "crf", "gop"}
    options = settings(32).model_dump(include=keys)
    return {**normalise.normalise(item, path, **options), "memory": used()}


def used() -> float:
    """The largest memory of this process until now, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["grow", "workers", "memory"])
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--folder", type=Path, help="keep the files that are made, for again")
    parser.add_argument("--of", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help="keep the result in the repository")
    arguments = parser.parse_args()
    if arguments.of:
        print(json.dumps(memory_of(arguments.of, Path(os.environ["BENCHMARK_FOLDER"]))))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if arguments.what == "grow":
            grow(folder, arguments.clips, arguments.write)
        elif arguments.what == "workers":
            workers(folder, arguments.write)
        else:
            memory(folder, arguments.write)


if __name__ == "__main__":
    main()
