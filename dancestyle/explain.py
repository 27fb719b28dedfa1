"""Which moments and places of a video spoke for a style: class activation maps, over time and space.

The nets of the pipeline end in an average over time and space and a linear head, so a style's logit
is the average, over all places of the last feature map, of what the head gives each place (Zhou et
al., "Learning Deep Features for Discriminative Localization", CVPR 2016). What is shown is that,
less its mean over all styles: how much a place speaks for this style rather than for the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from dancestyle.nets.base import VideoNet
from dancestyle.predict import Predictor, Source, device
from dancestyle.training import machine
from dancestyle.training.data import InputSpec, of_all_frames
from dancestyle.video import snippets, transforms

Image = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float32]

GRID = 16
"""Cells a side that maps are kept at; the last feature maps have 7 at 224 pixels, 2 at 48."""
APART = 0.5
"""Least seconds between two frames that are shown."""


class ExplainError(ValueError):
    """A net whose logits cannot be traced back to places; the message names it."""


@dataclass(frozen=True)
class Moment:
    """A frame that spoke for the style.

    Attributes:
        second: when it is.
        score: of :attr:`Explanation.scores`.
        image: the frame (H, W, 3), RGB.
        heat: (H, W) how much each pixel's place spoke for the style, 0 to 1 of the video's most;
            0 outside of what the net sees.
    """

    second: float
    score: float
    image: Image
    heat: Array

    def overlay(self, strength: float = 0.6) -> Image:
        """The frame under its heat: places that did not speak are darkened, others reddened."""
        colours = cv2.applyColorMap((self.heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
        share = strength * (0.35 + 0.65 * self.heat[..., None])
        mixed = (1 - share) * self.image + share * cv2.cvtColor(colours, cv2.COLOR_BGR2RGB)
        return np.asarray(mixed.round(), np.uint8)


@dataclass(frozen=True)
class Explanation:
    """What spoke for a style.

    Attributes:
        style: the style in question.
        seconds: (n,) where on the video the scores are, at even distances.
        scores: (n,) how much that moment spoke for the style, 1 for the most that any did; below 0
            where it spoke against it.
        moments: the frames that spoke most, by time.
    """

    style: str
    seconds: Array
    scores: Array
    moments: tuple[Moment, ...]


def explain(
    predictor: Predictor,
    source: Source,
    style: str,
    most: int = 6,
    on_progress: Callable[[float], None] | None = None,
) -> Explanation:
    """Look at a video once more for what speaks for ``style``.

    Args:
        predictor: all of its nets count alike.
        source: as in :meth:`Predictor.predict`.
        most: frames that are picked, at least half a second apart.
        on_progress: called with the seconds of video done, after each piece.

    Raises:
        ExplainError: a net does not end in an average, or the style is unknown.
    """
    if style not in predictor.labels:
        raise ExplainError(f"'{style}' is none of the model's styles")
    label = predictor.labels.index(style)
    scores: dict[int, float] = {}  # by frame of the video
    found: dict[int, tuple[float, Image, Array]] = {}
    for first, images in predictor.pieces(source):
        heat = _piece(predictor, images, label)  # (T, GRID, GRID)
        means = heat.mean(axis=(1, 2))
        for at, mean in enumerate(means):
            scores.setdefault(first + at, float(mean))
        # The best of a piece are kept: the whole video would not fit into memory.
        gap = round(APART * predictor.fps)
        for at in _peaks(means, most, gap):
            found.setdefault(first + at, (float(means[at]), images[at], heat[at]))
        if on_progress is not None:
            on_progress((first + len(images)) / predictor.fps)
    places = np.array(sorted(scores))
    values = np.array([scores[place] for place in places], np.float32)
    top = max(float(np.abs(values).max()), 1e-9)
    frames = sorted(found)
    gap = round(APART * predictor.fps)
    chosen: list[int] = []
    for at in sorted(frames, key=lambda at: (-found[at][0], at)):
        if len(chosen) < most and all(abs(at - other) >= gap for other in chosen):
            chosen.append(at)
    hottest = max((float(found[at][2].max()) for at in chosen), default=0.0) or 1e-9
    spec = predictor.models[0].meta.input
    moments = tuple(
        Moment(
            round(at / predictor.fps, 2),
            found[at][0] / top,
            found[at][1],
            _spread(found[at][2] / hottest, found[at][1], spec),
        )
        for at in sorted(chosen)
    )
    return Explanation(style, (places / predictor.fps).astype(np.float32), values / top, moments)


def _piece(predictor: Predictor, images: np.ndarray, label: int) -> Array:
    """The heat (T, GRID, GRID) of a piece, averaged over nets and over snippets that overlap."""
    total = np.zeros((len(images), GRID, GRID), np.float32)
    count = np.zeros((len(images), 1, 1), np.float32)
    for member in predictor.members:
        own = member.model.meta.input
        spec = of_all_frames(own, len(images)) if predictor.coverage == "all" else own
        views = member.views(images, spec, predictor.num_clips, 1)
        starts = snippets.view_starts(len(images), spec.frames, spec.stride, len(views))
        for start, view in zip(starts, views, strict=True):
            maps = class_map(member.model.net, view[None].to(device()), label, predictor.precision)
            size = (spec.frames, GRID, GRID)
            heat = F.interpolate(maps[:, None], size, mode="trilinear", align_corners=False)[0, 0]
            at = snippets.snippet_indices(len(images), spec.frames, spec.stride, start)
            values = heat.cpu().numpy()
            for step in range(spec.stride):  # a sampled frame speaks for those up to the next
                place = np.minimum(at + step, len(images) - 1)
                np.add.at(total, place, values)
                np.add.at(count, place, 1)
    mean = (total / np.maximum(count, 1)).astype(np.float32)
    return _filled(mean, count[:, 0, 0] > 0)


def _filled(heat: Array, known: npt.NDArray[np.bool_]) -> Array:
    """Frames between two snippets get what the nearest frame with a value has."""
    places = np.flatnonzero(known)
    after = np.searchsorted(places, np.arange(len(heat))).clip(max=len(places) - 1)
    before = (after - 1).clip(min=0)
    here = np.arange(len(heat))
    left = np.abs(places[before] - here) <= np.abs(places[after] - here)
    return heat[np.where(left, places[before], places[after])]


def class_map(net: VideoNet, x: Tensor, label: int, precision: str = "auto") -> Tensor:
    """How much each place speaks for a label: (N, C, T, H, W) -> (N, T', H', W').

    The mean over all places is the label's logit less the mean logit, both without their bias, where
    the net pools plainly (the Inception-v1 I3D counts its first and last time step half).

    Raises:
        ExplainError: the net has no feature map that a linear head follows.
    """
    trunk = getattr(net, "trunk", None)
    head = getattr(net, "head", None)
    if not callable(trunk) or not isinstance(head, torch.nn.Linear):
        raise ExplainError(f"{type(net).__name__} does not say which places a style's score is of")
    with torch.inference_mode(), machine.autocast(precision):
        found = trunk(x.contiguous(memory_format=torch.channels_last_3d))
    maps = [one.float() for one in (found if isinstance(found, tuple) else (found,))]
    if sum(one.shape[1] for one in maps) != head.in_features:
        raise ExplainError(f"{type(net).__name__} has layers between its feature map and its head")
    weight = head.weight.detach()
    weight = weight[label] - weight.mean(dim=0)  # (features,)
    size = max((one.shape[2:] for one in maps), key=lambda shape: shape[0])
    parts = []
    for one, own in zip(maps, weight.split([one.shape[1] for one in maps]), strict=True):
        part = torch.einsum("ncthw,c->nthw", one, own)
        parts.append(F.interpolate(part[:, None], size, mode="trilinear")[:, 0])
    return torch.stack(parts).sum(dim=0)


def _peaks(values: Array, most: int, gap: int) -> list[int]:
    """Places of the ``most`` largest values that are ``gap`` apart."""
    chosen: list[int] = []
    for at in np.argsort(-values, kind="stable"):
        if len(chosen) == most:
            break
        if all(abs(int(at) - other) >= gap for other in chosen):
            chosen.append(int(at))
    return chosen


def _spread(heat: Array, image: Image, spec: InputSpec) -> Array:
    """A map (GRID, GRID) over the part of the frame that the centre view sees, 0 elsewhere."""
    height, width = image.shape[:2]
    top, left, side = transforms.view_box(height, width, spec.crop, 0, 1)
    whole = np.zeros((height, width), np.float32)
    resized = cv2.resize(heat.clip(0, 1).astype(np.float32), (side, side))
    whole[top : top + side, left : left + side] = resized
    return whole
