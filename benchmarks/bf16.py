"""Does bfloat16 answer as float32 does? ``python -m benchmarks.bf16`` after ``make repro``.

Every trained model over the test clips, seen as the evaluation sees them: by the net itself in float32,
and in bfloat16 as evaluation and prediction run it (``optimise_for_inference``). On how many clips is
top-1 the same, and how far apart are the probabilities?
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks import record
from dancestyle import clips, params
from dancestyle.evaluation import views
from dancestyle.training import machine
from dancestyle.training.checkpoints import load_model
from dancestyle.training.data import load_views


def probabilities(path: Path, table: list[clips.Clip], precision: str | None) -> np.ndarray:
    """Of each clip (n_clips, n_classes); precision None is the plain net in float32."""
    config: params.Evaluate = params.load("evaluate")
    model = load_model(path)
    fast = machine.for_inference(model.net, precision) if precision else model.net
    load = partial(
        load_views,
        spec=model.meta.input,
        num_clips=config.num_clips,
        num_crops=config.num_crops,
    )
    return views.predict(
        fast, table, load, 8, desc=path.stem, context=partial(machine.autocast, precision or "fp32")
    )


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="*", type=Path, help="files; those of the run otherwise")
    parser.add_argument("--write", action="store_true", help="keep the result in the repository")
    arguments = parser.parse_args()
    paths = arguments.models or [
        *sorted(Path("models").glob("*.ckpt")),
        *sorted(Path("models/finetune").glob("*.ckpt")),
    ]
    table = clips.read("data/splits/test.csv")
    rows, agreements, differences = [], [], []
    for path in paths:
        exact, found = (probabilities(path, table, kind) for kind in (None, "bf16"))
        same = float((exact.argmax(axis=1) == found.argmax(axis=1)).mean())
        apart = np.abs(exact - found).max(axis=1)
        rows.append(
            [
                str(path),
                f"{same:.2%}",
                f"{np.median(apart):.4f}",
                f"{np.quantile(apart, 0.99):.4f}",
                f"{apart.max():.4f}",
            ]
        )
        agreements.append(same)
        differences.append(float(np.quantile(apart, 0.99)))
    header = ["model", "same top-1", "largest difference, median clip", "99 % of clips", "all"]
    parts = [
        f"{len(table)} test clips:",
        record.table(header, rows),
        record.claim("same top-1, of the worst model", min(agreements), least=0.99),
        record.claim("probabilities on 99 % of clips, worst model", max(differences), most=0.01),
    ]
    record.show("bf16", "bfloat16 beside float32", parts, ["torch"], arguments.write)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
