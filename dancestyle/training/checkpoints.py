"""Our own model files: a net with its weights, classes and input, in one file."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dancestyle import nets
from dancestyle.files import write_bytes
from dancestyle.nets.base import VideoNet
from dancestyle.training import parallel
from dancestyle.training.data import InputSpec

FORMAT = "dancestyle-1"


class CheckpointError(ValueError):
    """A model file that cannot be used; the message names it and says what was expected."""


@dataclass(frozen=True)
class ModelMeta:
    """What a net needs besides its weights, so that any video can be made to look like its clips.

    Attributes:
        net: a name that :func:`dancestyle.nets.create` knows.
        labels: the classes in the order of the logits.
        input: what the net is fed with.
        options: of the net.
        fps: frames a second of the clips that it was trained on.
        short_side: pixels of their shorter side; None where a file does not say.
        flow: the ``method``, ``options`` and ``short_side`` that their flow was computed with; empty
            for RGB.
    """

    net: str
    labels: tuple[str, ...]
    input: InputSpec
    options: dict[str, Any] = field(default_factory=dict)
    fps: float = 25.0
    short_side: int | None = None
    flow: dict[str, Any] = field(default_factory=dict)

    @property
    def modality(self) -> str:
        """``rgb`` or ``flow``."""
        return self.input.modality


@dataclass(frozen=True)
class LoadedModel:
    """A net in evaluation mode and what belongs to it."""

    net: VideoNet
    meta: ModelMeta


def to_bytes(content: Any) -> bytes:
    """``torch.save`` into memory: the same content gives the same bytes whatever the file's name."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def save_weights(
    path: Path | str, weights: Mapping[str, Tensor], half: bool = False, **facts: Any
) -> None:
    """Write weights and plain facts about them; of several processes, the first writes.

    ``half`` keeps kernels and matrices in 16 bits (float16, relative error 2 ** -11), in which they
    need half the space; vectors (of norms, biases) stay as they are.
    """
    if not parallel.is_main():
        return
    tensors = {
        key: (_halved(value) if half else value).detach().cpu().contiguous().clone()
        for key, value in weights.items()
    }
    write_bytes(path, to_bytes({"format": FORMAT, **facts, "state_dict": tensors}))


def _halved(value: Tensor) -> Tensor:
    """In 16 bits, if it is a kernel or a matrix and none of it is too large for them."""
    if value.ndim < 2 or value.dtype != torch.float32:
        return value
    half = value.to(torch.float16)
    return half if bool(half.isfinite().all()) else value


def read_weights(path: Path | str) -> dict[str, Any]:
    """The content of a file of :func:`save_weights`, its weights float32; nothing is executed.

    Raises:
        CheckpointError: the file is missing, is no checkpoint, or wants to run code.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: not found; `dvc repro` or `dvc pull` makes it") from None
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: refused, since it holds more than tensors and plain values and would run "
            f"code when loaded ({str(error).splitlines()[0]})"
        ) from None
    except (RuntimeError, EOFError, OSError) as error:
        raise CheckpointError(f"{path}: not a checkpoint, or damaged: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not a model file of this project (format {FORMAT})")
    weights = content.get("state_dict")
    if isinstance(weights, dict):
        content["state_dict"] = {
            key: value.float() if getattr(value, "dtype", None) == torch.float16 else value
            for key, value in weights.items()
        }
    return content


def save_model(path: Path | str, net: VideoNet, meta: ModelMeta, half: bool = False) -> None:
    """Write a net and its :class:`ModelMeta`, whole or not at all; ``half`` as above."""
    facts = asdict(meta)
    facts["labels"] = list(meta.labels)
    save_weights(path, net.state_dict(), half, **facts)


def load_model(path: Path | str) -> LoadedModel:
    """Read a file of :func:`save_model`, ready for inference.

    Raises:
        CheckpointError: as in :func:`read_weights`, or the weights do not fit the net.
    """
    content = read_weights(path)
    try:
        spec = InputSpec(**content["input"])
        late = {key: content[key] for key in ("fps", "short_side", "flow") if key in content}
        meta = ModelMeta(content["net"], tuple(content["labels"]), spec, content["options"], **late)
        net = nets.create(meta.net, len(meta.labels), in_channels=spec.channels, **meta.options)
        net.load_state_dict(content["state_dict"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path}: does not describe one of our nets: {error}") from None
    return LoadedModel(net.eval(), meta)
