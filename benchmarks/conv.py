"""Convolutions on small maps, ours beside PyTorch's own: ``python -m benchmarks.conv``.

A training step of one convolution in channels-last order, forward and both gradients, for layers that
the nets have at the sample's sizes; where :mod:`dancestyle.nets.conv` works by matrix products, and
whether that is the faster way there. Its limits FEW_POSITIONS and FEW_OF_ONE come from this table.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from math import prod
from time import perf_counter

import torch
from torch import nn

from benchmarks import record
from dancestyle.nets import conv

# Input (N, C, ...), output channels, kernel, stride, padding.
LAYERS: list[tuple[tuple[int, ...], int, int | tuple[int, ...], int | tuple[int, ...], bool]] = [
    ((8, 512, 1, 2, 2), 2048, 1, 1, False),
    ((8, 2048, 1, 2, 2), 512, (3, 1, 1), 1, True),
    ((8, 512, 1, 2, 2), 512, (1, 3, 3), 1, True),
    ((8, 1024, 1, 3, 3), 2048, 1, (1, 2, 2), False),
    ((8, 1024, 1, 3, 3), 256, 1, 1, False),
    ((8, 832, 2, 2, 2), 384, 1, 1, False),
    ((8, 192, 2, 2, 2), 384, 3, 1, True),
    ((8, 160, 4, 3, 3), 320, 3, 1, True),
    ((8, 128, 8, 6, 6), 192, 3, 1, True),
    ((8, 256, 8, 6, 6), 128, 1, 1, False),
    ((64, 512, 2, 2), 2048, 1, 1, False),
    ((64, 256, 3, 3), 256, 3, 1, True),
    ((64, 1024, 3, 3), 2048, 1, 2, False),
    ((64, 512, 6, 6), 128, 1, 1, False),
    ((64, 64, 12, 12), 256, 1, 1, False),
]


def step(layer: nn.Module, x: torch.Tensor, g: torch.Tensor) -> Callable[[], None]:
    """Forward and backward, gradients thrown away."""

    def run() -> None:
        layer.zero_grad(set_to_none=True)
        x.grad = None
        layer(x).backward(g)

    return run


def in_turns(one: Callable[[], None], other: Callable[[], None], rounds: int) -> tuple[float, ...]:
    """Median milliseconds of both."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 2):
        for run, own in zip((one, other), times, strict=True):
            begun = perf_counter()
            run()
            own.append(perf_counter() - begun)
    return tuple(1e3 * sorted(own[2:])[rounds // 2] for own in times)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--write", action="store_true", help="keep the result in the repository")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    rows = []
    for kind in (torch.bfloat16, torch.float32):
        limits = conv.FEW_POSITIONS[kind], conv.FEW_OF_ONE[kind]
        for shape, channels, kernel, stride, padded in LAYERS:
            plain, ours = (nn.Conv2d, conv.Conv2d) if len(shape) == 4 else (nn.Conv3d, conv.Conv3d)
            sizes = kernel if isinstance(kernel, tuple) else (kernel,) * (len(shape) - 2)
            padding = tuple(size // 2 for size in sizes) if padded else 0
            order = torch.channels_last if len(shape) == 4 else torch.channels_last_3d
            x = torch.randn(shape, dtype=kind).contiguous(memory_format=order).requires_grad_()
            layers = [
                layer(shape[1], channels, kernel, stride, padding, bias=False).to(
                    dtype=kind, memory_format=order
                )
                for layer in (plain, ours)
            ]
            output = layers[0](x)
            g = torch.randn_like(output)
            positions = output.numel() // channels
            chosen = positions <= limits[max(sizes) == 1]
            # Whichever it would choose, the products are what is measured.
            conv.FEW_POSITIONS[kind] = conv.FEW_OF_ONE[kind] = 10**9
            theirs, products = in_turns(*(step(each, x, g) for each in layers), arguments.rounds)
            conv.FEW_POSITIONS[kind], conv.FEW_OF_ONE[kind] = limits
            rows.append(
                [
                    str(kind).removeprefix("torch."),
                    "x".join(map(str, shape)),
                    f"{channels} of {'x'.join(map(str, sizes))}",
                    str(prod(output.shape) // channels),
                    f"{theirs:.2f}",
                    f"{products:.2f}",
                    f"{theirs / products:.2f}",
                    "products" if chosen else "PyTorch's",
                ]
            )
    header = ["", "input", "kernels", "positions", "PyTorch's, ms", "products, ms", "times"]
    parts = [record.table([*header, "chosen"], rows)]
    record.show("conv", "Convolutions on small maps", parts, ["torch"], arguments.write)


if __name__ == "__main__":
    main()
