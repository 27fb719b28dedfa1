"""The study's open questions on the sample: ``python -m benchmarks.ablations --seeds 1 2 3``.

Does tuning pay, does augmentation, and freezing the lower layers? Each variant changes some keys of
``params.yaml``, trains one net again for each seed by the stage's own command, and scores it on the
test split; ``default`` is what ``benchmarks/results/seeds.json`` has (``benchmarks.seeds`` runs
first). Writes ``benchmarks/results/ablations.md``: top-1 by seed, mean and spread.

It works in a temporary clone with the results of the default run out of DVC's cache. Killed, it goes on
with what is still to be run.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import yaml

from benchmarks import record, seeds
from dancestyle import clips, labels, params
from dancestyle.evaluation import models

RUNS = record.RESULTS / "ablations.json"
PLAIN = {"smallest_crop": 1.0, "mirror": 0.0, "jitter": 0.0}


@dataclass(frozen=True)
class Question:
    """What is asked, of which model, and what stands against the default.

    Attributes:
        model: its name in ``metrics/evaluate.json``.
        stage: words after ``python -m stages.``
        file: the model's.
        default: what the default does, in words.
        variants: what else is tried, in words, and the keys of params that make it so.
    """

    asked: str
    model: str
    stage: tuple[str, str]
    file: str
    default: str
    variants: dict[str, dict[str, Any]]


FLOW = ("i3d_flow", ("train", "flow"), "models/i3d_flow.ckpt")
R50 = (
    "finetune_r50_scheduled",
    ("finetune", "r50_scheduled"),
    "models/finetune/r50_scheduled.ckpt",
)
QUESTIONS = (
    Question(
        "Tuned or default hyperparameters, flow stream",
        *FLOW,
        "as tuned",
        {"`train.lr`, `dropout`, `optimiser` as in params": {"train.use_tuned": False}},
    ),
    Question(
        "Augmentation, flow stream",
        *FLOW,
        "offline copies and on the fly",
        {
            "none": {
                "train.use_augmented": False,
                **{f"train.augmentation.{key}": value for key, value in PLAIN.items()},
            }
        },
    ),
    Question(
        "Frozen layers, fine-tuned I3D ResNet-50",
        *R50,
        "frozen up to res2",
        {"nothing frozen": {"finetune.runs.r50_scheduled.freeze": "none"}},
    ),
)


def changed(content: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Params with some keys (``section.key``) changed, as a copy."""
    result: dict[str, Any] = json.loads(json.dumps(content))
    for path, value in changes.items():
        *sections, key = path.split(".")
        inner = result
        for section in sections:
            inner = inner[section]
        if key not in inner:
            raise KeyError(f"params.yaml has no {path}")
        inner[key] = value
    return result


def score(clone: Path, question: Question, content: dict[str, Any], seed: int) -> float:
    """Train with these params and this seed; top-1 on the test split."""
    section, name = question.stage
    content = changed(content, {f"{section}.seed": seed})
    (clone / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    seeds.run("python", "-m", f"stages.{section}", name, cwd=clone)
    output = seeds.run(
        *("python", "-m", "benchmarks.ablations", "--score", question.file), cwd=clone, capture=True
    )
    return float(output.split()[-1])


def score_here(file: str) -> float:
    """Top-1 of a model file on the test split of the project in this folder, seen as evaluate does."""
    how = models.Views.of(params.load("evaluate"), params.load("machine").precision)
    names = labels.read("data/dataset/labels.txt")
    found = models.predict(file, clips.read("data/splits/test.csv"), names, how)
    return float(found.correct.mean())


def table(runs: dict[str, dict[str, float]], default: dict[str, Any], used: list[int]) -> str:
    """Results as Markdown."""
    rows = []
    for question in QUESTIONS:
        own = [default[str(seed)][question.model]["top1"] for seed in used]
        rows.append(_row(question.asked, f"{question.default} (default)", own))
        for words in question.variants:
            scores = runs[f"{question.asked}: {words}"]
            rows.append(_row("", words, [scores[str(seed)] for seed in used]))
    header = ["question", "variant", *(f"seed {seed}" for seed in used), "mean", "spread"]
    return record.table(header, rows)


def _row(asked: str, words: str, scores: list[float]) -> list[str]:
    spread = f"{stdev(scores):.3f}" if len(scores) > 1 else ""
    return [asked, words, *(f"{one:.3f}" for one in scores), f"{mean(scores):.3f}", spread]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--score", metavar="FILE", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.score:
        print(score_here(arguments.score))
        return
    default = record.runs_so_far(seeds.RUNS)
    missing = [seed for seed in arguments.seeds if str(seed) not in default]
    if missing:
        parser.error(f"{seeds.RUNS} has no seed {missing}; python -m benchmarks.seeds makes it")
    runs = record.runs_so_far(RUNS)
    with tempfile.TemporaryDirectory() as folder:
        clone = seeds.clone_with_cache(Path(folder))
        seeds.run("dvc", "checkout", "--quiet", cwd=clone)
        content = yaml.safe_load((clone / "params.yaml").read_text(encoding="utf-8"))
        for question in QUESTIONS:
            for words, changes in question.variants.items():
                scores = runs.setdefault(f"{question.asked}: {words}", {})
                for seed in arguments.seeds:
                    if str(seed) not in scores:
                        now = changed(content, changes)
                        scores[str(seed)] = score(clone, question, now, seed)
                        record.keep_runs(RUNS, runs)
    parts = [
        "Top-1 on the test split of the sample; spread is the standard deviation over the seeds. The "
        "seed is that of the net's own section; clips, split and pretrained weights are the same.",
        table(runs, default, arguments.seeds),
    ]
    record.show("ablations", "The study's open questions", parts, ["torch"], True)


if __name__ == "__main__":
    main()
