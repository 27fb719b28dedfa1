"""Dancing in Style: a reproducible dance-style classifier.

``dancestyle.load_model("models/i3d_rgb.ckpt").predict("video.mp4")`` is all it takes to use one.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dancestyle.predict import load_model

__all__ = ["load_model"]


def __getattr__(name: str) -> object:
    """``load_model``, imported when it is first asked for: it brings torch with it.

    By name and not by an import statement, since no stage uses it (:mod:`dancestyle.imports`).
    """
    if name == "load_model":
        return importlib.import_module("dancestyle.predict").load_model
    raise AttributeError(f"module 'dancestyle' has no attribute '{name}'")
