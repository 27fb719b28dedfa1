"""Crops and normalisation of snippets: arrays ``(T, H, W, C)`` in, tensors ``(C, T, S, S)`` out."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

Box = tuple[int, int, int]  # top, left, side; pixels


def random_box(height: int, width: int, smallest: float, generator: np.random.Generator) -> Box:
    """A square of ``smallest`` to 1 times the shorter side, anywhere in the picture."""
    short = min(height, width)
    side = round(short * generator.uniform(smallest, 1.0))
    top = int(generator.integers(height - side + 1))
    left = int(generator.integers(width - side + 1))
    return top, left, side


def view_box(height: int, width: int, share: float, crop: int, num_crops: int) -> Box:
    """The ``crop``-th of 1 (centre) or 3 squares along the longer side, ``share`` of the shorter."""
    side = round(min(height, width) * share)
    tops, lefts = height - side, width - side
    if num_crops == 1:
        return tops // 2, lefts // 2, side
    along = round((lefts if width >= height else tops) * crop / (num_crops - 1))
    return (tops // 2, along, side) if width >= height else (along, lefts // 2, side)


def crop_resize(frames: np.ndarray, box: Box, size: int) -> np.ndarray:
    """``(T, H, W, C)`` cut to ``box`` and resized to ``(T, size, size, C)``, the type kept."""
    top, left, side = box
    cut = frames[:, top : top + side, left : left + side]
    if side == size:
        return cut
    method = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return np.stack(
        [cv2.resize(np.ascontiguousarray(f), (size, size), interpolation=method) for f in cut]
    )


def rgb_tensor(frames: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """uint8 ``(T, H, W, 3)`` to normalised float32 ``(3, T, H, W)``; mean and std in grey levels."""
    centre, scale = np.asarray(mean, np.float32), np.float32(1) / np.asarray(std, np.float32)
    # What each of the 256 values of a channel becomes. (1, 256, 3), or (256,) if channels are alike.
    table = ((np.arange(256, dtype=np.float32)[:, None] - centre) * scale)[None]
    if (table == table[..., :1]).all():
        table = np.ascontiguousarray(table[0, :, 0])
    x = np.empty(frames.shape, np.float32)
    for frame, target in zip(frames, x, strict=True):
        cv2.LUT(frame, table, dst=target)
    return torch.from_numpy(x).permute(3, 0, 1, 2)


def flow_tensor(fields: np.ndarray, bound: float) -> Tensor:
    """float32 ``(T, H, W, 2)`` in pixels to ``(2, T, H, W)``, [-bound, bound] to [-1, 1]."""
    x = np.multiply(fields, np.float32(1 / bound), dtype=np.float32)
    np.clip(x, -1, 1, out=x)
    return torch.from_numpy(x).permute(3, 0, 1, 2)


def mirror_rgb(frames: np.ndarray) -> np.ndarray:
    """Left and right exchanged, ``(T, H, W, C)``."""
    mirrored = np.empty_like(frames, order="C")
    for frame, target in zip(frames, mirrored, strict=True):
        cv2.flip(np.ascontiguousarray(frame), 1, dst=target)
    return mirrored


def mirror_flow(fields: np.ndarray) -> np.ndarray:
    """Left and right exchanged and the x component negated, float32 ``(T, H, W, 2)``."""
    mirrored = mirror_rgb(fields)
    np.negative(mirrored[..., 0], out=mirrored[..., 0])
    return mirrored


def jitter_colour(
    frames: np.ndarray, strength: float, generator: np.random.Generator
) -> np.ndarray:
    """Brightness and contrast of a whole snippet changed by up to ``strength``, uint8 in and out."""
    if strength == 0:
        return frames
    gain, offset = 1 + generator.uniform(-strength, strength, 2)
    table = (np.arange(256) - 127.5) * gain + 127.5 * offset
    table = np.clip(table, 0, 255).astype(np.uint8)
    flat = np.ascontiguousarray(frames).reshape(len(frames), -1)
    return np.asarray(cv2.LUT(flat, table)).reshape(frames.shape)


def jitter_saturation(
    frames: np.ndarray, strength: float, generator: np.random.Generator
) -> np.ndarray:
    """Colourfulness of a whole snippet changed by up to ``strength``, uint8 in and out."""
    if strength == 0:
        return frames
    gain = np.float32(1 + generator.uniform(-strength, strength))
    grey = frames @ np.array([0.299, 0.587, 0.114], np.float32)
    changed = frames * gain + grey[..., None] * (1 - gain)
    return np.asarray(np.clip(changed + 0.5, 0, 255).astype(np.uint8))


def add_noise(frames: np.ndarray, sigma: float, generator: np.random.Generator) -> np.ndarray:
    """Gaussian noise of ``sigma`` grey levels, other noise in every frame, uint8 in and out."""
    if sigma == 0:
        return frames
    noise = generator.standard_normal(frames.shape, np.float32) * np.float32(sigma)
    return np.asarray(np.clip(frames + noise + 0.5, 0, 255).astype(np.uint8))
