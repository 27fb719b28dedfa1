"""Accuracy over several seeds: ``python -m benchmarks.seeds --seeds 1 2 3``.

For each seed train and finetune and all that follow run again through DVC, on the same clips and from
the same pretrained weights (which stand for files that the study downloads); tune, whose trials begin
with the seed of train, runs again too. What a seed shares with an earlier run comes out of DVC's cache.
Writes ``benchmarks/results/seeds.md``: mean and spread of every model's top-1 and mean
per-class accuracy, and whether the sample's claims hold.

It works in a temporary clone, so the workspace stays as it is; with two cores it takes about a
quarter of an hour a seed. ``--redo SECTION ...`` names the sections of params.yaml whose ``seed``
changes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean, stdev

import yaml

from benchmarks import record

RESULTS = Path("benchmarks/results/seeds.md")
RUNS = Path("benchmarks/results/seeds.json")
SECTIONS = ("train", "finetune")


def run(*command: str, cwd: Path, capture: bool = False) -> str:
    """Run a command in ``cwd``, with this interpreter's folder first on the path; what it prints."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=cwd,
        check=True,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE if capture else None,
        text=True,
    )
    return done.stdout or ""


def clone_with_cache(folder: Path) -> Path:
    """A clone of this repository in ``folder`` that shares its DVC cache."""
    clone = folder / "clone"
    run("git", "clone", "--quiet", ".", str(clone), cwd=Path.cwd())
    cache = run("dvc", "cache", "dir", cwd=Path.cwd(), capture=True).strip()
    run("dvc", "config", "--local", "cache.dir", str(Path(cache).resolve()), cwd=clone)
    return clone


def one_seed(clone: Path, seed: int, sections: list[str]) -> dict[str, dict[str, float]]:
    """``metrics/evaluate.json`` after a run with ``seed`` in the sections."""
    path = clone / "params.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    for section in sections:
        content[section]["seed"] = seed
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    run("dvc", "repro", "evaluate", cwd=clone)
    scores: dict[str, dict[str, float]] = json.loads(
        (clone / "metrics/evaluate.json").read_text(encoding="utf-8")
    )
    return scores


def table(runs: dict[str, dict[str, dict[str, float]]], sections: list[str]) -> str:
    """The results as Markdown."""
    seeds = list(runs)
    lines = [
        "# Accuracy over seeds",
        "",
        f"Seeds {', '.join(seeds)} in the sections {', '.join(sections)} of the sample profile; the "
        "clips and their split are the same. Top-1 on the test split.",
        "",
        f"| model | {' | '.join(f'seed {seed}' for seed in seeds)} | mean | spread | "
        "mean per-class accuracy |",
        "|---|" + "---|" * (len(seeds) + 3),
    ]
    for model in runs[seeds[0]]:
        top1 = [runs[seed][model]["top1"] for seed in seeds]
        per_class = [runs[seed][model]["mean_class_accuracy"] for seed in seeds]
        spread = f"{stdev(top1):.3f}" if len(top1) > 1 else ""
        values = " | ".join(f"{value:.3f}" for value in top1)
        lines.append(
            f"| {model} | {values} | {mean(top1):.3f} | {spread} | {mean(per_class):.3f} |"
        )
    lines += ["", "Spread is the standard deviation over the seeds.", "", *claims(runs), ""]
    return "\n".join(lines)


def claims(runs: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    """The sample's claims, each with its numbers and whether it holds."""

    def top1(model: str) -> float:
        return mean(scores[model]["top1"] for scores in runs.values())

    two = top1("two_stream")
    models = list(next(iter(runs.values())))
    tuned = [m for m in models if m.startswith("finetune_")]
    general = [m for m in models if m.startswith("baseline_")]
    checks = [
        ("two-stream top-1 at least 0.85", two, two >= 0.85),
        *((f"two-stream above {m}", two - top1(m), two > top1(m)) for m in ("i3d_rgb", "i3d_flow")),
        *(
            (f"{m} at most half of two-stream", top1(m), top1(m) <= two / 2)
            for m in ("colour_histogram", "single_frame")
        ),
        *(
            (f"{m} above every general-action baseline", top1(m), top1(m) > max(map(top1, general)))
            for m in tuned
        ),
    ]
    return [
        f"- {text}: {value:.3f}, {'holds' if ok else '**fails**'}" for text, value, ok in checks
    ]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--redo", nargs="+", default=list(SECTIONS), metavar="SECTION")
    arguments = parser.parse_args()
    # A killed benchmark goes on with the seeds that are still to be run.
    runs: dict[str, dict[str, dict[str, float]]] = record.runs_so_far(RUNS)
    with tempfile.TemporaryDirectory() as folder:
        clone = clone_with_cache(Path(folder))
        for seed in arguments.seeds:
            if str(seed) in runs:
                continue
            runs[str(seed)] = one_seed(clone, seed, arguments.redo)
            record.keep_runs(RUNS, runs)
    text = table(runs, arguments.redo)
    RESULTS.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
