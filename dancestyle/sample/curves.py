"""Curves over musical time, the alphabet that choreography is written in.

A curve maps beats (T,) to values (T, D). D is 3 for places (left, up, forward; in body heights) and
for angles (bend forward, lean left, twist left; in degrees), and 1 for turns of the whole body.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Value = tuple[float, ...] | float
Ease = Literal["smooth", "snap", "linear"]


def _row(value: Value) -> Array:
    return np.atleast_1d(np.asarray(value, dtype=np.float64))


class Curve:
    """Base of all curves; curves add up with ``+``."""

    def at(self, beats: Array) -> Array:
        """Values (T, D) at beats (T,)."""
        raise NotImplementedError

    def __add__(self, other: Curve) -> Curve:
        return Sum((self, other))

    def mirror(self, shift: float = 0.0) -> Curve:
        """What the other side of the body does, ``shift`` beats later: left and right swapped."""
        return Mirror(self, shift)


@dataclass(frozen=True)
class Hold(Curve):
    """A value that never changes."""

    value: Value

    def at(self, beats: Array) -> Array:
        """Values (T, D) at beats (T,)."""
        return np.repeat(_row(self.value)[None], len(beats), axis=0)


@dataclass(frozen=True)
class Wave(Curve):
    """A sine: ``size`` is its amplitude, ``beats`` its period, ``phase`` in periods."""

    beats: float
    size: Value
    phase: float = 0.0

    def at(self, beats: Array) -> Array:
        """Values (T, D) at beats (T,)."""
        swing = np.sin(2 * np.pi * (beats / self.beats + self.phase))
        return swing[:, None] * _row(self.size)[None]


@dataclass(frozen=True)
class Ramp(Curve):
    """A steady change, ``size`` in every ``beats``: a spin, a walk that never comes back."""

    beats: float
    size: Value

    def at(self, beats: Array) -> Array:
        """Values (T, D) at beats (T,)."""
        return (beats / self.beats)[:, None] * _row(self.size)[None]


@dataclass(frozen=True)
class Keys(Curve):
    """Key poses at given beats of a phrase of ``beats``, repeated for ever.

    ``smooth`` glides from key to key, ``snap`` arrives in a third of the way and holds, ``linear``
    goes at a constant speed. ``lift`` raises the value's second component (up) in an arc on the way
    from one key to another that differs from it: a step.
    """

    beats: float
    keys: dict[float, Value]
    ease: Ease = "smooth"
    lift: float = 0.0

    def at(self, beats: Array) -> Array:
        """Values (T, D) at beats (T,)."""
        times = np.array(sorted(self.keys))
        values = np.stack([_row(self.keys[time]) for time in sorted(self.keys)])  # (K, D)
        phase = np.mod(beats - times[0], self.beats)
        index = np.searchsorted(times - times[0], phase, side="right") - 1  # (T,)
        follows = (index + 1) % len(times)
        start = (times - times[0])[index]
        length = np.append(np.diff(times), times[0] + self.beats - times[-1])[index]
        share = np.clip((phase - start) / length, 0, 1)
        if self.ease == "snap":
            share = np.clip(share / 0.35, 0, 1)
        if self.ease != "linear":
            share = share * share * (3 - 2 * share)
        out = values[index] + share[:, None] * (values[follows] - values[index])
        if self.lift:
            moved = np.linalg.norm(values[follows] - values[index], axis=1) > 1e-6
            out[:, 1] += self.lift * np.sin(np.pi * share) * moved
        return out


@dataclass(frozen=True)
class Staircase(Curve):
    """``size`` more at every ``beats``, moved through in the first ``share`` of it, then held."""

    beats: float
    size: Value
    share: float = 0.5

    def at(self, beats: Array) -> Array:
        """Values (T, D) at beats (T,)."""
        whole = np.floor(beats / self.beats)
        part = np.clip((beats / self.beats - whole) / self.share, 0, 1)
        return (whole + part * part * (3 - 2 * part))[:, None] * _row(self.size)[None]


@dataclass(frozen=True)
class Sum(Curve):
    """Curves added up."""

    parts: tuple[Curve, ...]

    def at(self, beats: Array) -> Array:
        """Values (T, D) at beats (T,)."""
        return np.asarray(sum(part.at(beats) for part in self.parts))


@dataclass(frozen=True)
class Mirror(Curve):
    """A place curve with left and right swapped, ``shift`` beats later."""

    curve: Curve
    shift: float

    def at(self, beats: Array) -> Array:
        """Values (T, D) at beats (T,)."""
        return self.curve.at(beats - self.shift) * np.array([-1.0, 1.0, 1.0])
