"""A video in, a distribution over styles out, and how it goes along the video.

Three lines are enough (``docs/using.md``)::

    import dancestyle

    prediction = dancestyle.load_model("models/i3d_rgb.ckpt").predict("video.mp4")
    print(prediction.style, prediction.top(3))

A video is treated as the evaluation treats a clip: brought to the frame rate and size of the clips
that the model was trained on, then seen in ``num_clips`` snippets spread over it. A video longer than
a clip of the dataset is taken in pieces of that length, each seen in as many snippets, and only one
piece is in memory at a time. Each snippet is a :class:`Window` of the timeline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dancestyle.flow import methods, store
from dancestyle.nets.base import VideoNet
from dancestyle.nets.fast import FastNet
from dancestyle.training import machine
from dancestyle.training.checkpoints import CheckpointError, LoadedModel
from dancestyle.training.checkpoints import load_model as load_checkpoint
from dancestyle.training.data import InputSpec, make_views, mean_fields, of_all_frames
from dancestyle.video import snippets, stream
from dancestyle.video.errors import VideoError
from dancestyle.video.reader import even_size, resize

Array = npt.NDArray[np.float64]
Average = Literal["probabilities", "logits"]
Coverage = Literal["spread", "all"]
Source = Path | str | np.ndarray | Iterable[np.ndarray]

PIECE_SECONDS = 10.0
"""Longest clip of the study's datasets; a longer video is taken in pieces of this length."""
BATCH = 8
"""Most views that a net sees at once."""


class PredictError(ValueError):
    """Models that cannot work together, or frames that are none; the message says why."""


@dataclass(frozen=True)
class Window:
    """What one snippet of the video looks like.

    ``start`` and ``end`` are seconds; ``probabilities`` (K,) are in the order of the labels.
    """

    start: float
    end: float
    probabilities: Array


@dataclass(frozen=True)
class Stretch:
    """A part of a video, in seconds, with one most probable style and its mean probability."""

    start: float
    end: float
    style: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """What a video was taken for.

    Attributes:
        labels: the K styles.
        values: (K,) probabilities of the whole video, summing to 1.
        timeline: the windows, by time.
        seconds: length of the video as it was read.
    """

    labels: tuple[str, ...]
    values: Array
    timeline: tuple[Window, ...]
    seconds: float

    @property
    def probabilities(self) -> dict[str, float]:
        """The probability of each style, in the order of the labels."""
        return {label: float(p) for label, p in zip(self.labels, self.values, strict=True)}

    @property
    def style(self) -> str:
        """The most probable style."""
        return self.labels[int(self.values.argmax())]

    def top(self, count: int = 5) -> list[tuple[str, float]]:
        """The ``count`` most probable styles with their probabilities, the most probable first."""
        order = np.argsort(-self.values, kind="stable")[:count]
        return [(self.labels[place], float(self.values[place])) for place in order]

    @cached_property
    def stretches(self) -> tuple[Stretch, ...]:
        """The timeline without gaps: neighbours of the same style joined, from 0 to the end.

        Where two windows of different style meet, the border is midway between their middles.
        """
        found: list[Stretch] = []
        middles = [(window.start + window.end) / 2 for window in self.timeline]
        borders = [
            0.0,
            *(round((a + b) / 2, 2) for a, b in pairwise(middles)),
        ]
        borders.append(self.seconds)
        first = 0
        best = [int(window.probabilities.argmax()) for window in self.timeline]
        for place in range(len(best)):
            if place + 1 == len(best) or best[place + 1] != best[first]:
                inside = self.timeline[first : place + 1]
                mean = float(np.mean([one.probabilities[best[first]] for one in inside]))
                found.append(
                    Stretch(borders[first], borders[place + 1], self.labels[best[first]], mean)
                )
                first = place + 1
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, probabilities with 6 decimals."""
        return {
            "style": self.style,
            "seconds": round(self.seconds, 2),
            "probabilities": {name: round(p, 6) for name, p in self.probabilities.items()},
            "timeline": [
                {
                    "start": one.start,
                    "end": one.end,
                    "style": self.labels[int(one.probabilities.argmax())],
                    "probability": round(float(one.probabilities.max()), 6),
                }
                for one in self.timeline
            ],
        }


def load_model(
    paths: Path | str | Sequence[Path | str],
    *,
    views: Coverage = "spread",
    num_clips: int = 3,
    num_crops: int = 1,
    average: Average = "probabilities",
    fusion: Average = "logits",
    precision: str = "auto",
    max_seconds: float = stream.MAX_SECONDS,
) -> Predictor:
    """Model files of the same styles as one predictor: a stream alone, both, or any ensemble.

    Args:
        paths: one file of ``models/``, or several that are joined by late fusion, equal weights.
        views: ``spread`` for ``num_clips`` snippets, ``all`` for one that holds every stride-th frame.
        num_clips: snippets of a video as long as a clip of the dataset, and of each such piece.
        num_crops: 1 (centre) or 3 along the longer side.
        average: over the snippets.
        fusion: over the models.
        precision: ``auto``, ``fp32`` or ``bf16``.
        max_seconds: a longer video is refused.

    Raises:
        CheckpointError: a file is missing or not one of ours.
        PredictError: the models have different styles or were trained at different frame rates.
    """
    if num_clips < 1 or num_crops not in (1, 2, 3):
        raise PredictError(
            f"num_clips must be 1 or more and num_crops 1 to 3, found {num_clips}, {num_crops}"
        )
    files = [paths] if isinstance(paths, str | Path) else list(paths)
    if not files:
        raise PredictError("no model file given")
    members = [Member(load_checkpoint(path), Path(path)) for path in files]
    first = members[0]
    for one in members[1:]:
        if one.model.meta.labels != first.model.meta.labels:
            raise PredictError(
                f"{one.path} knows other styles than {first.path}; they cannot be joined"
            )
        if one.model.meta.fps != first.model.meta.fps or one.short_side != first.short_side:
            raise PredictError(
                f"{one.path} was trained on clips of another rate or size than {first.path}; they "
                "cannot be joined"
            )
    predictor = Predictor(members, views, num_clips, num_crops, average, fusion, precision)
    predictor.max_seconds = max_seconds
    return predictor


class Member:
    """One net of a predictor: made by :func:`load_model`."""

    def __init__(self, model: LoadedModel, path: Path) -> None:
        self.model, self.path = model, path
        spec, flow = model.meta.input, model.meta.flow
        # A file that does not say: the size at which the crop is what the net sees, as in the paper.
        self.short_side = model.meta.short_side or 2 * round(spec.size / spec.crop / 2)
        self.flow_side: int | None = flow.get("short_side")
        if spec.modality == "flow":
            try:
                self._pair = methods.create(flow.get("method", "dis"), **flow.get("options", {}))
            except methods.FlowError as error:
                raise CheckpointError(f"{path}: {error}") from None
        machine.fast_layout(model.net.to(device()))
        self._ready: dict[str, VideoNet | FastNet] = {}  # by precision

    def views(self, images: np.ndarray, spec: InputSpec, num_clips: int, num_crops: int) -> Tensor:
        """The views (V, C, T, S, S) of a piece uint8 (T, H, W, 3)."""
        if spec.modality == "rgb":
            return make_views(lambda at: images[at], len(images), spec, num_clips, num_crops)
        return make_views(self._fields(images), len(images), spec, num_clips, num_crops)

    def _fields(self, images: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Flow between the frames that are asked for, in codes as files of it have them."""
        done: dict[int, np.ndarray] = {}
        bound = self.model.meta.input.bound

        def codes(at: int) -> np.ndarray:
            if at not in done:
                pair = [images[at], images[at + 1]]
                if self.flow_side:
                    size = even_size(images.shape[1], images.shape[2], self.flow_side)
                    pair = [resize(image, size) for image in pair]
                done[at] = store.encode(self._pair(*pair), bound)
            return done[at]

        def read(indices: np.ndarray) -> np.ndarray:
            return np.stack([codes(int(at)) for at in indices])

        count, stride = len(images), self.model.meta.input.stride
        return lambda indices: mean_fields(read, bound, count - 1, indices, stride, count)

    def logits(self, views: Tensor, precision: str) -> Array:
        """(V, K) of views (V, C, T, S, S)."""
        if precision not in self._ready:
            self._ready[precision] = machine.for_inference(self.model.net, precision)
        net, found = self._ready[precision], []
        for batch in views.split(BATCH):
            batch = batch.to(device()).contiguous(memory_format=torch.channels_last_3d)
            with torch.inference_mode(), machine.autocast(precision):
                found.append(net(batch).double().cpu())
        return np.asarray(torch.cat(found).numpy(), dtype=np.float64)


class Predictor:
    """Nets over any video; made by :func:`load_model`."""

    def __init__(
        self,
        members: Sequence[Member],
        views: Coverage,
        num_clips: int,
        num_crops: int,
        average: Average,
        fusion: Average,
        precision: str,
    ) -> None:
        self.members = list(members)
        self.coverage: Coverage = views
        self.num_clips = num_clips if views == "spread" else 1
        self.num_crops = num_crops
        self.average: Average = average
        self.fusion: Average = fusion
        self.precision = precision
        self.max_seconds = stream.MAX_SECONDS
        meta = members[0].model.meta
        self.labels, self.fps = meta.labels, meta.fps
        self.short_side = members[0].short_side
        self.piece = round(PIECE_SECONDS * self.fps)

    @property
    def models(self) -> tuple[LoadedModel, ...]:
        """The nets with what their files say of them."""
        return tuple(one.model for one in self.members)

    def predict(
        self, source: Source, on_progress: Callable[[float], None] | None = None
    ) -> Prediction:
        """The style of a video.

        Args:
            source: a file; or frames uint8 (H, W, 3), RGB, at the clips' rate (``self.fps``), as an
                array (T, H, W, 3) or one after the other.
            on_progress: called with the seconds of video done, after each piece.

        Raises:
            VideoError: the file cannot be used as a video.
            PredictError: the frames are no pictures.
        """
        values: list[Array] = []  # (K,) of a piece, for each model
        shares: list[int] = []  # new frames of a piece
        timeline: list[Window] = []
        done = 0
        for first, images in self.pieces(source):
            windows = [self._windows(one, images) for one in self.members]  # M of (num_clips, K)
            whole = np.stack([self._mean(one) for one in windows])  # (M, K)
            each = self._join(np.stack([self._softmax(one) for one in windows]))  # (num_clips, K)
            # The last piece overlaps the one before it; what that has seen stays as it was.
            seen = timeline[-1].start if timeline else -1.0
            found = self._timeline(first, len(images), each)
            timeline += [window for window in found if window.start > seen]
            values.append(whole)
            shares.append(first + len(images) - done)
            done = first + len(images)
            if on_progress is not None:
                on_progress(done / self.fps)
        mean = np.average(np.stack(values), axis=0, weights=shares)  # (M, K)
        joined = self._join(self._softmax(mean)[:, None])[0]
        return Prediction(self.labels, joined, tuple(timeline), done / self.fps)

    def pieces(self, source: Source) -> Iterator[tuple[int, np.ndarray]]:
        """The pieces that are seen one by one: index of the first frame, uint8 (T, H, W, 3)."""
        images = (
            stream.frames(source, self.fps, self.short_side, self.max_seconds)
            if isinstance(source, str | Path)
            else self._checked(source)
        )
        empty = True
        for first, part in stream.pieces(images, self.piece, round(self.fps / 2)):
            if len(part) < 2:
                raise VideoError(_name(source), "a single frame, which has no movement")
            empty = False
            yield first, part
        if empty:
            raise PredictError("no frames to predict from")

    def _checked(self, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        size: tuple[int, int] | None = None
        for image in images:
            if getattr(image, "dtype", None) != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
                found = f"{getattr(image, 'dtype', type(image))} {getattr(image, 'shape', '')}"
                raise PredictError(f"frames must be uint8 (H, W, 3), RGB, found {found}")
            size = size or even_size(image.shape[0], image.shape[1], self.short_side)
            yield resize(np.ascontiguousarray(image), size)

    def _windows(self, member: Member, images: np.ndarray) -> Array:
        """Of each snippet, (num_clips, K): logits or their softmax, averaged over its crops."""
        spec = self._spec(member, len(images))
        views = member.views(images, spec, self.num_clips, self.num_crops)
        logits = member.logits(views, self.precision)
        if self.average == "probabilities":
            logits = _softmax(logits)
        return np.asarray(logits.reshape(self.num_clips, self.num_crops, -1).mean(axis=1))

    def _spec(self, member: Member, length: int) -> InputSpec:
        """What a snippet of a piece of ``length`` frames is."""
        spec = member.model.meta.input
        return of_all_frames(spec, length) if self.coverage == "all" else spec

    def _mean(self, windows: Array) -> Array:
        return np.asarray(windows.mean(axis=0))

    def _softmax(self, values: Array) -> Array:
        """Probabilities, of whatever is averaged."""
        return values if self.average == "probabilities" else _softmax(values)

    def _join(self, stack: Array) -> Array:
        """(M, N, K) probabilities -> (N, K), as the evaluation joins tables of models."""
        if len(stack) == 1:
            return np.asarray(stack[0])
        # Here, since it brings pandas and SciPy: a second more to start a single model with.
        from dancestyle.evaluation.fusion import mix

        return mix(stack, np.full(len(stack), 1 / len(stack)), self.fusion)

    def _timeline(self, first: int, length: int, each: Array) -> list[Window]:
        spec = self._spec(self.members[0], length)
        starts = snippets.view_starts(length, spec.frames, spec.stride, self.num_clips)
        covered = min(snippets.span(spec.frames, spec.stride), length)
        found: list[Window] = []
        for start, values in zip(starts, each, strict=True):
            begin = round((first + start) / self.fps, 2)
            end = round((first + start + covered) / self.fps, 2)
            if not found or begin > found[-1].start:
                found.append(Window(begin, end, values))
        return found


def device() -> str:
    """Where nets run."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def _softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _name(source: Source) -> str:
    return str(source) if isinstance(source, str | Path) else "frames"
