"""What DVC itself takes when nothing is to do: ``python -m benchmarks.dvc_share``.

A copy of the project's pipeline in a repository of its own, with 2,000 clips and their flow as
outputs (small files; DVC looks at names, dates and sizes), committed; then ``dvc repro`` and
``dvc status`` beside ``dvc --version``, and beside the same in pipelines of one stage, and of as many
stages as ours has, each of which copies one small file: what DVC takes at least.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
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


def fill(folder: Path, clips: int) -> None:
    """Make all that is not there: folders of clips and of flow with a file a clip, few elsewhere."""
    for path in paths(folder):
        if path.exists():
            continue
        if path.suffix:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{path.name}\n", encoding="utf-8")
            continue
        path.mkdir(parents=True)
        ending = {"clips": ".mp4", "flow": ".mkv", "poses": ".npz"}.get(path.name)
        many = ending is not None and "content" not in path.parts and "data" in path.parts
        for number in range(clips if many else 3):
            (path / f"clip{number:05d}{ending or '.txt'}").write_text(f"{path.name} {number}\n")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="keep the copy there, for again")
    parser.add_argument("--write", action="store_true", help="keep the result in the repository")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary) / "project"
        if not folder.exists():
            prepare(folder, arguments.clips)
        lock = yaml.safe_load((folder / "dvc.lock").read_text(encoding="utf-8"))
        count = len(lock["stages"])
        one, many = Path(temporary) / "one", Path(temporary) / "many"
        prepare_small(one, 1)
        prepare_small(many, count)
        cases = {
            "dvc --version": (folder, "--version"),
            "dvc status": (folder, "status"),
            "dvc repro": (folder, "repro"),
            f"dvc repro, of {count} stages that copy a file": (many, "repro"),
            "dvc repro, of one such stage": (one, "repro"),
        }
        seconds: dict[str, list[float]] = {title: [] for title in cases}
        for _ in range(arguments.repeats):
            for title, (where, *words) in cases.items():
                seconds[title].append(run(where, *words))
        files = sum(path.is_file() for path in (folder / "data").rglob("*"))
    middle = {title: float(np.median(times)) for title, times in seconds.items()}
    rows = [[title, f"{found:.2f}"] for title, found in middle.items()]
    parts = [
        record.table([f"{arguments.clips:,} clips, {files:,} files", "seconds"], rows),
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


def prepare(folder: Path, clips: int) -> None:
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
    fill(folder, clips)
    run(folder, "commit", "--force")


if __name__ == "__main__":
    main()
