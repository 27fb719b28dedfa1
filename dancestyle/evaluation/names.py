"""Names of the models that are evaluated: in files, in order, and for readers.

Apart from the code that scores, so that a page of results is made without loading torch.
"""

from __future__ import annotations

from collections.abc import Iterable

TWO_STREAM = "two_stream"
ENSEMBLE = "ensemble"
FINETUNED = "finetune_"
GENERAL = "baseline_"
STREAMS = ("i3d_rgb", "i3d_flow")
STILL = ("colour_histogram", "single_frame")

_ORDER = (TWO_STREAM, *STREAMS, ENSEMBLE, FINETUNED, GENERAL, *STILL)


def in_order(models: Iterable[str]) -> list[str]:
    """Model names in the order in which tables show them: ours first, the simplest last."""

    def place(model: str) -> tuple[int, str]:
        places = [n for n, name in enumerate(_ORDER) if model.startswith(name)]
        return (places[0] if places else len(_ORDER), model)

    return sorted(models, key=place)


_NAMES = {
    TWO_STREAM: "two-stream I3D",
    STREAMS[0]: "I3D, RGB stream",
    STREAMS[1]: "I3D, flow stream",
    ENSEMBLE: "ensemble",
    "colour_histogram": "colour histogram",
    "single_frame": "single frame",
}


def model_name(model: str) -> str:
    """A model's name for readers."""
    if model.startswith(FINETUNED):
        return f"fine-tuned: {spaced(model.removeprefix(FINETUNED))}"
    if model.startswith(GENERAL):
        return f"general actions only: {spaced(model.removeprefix(GENERAL))}"
    return _NAMES.get(model, model)


def spaced(name: str) -> str:
    """Spaces for underscores, at which a phone can break a line."""
    return name.replace("_", " ")
