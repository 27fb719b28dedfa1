"""Model files over clips: prediction tables of our nets and of the general-action nets."""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from dancestyle import clipmap, params
from dancestyle.clips import Clip
from dancestyle.evaluation import general, views
from dancestyle.evaluation.predictions import Predictions, table
from dancestyle.evaluation.views import Average
from dancestyle.files import write_bytes
from dancestyle.flow import store
from dancestyle.nets import fast
from dancestyle.training import data, machine
from dancestyle.training.checkpoints import LoadedModel, load_model
from dancestyle.training.data import FLOW_DIR, InputSpec, load_views, of_all_frames, stored_file
from dancestyle.video import reader, snippets, transforms

Array = npt.NDArray[np.float64]


_CODE = clipmap.code_version(
    sys.modules[__name__], views, machine, data, fast, store, reader, snippets, transforms
)


class ModelError(ValueError):
    """A model that does not fit the clips; the message says what to run again."""


@dataclass(frozen=True)
class Views:
    """How a clip is seen at test time.

    Attributes:
        views: ``spread`` for ``num_clips`` snippets, ``all`` for one of every stride-th frame.
        num_clips: snippets spread over a clip.
        num_crops: 1 (centre) or 3.
        average: what is averaged over the views.
        batch_size: most snippets of the length trained on that a net sees at once.
        precision: ``auto``, ``fp32`` or ``bf16``.
        flow_dir: where the flow of clips is stored.
        store: folder that keeps what a net has said, so that another metric needs no net.
    """

    views: Literal["spread", "all"] = "spread"
    num_clips: int = 3
    num_crops: int = 1
    average: Average = "probabilities"
    batch_size: int = 8
    precision: str = "auto"
    flow_dir: Path = FLOW_DIR
    store: Path | None = None

    @classmethod
    def of(cls, config: params.Evaluate, precision: str, **more: Any) -> Views:
        """As the sections ``evaluate`` and ``machine`` of params.yaml say."""
        keys = ("views", "num_clips", "num_crops", "average")
        return cls(precision=precision, **{key: getattr(config, key) for key in keys}, **more)


def predict(
    path: Path | str, clips: Sequence[Clip], labels: Sequence[str], how: Views
) -> Predictions:
    """What a model of ours says of clips.

    Raises:
        ModelError: the model was trained on another label set.
        CheckpointError: the file is missing or not one of ours.
    """
    model = load_model(path)
    if list(model.meta.labels) != list(labels):
        raise ModelError(
            f"{path}: trained on {len(model.meta.labels)} labels, the clips have {len(labels)} or "
            "others; train it again on this dataset"
        )
    return _table(_probabilities(path, model, clips, how), clips, labels)


def predict_general(
    path: Path | str,
    clips: Sequence[Clip],
    train: Sequence[Clip],
    labels: Sequence[str],
    how: Views,
) -> tuple[Predictions, str]:
    """What a net that has only seen general actions says of clips, and how that was read from it.

    By its head where that knows labels, see :mod:`.general`; otherwise ``train`` gives the class means.
    """
    model = load_model(path)
    known = general.known_labels(model.meta.labels, labels)
    if known:
        how_read = f"its own head, which knows {len(known)} of the {len(labels)} styles"
        probabilities = general.read_head(
            _probabilities(path, model, clips, how), model.meta.labels, labels
        )
    else:
        how_read = (
            "nearest class mean on its frozen features, since its head knows none of the styles"
        )
        truth = np.array([clip.label_id for clip in train], dtype=np.int64)
        features = _features(path, model, [*train, *clips], how)
        probabilities = general.nearest_class_mean(
            features[: len(train)], truth, features[len(train) :], len(labels)
        )
    return _table(probabilities, clips, labels), how_read


def unseen(clips: Sequence[Clip], trained: Sequence[Clip]) -> list[Clip]:
    """Those of ``clips`` whose source video has no clip in ``trained``."""
    seen = {clip.video_id for clip in trained}
    return [clip for clip in clips if clip.video_id not in seen]


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _probabilities(
    path: Path | str, model: LoadedModel, clips: Sequence[Clip], how: Views
) -> Array:
    def compute() -> Array:
        return views.predict(
            machine.for_inference(model.net.to(_device()), how.precision),
            clips,
            _loader(model, clips, how),
            _batch_size(model.meta.input, clips, how),
            how.average,
            desc=Path(path).stem,
            context=partial(machine.autocast, how.precision),
            device=_device(),
        )

    return _kept("probabilities", path, model, clips, how, compute)


def _features(path: Path | str, model: LoadedModel, clips: Sequence[Clip], how: Views) -> Array:
    def compute() -> Array:
        net = machine.for_inference(model.net.to(_device()), how.precision)
        return views.mean_over_views(
            lambda x: net.features(x).float(),
            clips,
            _loader(model, clips, how),
            _batch_size(model.meta.input, clips, how),
            desc=Path(path).stem,
            context=partial(machine.autocast, how.precision),
            device=_device(),
        )

    return _kept("features", path, model, clips, how, compute)


def _kept(
    what: str,
    path: Path | str,
    model: LoadedModel,
    clips: Sequence[Clip],
    how: Views,
    compute: Callable[[], Array],
) -> Array:
    """``compute()``, or what it gave before for the same model, clips, views and code."""
    if how.store is None:
        return compute()
    digest = hashlib.sha256(Path(path).read_bytes())
    digest.update(repr((what, replace(how, store=None), _device(), torch.__version__)).encode())
    digest.update(_CODE.encode())
    for clip in clips:
        digest.update(f"{clip.clip_id} {clip.frames} ".encode())
        digest.update(stored_file(clip, model.meta.modality, how.flow_dir).read_bytes())
    file = how.store / f"{digest.hexdigest()[:32]}.npy"
    if file.exists():
        found: Array = np.load(file, allow_pickle=False)
        return found
    result = compute()
    content = io.BytesIO()
    np.save(content, result, allow_pickle=False)
    write_bytes(file, content.getvalue())
    return result


def _loader(
    model: LoadedModel, clips: Sequence[Clip], how: Views
) -> Callable[[Clip], torch.Tensor]:
    """What gives a clip's views; small clips stay decoded for the models that follow."""
    spec = model.meta.input
    memory = data.shared_memory(clips, spec.modality, how.flow_dir)

    def load(clip: Clip) -> torch.Tensor:
        of_all = how.views == "all"
        seen, count = (of_all_frames(spec, clip.frames), 1) if of_all else (spec, how.num_clips)
        return load_views(clip, seen, count, how.num_crops, how.flow_dir, memory)

    return load


def _batch_size(spec: InputSpec, clips: Sequence[Clip], how: Views) -> int:
    """As many views as hold no more frames than ``how.batch_size`` snippets do, at least one."""
    if how.views == "spread":
        return how.batch_size
    longest = max((of_all_frames(spec, clip.frames).frames for clip in clips), default=spec.frames)
    return max(1, how.batch_size * spec.frames // longest)


def _table(probabilities: Array, clips: Sequence[Clip], labels: Sequence[str]) -> Predictions:
    return table(
        labels,
        [clip.clip_id for clip in clips],
        [clip.video_id for clip in clips],
        [clip.label_id for clip in clips],
        probabilities,
    )
