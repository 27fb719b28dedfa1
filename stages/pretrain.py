"""Give one net the weights that training starts from: ``python -m stages.pretrain NET``.

NET is a key of ``pretrain.nets``: ``inception_2d``, ``resnet_2d``, ``r50``, ``r50_nl`` or any name of
``dancestyle.nets.names()``. The published file that is named there is converted; where there is none,
the net is trained, on the sample's stills or on general actions. Writes ``models/pretrained/NET.ckpt``,
``metrics/pretrain_NET.json`` and ``plots/pretrain/NET.csv``.
"""

from __future__ import annotations

from pathlib import Path

from dancestyle import clips, params, stage
from dancestyle.labels import labels_of
from dancestyle.training import parallel, pretraining
from dancestyle.training.tasks import write_record

OUT = Path("models/pretrained")
KEY = "params.yaml: pretrain.nets has"


def main(name: str) -> None:
    config: params.Pretrain = params.load("pretrain")
    size, settings = params.load("input"), params.load("machine")
    if pretraining.is_resnet(name):
        size = size.for_resnets
    out = OUT / f"{name}.ckpt"
    metrics, plots = Path(f"metrics/pretrain_{name}.json"), Path(f"plots/pretrain/{name}.csv")
    entry = config.nets[name]
    if entry.weights is not None:
        pretraining.convert(name, entry.weights, size, out, metrics, plots, config.inflation)
        return
    parallel.spread(settings, "stages.pretrain", name)
    if name in pretraining.KINDS_2D:
        result = pretraining.train_2d(name, config, size, settings, out)
        write_record(result, metrics, plots, weights="trained on rendered stills")
        return
    actions = clips.read(Path(entry.data) / "clips.csv")
    result = pretraining.train_actions(
        name,
        actions,
        labels_of(actions),
        Path(entry.start),
        config,
        size,
        settings,
        out,
    )
    write_record(result, metrics, plots, weights="trained on general actions", clips=len(actions))


if __name__ == "__main__":
    stage.run_one("pretrain", main, lambda: params.load("pretrain").nets, KEY)
