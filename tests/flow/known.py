"""Pairs of pictures whose flow is known, by warping."""

from __future__ import annotations

import cv2
import numpy as np


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Noise at several scales, float32 (H, W, 3), 0 to 255."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for scale in (1, 2, 4, 8, 16):
        noise = rng.random((max(4, height // scale), max(4, width // scale), 3))
        blurred = cv2.GaussianBlur(noise.astype(np.float32), (0, 0), 1)
        total += scale**0.5 * cv2.resize(blurred, (width, height), interpolation=cv2.INTER_CUBIC)
    return (total - total.min()) / (total.max() - total.min()) * 255


def smooth_field(height: int, width: int, amplitude: float) -> np.ndarray:
    """Swirls: float32 (H, W, 2), pixels."""
    y, x = np.mgrid[:height, :width]
    across = amplitude * np.sin(2 * np.pi * y / height) * np.cos(np.pi * x / width)
    down = 0.7 * amplitude * np.cos(2 * np.pi * x / width)
    return np.stack([across, down], -1).astype(np.float32)


def edge_field(height: int, width: int, amplitude: float) -> np.ndarray:
    """A rectangle that moves before a background that moves otherwise: float32 (H, W, 2)."""
    field = np.zeros((height, width, 2), np.float32)
    field[..., 0] = -0.3 * amplitude
    middle = slice(height // 3, 2 * height // 3), slice(width // 3, 2 * width // 3)
    field[middle] = (amplitude, -amplitude / 2)
    return field


def warped(
    second: np.ndarray, field: np.ndarray, interpolation: int = cv2.INTER_CUBIC
) -> np.ndarray:
    """The picture out of which ``second`` comes when every pixel moves by ``field``."""
    height, width = field.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return cv2.remap(
        second, x + field[..., 0], y + field[..., 1], interpolation,
        borderMode=cv2.BORDER_REFLECT,
    )  # fmt: skip


def pair(field: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two pictures uint8 (H, W, 3) between which every pixel moves by ``field``."""
    height, width = field.shape[:2]
    second = texture(height, width, seed)
    first = warped(second, field)
    return first.clip(0, 255).astype(np.uint8), second.astype(np.uint8)


def error(found: np.ndarray, field: np.ndarray, border: int = 4) -> float:
    """Mean end-point error in pixels, away from the border, where content comes and goes."""
    distance = np.linalg.norm(found - field, axis=-1)
    return float(distance[border:-border, border:-border].mean())
