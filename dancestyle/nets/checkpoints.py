"""Weights that others have published, and our own, into our nets.

``load`` reads a file without running anything in it, recognises by its keys whose it is, and fills
the net whole or not at all. ``find`` brings a file here: by path, by name out of
:data:`~dancestyle.nets.published.PUBLISHED`, or by URL.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dancestyle.nets import all_options
from dancestyle.nets.base import VideoNet
from dancestyle.nets.foreign_keys import SOURCES, recognise, translate
from dancestyle.nets.inflate import inflate
from dancestyle.nets.published import PUBLISHED, PublishedFile, find, known
from dancestyle.nets.resnet_i3d import ResNetI3D

# A ResNet's time strides (first convolution, first pool, pool after res2) leave no trace in the
# shapes of its weights: what they are in the files of each source, by length of the first kernel.
_TIME_STRIDES = {
    ("mmaction2", 5): (2, 2, 2),
    ("mmaction2", 1): (1, 1, 1),
    ("pytorchvideo", 5): (1, 1, 2),
    ("pytorchvideo", 1): (1, 1, 1),
}


class WeightsError(ValueError):
    """A file of weights that cannot be used; the message names it and says what to do."""


@dataclass(frozen=True)
class LoadReport:
    """What became of the weights of a file.

    Attributes:
        source: one of :data:`~dancestyle.nets.foreign_keys.SOURCES`.
        loaded: our keys that were filled.
        missing: our keys that the file has nothing for: a dropped head, non-local blocks that a 2D
            net cannot have. Anything else missing is an error.
        unexpected: keys of the file that belong to no net that we know (an optimiser's averages,
            auxiliary classifiers).
        misshapen: our keys whose shape differs, with both shapes: a head of another size.
        dropped_head: the file's head has another number of classes, and ours was left as it was.
    """

    source: str
    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...]
    dropped_head: bool

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} tensors loaded from a file of {self.source}"]
        if self.dropped_head:
            parts.append(f"its head dropped ({'; '.join(self.misshapen) or 'it has another task'})")
        elif self.missing:
            parts.append(f"nothing for {_some(self.missing)}")
        if self.unexpected:
            parts.append(f"unknown and left aside: {_some(self.unexpected)}")
        return ", ".join(parts)


def _some(keys: tuple[str, ...] | list[str]) -> str:
    return ", ".join(keys[:4]) + (f" and {len(keys) - 4} more" if len(keys) > 4 else "")


def read(path: Path | str) -> dict[str, Tensor]:
    """The tensors of a file, out of whatever its maker has wrapped them in; nothing is executed.

    Raises:
        WeightsError: the file is missing, is no checkpoint, wants to run code, or has no tensors.
    """
    return _unwrapped(path, _content(path))


def _content(path: Path | str) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError(f"{path}: not found") from None
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path}: refused, since it is no plain file of weights: it would run code when "
            f"loaded, or is damaged ({str(error).splitlines()[0]}); get it from its publisher, or "
            "save its state_dict alone"
        ) from None
    except (RuntimeError, EOFError, OSError, KeyError, ValueError) as error:
        raise WeightsError(f"{path}: not a checkpoint, or damaged: {error}") from None


def _unwrapped(path: Path | str, content: Any) -> dict[str, Tensor]:
    for key in ("state_dict", "model_state", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path}: holds a {type(content).__name__}, not a net's weights")
    # What training with several processes puts before each name.
    weights = {
        str(key).removeprefix("module."): value
        for key, value in content.items()
        if isinstance(value, Tensor)
    }
    if not weights:
        raise WeightsError(f"{path}: has no tensors, so no net's weights")
    return weights


def load(
    net: VideoNet, path: Path | str, source: str = "auto", inflation: str = "spread"
) -> LoadReport:
    """Fill ``net`` from a file; on an error it stays as it was.

    A head of another number of classes is dropped: the net's own stays.

    Args:
        net: made by :func:`dancestyle.nets.create`, of the file's architecture.
        path: the file.
        source: one of :data:`~dancestyle.nets.foreign_keys.SOURCES`, or ``auto``.
        inflation: how kernels of a 2D net (``torchvision_2d``) are inflated, see
            :mod:`dancestyle.nets.inflate`.

    Raises:
        WeightsError: the file cannot be read, or its weights are not those of this net.
    """
    if source != "auto" and source not in SOURCES:
        raise WeightsError(f"no source '{source}'; there are: auto, {', '.join(SOURCES)}")
    content = _content(path)
    weights = _unwrapped(path, content)
    found = recognise(weights) if source == "auto" else source
    if found is None:
        raise WeightsError(
            f"{path}: keys of an unknown kind ({_some(list(weights))}); there are readers for: "
            f"{', '.join(SOURCES)}"
        )
    if found == "torchvision_2d":
        return _inflate(net, path, weights, inflation)
    _check_options(net, path, content)
    return _fill(net, path, found, *translate(found, weights))


def _inflate(
    net: VideoNet, path: Path | str, weights: Mapping[str, Tensor], inflation: str
) -> LoadReport:
    try:
        left = inflate(net, weights, inflation)
    except ValueError as error:
        raise WeightsError(f"{path}: {error}") from None
    head = ("head.weight", "head.bias")
    loaded = tuple(key for key in net.state_dict() if key not in {*left, *head})
    aside = tuple(k for k in weights if k.startswith("aux"))
    return LoadReport("torchvision_2d", loaded, (*left, *head), aside, (), dropped_head=True)


def _fill(
    net: VideoNet,
    path: Path | str,
    source: str,
    weights: dict[str, Tensor],
    unexpected: tuple[str, ...],
) -> LoadReport:
    state = net.state_dict()
    misshapen = {
        key: f"{key} {tuple(weights[key].shape)} for {tuple(tensor.shape)}"
        for key, tensor in state.items()
        if key in weights and weights[key].shape != tensor.shape
    }
    dropped = bool({"head.weight", "head.bias"} & misshapen.keys())
    head = {"head.weight", "head.bias"} if dropped else set()
    missing = [key for key in state if key not in weights or key in head]
    lacking = [k for k in missing if k not in head and not k.endswith("num_batches_tracked")]
    foreign = [key for key in weights if key not in state and key not in unexpected]
    wrong = [text for key, text in misshapen.items() if key not in head]
    if lacking or foreign or wrong:
        complaints = [f"nothing for {_some(lacking)}"] if lacking else []
        complaints += [f"no place for {_some(foreign)}"] if foreign else []
        complaints += [f"another shape: {'; '.join(wrong[:3])}"] if wrong else []
        raise WeightsError(
            f"{path}: a file of {source}, but not of this {type(net).__name__}: "
            f"{'; '.join(complaints)}. Create the net, with its options, that the file is of"
        )
    _check_strides(net, path, source)
    with torch.no_grad():
        for key, tensor in state.items():
            if key in weights and key not in head:
                tensor.copy_(weights[key])
    return LoadReport(
        source=source,
        loaded=tuple(key for key in state if key not in missing),
        missing=tuple(key for key in missing if not key.endswith("num_batches_tracked")),
        unexpected=unexpected,
        misshapen=tuple(misshapen.values()),
        dropped_head=dropped,
    )


def _check_strides(net: VideoNet, path: Path | str, source: str) -> None:
    if not isinstance(net, ResNetI3D):
        return
    strides = _TIME_STRIDES.get((source, net.stem_length))
    if type(net).__name__ == "C2DResNet":
        strides = (1, 1, 2)
    if strides is not None and source != "dancestyle" and net.time_strides != strides:
        raise WeightsError(
            f"{path}: nets of {source} have the time strides {strides}, this one has "
            f"{net.time_strides}; create it with time_strides={strides}"
        )


def _check_options(net: VideoNet, path: Path | str, content: Mapping[str, Any]) -> None:
    """That the net has the options of the file: of one of ours, or a published one, known by its name.

    Some of them, as the function that compares positions in a non-local block, leave no trace in the
    weights.
    """
    entry = known(path)
    name, options = (entry.net, entry.options) if entry else ("", {})
    if isinstance(content.get("options"), Mapping):
        name, options = content.get("net", ""), content["options"]
    if not name or name != net.name:
        return
    theirs, ours = (
        {key: _resolved(net, key, value) for key, value in one.items()}
        for one in (all_options(name, options), net.options)
    )
    other = [key for key, own in ours.items() if own != theirs[key]]
    if other:
        wanted, found = (
            ", ".join(f"{key}={options[key]!r}" for key in other) for options in (theirs, ours)
        )
        raise WeightsError(
            f"{path}: of a net with {wanted}, this one has {found}; create it with {wanted}"
        )


def _resolved(net: VideoNet, key: str, value: Any) -> Any:
    """An option's value as it is compared: a list is a tuple, none given is the net's own."""
    if key == "time_strides" and value is None:
        value = getattr(net, "default_time_strides", None)
    return tuple(value) if isinstance(value, list) else value


__all__ = [
    "PUBLISHED",
    "LoadReport",
    "PublishedFile",
    "WeightsError",
    "find",
    "known",
    "load",
    "read",
]
