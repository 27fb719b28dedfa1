"""Flow for the eye: direction as hue, length as strength of colour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from dancestyle.clips import Clip
from dancestyle.flow.store import FlowReader, path_of
from dancestyle.video.reader import ClipReader, resize

TILE = (96, 128)
"""Height and width in pixels of a picture in the contact sheet."""
_CAPTION = 18
_COLUMNS = 5


def colours(field: np.ndarray, full: float | None = None) -> np.ndarray:
    """A field float32 (H, W, 2) as uint8 (H, W, 3), RGB: white where nothing moves.

    Args:
        full: length in pixels that has full colour; None takes the 99th percentile.
    """
    length = np.linalg.norm(field, axis=-1)
    if full is None:
        full = float(np.percentile(length, 99))
    hue = (np.degrees(np.arctan2(field[..., 1], field[..., 0])) % 360) / 2  # OpenCV: 0 to 179
    strength = np.clip(255 * length / max(full, 1e-6), 0, 255)
    hsv = np.stack([np.rint(hue) % 180, strength, np.full_like(hue, 255)], -1).astype(np.uint8)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def wheel(size: int) -> np.ndarray:
    """The legend, uint8 (size, size, 3): the colour of every direction."""
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    field = np.stack(np.meshgrid(axis, axis), -1)
    field[np.linalg.norm(field, axis=-1) > 1] = 0
    return colours(field, 1.0)


def contact_sheet(clips: Sequence[Clip], flow_dir: Path | str) -> np.ndarray:
    """For each label its first clip: the frame where most moves, and the flow there below it.

    Clips without a file in ``flow_dir`` are left out. uint8 (H, W, 3), RGB.
    """
    chosen: dict[str, Clip] = {}
    for clip in sorted(clips, key=lambda clip: clip.clip_id):
        if clip.label not in chosen and path_of(clip.clip_id, flow_dir).exists():
            chosen[clip.label] = clip
    tiles = [_tile(chosen[label], flow_dir) for label in sorted(chosen)]
    legend = _blank()
    legend[TILE[0] : 2 * TILE[0], (TILE[1] - TILE[0]) // 2 :][:, : TILE[0]] = wheel(TILE[0])
    _write(legend, "direction")
    tiles.append(legend)
    tiles += [_blank()] * (-len(tiles) % _COLUMNS)
    rows = [tiles[i : i + _COLUMNS] for i in range(0, len(tiles), _COLUMNS)]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


def jpeg(image: np.ndarray, quality: int = 85) -> bytes:
    """uint8 (H, W, 3), RGB, as a JPEG file."""
    _, content = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    return content.tobytes()


def _tile(clip: Clip, flow_dir: Path | str) -> np.ndarray:
    with FlowReader(path_of(clip.clip_id, flow_dir)) as reader:
        fields = reader.read(range(reader.fields))
    index = int(np.linalg.norm(fields, axis=-1).mean((1, 2)).argmax())
    with ClipReader(clip.path) as video:
        frame = video.read([index])[0]
    tile = _blank()
    for row, image in enumerate((frame, colours(fields[index]))):
        fitted = _fit(image)
        top = row * TILE[0] + (TILE[0] - fitted.shape[0]) // 2
        left = (TILE[1] - fitted.shape[1]) // 2
        tile[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted
    _write(tile, clip.label)
    return tile


def _blank() -> np.ndarray:
    return np.full((2 * TILE[0] + _CAPTION, TILE[1], 3), 255, np.uint8)


def _fit(image: np.ndarray) -> np.ndarray:
    """``image`` as large as a tile allows, its shape kept, a little room left around it."""
    scale = min((TILE[0] - 4) / image.shape[0], (TILE[1] - 4) / image.shape[1])
    return resize(image, (round(image.shape[0] * scale), round(image.shape[1] * scale)))


def _write(tile: np.ndarray, text: str) -> None:
    plain = text.encode("ascii", "replace").decode()[:24]
    at = (4, tile.shape[0] - 5)
    cv2.putText(tile, plain, at, cv2.FONT_HERSHEY_SIMPLEX, 0.36, (20, 20, 20), 1, cv2.LINE_AA)
