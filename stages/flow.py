"""Compute the optical flow of every clip: ``python -m stages.flow``.

Reads ``data/dataset/clips.csv`` and ``data/augmented/clips.csv``; writes
``data/flow/<clip_id>.mkv``, ``metrics/flow.json`` and ``plots/flow/contact_sheet.jpg``.
"""

from __future__ import annotations

from pathlib import Path

from dancestyle import clips, files, params, stage
from dancestyle.flow import build, picture

OUT = Path("data/flow")


def main() -> None:
    config: params.Flow = params.load("flow")
    machine: params.Machine = params.load("machine")
    table = clips.read("data/dataset/clips.csv")
    copies = clips.read("data/augmented/clips.csv")
    computed, derived = build.build(table, copies, config, OUT, machine.workers, machine.cluster)
    failed = {**computed.failed, **derived.failed}
    if failed:
        name, reason = next(iter(failed.items()))
        raise build.FlowError(
            f"{len(failed)} clips have no flow, the first is {name}: {reason}; run it again, what is "
            "done is kept (logs/flow.log)"
        )
    facts = build.metrics(table, config, computed, derived)
    files.write_json("metrics/flow.json", facts)
    sheet = picture.contact_sheet([clip for clip in table if clip.clip_id in computed.done], OUT)
    files.write_bytes("plots/flow/contact_sheet.jpg", picture.jpeg(sheet))
    print(f"{facts['fields']} fields, {facts['mean_magnitude']:.2f} pixels long on average")


if __name__ == "__main__":
    stage.run("flow", main)
