"""How fast are our nets, forward and in a training step, beside their peers'?

    python -m benchmarks.nets_speed [--peers FOLDER] [--deps FOLDER] [--case WORDS]
        [--mode inference | training | memory] [--rounds N] [--compile] [--write]

FOLDER is as for ``nets_parity.py``; a peer that is not there is said so, and our rows are then
compared with our own plain net. One case (a net at a shape) is one table: the peer in float32 eager
as it is shipped, and a row for each of our settings; of ``optimise_for_inference``, also without
each of its parts. (Padding is done by the convolutions in all of ours, where it can be.) Each has a
process of its own, since what one leaves in memory slows the next; they take turns round by round,
and the median is shown, with GFLOP/s (a multiply and an add are two, a backward pass counts twice),
the share of the largest matrix product's rate, measured in the same run, and how far the resident
memory rose above what it was before the net was made. ``memory`` shows that alone, of training
steps, more exactly.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import nets_parity, record, turns
from dancestyle import nets
from dancestyle.nets import fast
from dancestyle.training import heap, machine

CLASSES = 400
KEPT = ", memory kept"  # as training and prediction run: heap.keep
OPTIMISED = "ours, optimised, {}" + KEPT
AS_TRAINED = "ours, bf16, channels-last" + KEPT
COMPILED = "ours, bf16, channels-last, compiled" + KEPT
THEIRS = "theirs, fp32"


@dataclass(frozen=True)
class Case:
    """A net at a shape, the peer's net that it is compared with, and how many times as fast ours is
    to be: a training step, inference, and each of them compiled (None: no goal)."""

    peer: str
    what: str
    net: str
    shape: tuple[int, int, int, int, int]
    training: float
    inference: float
    compiled: float | None = None
    memory: float = 0.85
    compiled_training: float | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        n, _, t, h, w = self.shape
        return f"{self.peer} {self.what}, {t}x{h}x{w}, batch {n}"


_INCEPTION = ("pytorch-i3d", "3 channels", "i3d_inception")
_R50 = ("mmaction2", "I3D R50", "i3d_r50")
CASES = (
    Case(*_INCEPTION, (1, 3, 64, 224, 224), 3.2, 4.7, 6.5, 0.65),
    Case(*_INCEPTION, (8, 3, 16, 64, 64), 2.8, 5, 5.6, 0.65, 3.4),
    Case(*_R50, (1, 3, 32, 224, 224), 2.2, 3.7, 4.7),
    Case(*_R50, (8, 3, 16, 64, 64), 1.9, 2.4),
    Case("mmaction2", "I3D R50 dot_product", "i3d_r50_nl", (1, 3, 32, 224, 224), 2.1, 3.6),
    Case(
        "pytorchvideo",
        "i3d_r50",
        "i3d_r50",
        (2, 3, 8, 224, 224),
        *(3.5, 3.9, 6.7),
        options={"time_strides": (1, 1, 2)},
    ),
)
CHECKOUTS = {
    "pytorch-i3d": ("pytorch-i3d",),
    "mmaction2": ("mmaction2", "mmcv", "mmengine"),
    "pytorchvideo": ("pytorchvideo",),
}

Run = Callable[[], object]


def are_there(case: Case, folder: Path | None) -> bool:
    """Whether the folder has the peer's checkouts."""
    return folder is not None and all((folder / name).is_dir() for name in CHECKOUTS[case.peer])


def their_net(case: Case, folder: Path) -> tuple[nn.Module, Any]:
    """The peer's net and how it is run, out of the folder with its checkouts."""
    for name in CHECKOUTS[case.peer]:
        if str(folder / name) not in sys.path:
            sys.path.insert(0, str(folder / name))
    makers = {
        "pytorch-i3d": nets_parity.piergiaj,
        "mmaction2": lambda: nets_parity.mmaction2(folder / "mmaction2"),
        "pytorchvideo": nets_parity.pytorchvideo,
    }
    for theirs in makers[case.peer]():
        if theirs.what == case.what:
            net = theirs.make()
            if case.peer == "pytorch-i3d":  # its last pool is for pictures of 224 only
                height, width = (math.ceil(size / 32) for size in case.shape[3:])
                net.avg_pool = nn.AvgPool3d((2, height, width), stride=1)
            return net, theirs.run
    raise LookupError(f"{case.peer} has no '{case.what}'")


def our_net(case: Case) -> nn.Module:
    """A fresh net of ours."""
    return nets.create(case.net, CLASSES, in_channels=case.shape[1], **case.options)


class SiblingsApart(fast._FastMixed):
    """An Inception module whose three convolutions of one input stay three."""

    def __init__(self, mixed: fast.Mixed) -> None:
        super().__init__(mixed)
        self.firsts = nn.ModuleList(fast._of_unit(u) for u in (mixed.b0, mixed.b1a, mixed.b2a))

    def forward(self, x: Tensor) -> Tensor:
        """As the parent's."""
        b0, b1, b2 = (conv(x) for conv in self.firsts)
        return torch.cat((b0, self.b1b(b1), self.b2b(b2), self.b3b(self.b3a(x))), dim=1)


def inference_runs(case: Case, folder: Path | None, compiled: bool) -> dict[str, Callable[[], Run]]:
    """Who takes turns at a forward pass: name, and what makes the pass."""

    def theirs() -> Run:
        (net, run), x = their_net(case, folder), torch.randn(case.shape)
        net.eval()
        return lambda: run(net, x)

    def ours(laid_out: bool, bf16: bool) -> Run:
        net, x = our_net(case).eval(), torch.randn(case.shape)
        if laid_out:
            net, x = machine.fast_layout(net), x.to(memory_format=torch.channels_last_3d)

        def once() -> Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                return net(x)

        return once

    def without(place: object, name: str, other: object) -> Run:
        with mock.patch.object(place, name, other):
            return optimised("bf16", False)

    def optimised(precision: str, compile: bool) -> Run:
        net = nets.optimise_for_inference(our_net(case).eval(), precision, compile)
        x = torch.randn(case.shape)
        return lambda: net(x)

    makers: dict[str, Callable[[], Run]] = {}
    if are_there(case, folder):
        makers[THEIRS] = theirs
    makers["ours, fp32"] = lambda: ours(False, False)
    makers["ours, fp32, channels-last"] = lambda: ours(True, False)
    makers["ours, bf16 autocast, channels-last"] = lambda: ours(True, True)
    lesser: dict[str, tuple[object, str, object]] = {
        "ReLU and sums apart": (torch.backends.mkldnn, "is_available", lambda: False)
    }
    if case.net == "i3d_inception":
        pairs = [pair for pair in fast._REPLACED if pair[0] is not fast.Mixed]
        lesser["siblings apart"] = fast, "_REPLACED", (*pairs, (fast.Mixed, SiblingsApart))
        pool = partial(nn.MaxPool3d, 3, 1, 1)
        lesser["maxima over three axes"] = fast, "FastMaxPool", pool
    for label, change in lesser.items():
        makers[OPTIMISED.format(f"bf16, {label}")] = partial(without, *change)
    for label, precision, compile in (
        ("fp32", "fp32", False),
        ("bf16", "bf16", False),
        *([("bf16, compiled", "bf16", True)] if compiled and case.compiled else []),
    ):
        for name in (OPTIMISED, OPTIMISED.removesuffix(KEPT)):
            makers[name.format(label)] = partial(optimised, precision, compile)
    return makers


def training_runs(case: Case, folder: Path | None, compiled: bool) -> dict[str, Callable[[], Run]]:
    """Who takes turns at a training step: forward, loss, backward; the optimiser is left out."""

    def step(net: nn.Module, run: Callable[[nn.Module, Tensor], Tensor], bf16: bool) -> Run:
        x, y = torch.randn(case.shape), torch.arange(case.shape[0])

        def once() -> None:
            net.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                logits = run(net, x)
            F.cross_entropy(logits.float(), y).backward()

        return once

    def theirs() -> Run:
        net, run = their_net(case, folder)
        return step(net.train(), run, False)

    def ours(laid_out: bool, bf16: bool, compile: bool = False) -> Run:
        net = our_net(case).train()
        net = machine.fast_layout(net) if laid_out else net
        if compile:
            net.compile()
        return step(net, lambda n, x: n(x), bf16)

    makers: dict[str, Callable[[], Run]] = {}
    if are_there(case, folder):
        makers[THEIRS] = theirs
    makers["ours, fp32"] = lambda: ours(False, False)
    makers["ours, fp32, channels-last"] = lambda: ours(True, False)
    for name in (AS_TRAINED.removesuffix(KEPT), AS_TRAINED):
        makers[name] = lambda: ours(True, True)
    if compiled and case.compiled_training:
        makers[COMPILED] = lambda: ours(True, True, True)
    return makers


def gigaflop(case: Case) -> float:
    """Multiplications and additions of a forward pass of our net, in convolutions and layers."""
    total = 0

    def count(module: nn.Module, inputs: Any, output: Tensor) -> None:
        nonlocal total
        weight = module.weight
        assert isinstance(weight, Tensor)
        total += 2 * output.numel() * weight.numel() // len(weight)

    with torch.device("meta"):
        net = our_net(case).eval()
        for module in net.modules():
            if isinstance(module, nn.Conv3d | nn.Linear):
                module.register_forward_hook(count)
        net(torch.empty(case.shape))
    return total / 1e9


def gemm_rate(dtype: torch.dtype, size: int = 3072) -> float:
    """GFLOP/s of the best of a few products of square matrices."""
    a, b = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
    return 2 * size**3 / min(turns.seconds(lambda: a @ b) for _ in range(4)) / 1e9


def table(case: Case, found: dict[str, turns.Turn], flops: float) -> list[str]:
    """Rows as Markdown: time, ratio to the first, rate, share of the matrix product's rate, memory."""
    peak = {"fp32": gemm_rate(torch.float32), "bf16": gemm_rate(torch.bfloat16)}
    lines = ["| | ms | times as fast | GFLOP/s | of GEMM | MB |", "|---|---|---|---|---|---|"]
    first = next(iter(found.values())).seconds
    for name, (own, megabytes) in found.items():
        kind = "bf16" if "bf16" in name else "fp32"
        lines.append(
            f"| {name} | {own * 1e3:.0f} | {first / own:.2f} | {flops / own:.0f} |"
            f" {flops / own / peak[kind]:.0%} | {megabytes:.0f} |"
        )
    lines.append("")
    lines.append(f"GEMM: {peak['fp32']:.0f} GFLOP/s fp32, {peak['bf16']:.0f} bf16.")
    return lines


def own_process(case: Case, arguments: argparse.Namespace, name: str) -> list[str]:
    """The command of a contender's process."""
    command = [sys.executable, "-m", "benchmarks.nets_speed", "--case", str(case)]
    command += ["--mode", arguments.mode, "--contender", name]
    command += ["--compile"] if arguments.compile else []
    for option in ("peers", "deps"):
        if getattr(arguments, option):
            command += [f"--{option}", str(getattr(arguments, option))]
    return command


def memory_table(case: Case, arguments: argparse.Namespace, names: list[str]) -> list[str]:
    """Markdown rows: peak memory of a training step of each, and its share of the first's."""
    rows, first = ["| | MB | of the first |", "|---|---|---|"], 0.0
    for name in names:
        # How the heap falls into pieces is chance; what is compared is the median of three.
        times = 3 if name in (names[0], AS_TRAINED) else 1
        command = own_process(case, arguments, name)
        used = median(turns.medians({name: command}, 1)[name].megabytes for _ in range(times))
        first = first or used
        rows.append(f"| {name} | {used:.0f} | {used / first:.0%} |")
        if name == AS_TRAINED and names[0] == THEIRS:
            goal = record.claim(f"{name}, times theirs", used / first, most=case.memory)
    return [*rows, "", goal] if names[0] == THEIRS else rows


def runs(case: Case, arguments: argparse.Namespace) -> dict[str, Callable[[], Run]]:
    """Who takes turns at what the mode measures: name, and what makes it."""
    of_mode = inference_runs if arguments.mode == "inference" else training_runs
    return of_mode(case, arguments.peers, arguments.compile)


def contend(case: Case, arguments: argparse.Namespace) -> None:
    """Be a contender's process."""
    name, folder = arguments.contender, arguments.peers
    with torch.device("meta"):  # all that is imported on the way
        their_net(case, folder) if name == THEIRS else our_net(case)
    torch.randn(64, 64) @ torch.randn(64, 64)
    if name.endswith(KEPT):
        heap.keep()
    with torch.inference_mode(arguments.mode == "inference"):
        turns.serve(runs(case, arguments)[name])


def claims(case: Case, mode: str, found: dict[str, turns.Turn]) -> list[str]:
    """What was to hold beside the peer."""
    if THEIRS not in found:
        return []
    times = {name: turn.seconds for name, turn in found.items()}
    bf16, exact, compiled = (OPTIMISED.format(how) for how in ("bf16", "fp32", "bf16, compiled"))
    goals: list[tuple[tuple[str, ...], float | None]] = [
        ((bf16,), case.inference),
        ((exact,), 1.5),
        ((compiled, bf16), case.compiled),
    ]
    if mode == "training":
        goals = [((AS_TRAINED,), case.training), ((COMPILED, AS_TRAINED), case.compiled_training)]
    lines = []
    for names, goal in goals:
        there = [name for name in names if name in times]
        if goal is not None and there:
            best = min(times[name] for name in there)
            words = names[0] + (", or not compiled if that is faster" if names[1:] else "")
            lines.append(record.claim(words, times[THEIRS] / best, goal))
    return lines


def main() -> None:
    """Print a table for each case that the words choose."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, help="folder with the peers' checkouts")
    parser.add_argument("--deps", type=Path, help="folder with the packages that they import")
    parser.add_argument("--case", default="", help="only cases whose title has this")
    parser.add_argument("--mode", choices=("inference", "training", "memory"), default="inference")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--compile", action="store_true", help="where it has a goal, the compiled net too"
    )
    parser.add_argument("--write", action="store_true", help="keep the result in the repository")
    parser.add_argument("--contender", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.deps:
        sys.path.append(str(arguments.deps))
    torch.manual_seed(0)
    cases = [case for case in CASES if arguments.case in str(case)]
    if arguments.contender:
        contend(cases[0], arguments)
        return
    parts = []
    for case in cases:
        lines = [f"## {case}", ""]
        if not are_there(case, arguments.peers):
            lines += [f"{case.peer}: not there, so the first row is our own.", ""]
        names = list(runs(case, arguments))
        if arguments.mode == "memory":
            lines += memory_table(case, arguments, names)
        else:
            commands = {name: own_process(case, arguments, name) for name in names}
            found = turns.medians(commands, arguments.rounds)
            flops = gigaflop(case) * (3 if arguments.mode == "training" else 1)
            lines += [*table(case, found, flops), "", *claims(case, arguments.mode, found)]
        print("\n".join(lines), end="\n\n", flush=True)
        parts.append("\n".join(lines))
    title = f"The nets: {arguments.mode}, {torch.get_num_threads()} threads"
    file = f"nets_{arguments.mode}"
    record.show("nets_speed", title, parts, ["torch"], arguments.write, file)


if __name__ == "__main__":
    main()
