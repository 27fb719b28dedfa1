"""A small training for the tests that start it as a program: ``python toy_run.py OUT [KEY=VALUE ...]``.

Writes the final weights and the history to OUT, and beside it the number of every validation clip that
this process has scored. With ``kill=N`` it kills itself without warning in the middle of epoch N
(from 1), once; with ``late=1`` once more (or once), when it is trained and nothing is written.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from dancestyle.nets.base import NativeInput, VideoNet
from dancestyle.seeds import rng
from dancestyle.training import parallel
from dancestyle.training.checkpoints import to_bytes
from dancestyle.training.data import train_loader, view_loader
from dancestyle.training.fit import fit
from dancestyle.training.module import Classifier
from dancestyle.training.recipe import Recipe

VALIDATION = 9  # clips: neither process has the same number of batches as the other


class Clips(Dataset):
    def __init__(self, length: int, note: Path | None = None, kill: int = 0) -> None:
        self.length, self.note, self.kill, self.read = length, note, kill, 0

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, int]:
        index = key[1] if isinstance(key, tuple) else key
        if self.note is not None:
            with self.note.open("a", encoding="utf-8") as file:
                file.write(f"{index}\n")
        if isinstance(key, tuple) and key[0] + 1 == self.kill:
            self.read += 1
            if self.read == self.length // 2:
                os.killpg(0, signal.SIGKILL)
        noise = rng(0, key).normal(size=(3, 2, 4, 4)).astype("float32")
        return torch.from_numpy(noise) + index % 3, index % 3


class Net(VideoNet):
    native = NativeInput(2, 1, 4)
    stages = (("low", ("low",)), ("high", ("high",)))
    feature_size = 8

    def __init__(self, norm: bool, dropout: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.low = nn.Sequential(nn.Conv3d(3, 8, 1), nn.BatchNorm3d(8) if norm else nn.ReLU())
        self.high = nn.Conv3d(8, 8, 2)
        self._set_head(3, dropout)

    def features(self, x: Tensor) -> Tensor:
        return self.high(self.low(x).relu()).relu().mean(dim=(2, 3, 4))


def main(out: Path, options: dict[str, str]) -> None:
    recipe = Recipe(
        seed=1,
        epochs=int(options.get("epochs", 3)),
        batch_size=4,
        lr=0.01,
        precision="fp32",
        ema=float(options["ema"]) if "ema" in options else None,
        unfreeze=((1, "low"), (3, "none")) if "unfreeze" in options else (),
    )
    net = Net(norm="norm" in options, dropout=float(options.get("dropout", 0)))
    if "unfreeze" in options:
        net.freeze(("low",))
    marker = out.with_suffix(".killed")
    kill = 0 if marker.exists() else int(options.get("kill", 0))
    if kill:
        marker.touch()
    note = out.with_suffix(f".scored{parallel.rank()}")
    result = fit(
        Classifier(net, 3, recipe),
        train_loader(Clips(24, kill=kill), 1, 4, workers=0),
        view_loader(Clips(VALIDATION, note), 4, workers=0),
        recipe,
        "toy",
        work_dir=Path(".cache/fit"),
        log_dir=out.parent / "logs",
        dvclive=False,
    )
    late = out.with_suffix(".late")
    if "late" in options and not late.exists():
        late.touch()
        os.killpg(0, signal.SIGKILL)
    if parallel.is_main():
        out.write_bytes(to_bytes(net.state_dict()))
        out.with_suffix(".json").write_text(json.dumps(result.history), encoding="utf-8")
    result.finish()


if __name__ == "__main__":
    main(Path(sys.argv[1]), dict(item.split("=") for item in sys.argv[2:]))
