"""What the benchmarks read: the sample's dancers, filmed large, and encoded as films are."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from dancestyle.sample.clip import make_clip

FPS = 25
_GOLDEN = (math.sqrt(5) - 1) / 2


def dancers(count: int, size: tuple[int, int], label: str = "salsa dancing") -> np.ndarray:
    """``count`` frames of dancing: uint8 (count, height, width, 3); ``size`` is (width, height)."""
    return make_clip(1, label, "benchmark", 0, np.arange(count) / FPS, size).frames


def shrunk(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Frames at ``size`` (width, height)."""
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])


def film(path: Path, frames: np.ndarray, fps: Fraction | int = FPS) -> Path:
    """Encode by x264's own defaults: a keyframe every 250 frames, three B-frames, CRF 23."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.gop_size = "yuv420p", 250
        stream.codec_context.max_b_frames = 3
        stream.options = {"crf": "23", "preset": "medium"}
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def places(count: int, last: int) -> list[int]:
    """``count`` frames from 0 to ``last`` that are spread evenly, however few they are, also between
    two keyframes: by steps of the golden share of the whole, taken modulo it."""
    return [round(last * (place * _GOLDEN % 1)) for place in range(1, count + 1)]


def play(container: av.container.InputContainer, start: int, count: int) -> av.VideoFrame | None:
    """Decode from the keyframe before ``start`` to the last of ``count`` frames, by one thread."""
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1
    container.seek(round(start / FPS / (stream.time_base or 1)), stream=stream)
    last = None
    for last in container.decode(stream):
        if last.time is not None and last.time >= (start + count - 1) / FPS - 1e-3:
            break
    return last
