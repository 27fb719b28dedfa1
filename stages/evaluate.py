"""Score every model on the common test split: ``python -m stages.evaluate``.

Reads the models, ``data/splits/*.csv`` and what clips and flow are stored; writes one table a
model to ``data/predictions/``, their scores to ``metrics/evaluate.json``, and intervals, scores by
label and paired tests to ``metrics/evaluate_details.json``.
"""

from __future__ import annotations

from pathlib import Path

from dancestyle import clips, params, stage
from dancestyle.evaluation import baselines, fusion, models, names, predictions, scoring
from dancestyle.evaluation.predictions import Predictions
from dancestyle.files import write_json
from dancestyle.labels import read as read_labels

SPLITS = Path("data/splits")
PREDICTIONS = Path("data/predictions")
PRETRAINED = Path("models/pretrained")
FINETUNED = Path("models/finetune")
STORE = Path(".cache/predictions")


def main() -> None:
    config: params.Evaluate = params.load("evaluate")
    runs = params.load("finetune").runs
    how = models.Views.of(config, params.load("machine").precision, store=STORE)
    labels = read_labels("data/dataset/labels.txt")
    train, val, test = (clips.read(SPLITS / f"{name}.csv") for name in ("train", "val", "test"))

    weights: dict[str, list[float]] = {}
    trained: list[clips.Clip] = []  # by the fine-tuned models: they may see validation clips

    def fused(name: str, members: list[str]) -> Predictions:
        """The members' tables joined; fitted weights come from validation clips new to them all."""
        fresh = models.unseen(val, trained)
        if config.fit_weights and fresh:
            validation = [models.predict(paths[one], fresh, labels, how) for one in members]
            weights[name] = fusion.fit_weights(validation, config.fusion)
        return fusion.fuse([tables[one] for one in members], weights.get(name), config.fusion)

    tables: dict[str, Predictions] = {}
    paths = {stream: Path(f"models/{stream}.ckpt") for stream in names.STREAMS}
    for stream, path in paths.items():
        tables[stream] = models.predict(path, test, labels, how)
    tables[names.TWO_STREAM] = fused(names.TWO_STREAM, list(names.STREAMS))

    # A subset's test part is a part of the test split, so each net sees each test clip once.
    subsets: dict[str, Predictions] = {}
    parents: dict[str, str] = {}
    for run, setting in runs.items():
        name = names.FINETUNED + run
        paths[name] = FINETUNED / f"{run}.ckpt"
        own = clips.read(SPLITS / f"{setting.test_split}.csv")
        tables[name] = models.predict(paths[name], test, labels, how)
        subsets[name] = predictions.select(tables[name], [clip.clip_id for clip in own])
        trained += clips.read(SPLITS / f"{setting.subset}_train.csv")
        parents[name] = names.GENERAL + setting.net
    members = list(subsets) if config.ensemble is None else config.ensemble
    unknown = [one for one in members if one not in paths]
    if unknown:
        raise params.ParamsError(
            f"params.yaml: evaluate.ensemble: no model '{unknown[0]}'; there are: {', '.join(paths)}"
        )
    if members:
        tables[names.ENSEMBLE] = fused(names.ENSEMBLE, members)

    general: dict[str, str] = {}  # how each of them is read
    for net in sorted({setting.net for setting in runs.values()}):
        name = names.GENERAL + net
        tables[name], general[name] = models.predict_general(
            PRETRAINED / f"{net}.ckpt", test, train, labels, how
        )
    for name in baselines.FEATURES:
        tables[name] = baselines.predict(name, train, test, labels)

    for name, one in tables.items():
        predictions.write(PREDICTIONS / f"{name}.csv", one)
    for name, one in subsets.items():
        predictions.write(PREDICTIONS / "subsets" / f"{name}.csv", one)
    write_json("metrics/evaluate.json", scoring.summary(tables, subsets))
    write_json(
        "metrics/evaluate_details.json",
        scoring.details(
            tables,
            subsets,
            parents,
            resamples=config.bootstrap,
            seed=config.seed,
            facts={
                "fusion": config.fusion,
                "weights": weights or "equal",
                "ensemble": members,
                "general": general,
                "test_clips_of_training_videos": sum(
                    clip.video_id in {other.video_id for other in train} for clip in test
                ),
            },
        ),
    )
    for name in names.in_order(tables):
        print(f"{name:28} top-1 {tables[name].correct.mean():.4f}")


if __name__ == "__main__":
    stage.run("evaluate", main)
