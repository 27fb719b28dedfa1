"""What surrounds the dancers and says nothing of the style: place, clothes, light, camera."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dancestyle.sample.curves import Array

Image = NDArray[np.uint8]
Colour = tuple[float, float, float]
_SKINS = ((240, 205, 180), (224, 177, 142), (198, 140, 102), (150, 100, 70), (98, 64, 46))


@dataclass(frozen=True)
class Look:
    """Clothes and skin of one person; colours are RGB, 0 to 255."""

    skin: Colour
    hair: Colour
    top: Colour
    legs: Colour
    shoes: Colour
    sleeves: bool
    shorts: bool
    skirt: bool
    bun: float  # size of the hair, in head radii

    @classmethod
    def random(cls, rng: np.random.Generator, against: Image) -> Look:
        """Anybody, in clothes that stand out against a wall (H, W, 3)."""
        skin = np.array(_SKINS[rng.integers(len(_SKINS))]) * rng.uniform(0.9, 1.08)
        return cls(
            skin=_colour(skin),
            hair=_colour(rng.uniform(10, 110) * np.array([1.0, rng.uniform(0.6, 1), 0.5])),
            top=_clothes(rng, float(against.mean())),
            legs=_clothes(rng, float(against.mean())),
            shoes=random_colour(rng),
            sleeves=bool(rng.random() < 0.5),
            shorts=bool(rng.random() < 0.3),
            skirt=bool(rng.random() < 0.25),
            bun=rng.uniform(0.9, 1.25),
        )


# Brightness, 0 to 255: dancers stand in the light, places do not, as on most stages. A net that is
# trained for minutes has no time to learn what a dancer is from contrast of either sign.
_LIT, _DIM = (130, 245), (15, 95)
_DIM_TINT = 18  # most that a place's colours deviate from grey


def _colour(value: Array) -> Colour:
    red, green, blue = np.clip(value, 0, 255)
    return float(red), float(green), float(blue)


def random_colour(
    rng: np.random.Generator, light: tuple[float, float] = _LIT, tint: float = 70
) -> Colour:
    """A colour of any hue, of a brightness within ``light``, up to ``tint`` away from grey."""
    base = rng.uniform(*light)
    return _colour(base + rng.normal(0, rng.uniform(5, tint), 3))


def _dim_colour(rng: np.random.Generator) -> Colour:
    """What the walls, floors and furniture of a place are painted in."""
    return random_colour(rng, _DIM, _DIM_TINT)


def _clothes(rng: np.random.Generator, against: float) -> Colour:
    for _ in range(4):
        colour = random_colour(rng)
        if abs(sum(colour) / 3 - against) > 60:
            break
    return colour


@dataclass(frozen=True)
class Camera:
    """A camera that looks at the formation's middle.

    Attributes:
        azimuth: radians to the right of the audience's middle.
        elevation: radians above the floor.
        distance: body heights to what it looks at.
        focal: pixels a body height fills at that distance, times ``distance``.
        centre: pixel (x, y) of what it looks at.
        target: (x, y, z) of what it looks at.
    """

    azimuth: float
    elevation: float
    distance: float
    focal: float
    centre: tuple[float, float]
    target: tuple[float, float, float]

    def view(self, points: Array) -> tuple[Array, Array]:
        """Pixels (..., 2) and pixels a body height (...) of points (..., 3)."""
        x, y, z = np.moveaxis(points - np.array(self.target), -1, 0)
        c, s = np.cos(self.azimuth), np.sin(self.azimuth)
        right, toward = c * x - s * z, s * x + c * z
        c, s = np.cos(self.elevation), np.sin(self.elevation)
        up, toward = c * y - s * toward, s * y + c * toward
        scale = self.focal / np.maximum(self.distance - toward, 0.3)
        pixels = np.stack([self.centre[0] + right * scale, self.centre[1] - up * scale], axis=-1)
        return pixels, scale


@dataclass(frozen=True)
class Place:
    """A room: textures of its wall and floor, drawn once for a video.

    Attributes:
        wall: texture (256, 512, 3) of 8 x 4 body heights.
        floor: texture (256, 256, 3) of 8 x 6 body heights.
        depth: how far the wall is behind the dancers.
        light: direction of the light, in the picture (x, y).
        gain: brightness of each channel.
    """

    wall: Image
    floor: Image
    depth: float
    light: tuple[float, float]
    gain: tuple[float, float, float]

    @classmethod
    def random(cls, rng: np.random.Generator) -> Place:
        """Any place."""
        angle = rng.uniform(-1, 1)
        warmth = rng.normal(0, 0.07)
        bright = rng.uniform(0.75, 1.12)
        return cls(
            wall=_wall(rng),
            floor=_floor(rng),
            depth=rng.uniform(0.9, 2.2),
            light=(float(np.sin(angle)), float(-np.cos(angle))),
            gain=(bright * (1 + warmth), bright, bright * (1 - warmth)),
        )

    def backdrop(self, camera: Camera, size: tuple[int, int]) -> Image:
        """The empty place (H, W, 3) seen by ``camera``; ``size`` is (width, height)."""
        across, high, near = 4.0, 4.0, 3.0
        wall = np.array(
            [[-across, high, -1], [across, high, -1], [across, 0, -1], [-across, 0, -1]]
        )
        wall = wall * np.array([1, 1, self.depth])
        ground = wall.copy()
        ground[:2, 1], ground[:2, 2] = 0.0, -self.depth
        ground[2:, 2] = near - self.depth
        out = np.full((size[1], size[0], 3), self.floor.mean((0, 1)), np.uint8)
        for corners, texture in ((ground, self.floor), (wall, self.wall)):
            pixels, _ = camera.view(corners)
            height, width = texture.shape[:2]
            source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
            matrix = cv2.getPerspectiveTransform(source, pixels.astype(np.float32))
            beyond = cv2.BORDER_TRANSPARENT
            cv2.warpPerspective(
                texture, matrix, size, dst=out, flags=cv2.INTER_LINEAR, borderMode=beyond
            )
        return out


def _noise(rng: np.random.Generator, shape: tuple[int, int], cells: int, size: float) -> Array:
    small = rng.normal(0, size, (cells, max(cells * shape[1] // shape[0], 1))).astype(np.float32)
    large = cv2.resize(small, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(large, np.float64)[..., None]


def _wall(rng: np.random.Generator) -> Image:
    height, width = 256, 512
    top, bottom = np.array(_dim_colour(rng)), np.array(_dim_colour(rng))
    bottom = top + 0.4 * (bottom - top)
    share = np.linspace(0, 1, height)[:, None, None]
    out = np.broadcast_to(top + share * (bottom - top), (height, width, 3)).astype(np.float32)
    out += _noise(rng, (height, width), 6, rng.uniform(2, 12))
    out += _noise(rng, (height, width), 48, rng.uniform(1, 8))
    pattern = rng.integers(5)
    shade = rng.uniform(-30, 30)
    step = int(rng.integers(16, 48))
    if pattern == 1:  # stripes
        out[:, (np.arange(width) // (step // 2)) % 2 == 0] += shade
    elif pattern == 2:  # bricks
        for row, y in enumerate(range(0, height, step // 2)):
            out[y : y + 2] += shade
            for x in range((row % 2) * step // 2, width, step):
                out[y : y + step // 2, x : x + 2] += shade
    elif pattern == 3:  # curtain
        out += shade * 0.6 * np.sin(np.arange(width) * 2 * np.pi / step)[None, :, None]
    for _ in range(rng.integers(0, 5)):  # pictures, windows, doors
        wide, tall = int(rng.integers(20, 90)), int(rng.integers(20, 110))
        x, y = int(rng.integers(0, width - wide)), int(rng.integers(60, 250))
        fill = np.array(_dim_colour(rng)) + _noise(rng, (tall, wide), 4, 12)
        patch = out[y : y + tall, x : x + wide]
        patch[:] = fill[: patch.shape[0], : patch.shape[1]]
    for _ in range(rng.integers(0, 4)):  # furniture against the wall
        wide, tall = int(rng.integers(24, 100)), int(rng.integers(16, 60))
        x = int(rng.integers(0, width - wide))
        colour = np.array(_dim_colour(rng))
        out[height - tall :, x : x + wide] = colour
        out[height - tall : height - tall + 4, x : x + wide] = colour + 25
    return np.clip(out, 0, 255).astype(np.uint8)


def _floor(rng: np.random.Generator) -> Image:
    size = 256
    out = np.broadcast_to(np.array(_dim_colour(rng)), (size, size, 3)).astype(np.float32)
    out += _noise(rng, (size, size), 5, rng.uniform(2, 14))
    out += _noise(rng, (size, size), 64, rng.uniform(1, 8))
    shade, step = rng.uniform(-28, 28), int(rng.integers(12, 40))
    stripe = (np.arange(size) // step) % 2
    pattern = rng.integers(4)
    if pattern == 1:  # boards
        out[:, stripe == 0] += shade
    elif pattern == 2:  # tiles
        out[(stripe[:, None] + stripe[None]) % 2 == 0] += shade
    elif pattern == 3:  # joints between slabs
        out[np.arange(size) % step < 2] += shade
        out[:, np.arange(size) % step < 2] += shade
    return np.clip(out, 0, 255).astype(np.uint8)


def random_camera(
    rng: np.random.Generator, figure: tuple[float, float], points: Array, size: tuple[int, int]
) -> Camera:
    """A camera that has the dancers in its picture.

    Args:
        rng: chance.
        figure: range of the body height against the picture's shorter side.
        points: joints (..., 3) that should be seen; what is farthest out may be cut off.
        size: (width, height) of the picture in pixels.
    """
    width, height = size
    short = min(width, height)
    sideways = rng.normal(0, 0.3) if rng.random() > 0.08 else rng.uniform(-1.2, 1.2)
    distance = rng.uniform(3.2, 6.0)
    flat = points.reshape(-1, 3)
    low, high = np.percentile(flat, [3, 97], axis=0)
    middle = (low + high) / 2
    # Low dancing is followed half of the way down, as a hand-held camera does.
    target = (middle[0], 0.5 * 0.5 + 0.5 * middle[1], middle[2])
    camera = Camera(
        azimuth=float(np.clip(sideways, -1.2, 1.2)),
        elevation=rng.uniform(0.02, 0.32),
        distance=distance,
        focal=rng.uniform(*figure) * short * distance,
        centre=(width / 2 + rng.normal(0, 0.03) * short, height / 2 + rng.normal(0, 0.025) * short),
        target=(float(target[0]), float(target[1]), float(target[2])),
    )
    return camera


@dataclass(frozen=True)
class Handling:
    """How the camera is held over the frames: offsets (T, 2) in pixels, zooms (T,)."""

    offsets: Array
    zooms: Array

    @classmethod
    def random(cls, rng: np.random.Generator, seconds: Array, short: int) -> Handling:
        """A slow pan, a slow zoom, and the shake of a hand or none."""
        pan = rng.normal(0, 0.012, 2) * short * (seconds[:, None] - seconds.mean())
        shake = rng.choice([0.0, 0.003, 0.008]) * short
        for rate in (1.1, 2.3):
            phase = rng.uniform(0, 2 * np.pi, 2)
            pan = pan + shake * np.sin(2 * np.pi * rate * seconds[:, None] + phase)
        zooms = 1 + rng.normal(0, 0.015) * (seconds - seconds.mean())
        return cls(pan, np.asarray(zooms))
