"""The end of a bottleneck, in one pass and one by one: ``python -m benchmarks.normed [--write]``.

A convolution of one element that makes four channels of each, BatchNorm, the shortcut and ReLU, forward
and back, by ``dancestyle/nets/normed.py`` and by PyTorch's layers, in turns in one run; and what each
keeps for the way back. The last column is what :func:`dancestyle.nets.normed.conv_norm` chooses.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from math import prod
from statistics import median
from unittest import mock

import torch
from torch import Tensor, nn

from benchmarks import record
from dancestyle.nets import normed
from dancestyle.nets.conv import guard
from dancestyle.training import heap, machine

SIZES = {  # channels of the input: N, T, H, W
    64: ((8, 4, 12, 12), (8, 4, 16, 16), (1, 8, 56, 56), (2, 8, 56, 56)),
    128: ((8, 2, 6, 6), (8, 2, 8, 8), (1, 4, 28, 28), (2, 4, 28, 28), (4, 4, 28, 28)),
    256: ((8, 2, 4, 4), (2, 4, 14, 14), (4, 4, 14, 14), (16, 4, 14, 14)),
    512: ((8, 8, 7, 7), (16, 8, 7, 7)),
}
TYPES = (torch.bfloat16, torch.float32)


class End:
    """The layers, and inputs enough that none is still in the cache of a core."""

    def __init__(self, channels: int, size: tuple[int, ...], kind: torch.dtype) -> None:
        self.kind = kind
        conv = nn.Conv3d(channels, 4 * channels, 1, bias=False)
        self.layers = guard(nn.ModuleList([conv, nn.BatchNorm3d(4 * channels)])).train()
        machine.fast_layout(self.layers)
        self.inputs = [[self._map(size, channels * by) for by in (1, 4, 4)] for _ in range(3)]
        self.turn = 0

    def _map(self, size: tuple[int, ...], channels: int) -> Tensor:
        x = torch.randn(size[0], channels, *size[1:]).to(self.kind)
        return x.contiguous(memory_format=torch.channels_last_3d).requires_grad_()

    def forward(self, together: bool) -> tuple[Tensor, Tensor]:
        """The output, and the gradient to go back with."""
        self.turn = (self.turn + 1) % len(self.inputs)
        x, shortcut, g = self.inputs[self.turn]
        x.grad = shortcut.grad = None
        self.layers.zero_grad()
        own = {"POSITIONS": 2, "PER_CHANNEL": 0} if together else {"WIDENS": 1 << 30}
        bf16 = self.kind == torch.bfloat16
        with (
            mock.patch.multiple(normed, **own),
            torch.autocast("cpu", torch.bfloat16, enabled=bf16),
        ):
            return normed.conv_norm(*self.layers, x, shortcut), g

    def milliseconds(self, together: bool) -> float:
        """Of a pass forward and back."""
        begun = time.perf_counter()
        out, g = self.forward(together)
        out.backward(g)
        return 1000 * (time.perf_counter() - begun)

    def megabytes(self, together: bool) -> float:
        """Kept for the way back, weights left aside; each memory once."""
        kept: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            if tensor.dim() == 5 and len(tensor) == len(self.inputs[0][0]):
                kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            self.forward(together)
        return sum(kept.values()) / 1e6

    def chosen(self) -> bool:
        """Whether it is done together by itself."""
        return normed._in_one_pass(*self.layers, self.inputs[0][0])


def rows(rounds: int) -> Iterator[list[str]]:
    """A row a size."""
    for kind in TYPES:
        for channels, sizes in SIZES.items():
            for size in sizes:
                end = End(channels, size, kind)
                times: dict[bool, list[float]] = {False: [], True: []}
                for turn in range(rounds + 1):
                    for together, own in times.items():
                        first, second = (end.milliseconds(together) for _ in range(2))
                        own += [first, second] if turn else []
                alone, together = (median(own) for own in times.values())
                kept = [end.megabytes(way) for way in (False, True)]
                yield [
                    str(kind).removeprefix("torch."),
                    "x".join(str(n) for n in (size[0], channels, *size[1:])),
                    str(prod(size)),
                    f"{alone:.2f}",
                    f"{together:.2f}",
                    f"{alone / together:.2f}",
                    f"{kept[0]:.1f}",
                    f"{kept[1]:.1f}",
                    "together" if end.chosen() else "one by one",
                ]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--write", action="store_true", help="keep the result in the repository")
    arguments = parser.parse_args()
    machine.make_deterministic()
    heap.keep()
    header = ["", "input", "positions", "one by one, ms", "together, ms", "times", "keep, MB"]
    header += ["together, MB", "chosen"]
    table = record.table(header, list(rows(arguments.rounds)))
    record.show("normed", "The end of a bottleneck", [table], ["torch"], arguments.write)


if __name__ == "__main__":
    main()
