"""The flow of every clip: computed for the dataset, derived for augmented copies.

A copy's flow follows from its source's and is not computed again. A mirrored copy's is the mirrored
flow with one component negated; a copy with other colours or added noise moves as its source does,
so its flow is the source's. ``docs/flow.md`` says how near that is to computing it.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from dancestyle import clipmap, params
from dancestyle.clipmap import Item, Report
from dancestyle.clips import Clip
from dancestyle.flow import methods, store
from dancestyle.flow.methods import FlowError
from dancestyle.video import errors, reader
from dancestyle.video.reader import ClipReader, even_size, resize

MIRRORED = ("hflip", "vflip")
SAME_MOTION = ("colour", "noise")


def build(
    clips: Sequence[Clip],
    copies: Sequence[Clip],
    config: params.Flow,
    out_dir: Path | str,
    workers: int = 0,
    cluster: str | None = None,
) -> tuple[Report, Report]:
    """Write ``<out_dir>/<clip_id>.mkv`` for clips and their augmented copies.

    Args:
        clips: of the dataset.
        copies: augmented ones, named ``<clip_id>__<method>``.

    Returns:
        The reports of the clips and of the copies. Facts of a clip: ``fields``, ``vectors``,
        ``truncated`` (vectors with a component beyond the bound), ``magnitude`` (their mean length
        in pixels); of a copy: ``fields``.

    Raises:
        FlowError: the method or its options are wrong, or a copy has no known source.
    """
    methods.create(config.method, **config.options)  # wrong options stop here, before any work
    config = config.model_copy(update={"bound": float(config.bound)})
    out = Path(out_dir)
    modules = (sys.modules[__name__], methods, store, reader, errors)
    shared = _Shared(out, clipmap.code_version(*modules), workers, cluster)
    derived = [_derived(copy, {clip.clip_id for clip in clips}, out) for copy in copies]
    libraries = methods.libraries(config.method)
    computed = shared.run(
        [Item(clip.clip_id, (clip.path,), libraries=libraries) for clip in clips],
        functools.partial(
            compute,
            method=config.method,
            options=json.dumps(config.options, sort_keys=True),
            short_side=config.short_side,
            bound=config.bound,
            codec=config.codec,
        ),
        "flow",
        config.model_dump() | {"weights": _weights(config.options)},
        [copy.clip_id for copy in copies],
    )
    report = shared.run(derived, derive, "flow_copies", {}, [clip.clip_id for clip in clips])
    return computed, report


class _Shared:
    """What both maps have in common."""

    def __init__(self, out: Path, version: str, workers: int, cluster: str | None) -> None:
        self.out, self.version, self.workers, self.cluster = out, version, workers, cluster

    def run(
        self,
        items: Sequence[Item],
        work: clipmap.Work,
        name: str,
        settings: Mapping[str, Any],
        keep: Sequence[str],
    ) -> Report:
        return clipmap.run(
            items,
            work,
            name=name,
            out_dir=self.out,
            suffix=store.SUFFIX,
            params=settings,
            version=self.version,
            workers=self.workers,
            cluster=self.cluster,
            keep=keep,
        )


def compute(
    item: Item,
    path: Path,
    *,
    method: str,
    options: str,
    short_side: int | None,
    bound: float,
    codec: store.Codec,
) -> dict[str, Any]:
    """The flow of a clip; options as JSON text."""
    compute_pair = _method(method, options)
    count, truncated, length = 0, 0, 0.0
    with ClipReader(item.inputs[0]) as clip:
        size = even_size(clip.height, clip.width, short_side) if short_side else None
        frames = clip.read(range(clip.frames))
    if size is not None:
        frames = np.stack([resize(frame, size) for frame in frames])

    def fields() -> Iterator[np.ndarray]:
        nonlocal count, truncated, length
        for first, second in itertools.pairwise(frames):
            field = compute_pair(first, second)
            count += field.shape[0] * field.shape[1]
            u, v = np.abs(field[..., 0]), np.abs(field[..., 1])
            truncated += int((np.maximum(u, v) > bound).sum())
            length += float(np.linalg.norm(field, axis=-1).sum(dtype=np.float64))
            yield field

    written = store.write(path, fields(), bound, codec)
    return {
        "fields": written,
        "vectors": count,
        "truncated": truncated,
        "magnitude": round(length / count, 6),
    }


def derive(item: Item, path: Path) -> dict[str, Any]:
    """The flow of an augmented copy, from that of its source."""
    source, how = item.inputs[0], item.args["how"]
    if how in MIRRORED:
        return {"fields": store.mirror(source, path, cast(store.Mirror, how))}
    with store.FlowReader(source) as flow:
        fields = flow.fields
    shutil.copyfile(source, path)
    return {"fields": fields}


@functools.cache
def _method(name: str, options: str) -> methods.Method:
    """Made once a process: RAFT has weights to load."""
    return methods.create(name, **json.loads(options))


def _derived(copy: Clip, sources: set[str], out: Path) -> Item:
    source, _, how = copy.clip_id.rpartition("__")
    if source not in sources or how not in MIRRORED + SAME_MOTION:
        raise FlowError(
            f"{copy.clip_id}: no flow for this copy; its name should be that of a clip of the "
            f"dataset and one of {', '.join(MIRRORED + SAME_MOTION)}, joined by '__'; if the "
            "dataset has changed, run augment again"
        )
    return Item(copy.clip_id, (str(store.path_of(source, out)),), {"how": how})


def _weights(options: Mapping[str, Any]) -> str:
    """A digest of the weights that RAFT is given, so that other weights make other flow."""
    weights = options.get("weights")
    if not weights or not Path(weights).is_file():
        return str(weights)
    return hashlib.sha256(Path(weights).read_bytes()).hexdigest()


def digests(reports: Iterable[Report], out_dir: Path | str) -> dict[str, str]:
    """Hexadecimal SHA-256 of the files that were written, by their paths."""
    return {
        store.path_of(clip_id, out_dir).as_posix(): digest
        for report in reports
        for clip_id, digest in report.digests.items()
    }


def metrics(
    clips: Sequence[Clip], config: params.Flow, computed: Report, derived: Report
) -> dict[str, Any]:
    """Facts of the flow: how much there is, how strong, and how much was cut off."""
    facts = computed.done
    vectors = sum(fact["vectors"] for fact in facts.values())
    truncated = sum(fact["truncated"] for fact in facts.values())
    by_label: dict[str, list[float]] = {}
    for clip in sorted(clips, key=lambda clip: clip.clip_id):
        if clip.clip_id in facts:
            by_label.setdefault(clip.label, []).append(facts[clip.clip_id]["magnitude"])
    every = [value for values in by_label.values() for value in values]
    return {
        "method": config.method,
        "bound": config.bound,
        "clips": len(facts),
        "copies": len(derived.done),
        "fields": sum(f["fields"] for f in [*facts.values(), *derived.done.values()]),
        "mean_magnitude": _mean(every),
        "truncated_share": round(truncated / vectors, 6) if vectors else 0.0,
        "failed": len(computed.failed) + len(derived.failed),
        "mean_magnitude_by_style": {label: _mean(by_label[label]) for label in sorted(by_label)},
    }


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4) if values else 0.0
