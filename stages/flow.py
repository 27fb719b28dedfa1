"""Compute the optical flow of every clip: ``python -m stages.flow``.

Reads ``data/splits/{train,val,test}.csv``, which together are all of the dataset, and
``data/augmented/clips.csv``; writes ``data/flow/<clip_id>.mkv``, what these hold
(``data/content/flow/{train,val,test}.sha256``, ``data/content/flow_augmented.sha256``),
``metrics/flow.json`` and ``plots/flow/contact_sheet.jpg``.
"""

from __future__ import annotations

import itertools
from pathlib import Path

from dancestyle import clips, content, files, params, stage
from dancestyle.flow import build, picture, store

OUT = Path("data/flow")


def main() -> None:
    config: params.Flow = params.load("flow")
    machine: params.Machine = params.load("machine")
    splits = {name: clips.read(f"data/splits/{name}.csv") for name in ("train", "val", "test")}
    table = sorted(itertools.chain(*splits.values()), key=lambda clip: clip.clip_id)
    copies = clips.read("data/augmented/clips.csv")
    computed, derived = build.build(table, copies, config, OUT, machine.workers, machine.cluster)
    failed = {**computed.failed, **derived.failed}
    if failed:
        name, reason = next(iter(failed.items()))
        raise build.FlowError(
            f"{len(failed)} clips have no flow, the first is {name}: {reason}; run it again, what is "
            "done is kept (logs/flow.log)"
        )
    digests = build.digests([computed, derived], OUT)
    lists = {f"flow/{name}": part for name, part in splits.items()} | {"flow_augmented": copies}
    for name, part in lists.items():
        held = [store.path_of(clip.clip_id, OUT).as_posix() for clip in part]
        content.write(content.FOLDER / f"{name}.sha256", digests, held)
    facts = build.metrics(table, config, computed, derived)
    files.write_json("metrics/flow.json", facts)
    sheet = picture.contact_sheet([clip for clip in table if clip.clip_id in computed.done], OUT)
    files.write_bytes("plots/flow/contact_sheet.jpg", picture.jpeg(sheet))
    print(f"{facts['fields']} fields, {facts['mean_magnitude']:.2f} pixels long on average")


if __name__ == "__main__":
    stage.run("flow", main)
