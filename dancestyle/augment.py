"""Offline augmentation of training clips: mirrored, upside down, other colours, noise.

As in the study, the changed copies are files of their own beside the originals. A copy keeps its
source's label and ``video_id``, and is called ``<clip_id>__<method>``.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dancestyle import clipmap, seeds
from dancestyle.clips import Clip
from dancestyle.params import Augment
from dancestyle.video import errors, reader, writer

_GREY = np.array([0.299, 0.587, 0.114], np.float32)
"""Luma of R, G, B, ITU-R BT.601."""


class AugmentError(ValueError):
    """No clip could be augmented although there are some; the message says why."""


def hflip(frames: np.ndarray, rng: np.random.Generator, config: Augment) -> np.ndarray:
    """Left and right exchanged. ``frames`` and result: uint8 (T, H, W, 3) RGB, as below."""
    return frames[:, :, ::-1]


def vflip(frames: np.ndarray, rng: np.random.Generator, config: Augment) -> np.ndarray:
    """Upside down."""
    return frames[:, ::-1]


def colour(frames: np.ndarray, rng: np.random.Generator, config: Augment) -> np.ndarray:
    """Brightness and saturation multiplied by one factor each, the same for the whole clip.

    The factors are uniform in ``1 - b`` to ``1 + b``; a saturation of 0 is grey.
    """
    brightness = 1 + rng.uniform(-config.brightness, config.brightness)
    saturation = 1 + rng.uniform(-config.saturation, config.saturation)
    out = np.empty_like(frames)
    for index, frame in enumerate(frames):  # one at a time: float32 takes four times the memory
        grey = (frame @ _GREY)[..., None]
        out[index] = _to_bytes((grey + (frame - grey) * saturation) * brightness)
    return out


def noise(frames: np.ndarray, rng: np.random.Generator, config: Augment) -> np.ndarray:
    """Normal noise, independent for each value, with a deviation of ``noise_sigma`` grey levels."""
    out = np.empty_like(frames)
    for index, frame in enumerate(frames):
        grain = rng.standard_normal(frame.shape, dtype=np.float32) * config.noise_sigma
        out[index] = _to_bytes(frame + grain)
    return out


def _to_bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


METHODS: dict[str, Callable[[np.ndarray, np.random.Generator, Augment], np.ndarray]] = {
    "hflip": hflip,
    "vflip": vflip,
    "colour": colour,
    "noise": noise,
}


def chosen(clips: Sequence[Clip], config: Augment) -> list[tuple[Clip, str]]:
    """Which clips are copied by which method: for each method, ``share`` of them.

    Each clip is drawn by a hash of the seed, the method and its id, so that the choice for one does
    not depend on the others: a dataset that grows keeps its copies. The share is met on average.
    """
    return [
        (clip, method)
        for clip in sorted(clips, key=lambda clip: clip.clip_id)
        for method in sorted(set(config.methods))
        if seeds.derive(config.seed, "augment", method, clip.clip_id) / 2**63 < config.share
    ]


def augment_clip(
    item: clipmap.Item, path: Path, *, config: dict[str, Any], fps: float, crf: int, gop: int
) -> dict[str, Any]:
    """Write one changed copy, in the format of the dataset; the work of the clip map."""
    settings = Augment.model_validate(config)
    method = item.args["method"]
    with reader.ClipReader(item.inputs[0]) as source:
        frames = source.read(range(source.frames))
    rng = seeds.rng(settings.seed, method, item.args["clip_id"])
    changed = METHODS[method](frames, rng, settings)
    count = writer.write_clip(path, changed, fps=fps, crf=crf, gop=gop)
    return {"frames": count, "width": changed.shape[2], "height": changed.shape[1]}


def augment(
    clips: Sequence[Clip],
    config: Augment,
    out_dir: Path | str,
    *,
    crf: int,
    gop: int,
    workers: int = 0,
    cluster: str | None = None,
) -> tuple[list[Clip], dict[str, str]]:
    """Make the changed copies in ``out_dir``.

    Returns:
        Their rows, sorted by ``clip_id``, and the hexadecimal SHA-256 of each, by its path.

    Raises:
        AugmentError: a copy could not be made.
    """
    wanted = chosen(clips, config)
    rows = {
        f"{clip.clip_id}__{method}": replace(
            clip,
            clip_id=f"{clip.clip_id}__{method}",
            path=(Path(out_dir) / f"{clip.clip_id}__{method}.mp4").as_posix(),
        )
        for clip, method in wanted
    }
    items = [
        clipmap.Item(name, (clip.path,), {"method": method, "clip_id": clip.clip_id})
        for name, (clip, method) in zip(rows, wanted, strict=True)
    ]
    # The choice is not part of how a copy looks: changing the share keeps the copies there are.
    looks = config.model_dump() | {"share": 1.0, "methods": []}
    options: dict[str, Any] = {
        "config": looks,
        "fps": clips[0].fps if clips else 25.0,
        "crf": crf,
        "gop": gop,
    }
    report = clipmap.run(
        items,
        functools.partial(augment_clip, **options),
        name="augment",
        out_dir=out_dir,
        suffix=".mp4",
        params=options,
        version=clipmap.code_version(sys.modules[__name__], seeds, errors, reader, writer),
        workers=workers,
        cluster=cluster,
    )
    if report.failed:
        name, reason = next(iter(report.failed.items()))
        raise AugmentError(
            f"{len(report.failed)} of {len(items)} copies could not be made, first {name}: "
            f"{reason}; run build_dataset again if its clips were changed"
        )
    made = [rows[name] for name in sorted(report.done)]
    return made, {row.path: report.digests[row.clip_id] for row in made}
