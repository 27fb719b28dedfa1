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
from statistics import median

_MARK = "seconds"


def serve(run: Callable[[], object]) -> None:
    """Take a turn for every line that comes in: three calls, of which the last counts. In the first
    two, memory and caches come back."""
    for _ in sys.stdin:
        run()
        run()
        print(_MARK, seconds(run), flush=True)


def seconds(run: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def medians(commands: dict[str, Sequence[str]], rounds: int) -> dict[str, float]:
    """Seconds of each command's process, which :func:`serve` s, the median of ``rounds`` turns."""
    times: dict[str, list[float]] = {name: [] for name in commands}
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
                times[name].append(_turn(name, process))
    return {name: median(own) for name, own in times.items()}


def _turn(name: str, process: subprocess.Popen[str]) -> float:
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write("\n")
        process.stdin.flush()
    except BrokenPipeError:
        sys.exit(f"{name}: its process ended; see above")
    for line in process.stdout:  # packages of the peers print too
        words = line.split()
        if len(words) == 2 and words[0] == _MARK:
            return float(words[1])
    sys.exit(f"{name}: its process ended; see above")
