"""Processes that take turns: one is measured while the others wait.

What one contender leaves behind in memory (freed blocks, small pages, what glibc has learned) is not
then what the next one finds.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple

_MARK = "seconds"


class Turn(NamedTuple):
    """Seconds of a turn, and megabytes that the process has come to have since it began to make what
    is measured."""

    seconds: float
    megabytes: float


def serve(make: Callable[[], Callable[[], object]]) -> None:
    """Make what is measured, and take a turn for every line that comes in: three calls, of which the
    last counts. In the first two, memory and caches come back."""
    before = memory("VmRSS")
    run = make()
    Path("/proc/self/clear_refs").write_text("5")  # the highest so far is forgotten
    for _ in sys.stdin:
        run()
        run()
        print(_MARK, seconds(run), memory("VmHWM") - before, flush=True)


def memory(what: str) -> float:
    """A line of this process's status, in megabytes."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(what)) / 1024


def seconds(run: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def medians(commands: dict[str, Sequence[str]], rounds: int) -> dict[str, Turn]:
    """Of each command's process, which calls :func:`serve`, the median of ``rounds`` turns."""
    turns: dict[str, list[Turn]] = {name: [] for name in commands}
    with ExitStack() as stack:
        processes = {}
        for name, command in commands.items():
            process = stack.enter_context(
                subprocess.Popen(
                    command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None
                )
            )
            stack.callback(process.kill)
            _turn(name, process)  # one after the other; what is slow the first time is not counted
            processes[name] = process
        for _ in range(rounds):
            for name, process in processes.items():
                turns[name].append(_turn(name, process))
    return {name: Turn(*map(median, zip(*own, strict=True))) for name, own in turns.items()}


def _turn(name: str, process: subprocess.Popen[str]) -> Turn:
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write("\n")
        process.stdin.flush()
    except BrokenPipeError:
        sys.exit(f"{name}: its process ended; see above")
    for line in process.stdout:  # packages of the peers print too
        words = line.split()
        if len(words) == 3 and words[0] == _MARK:
            return Turn(float(words[1]), float(words[2]))
    sys.exit(f"{name}: its process ended; see above")
