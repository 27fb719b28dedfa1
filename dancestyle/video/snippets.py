"""Which frames of a clip a snippet is made of: index arithmetic, no pixels."""

from __future__ import annotations

import numpy as np


def span(frames: int, stride: int) -> int:
    """Number of consecutive frames that a snippet of ``frames`` every ``stride``-th covers."""
    return (frames - 1) * stride + 1


def snippet_indices(length: int, frames: int, stride: int, start: int) -> np.ndarray:
    """Indices ``(frames,)`` of a snippet; a clip shorter than the snippet is looped (I3D, sec. 3).

    Args:
        length: frames in the clip, at least 1.
        frames: frames in the snippet.
        stride: distance between two of them.
        start: index of the first one.
    """
    if length < 1:
        raise ValueError(f"a clip has at least 1 frame, found {length}")
    return (start + stride * np.arange(frames)) % length


def random_start(length: int, frames: int, stride: int, generator: np.random.Generator) -> int:
    """A start at which the snippet ends within the clip, each equally likely."""
    return int(generator.integers(max(length - span(frames, stride), 0) + 1))


def view_starts(length: int, frames: int, stride: int, num_clips: int) -> list[int]:
    """Starts of ``num_clips`` snippets spread evenly over the clip; a single one is its middle."""
    room = max(length - span(frames, stride), 0)
    if num_clips == 1:
        return [room // 2]
    return [round(room * view / (num_clips - 1)) for view in range(num_clips)]
