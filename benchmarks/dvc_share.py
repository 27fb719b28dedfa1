"""What DVC itself takes when nothing is to do: ``python -m benchmarks.dvc_share``.

A copy of the project's pipeline in a repository of its own, with 2,000 clips as outputs, and poses,
changed copies and flow in the proportions of the committed run (small files; DVC looks at names, dates
and sizes), committed; then ``dvc repro`` and ``dvc status`` beside ``dvc --version``. Beside it the
same where every clip has poses and four copies, as with the study's values, and pipelines of one stage,
and of as many stages as ours has, each of which copies one small file: what DVC takes at least.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from benchmarks import record

ROOT = Path(__file__).parents[1]


def run(folder: Path, *words: str) -> float:
    """Run ``dvc`` there; the seconds that it took."""
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - begun
    if done.returncode:
        sys.exit(f"dvc {' '.join(words)}: {done.stderr or done.stdout}")
    if words == ("repro",) and "up to date" not in done.stdout:
        sys.exit(f"dvc repro had something to do: {done.stdout}")
    return seconds


def paths(folder: Path) -> list[Path]:
    """What the pipeline makes and what it needs, the first before the second."""
    code = (
        "from dvc.repo import Repo\nindex = Repo().index\n"
        "for one in [*index.outs, *index.deps]: print(one.fs_path)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    return [Path(line) for line in done.stdout.splitlines()]


@dataclass(frozen=True)
class Collection:
    """How many files there are of each kind."""

    clips: int
    poses: int
    copies: int

    @classmethod
    def like_the_committed_run(cls, clips: int) -> Collection:
        """That many clips, and of the others as many a clip as the default profile's run has."""
        dataset = json.loads((ROOT / "metrics/dataset.json").read_text(encoding="utf-8"))
        flow = json.loads((ROOT / "metrics/flow.json").read_text(encoding="utf-8"))
        a_clip = clips / dataset["clips"]
        posed = dataset["sources"]["lets_dance"]["clips"]
        return cls(clips, round(posed * a_clip), round(flow["copies"] * a_clip))

    @property
    def folders(self) -> dict[str, tuple[int, str]]:
        """Numbers of files, and their suffix, of the folders that have a file a clip."""
        return {
            "data/dataset/clips": (self.clips, ".mp4"),
            "data/dataset/poses": (self.poses, ".npz"),
            "data/augmented/clips": (self.copies, ".mp4"),
            "data/flow": (self.clips + self.copies, ".mkv"),
        }


def fill(folder: Path, collection: Collection) -> None:
    """Make all that is not there: folders with a file a clip, few files elsewhere."""
    for path in paths(folder):
        if path.exists():
            continue
        if path.suffix:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{path.name}\n", encoding="utf-8")
            continue
        path.mkdir(parents=True)
        count, ending = collection.folders.get(path.relative_to(folder).as_posix(), (3, ".txt"))
        for number in range(count):
            (path / f"clip{number:05d}{ending}").write_text(f"{path.name} {number}\n")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="keep the result in the repository")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, full = Path(temporary) / "project", Path(temporary) / "full"
        prepare(folder, Collection.like_the_committed_run(arguments.clips))
        prepare(full, Collection(arguments.clips, arguments.clips, 4 * arguments.clips))
        lock = yaml.safe_load((folder / "dvc.lock").read_text(encoding="utf-8"))
        count = len(lock["stages"])
        one, many = Path(temporary) / "one", Path(temporary) / "many"
        prepare_small(one, 1)
        prepare_small(many, count)
        cases = {
            "dvc --version": (folder, "--version"),
            "dvc status": (folder, "status"),
            "dvc repro": (folder, "repro"),
            "dvc repro, every clip with poses and four copies": (full, "repro"),
            f"dvc repro, of {count} stages that copy a file": (many, "repro"),
            "dvc repro, of one such stage": (one, "repro"),
        }
        seconds: dict[str, list[float]] = {title: [] for title in cases}
        for _ in range(arguments.repeats):
            for title, (where, *words) in cases.items():
                seconds[title].append(run(where, *words))
        files, most = (sum(p.is_file() for p in (at / "data").rglob("*")) for at in (folder, full))
    middle = {title: float(np.median(times)) for title, times in seconds.items()}
    rows = [[title, f"{found:.2f}"] for title, found in middle.items()]
    parts = [
        f"{arguments.clips:,} clips: {files:,} files in `data/`, with poses and copies of each "
        f"{most:,}.",
        record.table(["", "seconds"], rows),
        record.claim(
            "seconds of `dvc repro` with nothing to do, over those of `dvc --version`",
            middle["dvc repro"] - middle["dvc --version"],
            most=1,
        ),
    ]
    record.show("dvc_share", "DVC's own share", parts, ["dvc"], arguments.write)


def prepare_small(folder: Path, count: int) -> None:
    """A pipeline of that many stages, each of which copies the file of the one before; done."""
    folder.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    run(folder, "init", "--quiet")
    (folder / "0.txt").write_text("a\n", encoding="utf-8")
    stages = {
        f"copy{n}": {
            "cmd": f"cp {n}.txt {n + 1}.txt", "deps": [f"{n}.txt"], "outs": [f"{n + 1}.txt"]
        }
        for n in range(count)
    }  # fmt: skip
    text = yaml.safe_dump({"stages": stages}, sort_keys=False)
    (folder / "dvc.yaml").write_text(text, encoding="utf-8")
    run(folder, "repro", "--quiet")


def prepare(folder: Path, collection: Collection) -> None:
    """The copy, committed."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, tracked.stdout.split("\0")):
        if name == "dvc.lock" or name.startswith(("plots/", "metrics/", "tests/")):
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    (folder / "data/sample/dvc.yaml").is_file() or sys.exit("no data/sample/dvc.yaml")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    run(folder, "init", "--quiet") if not (folder / ".dvc").is_dir() else None
    fill(folder, collection)
    run(folder, "commit", "--force")


if __name__ == "__main__":
    main()
