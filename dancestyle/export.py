"""A trained net as files that other programs run: torch.export and ONNX, with the model's card.

What is exported takes views that are normalised already and gives logits; the card says how views are
made. A file that does not give what the net gives is not written.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dancestyle.files import atomic_path
from dancestyle.training.checkpoints import LoadedModel

if TYPE_CHECKING:
    from collections.abc import Iterator

Array = npt.NDArray[np.float32]
Run = Callable[[Tensor], Array]

TOLERANCE = 1e-3
"""Largest difference of a logit, as a share of the largest logit (or of 1), that counts as equal."""
CHECKED = (1, 3)
"""Views at once that an exported file is tried with; neither is what it was traced with."""
TRACED = 2
SUFFIXES = {"torch": ".pt2", "onnx": ".onnx"}


class ExportError(ValueError):
    """A net that cannot be exported; the message says why."""


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    ``difference`` is the largest between a logit of the file and of the net, over all checks.
    """

    path: Path
    kind: str
    difference: float


def example(model: LoadedModel, views: int, seed: int = 0) -> Tensor:
    """Views (N, C, T, S, S) of noise, in the range that normalised ones have."""
    spec = model.meta.input
    generator = torch.Generator().manual_seed(seed)
    shape = (views, spec.channels, spec.frames, spec.size, spec.size)
    return torch.rand(shape, generator=generator) * 2 - 1


def export(model: LoadedModel, path: Path, kind: str) -> Exported:
    """Write ``path`` as ``torch`` (torch.export) or ``onnx``, checked against the net.

    The number of views is free; their length and size are those that the net was trained on.

    Raises:
        ExportError: the net cannot be traced, or the file gives something else than the net.
    """
    if kind not in SUFFIXES:
        raise ExportError(f"format '{kind}' is not one of: {', '.join(SUFFIXES)}")
    net = _plain(model.net)
    write, load = _WAYS[kind]
    with atomic_path(path) as temporary:
        with _quiet():
            try:
                write(net, example(model, TRACED), temporary)
            except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
                raise ExportError(f"{path}: {str(error).splitlines()[0]}") from error
        difference = largest_difference(net, load(temporary), model, path)
    return Exported(path, kind, difference)


def largest_difference(net: nn.Module, run: Run, model: LoadedModel, path: Path) -> float:
    """How far the logits of a file and of the net are apart, over several numbers of views.

    Raises:
        ExportError: too far.
    """
    worst = 0.0
    for views in CHECKED:
        x = example(model, views, seed=views)
        with torch.inference_mode():
            wanted = net(x).numpy()
        found = run(x)
        if found.shape != wanted.shape:
            raise ExportError(f"{path}: gives {found.shape} for {views} views, not {wanted.shape}")
        difference = float(np.abs(found - wanted).max())
        if not difference <= TOLERANCE * max(1.0, float(np.abs(wanted).max())):
            raise ExportError(
                f"{path}: a logit is {difference:.3g} off what the net gives, more than allowed"
            )
        worst = max(worst, difference)
    return worst


def _plain(net: nn.Module) -> nn.Module:
    """The net on the CPU in contiguous float32, which any runtime takes."""
    net = net.eval().cpu().float()
    for parameter in net.parameters():
        parameter.data = parameter.data.contiguous()
        parameter.requires_grad_(False)
    return net


def _write_torch(net: nn.Module, x: Tensor, path: Path) -> None:
    program = torch.export.export(net, (x,), dynamic_shapes=({0: torch.export.Dim("views")},))
    torch.export.save(program, path)


def _load_torch(path: Path) -> Run:
    module = torch.export.load(path).module()

    def run(x: Tensor) -> Array:
        with torch.inference_mode():
            return np.asarray(module(x).numpy())

    return run


def _write_onnx(net: nn.Module, x: Tensor, path: Path) -> None:
    torch.onnx.export(
        net,
        (x,),
        path,
        input_names=["views"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("views")},),
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def _load_onnx(path: Path) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(x: Tensor) -> Array:
        (logits,) = session.run(["logits"], {"views": x.numpy()})
        return np.asarray(logits)

    return run


_WAYS: dict[str, tuple[Callable[[nn.Module, Tensor, Path], None], Callable[[Path], Run]]] = {
    "torch": (_write_torch, _load_torch),
    "onnx": (_write_onnx, _load_onnx),
}


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporters tell of their own deprecations, which nobody here can act on."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def missing_packages(kinds: Sequence[str]) -> list[str]:
    """What has to be installed for these formats."""
    from importlib.util import find_spec

    needed = ("onnx", "onnxscript", "onnxruntime") if "onnx" in kinds else ()
    return [name for name in needed if find_spec(name) is None]
