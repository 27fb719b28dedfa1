"""One clip from names alone: who dances, where, seen by which camera."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from dancestyle.sample.choreography import ACTIONS, BALLROOM, STYLES, Dance
from dancestyle.sample.curves import Array
from dancestyle.sample.performance import Performance, perform, place
from dancestyle.sample.render import Person, render
from dancestyle.sample.scene import Handling, Image, Look, Place, random_camera
from dancestyle.sample.skeleton import COCO_INDEX, Body, Moves, joints
from dancestyle.seeds import rng as named_rng

CROWD = 8  # bodies that a video has ready, for any formation


@dataclass(frozen=True)
class Rendered:
    """A clip: frames (T, H, W, 3) RGB, and key points (T, P, 17, 2) in pixels, of P dancers."""

    frames: Image
    keypoints: Array


def choreography(label: str) -> Dance:
    """The dance or action of a label.

    Raises:
        KeyError: nobody has written a choreography for it.
    """
    for table in (STYLES, ACTIONS, BALLROOM):
        if label in table:
            return table[label]
    raise KeyError(f"no choreography for '{label}'; add one to dancestyle/sample/choreography")


def make_clip(
    seed: int, label: str, video: str, moment: int, seconds: Array, size: tuple[int, int]
) -> Rendered:
    """Film one moment of a video.

    Args:
        seed: of the world.
        label: what is danced.
        video: name of the video; dancers, place and clothes hang on it.
        moment: which clip of the video; phase, tempo and camera hang on it too.
        seconds: times (T,) of the frames.
        size: (width, height) in pixels.
    """
    cv2.setNumThreads(1)
    once = named_rng(seed, "video", label, video)
    bodies = [Body.random(once) for _ in range(CROWD)]
    room = Place.random(once)
    looks = [Look.random(once, room.wall) for _ in range(CROWD)]
    onlookers = int(once.choice(4, p=[0.6, 0.22, 0.12, 0.06]))
    rng = named_rng(seed, "clip", label, video, moment)
    dance = choreography(label)
    performance = Performance.random(dance, rng)
    dancers = perform(performance, bodies, seconds, rng)
    people = [
        Person(each, body, look) for each, body, look in zip(dancers, bodies, looks, strict=False)
    ]
    camera = random_camera(rng, dance.size, np.stack(dancers), size)
    people += [_onlooker(once, rng, room, len(seconds)) for _ in range(onlookers)]
    handling = Handling.random(rng, seconds, min(size))
    frames = render(people, room, camera, handling, size, rng.uniform(1, 6), rng)
    pixels, _ = camera.view(np.stack(dancers, axis=1)[:, :, COCO_INDEX])  # (T, P, 17, 2)
    middle = np.array(size) / 2
    zooms = handling.zooms[:, None, None, None]
    pixels = (pixels - middle) * zooms + middle + handling.offsets[:, None, None]
    return Rendered(frames, pixels)


def _onlooker(
    once: np.random.Generator, rng: np.random.Generator, room: Place, count: int
) -> Person:
    """Somebody who only stands there and shifts their weight a little."""
    body, look = Body.random(once), Look.random(once, room.wall)
    side = once.choice([-1.0, 1.0]) * once.uniform(0.5, 1.2)
    back, facing = -room.depth * once.uniform(0.55, 0.9), once.uniform(-0.2, 0.2)
    beats = np.linspace(0, 2, count) + rng.uniform(0, 8)
    channels = Moves().at(beats)
    channels["pelvis"] = channels["pelvis"] + 0.01 * np.sin(beats)[:, None] * np.array([1.0, 0, 0])
    return Person(place(joints(channels, body), (side, back), facing), body, look)
