"""Give one net the weights that training starts from: ``python -m stages.pretrain NET``.

NET is ``inception_2d``, ``resnet_2d``, ``r50``, ``r50_nl`` or any name of ``dancestyle.nets.names()``.
A published file that ``pretrain.checkpoints`` names is converted; otherwise the net is trained on the
sample's stills or general actions. Writes ``models/pretrained/NET.ckpt``,
``metrics/pretrain_NET.json`` and ``plots/pretrain/NET.csv``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dancestyle import clips, params, stage
from dancestyle.labels import labels_of
from dancestyle.training import parallel, pretraining
from dancestyle.training.tasks import write_record

OUT = Path("models/pretrained")
ACTIONS = Path("data/actions/clips.csv")


def main(name: str) -> None:
    config: params.Pretrain = params.load("pretrain")
    size, settings = params.load("input"), params.load("machine")
    if name != "inception_2d":
        size = size.for_resnets
    out = OUT / f"{name}.ckpt"
    metrics, plots = Path(f"metrics/pretrain_{name}.json"), Path(f"plots/pretrain/{name}.csv")
    published = config.checkpoints.get(name)
    if published is not None:
        pretraining.convert(name, published, size, out, metrics, plots)
        return
    parallel.spread(settings, "stages.pretrain", name)
    if name in pretraining.KINDS_2D:
        result = pretraining.train_2d(name, config, size, settings, out)
        write_record(result, metrics, plots, weights="trained on rendered stills")
        return
    actions = clips.read(ACTIONS)
    result = pretraining.train_actions(
        name,
        actions,
        labels_of(actions),
        OUT / ("r50.ckpt" if name == "r50_nl" else "resnet_2d.ckpt"),
        config,
        size,
        settings,
        out,
    )
    write_record(result, metrics, plots, weights="trained on general actions", clips=len(actions))


if __name__ == "__main__":
    stage.run(f"pretrain@{sys.argv[1]}", lambda: main(sys.argv[1]))
