"""Normalise the general-action clips that pretraining sees: ``python -m stages.actions``.

Writes ``data/actions/clips/``, ``clips.csv`` and ``rejected.csv``; both tables are empty where
``actions.source`` is null because published weights are used.
"""

from __future__ import annotations

from pathlib import Path

from dancestyle import actions, clips, params, stage

OUT = Path("data/actions")


def main() -> None:
    config: params.Actions = params.load("actions")
    machine: params.Machine = params.load("machine")
    rows: list[clips.Clip] = []
    rejected: list[clips.Rejected] = []
    if config.source is not None:
        rows, rejected = actions.build(
            config.source,
            params.load("build_dataset"),
            OUT,
            workers=machine.workers,
            cluster=machine.cluster,
        )
    clips.write(OUT / "clips.csv", rows)
    clips.write_rejected(OUT / "rejected.csv", rejected)
    print(
        f"{len(rows)} clips of {len({row.label for row in rows})} actions, {len(rejected)} rejected"
    )


if __name__ == "__main__":
    stage.run("actions", main)
