"""Single pictures of posed figures: what ImageNet is to the study, for the sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dancestyle.clipmap import Item
from dancestyle.sample.choreography import ACTIONS, STYLES
from dancestyle.sample.encode import jpeg, write_npz
from dancestyle.sample.performance import Performance, dance_moves, place
from dancestyle.sample.render import Person, render
from dancestyle.sample.scene import Handling, Image, Look, Place, random_camera
from dancestyle.sample.skeleton import COCO_INDEX, Body, Moves, joints
from dancestyle.seeds import rng as named_rng

SIZE = 64  # pixels, square
QUALITY = 95  # of the JPEGs
_CHUNK = 100  # stills of one piece of work
_SHARED = 4  # stills of one place and dancer
_FACING = 0.1  # standard deviation, in turns, of most figures' looking away from the camera
# How far chance moves a pose from any that is danced: degrees and body heights.
_JITTER = {
    "hips": 8.0, "spine": 10.0, "head": 15.0, "pelvis": 0.03, "left_foot": 0.06,
    "right_foot": 0.06, "left_hand": 0.11, "right_hand": 0.11,
}  # fmt: skip

Chunk = tuple[Image, NDArray[np.float32], NDArray[np.bool_]]


def make_stills(seed: int, first: int, count: int) -> Chunk:
    """Stills number ``first`` to ``first + count``.

    Returns:
        Pictures (N, S, S, 3) RGB, key points (N, 17, 2) of the main figure in [0, 1] of the
        picture, and which of them are inside it (N, 17).
    """
    cv2.setNumThreads(1)
    images = np.empty((count, SIZE, SIZE, 3), np.uint8)
    points = np.empty((count, len(COCO_INDEX), 2), np.float32)
    for index in range(count):
        number = first + index
        if index == 0 or number % _SHARED == 0:
            once = named_rng(seed, "still place", number // _SHARED)
            room, bodies = Place.random(once), [Body.random(once) for _ in range(2)]
            looks = [Look.random(once, room.wall) for _ in range(2)]
        rng = named_rng(seed, "still", number)
        people = []
        for who in range(2 if rng.random() < 0.25 else 1):
            figure = _posed(rng, bodies[who])
            if who:  # the second stands behind or beside
                figure = place(
                    figure, (rng.choice([-1, 1]) * rng.uniform(0.35, 0.7), -rng.uniform(0, 0.6)), 0
                )
            people.append(Person(figure, bodies[who], looks[who]))
        camera = random_camera(rng, (0.55, 0.85), people[0].joints, (SIZE, SIZE))
        held = Handling(np.zeros((1, 2)), np.ones(1))
        images[index] = render(people, room, camera, held, (SIZE, SIZE), rng.uniform(1, 6), rng)[0]
        pixels, _ = camera.view(people[0].joints[0, COCO_INDEX])
        points[index] = pixels / SIZE
    visible = np.all((points >= 0) & (points < 1), axis=-1)
    return images, points, visible


def _posed(rng: np.random.Generator, body: Body) -> NDArray[np.float64]:
    """Joints (1, J, 3) of a pose from some dance or action, moved on by chance."""
    dances = [*STYLES.values(), *ACTIONS.values()]
    performance = Performance.random(dances[rng.integers(len(dances))], rng)
    dancers = performance.figure.dancers
    dancer = dancers[rng.integers(len(dancers))]
    channels = dance_moves(dancer.moves, np.array([performance.start]), performance.amplitude, rng)
    for name, size in _JITTER.items():
        channels[name] = channels[name] + rng.normal(0, size, channels[name].shape)
    channels["travel"] = channels["travel"] * 0
    moves: Moves = dancer.moves
    figure = joints(channels, body, planted=moves.planted, knees_out=moves.knees_out)
    facing = rng.normal(0, _FACING) if rng.random() < 0.8 else rng.uniform(0, 1)
    return np.asarray(place(figure, (0.0, 0.0), float(facing)))


def film_stills(item: Item, path: Path) -> dict[str, Any]:
    """One chunk of stills, as :func:`pack` lays them out."""
    pictures, points, visible = make_stills(**item.args)
    write_npz(path, pack([jpeg(picture, QUALITY) for picture in pictures], points, visible))
    return {}


def chunks(seed: int, count: int) -> list[Item]:
    """What :func:`film_stills` has to do for ``count`` stills."""
    return [
        Item(
            f"stills{first:07d}",
            args={"seed": seed, "first": first, "count": min(_CHUNK, count - first)},
        )
        for first in range(0, count, _CHUNK)
    ]


def pack(
    pictures: Sequence[bytes], points: NDArray[np.float32], visible: NDArray[np.bool_]
) -> dict[str, NDArray[np.generic]]:
    """The arrays of a file of stills.

    Returns:
        ``jpeg``, the bytes of all pictures in a row; ``ends`` (N,), where each of them ends;
        ``joints`` (N, 17, 2) in [0, 1] of the picture; ``visible`` (N, 17).
    """
    return {
        "jpeg": np.frombuffer(b"".join(pictures), np.uint8),
        "ends": np.cumsum([len(picture) for picture in pictures], dtype=np.int64),
        "joints": points,
        "visible": visible,
    }


def join(parts: Sequence[Path], path: Path) -> None:
    """Write the stills of several files into one."""
    found: list[Mapping[str, NDArray[Any]]] = [pack([], *make_stills(0, 0, 0)[1:])]
    for part in parts:
        with np.load(part) as content:
            found.append(dict(content))
    before = np.cumsum([0, *(len(one["jpeg"]) for one in found[:-1])])
    arrays = {name: np.concatenate([one[name] for one in found]) for name in found[0]}
    arrays["ends"] = np.concatenate(
        [one["ends"] + start for one, start in zip(found, before, strict=True)]
    )
    write_npz(path, arrays)
