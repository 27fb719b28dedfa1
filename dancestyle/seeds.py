"""Random generators that depend on a seed and on names, never on the order of the work."""

from __future__ import annotations

import hashlib

import numpy as np


def derive(seed: int, *names: object) -> int:
    """A 63-bit seed from a seed and names: the same wherever and whenever it is asked for."""
    text = "\x1f".join([str(seed), *(str(name) for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def rng(seed: int, *names: object) -> np.random.Generator:
    """A generator for ``names`` (of a clip, a trial, ...) under ``seed``."""
    return np.random.default_rng(derive(seed, *names))
