"""Convolutions, ours beside PyTorch's own: ``python -m benchmarks.conv``.

A training step of one convolution in channels-last order, forward and both gradients. Small maps, which
the nets have at the sample's sizes: where :mod:`dancestyle.nets.conv` works by matrix products, and
whether that is the faster way there; its limits FEW_POSITIONS and FEW_OF_ONE come from this table. Wide
maps, which they have at 224x224, in bfloat16: how fast both are, and how far the weight's gradient is
from that in float32.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
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


# Clips, as above.
WIDE: list[tuple[tuple[int, ...], int, int | tuple[int, ...], int | tuple[int, ...], bool]] = [
    ((1, 256, 4, 56, 56), 64, (3, 1, 1), 1, True),
    ((1, 256, 4, 56, 56), 128, (3, 1, 1), 1, True),
    ((2, 256, 8, 56, 56), 64, (3, 1, 1), 1, True),
    ((2, 64, 8, 56, 56), 256, 1, 1, False),
    ((2, 64, 4, 56, 56), 64, (1, 3, 3), 1, True),
    ((2, 64, 8, 56, 56), 64, (1, 3, 3), 1, True),
    ((2, 64, 8, 56, 56), 64, 3, 1, True),
    ((1, 64, 32, 56, 56), 192, 3, 1, True),
    ((1, 512, 4, 28, 28), 512, 3, 1, True),
    ((4, 3, 13, 117, 117), 64, 7, 2, False),
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


def pair(
    shape: tuple[int, ...],
    channels: int,
    kernel: int | tuple[int, ...],
    stride: int | tuple[int, ...],
    padded: bool,
    kind: torch.dtype,
) -> tuple[list[nn.Module], torch.Tensor, torch.Tensor, tuple[int, ...]]:
    """PyTorch's layer and ours with the same weights, their input, a gradient, and the kernel."""
    flat = len(shape) == 4
    sizes = kernel if isinstance(kernel, tuple) else (kernel,) * (len(shape) - 2)
    padding = tuple(size // 2 for size in sizes) if padded else 0
    order = torch.channels_last if flat else torch.channels_last_3d
    x = torch.randn(shape, dtype=kind).contiguous(memory_format=order).requires_grad_()
    layers: list[nn.Module] = []
    for layer in (nn.Conv2d, conv.Conv2d) if flat else (nn.Conv3d, conv.Conv3d):
        own = layer(shape[1], channels, kernel, stride, padding, bias=False)  # type: ignore[arg-type]
        layers.append(own.to(dtype=kind, memory_format=order))
    layers[1].load_state_dict(layers[0].state_dict())
    with torch.no_grad():
        g = torch.randn_like(layers[0](x))
    return layers, x, g, sizes


def named(shape: tuple[int, ...], channels: int, sizes: tuple[int, ...]) -> list[str]:
    """The first cells of a row."""
    return ["x".join(map(str, shape)), f"{channels} of {'x'.join(map(str, sizes))}"]


def small_maps(rounds: int) -> str:
    """Products beside PyTorch's own, whichever would be chosen."""
    rows = []
    for kind in (torch.bfloat16, torch.float32):
        limits = conv.FEW_POSITIONS[kind], conv.FEW_OF_ONE[kind]
        for shape, channels, *how in LAYERS:
            layers, x, g, sizes = pair(shape, channels, *how, kind)
            positions = g.numel() // channels
            chosen = positions <= limits[max(sizes) == 1]
            conv.FEW_POSITIONS[kind] = conv.FEW_OF_ONE[kind] = 10**9
            theirs, products = in_turns(*(step(each, x, g) for each in layers), rounds)
            conv.FEW_POSITIONS[kind], conv.FEW_OF_ONE[kind] = limits
            rows.append(
                [
                    str(kind).removeprefix("torch."),
                    *named(shape, channels, sizes),
                    str(positions),
                    f"{theirs:.2f}",
                    f"{products:.2f}",
                    f"{theirs / products:.2f}",
                    "products" if chosen else "not few",
                ]
            )
    header = ["", "input", "kernels", "positions", "PyTorch's, ms", "products, ms", "times"]
    return record.table([*header, "chosen"], rows)


def wide_maps(rounds: int) -> str:
    """Time, and the largest error of the weight's gradient as a share of its largest value."""
    rows = []
    for shape, channels, *how in WIDE:
        layers, x, g, sizes = pair(shape, channels, *how, torch.bfloat16)
        exact = nn.Conv3d(shape[1], channels, *how[:2], layers[0].padding, bias=False)  # type: ignore
        exact.load_state_dict(layers[0].state_dict())
        exact(x.detach().float()).backward(g.float())
        assert exact.weight.grad is not None
        wanted, errors = exact.weight.grad, [0.0, 0.0]
        for _ in range(3):  # what is wrong is so by chance
            for which, layer in enumerate(layers):
                step(layer, x, g)()
                found = layer.weight.grad
                assert isinstance(found, torch.Tensor)
                error = (found.float() - wanted).abs().max() / wanted.abs().max()
                errors[which] = max(errors[which], error.item())
        theirs, ours = in_turns(*(step(each, x, g) for each in layers), rounds)
        times = [f"{theirs:.1f}", f"{ours:.1f}", f"{theirs / ours:.2f}"]
        wrong = [f"{error:.1%}" for error in errors]
        rows.append([*named(shape, channels, sizes), *times, *wrong])
    header = ["input", "kernels", "PyTorch's, ms", "ours, ms", "times"]
    return record.table([*header, "its gradient is off by", "ours"], rows)


def main() -> None:
    """Measure and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--write", action="store_true", help="keep the result in the repository")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    parts = ["## Small maps", small_maps(arguments.rounds)]
    parts += ["## Wide maps, bfloat16", wide_maps(arguments.rounds)]
    record.show("conv", "Convolutions", parts, ["torch"], arguments.write)


if __name__ == "__main__":
    main()
