"""Deal the clips to train, val, test and the two subsets: ``python -m stages.split``.

Reads ``data/dataset/{clips,seen}.csv`` and the label set beside them; writes a clip table for each
to ``data/splits/``, an MMAction2 annotation list beside it, what its clips hold to
``data/content/rgb/``, and ``metrics/split.json``.
"""

from __future__ import annotations

from pathlib import Path

from dancestyle import clips, content, files, labels, params, split, stage

DATASET = Path("data/dataset")
OUT = Path("data/splits")


def main() -> None:
    config: params.Split = params.load("split")
    table = clips.read(DATASET / "clips.csv")
    seen = set((DATASET / "seen.csv").read_text(encoding="utf-8").splitlines()[1:])
    names = labels.read(DATASET / "labels.txt")
    dealt = split.deal(table, config, seen)
    digests = content.read(content.FOLDER / "dataset.sha256")
    for name, part in dealt.tables.items():
        clips.write(OUT / f"{name}.csv", part)
        held = [clip.path for clip in part]
        content.write(content.FOLDER / f"rgb/{name}.sha256", digests, held)
        text = split.annotation_list(part)
        files.write_text(OUT / "annotations" / f"{name}.txt", text)
    files.write_json("metrics/split.json", split.metrics(dealt, config, names, seen))
    for warning in dealt.warnings:
        print(f"warning: {warning}")
    print(", ".join(f"{name} {len(dealt.tables[name])}" for name in split.NAMES))


if __name__ == "__main__":
    stage.run("split", main)
