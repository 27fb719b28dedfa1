"""What the other stages write, made up, for tests of the report."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from made_up import table_of

from dancestyle import files
from dancestyle.evaluation import confusions, figures, scoring
from dancestyle.labels import STYLES

SKILLS = {
    "i3d_rgb": 3.0, "i3d_flow": 3.2, "two_stream": 4.5, "finetune_r50_scheduled": 2.6,
    "finetune_r50_nl_scheduled": 2.4, "finetune_r50_nl_optimal": 2.2, "ensemble": 3.4,
    "baseline_r50": 1.2, "baseline_r50_nl": 1.3, "colour_histogram": 0.2, "single_frame": 0.4,
}  # fmt: skip
PARENTS = {"finetune_r50_scheduled": "baseline_r50", "finetune_r50_nl_optimal": "baseline_r50_nl"}


def _epochs(path: Path, epochs: int, floor: float) -> None:
    rows = [
        f"{n},{floor + 2.5 / n:.4f},{floor + 0.3 + 2.3 / n:.4f},{1 - 1 / (n + 1):.4f},0.9,0.001"
        for n in range(1, epochs + 1)
    ]
    files.write_text(
        path, "\n".join(["epoch,train_loss,val_loss,val_top1,val_top5,lr", *rows]) + "\n"
    )


def write(
    root: Path, labels: list[str] | None = None, resamples: int = 50, clips_per_label: int = 10
) -> None:
    """Fill ``metrics/`` and ``plots/`` below ``root`` as a whole run does."""
    names = labels or list(STYLES)
    clips = clips_per_label * len(names)
    tables = {
        model: table_of(clips, len(names), seed, skill, names)
        for seed, (model, skill) in enumerate(SKILLS.items())
    }
    subsets = {
        model: table_of(40, len(names), 50 + n, 2.5, names)
        for n, model in enumerate(m for m in SKILLS if m.startswith("finetune_"))
    }
    metrics, plots = root / "metrics", root / "plots"
    files.write_json(metrics / "evaluate.json", scoring.summary(tables, subsets))
    files.write_json(
        metrics / "evaluate_details.json",
        scoring.details(
            tables, subsets, PARENTS, resamples=resamples, seed=1, facts={"weights": "equal"}
        ),
    )
    two_stream = tables["two_stream"]
    counts = confusions.matrix(two_stream)
    for name, values, shares in (
        ("confusion_matrix", counts, False),
        ("confusion_matrix_normalised", confusions.normalised(counts), True),
    ):
        drawn = figures.confusion_matrix(values, names, "two_stream", shares=shares)
        files.write_bytes(plots / f"{name}.svg", figures.svg(drawn))
        files.write_bytes(plots / f"{name}.png", figures.png(drawn))
    files.write_json(
        metrics / "confusions.json",
        {
            "model": "two_stream",
            "clips": clips,
            "wrong": int((~two_stream.correct).sum()),
            "pairs": confusions.most_confused(two_stream, 10),
            "claims": confusions.claims(two_stream),
            "hardest": confusions.hardest(two_stream, 10),
        },
    )
    per_label = {
        label: {"kinetics700": 28, "lets_dance": 3 * (n % 3 == 0), "all": 28 + 3 * (n % 3 == 0)}
        for n, label in enumerate(names)
    }
    files.write_json(
        metrics / "dataset.json",
        {
            "clips": sum(row["all"] for row in per_label.values()),
            "videos": 320,
            "clips_per_label": per_label,
            "sources": {"kinetics700": {}, "lets_dance": {}},
            "rejected": {
                "kinetics700": {"no video stream": 1, "file not found": 2},
                "lets_dance": {"no style for class rumba": 3, "a | pipe & <b>markup</b>": 1},
            },
        },
    )
    parts = [
        "train",
        "val",
        "test",
        "subset1_train",
        "subset1_test",
        "subset2_train",
        "subset2_test",
    ]
    files.write_json(
        metrics / "split.json",
        {
            "clips": {name: 100 + n for n, name in enumerate(parts)},
            "videos": {name: 60 + n for n, name in enumerate(parts)},
            "share": {"train": 0.56, "val": 0.12, "test": 0.32},
            "leaking_videos": 0,
        },
    )
    trials = [
        {"lr": 3.1e-4, "dropout": 0.31, "optimiser": "adamw", "val_top1": 0.31},
        {"lr": 2.2e-3, "dropout": 0.55, "optimiser": "sgd", "val_top1": 0.18},
        {"lr": 6.0e-5, "dropout": 0.44, "optimiser": "adamw", "val_top1": 0.22},
    ]
    files.write_json(
        metrics / "tune.json",
        {"best_trial": 0, "best_val_top1": 0.31, **trials[0], "trials": trials},
    )
    rows = [
        f"{n},{epoch},0.0003,0.31,adamw,{3 - 0.1 * epoch:.4f},{2.9 - 0.1 * epoch:.4f},{epoch / 10}"
        for n in range(3)
        for epoch in (1, 2)
    ]
    header = "trial,epoch,lr,dropout,optimiser,train_loss,val_loss,val_top1"
    files.write_text(plots / "tune" / "trials.csv", "\n".join([header, *rows]) + "\n")
    best = {"epochs": 8, "best_epoch": 7, "val_loss": 0.9, "val_top1": 0.75}
    for name in ("inception_2d", "r50", "r50_nl", "resnet_2d"):
        files.write_json(metrics / f"pretrain_{name}.json", {"weights": "trained", **best})
    for stream in ("rgb", "flow"):
        files.write_json(metrics / f"train_{stream}.json", best)
        _epochs(plots / "train" / f"{stream}.csv", 8, 0.4)
    for run in ("r50_scheduled", "r50_nl_scheduled", "r50_nl_optimal"):
        about = {"net": run.rsplit("_", 1)[0], "subset": "subset1", "schedule": "scheduled"}
        files.write_json(metrics / f"finetune_{run}.json", {**about, **best})
        _epochs(plots / "finetune" / f"{run}.csv", 8, 0.8)
    rng = np.random.default_rng(0)
    for where in ("dataset", "flow"):
        sheet = cv2.resize(rng.integers(0, 255, (20, 25, 3), dtype=np.uint8), (800, 560))
        _, content = cv2.imencode(".jpg", sheet)
        files.write_bytes(plots / where / "contact_sheet.jpg", content.tobytes())
