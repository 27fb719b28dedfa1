"""Join the sources to one dataset of normalised clips: ``python -m stages.build_dataset``.

Reads the sources that params name; writes ``data/dataset/{clips,poses}/``, the tables
``clips.csv``, ``rejected.csv`` and ``seen.csv`` and the label set ``labels.txt`` beside them, what the
clips hold (``data/content/dataset.sha256``), ``metrics/dataset.json`` and ``plots/dataset/``.
"""

from __future__ import annotations

from pathlib import Path

from dancestyle import clips, content, dataset, dataset_plots, files, labels, params, stage

OUT = Path("data/dataset")
PLOTS = Path("plots/dataset")


def main() -> None:
    config: params.BuildDataset = params.load("build_dataset")
    machine: params.Machine = params.load("machine")
    built = dataset.build(config, OUT, workers=machine.workers, cluster=machine.cluster)
    clips.write_rejected(OUT / "rejected.csv", built.rejected)
    if not built.clips:
        raise SystemExit(f"no clip could be used; {OUT / 'rejected.csv'} says why")
    clips.write(OUT / "clips.csv", built.clips)
    labels.write(OUT / "labels.txt", built.labels)
    content.write(content.FOLDER / "dataset.sha256", built.digests)
    files.write_text(OUT / "seen.csv", "\n".join(["clip_id", *built.seen]) + "\n")
    files.write_json("metrics/dataset.json", dataset.metrics(built))
    dataset_plots.write_class_balance(PLOTS / "class_balance.csv", built.clips, built.labels)
    dataset_plots.draw_class_balance(PLOTS / "class_balance.png", built.clips, built.labels)
    dataset_plots.draw_contact_sheet(PLOTS / "contact_sheet.jpg", built.clips, built.labels)
    print(
        f"{len(built.clips)} clips of {len({clip.video_id for clip in built.clips})} videos, "
        f"{len(built.rejected)} rejected (see {OUT / 'rejected.csv'})"
    )


if __name__ == "__main__":
    stage.run("build_dataset", main)
