"""A net over clips: several views of each, averaged.

Views are loaded in the background while the net works on those before. Batches are filled with the
views of consecutive clips and never depend on anything but their order, so a run repeats exactly.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dancestyle.clips import Clip
from dancestyle.progress import progress as show_progress

Average = Literal["probabilities", "logits"]
Array = npt.NDArray[np.float64]
Progress = Callable[..., Iterator[Clip]]

LOOK_AHEAD = 4
"""Clips loaded before they are needed: a clip of 30 large views is a gigabyte."""


def predict(
    net: Callable[[Tensor], Tensor],
    clips: Sequence[Clip],
    load_views: Callable[[Clip], Tensor],
    batch_size: int,
    average: Average = "probabilities",
    progress: Progress = show_progress,
    *,
    desc: str = "predict",
    context: Callable[[], AbstractContextManager[object]] = nullcontext,
    device: str = "cpu",
) -> Array:
    """Class probabilities of clips: (n_clips, n_classes), rows summing to 1.

    Args:
        net: (N, C, T, H, W) to logits (N, n_classes).
        load_views: a clip's views, (V, C, T, H, W).
        batch_size: most views that the net sees at once.
        average: over a clip's views: ``probabilities``, or ``logits`` before the softmax.
        context: made anew around each batch, for mixed precision.
        device: where the net is.
    """

    def forward(x: Tensor) -> Tensor:
        logits = net(x).float()
        return logits.softmax(dim=1) if average == "probabilities" else logits

    mean = mean_over_views(
        forward,
        clips,
        load_views,
        batch_size,
        progress,
        desc=desc,
        context=context,
        device=device,
    )
    if average == "logits":
        mean = np.exp(mean - mean.max(axis=1, keepdims=True))
    result: Array = mean / mean.sum(axis=1, keepdims=True)
    return result


def mean_over_views(
    forward: Callable[[Tensor], Tensor],
    clips: Sequence[Clip],
    load_views: Callable[[Clip], Tensor],
    batch_size: int,
    progress: Progress = show_progress,
    *,
    desc: str = "predict",
    context: Callable[[], AbstractContextManager[object]] = nullcontext,
    device: str = "cpu",
) -> Array:
    """Whatever ``forward`` gives for a view, (N, D), as the mean over each clip's views.

    Returns:
        (n_clips, D). Arguments as in :func:`predict`.
    """
    if not clips:
        raise ValueError("no clips to evaluate; the split is empty")

    def run(waiting: list[Tensor]) -> list[Array]:
        views = torch.cat(waiting)  # (sum of V, C, T, H, W)
        outputs = []
        for batch in views.split(batch_size):
            if batch.dim() == 5:
                batch = batch.contiguous(memory_format=torch.channels_last_3d)
            with torch.inference_mode(), context():
                outputs.append(forward(batch.to(device)).double().cpu())
        each = torch.cat(outputs).split([len(one) for one in waiting])
        return [np.asarray(one.mean(dim=0).numpy(), dtype=np.float64) for one in each]

    rows: list[Array] = []
    waiting: list[Tensor] = []
    loaded = _ahead(clips, load_views)
    for _ in progress(clips, total=len(clips), desc=desc):
        views = next(loaded)
        if waiting and views.shape[1:] != waiting[0].shape[1:]:  # of another length
            rows.extend(run(waiting))
            waiting = []
        waiting.append(views)
        if sum(len(one) for one in waiting) >= batch_size:
            rows.extend(run(waiting))
            waiting = []
    if waiting:
        rows.extend(run(waiting))
    return np.stack(rows)


def _ahead(clips: Sequence[Clip], load: Callable[[Clip], Tensor]) -> Iterator[Tensor]:
    """``load`` of every clip in order, some clips ahead of the one asked for."""
    remaining = iter(clips)
    with ThreadPoolExecutor(max_workers=1) as pool:
        queue: deque[Future[Tensor]] = deque()
        for clip in remaining:
            queue.append(pool.submit(load, clip))
            if len(queue) > LOOK_AHEAD:
                yield queue.popleft().result()
        while queue:
            yield queue.popleft().result()
