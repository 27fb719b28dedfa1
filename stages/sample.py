"""Film the procedural dancers, laid out like the real datasets: ``python -m stages.sample``.

Writes ``data/sample/{kinetics700,lets_dance,kinetics400,stills}``.
"""

from __future__ import annotations

from pathlib import Path

from dancestyle import params, stage
from dancestyle.sample.world import make_world


def main() -> None:
    sample: params.Sample = params.load("sample")
    machine: params.Machine = params.load("machine")
    make_world(Path("data/sample"), sample, machine)


if __name__ == "__main__":
    stage.run("sample", main)
