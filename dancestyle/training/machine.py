"""What the machine is good at, and keeping its results the same from run to run."""

from __future__ import annotations

import torch

from dancestyle import pool
from dancestyle.nets.base import VideoNet
from dancestyle.nets.fast import FastNet, has_fast_bf16, optimise_for_inference
from dancestyle.nets.inception_i3d import InceptionI3D
from dancestyle.nets.resnet_i3d import ResNetI3D
from dancestyle.training import heap


def precision(wanted: str) -> str:
    """``auto`` resolved to ``bf16`` or ``fp32``."""
    return ("bf16" if has_fast_bf16() else "fp32") if wanted == "auto" else wanted


def cores(wanted: int = 0) -> int:
    """``wanted`` processes, or one a usable core for 0."""
    return wanted or pool.cores()


def own_gpu(number: int, gpus: int, visible: str | None = None) -> str | None:
    """``CUDA_VISIBLE_DEVICES`` for a worker (from 0) that is to have a GPU of its own, in turn.

    Args:
        number: of the worker.
        gpus: how many GPUs there are for all workers.
        visible: what the variable is for all of them, numbers or UUIDs; None where it is not set.

    Returns:
        One GPU; None where there is nothing to share out.
    """
    if not gpus:
        return None
    named = [str(n) for n in range(gpus)] if visible is None else visible.split(",")[:gpus]
    return named[number % len(named)].strip()


def make_deterministic() -> None:
    """Same inputs, same bytes: no algorithm that sums in an order of its own choosing."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Else torch fills all new memory with NaN first, a fifth of the time of a training step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False


def autocast(wanted: str) -> torch.autocast:
    """The context to run a net in for a precision out of params."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.autocast(device, torch.bfloat16, enabled=precision(wanted) == "bf16")


def fast_layout(net: torch.nn.Module) -> torch.nn.Module:
    """Convolution weights in channels-last order, which CPUs and tensor cores run fastest in."""
    for parameter in net.parameters():
        if parameter.dim() == 5:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)
        elif parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return net


def for_inference(net: VideoNet, wanted: str) -> VideoNet | FastNet:
    """A net to predict with under :func:`autocast`, as fast as this machine runs it.

    Nets that have not been tried whole in bfloat16 stay as they are, and autocast chooses for them
    what is done in it.
    """
    heap.keep()
    kind = precision(wanted)
    if kind == "bf16" and not isinstance(net, InceptionI3D | ResNetI3D):
        fast_layout(net)
        return net
    return optimise_for_inference(net, kind)
