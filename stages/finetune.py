"""Fine-tune a general-action net: ``python -m stages.finetune RUN``, a key of ``finetune.runs``.

Writes ``models/finetune/RUN.ckpt``, ``metrics/finetune_RUN.json`` and ``plots/finetune/RUN.csv``.
"""

from __future__ import annotations

from pathlib import Path

from dancestyle import clips, labels, params, stage
from dancestyle.training import finetuning, parallel, streams
from dancestyle.training.tasks import write_record

KEY = "params.yaml: finetune.runs has"


def main(name: str) -> None:
    config: params.Finetune = params.load("finetune")
    size, settings = params.load("input").for_resnets, params.load("machine")
    run = config.runs[name]
    parallel.spread(settings, "stages.finetune", name)
    train = clips.read(f"data/splits/{run.train_split}.csv")
    result = finetuning.finetune(
        name,
        run,
        train,
        labels.read("data/dataset/labels.txt"),
        f"models/pretrained/{run.net}.ckpt",
        streams.read_best("models/tune/best.yaml"),
        config,
        size,
        settings,
        f"models/finetune/{name}.ckpt",
    )
    write_record(
        result,
        Path(f"metrics/finetune_{name}.json"),
        Path(f"plots/finetune/{name}.csv"),
        net=run.net,
        subset=run.subset,
        schedule=run.schedule,
        clips=len(train),
    )


if __name__ == "__main__":
    stage.run_one("finetune", main, lambda: params.load("finetune").runs, KEY)
