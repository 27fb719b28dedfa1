"""Training on several devices: one process each, started by torchrun, on one machine or many.

A batch of ``batch_size`` clips is dealt out over the processes, so the steps are those of one process
but for what each has of its own: dropout's draws and, on CPUs, BatchNorm's statistics. What does not
fill an epoch's last batch is left out. Every validation clip is scored once. Only the first process
writes files.
"""

from __future__ import annotations

import os
import sys

import torch
import torch.distributed

from dancestyle import pool
from dancestyle.params import Machine, ParamsError


def world() -> int:
    """How many processes train together; 1 without torchrun."""
    return int(os.environ["WORLD_SIZE"]) if torch.distributed.is_torchelastic_launched() else 1


def rank() -> int:
    """This process's number among them, from 0."""
    return int(os.environ["RANK"]) if torch.distributed.is_torchelastic_launched() else 0


def local_world() -> int:
    """How many of them run on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1)) if world() > 1 else 1


def is_main() -> bool:
    """Whether this process is the one that writes files and speaks."""
    return rank() == 0


def meet() -> None:
    """Wait until all processes are here; for those that train nothing, and so meet nowhere else."""
    if world() > 1:
        torch.distributed.init_process_group("gloo")
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def own_batch(batch_size: int) -> int:
    """This process's share of a batch.

    Raises:
        ParamsError: the batch cannot be dealt out evenly.
    """
    if batch_size % world():
        raise ParamsError(
            f"params.yaml: a batch_size of {batch_size} cannot be dealt out evenly to {world()} "
            "processes; make it a multiple of that, or change machine.devices"
        )
    return batch_size // world()


def processes(settings: Machine) -> int:
    """How many processes ``machine.devices`` asks for on this machine: one a GPU, or one.

    Raises:
        ParamsError: there are fewer GPUs than it says.
    """
    gpus = torch.cuda.device_count()
    if settings.devices == "auto":
        return max(gpus, 1)
    if gpus and settings.devices > gpus:
        raise ParamsError(
            f"params.yaml: machine.devices is {settings.devices}, but this machine has {gpus} GPUs"
        )
    return settings.devices


def command(settings: Machine, module: str, *arguments: str) -> list[str] | None:
    """The torchrun command for ``python -m module arguments``, or None where one process is enough.

    Raises:
        ParamsError: ``machine.nodes`` asks for several machines and ``machine.rendezvous`` does not
            say where they meet.
    """
    count = processes(settings)
    if settings.nodes == 1 and count == 1:
        return None
    if settings.nodes == 1:
        where = ["--standalone"]
    elif settings.rendezvous is None:
        raise ParamsError(
            f"params.yaml: machine.nodes is {settings.nodes}, so machine.rendezvous must name one of "
            "them and a free port there (HOST:29500); then start the same command on each"
        )
    else:
        where = ["--nnodes", str(settings.nodes), "--rdzv-backend", "c10d"]
        where += [
            "--rdzv-endpoint",
            settings.rendezvous,
            "--rdzv-id",
            "-".join([module, *arguments]),
        ]
    torchrun = [sys.executable, "-m", "torch.distributed.run", *where]
    return [*torchrun, "--nproc-per-node", str(count), "-m", module, *arguments]


def spread(settings: Machine, module: str, *arguments: str) -> None:
    """Start this script anew on all devices that params ask for, in place of this process.

    Returns where there is nothing to do: one device is enough, or torchrun has started this process.
    """
    if torch.distributed.is_torchelastic_launched():
        return
    line = command(settings, module, *arguments)
    if line is None:
        return
    if not torch.cuda.is_available():
        threads = max(pool.cores() // processes(settings), 1)
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    print("starting " + " ".join(line[1:]), flush=True)
    os.execv(line[0], line)
