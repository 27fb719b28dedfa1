"""Drawing: persons of capsules, nearest last, over the empty place.

Pictures are drawn at twice their size and averaged down, which smooths every edge at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dancestyle.sample.curves import Array
from dancestyle.sample.scene import Camera, Colour, Handling, Image, Look, Place
from dancestyle.sample.skeleton import INDEX, Body

OVERSAMPLING = 2
_SHIFT = 4  # fractional bits of drawing coordinates
_ONE = 1 << _SHIFT

# (from, to, radius there in body heights, what it is clothed in)
_LIMBS = (
    ("left_hip", "left_knee", 0.056, 0.042, "thigh"),
    ("right_hip", "right_knee", 0.056, 0.042, "thigh"),
    ("left_knee", "left_ankle", 0.042, 0.026, "shin"),
    ("right_knee", "right_ankle", 0.042, 0.026, "shin"),
    ("left_ankle", "left_toe", 0.03, 0.022, "shoes"),
    ("right_ankle", "right_toe", 0.03, 0.022, "shoes"),
    ("left_shoulder", "left_elbow", 0.036, 0.029, "upper_arm"),
    ("right_shoulder", "right_elbow", 0.036, 0.029, "upper_arm"),
    ("left_elbow", "left_wrist", 0.029, 0.021, "forearm"),
    ("right_elbow", "right_wrist", 0.029, 0.021, "forearm"),
    ("left_wrist", "left_hand", 0.025, 0.024, "skin"),
    ("right_wrist", "right_hand", 0.025, 0.024, "skin"),
    ("chest", "neck", 0.032, 0.03, "skin"),
)
_FROM = np.array([INDEX[limb[0]] for limb in _LIMBS])
_TO = np.array([INDEX[limb[1]] for limb in _LIMBS])
_RADII = np.array([limb[2:4] for limb in _LIMBS])
_TORSO = [INDEX[n] for n in ("left_shoulder", "right_shoulder", "left_hip", "right_hip", "spine")]
_HEAD, _NOSE, _CHEST, _SPINE = (INDEX[name] for name in ("head", "nose", "chest", "spine"))
_EYES = [INDEX["left_eye"], INDEX["right_eye"]]
_KNEES = [INDEX["left_knee"], INDEX["right_knee"]]
_HIPS = [INDEX["left_hip"], INDEX["right_hip"]]


@dataclass(frozen=True)
class Person:
    """Somebody in the picture: joints (T, J, 3), proportions and clothes."""

    joints: Array
    body: Body
    look: Look


def render(
    people: list[Person],
    place: Place,
    camera: Camera,
    handling: Handling,
    size: tuple[int, int],
    noise: float,
    rng: np.random.Generator,
) -> Image:
    """Frames (T, H, W, 3), RGB.

    Args:
        people: who is seen, all over the same frames.
        place: where.
        camera: from where, in pixels of ``size``.
        handling: how the camera moves.
        size: (width, height).
        noise: standard deviation of the sensor's noise, in grey levels.
        rng: chance of the noise.
    """
    width, height = size
    big = (width * OVERSAMPLING, height * OVERSAMPLING)
    margin = 0.2
    canvas = (int(big[0] * (1 + 2 * margin)), int(big[1] * (1 + 2 * margin)))
    corner = np.array([big[0] * margin, big[1] * margin])
    shifted = Camera(
        camera.azimuth, camera.elevation, camera.distance, camera.focal * OVERSAMPLING,
        (camera.centre[0] * OVERSAMPLING + corner[0], camera.centre[1] * OVERSAMPLING + corner[1]),
        camera.target,
    )  # fmt: skip
    backdrop = place.backdrop(shifted, canvas)
    backdrop = np.clip(backdrop * np.array(place.gain), 0, 255).astype(np.uint8)
    middle = np.array(big) / 2
    zooms, offsets = handling.zooms[:, None], handling.offsets[:, None] * OVERSAMPLING
    drawings = []
    for person in people:
        pixels, scale = shifted.view(person.joints)
        pixels = (pixels - corner - middle) * zooms[..., None] + middle + offsets
        drawings.append(_Drawing(person, pixels, scale * zooms, place))
    count = len(zooms)
    grain = rng.normal(0, noise, (height + 32, width + 32, 3)).astype(np.float32)
    out = np.empty((count, height, width, 3), np.uint8)
    for frame in range(count):
        zoom = handling.zooms[frame]
        start = middle - zoom * middle + offsets[frame, 0] - zoom * corner
        matrix = np.array([[zoom, 0, start[0]], [0, zoom, start[1]]])
        picture = np.asarray(
            cv2.warpAffine(
                backdrop, matrix, big, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            ),
            np.uint8,
        )
        for drawing in sorted(drawings, key=lambda each: float(each.near[frame])):
            drawing.draw(picture, frame)
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        y, x = rng.integers(0, 32, 2)
        small += grain[y : y + height, x : x + width]
        out[frame] = np.clip(small + 0.5, 0, 255)
    return out


def _palette(look: Look, place: Place) -> dict[str, Colour]:
    colours = {
        "skin": look.skin, "hair": look.hair, "top": look.top, "shoes": look.shoes,
        "thigh": look.legs, "shin": look.skin if look.shorts or look.skirt else look.legs,
        "upper_arm": look.top, "forearm": look.top if look.sleeves else look.skin,
        "eyes": (25.0, 20.0, 20.0),
    }  # fmt: skip
    red, green, blue = place.gain
    return {
        name: (min(c[0] * red, 255), min(c[1] * green, 255), min(c[2] * blue, 255))
        for name, c in colours.items()
    }


def _shaded(colour: Colour, share: float) -> Colour:
    red, green, blue = colour
    return min(red * share, 255), min(green * share, 255), min(blue * share, 255)


def _fixed(points: Array) -> NDArray[np.int32]:
    return np.asarray(np.round(points * _ONE), np.int32)


_TORSO_PART, _HEAD_PART = len(_LIMBS), len(_LIMBS) + 1
_CAP = np.linspace(np.pi / 2, 3 * np.pi / 2, 5)
_ROUND = np.linspace(0, 2 * np.pi, 8, endpoint=False)
_RING = np.stack([np.cos(_ROUND), np.sin(_ROUND)], axis=1)


def _capsules(start: Array, end: Array, r0: Array, r1: Array) -> NDArray[np.int32]:
    """Outlines (T, L, 10, 2) of capsules from (T, L, 2) to (T, L, 2) with radii (T, L)."""
    way = end - start
    angle = np.arctan2(way[..., 1], way[..., 0])[..., None] + _CAP  # (T, L, 5)
    rim = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    first = start[..., None, :] + rim * r0[..., None, None]
    last = end[..., None, :] - rim * r1[..., None, None]
    return _fixed(np.concatenate([first, last], axis=-2))


class _Drawing:
    """All outlines of one person over all frames, computed at once, drawn frame by frame."""

    def __init__(self, person: Person, points: Array, scale: Array, place: Place) -> None:
        """Pixels (T, J, 2) and pixels a body height (T, J) of the joints."""
        look, body = person.look, person.body
        palette = _palette(look, place)
        thick = body.girth * body.height
        light = np.array(place.light)
        self.near = scale[:, _SPINE]
        start, end = points[:, _FROM], points[:, _TO]
        size = (scale[:, _FROM] + scale[:, _TO]) / 2  # (T, L)
        r0, r1 = _RADII[:, 0] * thick * size, _RADII[:, 1] * thick * size
        way = (end - start) / np.maximum(np.linalg.norm(end - start, axis=-1, keepdims=True), 1e-6)
        # Lit from the side a limb is bright, along the light dim.
        bright = 0.72 + 0.26 * np.abs(way[..., 0] * light[1] - way[..., 1] * light[0])
        base = np.array([palette[limb[4]] for limb in _LIMBS])  # (L, 3)
        self.limbs = _capsules(start, end, r0, r1)
        self.colours = np.minimum(base * bright[..., None], 255).tolist()
        shift = light * r0[..., None] * 0.35
        self.shine = _capsules(start + shift, end + shift, r0 * 0.45, r1 * 0.45)
        self.shine_colours = np.minimum(base * bright[..., None] * 1.16, 255).tolist()
        self.shiny = r0.mean(axis=0) > 2.5
        depth = [size, scale[:, _TORSO].mean(axis=1, keepdims=True), scale[:, _HEAD : _HEAD + 1]]
        self.order = np.argsort(np.concatenate(depth, axis=1), axis=1, kind="stable").tolist()

        unit = scale[:, _SPINE] * thick
        shift = light * 0.02 * unit[:, None]
        spine, chest = points[:, _SPINE], points[:, _CHEST]
        shoulders = [(points[:, n], 0.045 * unit) for n in _TORSO[:2]]
        sides = [(points[:, n], 0.06 * unit) for n in _TORSO[2:4]]
        shine = [(chest + shift, 0.05 * unit), (spine + shift, 0.04 * unit)]
        self.hulls = [
            (_rims([*shoulders, *sides, (spine, 0.07 * unit)]), _shaded(palette["top"], 0.9)),
            (_rims(shine), _shaded(palette["top"], 1.06)),
            (_rims([(points[:, n], 0.062 * unit) for n in _HIPS]), _shaded(palette["thigh"], 0.85)),
        ]
        if look.skirt:
            waist = [(points[:, n], 0.05 * unit) for n in _HIPS]
            hem = [
                (points[:, hip] + 0.75 * (points[:, knee] - points[:, hip]), 0.06 * unit)
                for hip, knee in zip(_HIPS, _KNEES, strict=True)
            ]
            self.hulls.append((_rims(waist + hem), palette["thigh"]))

        radius = body.head * body.height * scale[:, _HEAD]
        head, face = points[:, _HEAD], points[:, _NOSE] - points[:, _HEAD]
        discs = [
            (head - 0.25 * face, radius * look.bun, "hair"),
            (head + 0.3 * face, radius * 0.85, "skin"),
        ]
        discs += [(points[:, eye], radius * 0.13, "eyes") for eye in _EYES]
        self.discs = [
            (_fixed(centre).tolist(), _fixed(size).tolist(), palette[name])
            for centre, size, name in discs
        ]
        self.facing = scale[:, _NOSE] >= scale[:, _HEAD]

    def draw(self, picture: Image, frame: int) -> None:
        """Draw the person's parts into ``picture``, the farthest first."""
        for part in self.order[frame]:
            if part == _TORSO_PART:
                for rims, colour in self.hulls:
                    hull = cv2.convexHull(rims[frame])
                    cv2.fillConvexPoly(picture, hull, colour, cv2.LINE_8, _SHIFT)
            elif part == _HEAD_PART:
                for centres, radii, colour in self.discs if self.facing[frame] else self.discs[:1]:
                    cv2.circle(
                        picture, centres[frame], radii[frame], colour, -1, cv2.LINE_8, _SHIFT
                    )
            else:
                outline, colour = self.limbs[frame, part], self.colours[frame][part]
                cv2.fillConvexPoly(picture, outline, colour, cv2.LINE_8, _SHIFT)
                if self.shiny[part]:
                    outline, colour = self.shine[frame, part], self.shine_colours[frame][part]
                    cv2.fillConvexPoly(picture, outline, colour, cv2.LINE_8, _SHIFT)


def _rims(circles: list[tuple[Array, Array]]) -> NDArray[np.int32]:
    """Points (T, N, 2) on the rims of circles at (T, 2) with radii (T,)."""
    return _fixed(
        np.concatenate([c[:, None] + r[:, None, None] * _RING for c, r in circles], axis=1)
    )
