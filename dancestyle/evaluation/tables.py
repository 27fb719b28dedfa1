"""The report's tables, made from the content of ``metrics/*.json`` and ``plots/*.csv``.

Numbers of the study stand beside ours only where they are known; a blank is an unknown number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dancestyle.evaluation.names import FINETUNED, STREAMS, model_name, spaced

Json = Mapping[str, Any]
Rows = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Bar:
    """A cell that is a bar: ``share`` of the widest one, 0 to 1."""

    share: float


Cell = str | Bar


@dataclass(frozen=True)
class Table:
    """A table: the first column is text, the others are numbers unless named in ``text``."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    text: tuple[str, ...] = ()

    def is_text(self, column: int) -> bool:
        """Whether a column is read as words (left) rather than as a number (right)."""
        return column == 0 or self.columns[column] in self.text


STUDY_SPLIT = {"train": "90 %", "val": "5 %", "test": "5 %"}
STUDY_SUBSETS = {
    "subset1_train": "93 % of 1500",
    "subset1_test": "7 % of 1500",
    "subset2_train": "90 % of 525",
    "subset2_test": "10 % of 525",
}
STUDY_BEST = {"lr": "7.87e-04", "dropout": "0.2966", "optimiser": "sgd", "val_top1": "15.45 %"}
STUDY_LOSSES = {1: "2.9055 / 2.8112", 10: "2.7535 / 2.6591"}
STUDY_PRETRAINED = {"r50": "73.47 %", "r50_nl": "74.80 %"}


def percent(value: float | None) -> str:
    """0.8523 as ``85.2 %``; nothing for nothing."""
    return "" if value is None else f"{100 * value:.1f} %"


def percent_range(interval: Sequence[float] | None) -> str:
    """[0.801, 0.897] as ``80.1 to 89.7``."""
    return "" if not interval else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}"


def dataset(content: Json) -> Table:
    """The study's Table 1: clips of every label and source."""
    labels: Json = content["clips_per_label"]
    sources = list(content["sources"])
    most = max((row["all"] for row in labels.values()), default=0) or 1
    rows: list[tuple[Cell, ...]] = [
        (label, *(str(row.get(source, 0)) for source in sources), str(row["all"]), "",
         Bar(row["all"] / most))
        for label, row in labels.items()
    ]  # fmt: skip
    totals = [str(sum(row.get(source, 0) for row in labels.values())) for source in sources]
    rows.append(("all", *totals, str(content["clips"]), "", ""))
    return Table(
        "Clips of each style (the study's Table 1)",
        ("style", *sources, "all", "study", "balance"),
        tuple(rows),
        f"{content['clips']} clips of {content['videos']} source videos. "
        "The study's own counts are not known here.",
        text=("balance",),
    )


def rejected(content: Json) -> Table:
    """Inputs that did not become a clip, by source and reason."""
    return Table(
        "What was left out",
        ("source", "reason", "inputs"),
        tuple(
            (source, reason, str(count))
            for source, reasons in content.get("rejected", {}).items()
            for reason, count in reasons.items()
        ),
        text=("reason",),
    )


def splits(content: Json) -> Table:
    """The parts that clips are dealt to."""
    study = {**STUDY_SPLIT, **STUDY_SUBSETS}
    return Table(
        "The parts",
        ("part", "clips", "videos", "share", "study"),
        tuple(
            (
                name.replace("_", " "),
                str(count),
                str(content["videos"][name]),
                percent(content["share"].get(name)),
                study.get(name, ""),
            )
            for name, count in content["clips"].items()
        ),
    )


def trials(content: Json) -> Table:
    """The study's Table 3: hyperparameters of every trial and the best."""
    rows = [
        (
            f"{number}{' (best)' if number == content['best_trial'] else ''}",
            f"{trial['lr']:.2e}",
            f"{trial['dropout']:.4f}",
            trial["optimiser"],
            percent(trial["val_top1"]),
        )
        for number, trial in enumerate(content["trials"])
    ]
    best = STUDY_BEST
    rows.append(("study's best", best["lr"], best["dropout"], best["optimiser"], best["val_top1"]))
    return Table(
        "Trials (the study's Table 3)",
        ("trial", "learning rate", "dropout", "optimiser", "best validation top-1"),
        tuple(rows),
        "The study ran four trials of 10 epochs; those other than the best are not known here.",
        text=("optimiser",),
    )


def best_trial_losses(content: Json, table: Rows) -> Table:
    """The study's Table 2: losses of the best trial by epoch."""
    ours = {int(row["epoch"]): row for row in table if int(row["trial"]) == content["best_trial"]}
    epochs = sorted({*ours, *STUDY_LOSSES})
    return Table(
        "Losses of the best trial (the study's Table 2)",
        ("epoch", "training", "validation", "validation top-1", "study's two losses"),
        tuple(
            (
                str(epoch),
                f"{float(ours[epoch]['train_loss']):.4f}" if epoch in ours else "",
                f"{float(ours[epoch]['val_loss']):.4f}" if epoch in ours else "",
                percent(float(ours[epoch]["val_top1"])) if epoch in ours else "",
                STUDY_LOSSES.get(epoch, ""),
            )
            for epoch in epochs
        ),
        "Of the study's ten epochs the first and the last are known here.",
    )


def records(caption: str, found: Mapping[str, Json], study: Mapping[str, str]) -> Table:
    """Best epochs of several trainings, by name."""
    columns = ("", "epochs", "best epoch", "validation loss", "validation top-1")
    rows = [
        (
            spaced(name),
            str(one.get("epochs", "")),
            str(one.get("best_epoch", "")),
            f"{one['val_loss']:.4f}" if "val_loss" in one else "",
            percent(one.get("val_top1")),
            *([study.get(name, "")] if study else []),
        )
        for name, one in found.items()
    ]
    return Table(caption, (*columns, *(["published"] if study else [])), tuple(rows))


def finetuning(found: Mapping[str, Json], scores: Json, details: Json) -> Table:
    """The fine-tuning runs, on their own subset's test part and on the common test split."""
    rows = []
    for run, one in found.items():
        model = FINETUNED + run
        score = scores.get(model, {})
        subset = score.get("subset", {})
        about = details.get("models", {}).get(model, {})
        rows.append(
            (
                spaced(run),
                str(one.get("net", "")),
                str(one.get("subset", "")),
                str(one.get("schedule", "")),
                str(one.get("epochs", "")),
                percent(subset.get("top1")),
                percent_range(about.get("subset_intervals", {}).get("top1")),
                str(subset.get("clips", "")),
                percent(score.get("top1")),
                "",
            )
        )
    return Table(
        "Fine-tuned models",
        ("run", "net", "subset", "learning rate", "epochs", "top-1 on own subset", "95 %",
         "clips", "top-1 on common test", "study"),
        tuple(rows),
        "The study's accuracies of these runs are not known here.",
        text=("net", "subset", "learning rate"),
    )  # fmt: skip


def results(scores: Json, details: Json) -> Table:
    """Every model on the common test split."""
    rows = []
    for model, score in scores.items():
        about = details.get("models", {}).get(model, {}).get("intervals", {})
        rows.append(
            (
                model_name(model),
                percent(score["top1"]),
                percent_range(about.get("top1")),
                percent(score["top5"]),
                percent(score["mean_class_accuracy"]),
                percent_range(about.get("mean_class_accuracy")),
                percent(score["macro_f1"]),
                f"{score['nll']:.3f}",
                percent(score["ece"]),
                str(score["clips"]),
                "",
            )
        )
    return Table(
        "Every model on the common test split",
        ("model", "top-1", "95 %", "top-5", "mean per class", "95 % ", "macro F1",
         "log loss", "calibration error", "clips", "study's top-1"),
        tuple(rows),
        "The study's accuracies on its test split are not known here.",
    )  # fmt: skip


def verdict(item: Json) -> str:
    """What may be said of a comparison."""
    if not item["significant"]:
        return "no difference shown"
    return "better" if item["difference"] > 0 else "worse"


def comparisons(details: Json) -> Table:
    """The paired tests."""
    return Table(
        "Paired tests on the same clips",
        ("model", "against", "difference in top-1", "95 %", "McNemar p", "so it is"),
        tuple(
            (
                model_name(item["one"]),
                model_name(item["other"]),
                f"{100 * item['difference']:+.1f}",
                percent_range(item.get("interval")),
                "< 0.0001" if item["mcnemar_p"] < 0.0001 else f"{item['mcnemar_p']:.4f}",
                verdict(item),
            )
            for item in details.get("comparisons", [])
        ),
        "Differences in percentage points. A difference is called one where p is below 0.05 and "
        "the interval, resampled by source video, leaves out 0. The p-values are not corrected "
        "for the number of tests.",
        text=("against", "so it is"),
    )


def by_label(details: Json, model: str) -> Table:
    """Precision, recall and F1 by style of one model, and the recall of its streams."""
    models = details["models"]
    others = [stream for stream in STREAMS if stream in models and stream != model]
    return Table(
        f"By style: {model_name(model)}",
        ("style", "clips", "precision", "recall", "F1",
         *(f"recall, {stream.removeprefix('i3d_')}" for stream in others)),
        tuple(
            (
                label,
                str(row["clips"]),
                percent(row["precision"]),
                percent(row["recall"]),
                percent(row["f1"]),
                *(percent(models[stream]["labels"][label]["recall"]) for stream in others),
            )
            for label, row in models[model]["labels"].items()
        ),
    )  # fmt: skip


def pairs(content: Json) -> Table:
    """The most confused pairs."""
    return Table(
        "Most confused pairs",
        ("pair", "confused", "of clips", "rate", "which way", "for example"),
        tuple(
            (
                " / ".join(item["labels"]),
                str(item["count"]),
                str(item["clips"]),
                percent(item["rate"]),
                _which_way(item),
                ", ".join(item["examples"]),
            )
            for item in content["pairs"]
        ),
        text=("which way", "for example"),
    )


def claims(content: Json) -> Table:
    """The pairs that the study names, and what came out here."""
    return Table(
        "The study's largest confusions, looked up",
        ("pair", "confused", "of clips", "rate", "which way", "rank"),
        tuple(
            (
                " / ".join(item["labels"]),
                str(item["count"]),
                str(item["clips"]),
                percent(item["rate"]),
                _which_way(item),
                f"{item['rank']} of {item['pairs']} pairs" if item["rank"] else "never confused",
            )
            for item in content["claims"]
        ),
        "The study names these pairs, and gives no numbers that are known here. "
        "Rank 1 is the pair confused most often.",
        text=("which way", "rank"),
    )


def hardest(content: Json) -> Table:
    """The clips that the model was most wrong about."""
    return Table(
        "Hardest clips",
        ("clip", "is", "taken for", "probability of what it is", "of what it was taken for"),
        tuple(
            (
                item["clip_id"],
                item["label"],
                item["predicted"],
                percent(item["probability_of_label"]),
                percent(item["probability_of_predicted"]),
            )
            for item in content["hardest"]
        ),
        text=("is", "taken for"),
    )


def _which_way(item: Json) -> str:
    return "; ".join(
        f"{way['actual']} as {way['predicted']}: {way['count']} of {way['clips']}"
        for way in item["directions"]
        if way["count"]
    )
