"""What a dance is: its tempo, and figures that dancers stand in and move by."""

from __future__ import annotations

from dataclasses import dataclass, field

from dancestyle.sample.curves import Curve, Hold
from dancestyle.sample.skeleton import Moves


@dataclass(frozen=True)
class Dancer:
    """One place of a formation.

    Attributes:
        moves: what is danced there.
        at: (left, forward) of the place, as the camera's audience sees it: +left is their right.
        facing: turns to the left; 0 faces the audience, 0.25 to their right, 0.5 away.
        late: beats that this dancer is behind the first.
    """

    moves: Moves
    at: tuple[float, float] = (0.0, 0.0)
    facing: float = 0.0
    late: float = 0.0


@dataclass(frozen=True)
class Figure:
    """A formation and how it moves as a whole.

    Attributes:
        dancers: the first is the main one.
        travel: of the whole formation over the floor.
        turn: of the whole formation about its middle, in turns.
        loose: beats by which each dancer is off the music at random; a crowd is, a line is not.
    """

    dancers: tuple[Dancer, ...]
    travel: Curve = field(default_factory=lambda: Hold((0.0, 0.0, 0.0)))
    turn: Curve = field(default_factory=lambda: Hold(0.0))
    loose: float = 0.03


@dataclass(frozen=True)
class Dance:
    """A style: one of its figures is danced in a clip, at a tempo within the range.

    Attributes:
        label: as in Kinetics.
        tempo: lowest and highest, in beats a minute.
        figures: what may be seen of it.
        size: body heights against the frame's short side, lowest and highest.
    """

    label: str
    tempo: tuple[float, float]
    figures: tuple[Figure, ...]
    size: tuple[float, float] = (0.66, 0.84)


def solo(*moves: Moves) -> tuple[Figure, ...]:
    """A figure for one dancer from each of ``moves``."""
    return tuple(Figure((Dancer(each),)) for each in moves)


def couple(leader: Moves, follower: Moves, apart: float, along: float = 0.22) -> tuple[Dancer, ...]:
    """Two dancers face to face, ``apart`` body heights from each other.

    ``along`` is the direction that the leader faces, in turns; a quarter is seen from the side.
    """
    half = apart / 2
    return (
        Dancer(leader, at=(-half, 0.0), facing=along),
        Dancer(follower, at=(half, 0.0), facing=along + 0.5),
    )
