"""The choreographies by label: dances, everyday actions, and Let's Dance's other classes."""

from __future__ import annotations

from dataclasses import replace

from dancestyle.sample.choreography.dance import Dance, Dancer, Figure
from dancestyle.sample.choreography.everyday import EVERYDAY
from dancestyle.sample.choreography.solo import SOLO
from dancestyle.sample.choreography.street import STREET
from dancestyle.sample.choreography.together import TOGETHER

__all__ = ["ACTIONS", "BALLROOM", "STYLES", "Dance", "Dancer", "Figure"]

STYLES: dict[str, Dance] = {
    dance.label: dance for dance in sorted(SOLO + STREET + TOGETHER, key=lambda dance: dance.label)
}
ACTIONS: dict[str, Dance] = {dance.label: dance for dance in EVERYDAY}

# Let's Dance classes that are none of the 19 styles: relatives of one, at another tempo.
_RELATIVES: dict[str, tuple[str, float]] = {
    "cha": ("salsa dancing", 0.7),
    "flamenco": ("tap dancing", 0.9),
    "foxtrot": ("tango dancing", 1.2),
    "jive": ("swing dancing", 1.2),
    "latin": ("salsa dancing", 1.0),
    "pasodoble": ("tango dancing", 1.5),
    "quickstep": ("tango dancing", 2.0),
    "rumba": ("salsa dancing", 0.55),
    "samba": ("cumbia", 1.1),
    "waltz": ("tango dancing", 1.1),
}
BALLROOM: dict[str, Dance] = {
    name: replace(
        STYLES[relative],
        label=name,
        tempo=(STYLES[relative].tempo[0] * factor, STYLES[relative].tempo[1] * factor),
    )
    for name, (relative, factor) in _RELATIVES.items()
}
