"""A function over many jobs in several processes, where a process may die or hang.

``concurrent.futures.ProcessPoolExecutor`` gives up all its work when one process dies and cannot
stop a job that hangs; a decoder fed with broken files does both. Here each process has a pipe of
its own, so that it is known which job a dead process had: that job is tried once more when all
others are done, with nothing beside it, and then given up with a reason.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any

# Imported once by the server that the processes are forked from, not by each of them anew.
_PRELOAD = ["__main__", "dancestyle.pool", "numpy", "cv2", "av"]

FAREWELL = 2.0
"""Seconds that a cluster's worker lives on after a job that took too long."""


@dataclass(frozen=True)
class Died:
    """In place of a result: the process died, or was ended after its time, with this job."""

    reason: str


def cores() -> int:
    """How many processes this one may run at once."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def results(
    function: Callable[[Any], Any],
    jobs: Sequence[Any],
    workers: int = 0,
    time_limit: float = 900.0,
) -> Iterator[tuple[int, Any]]:
    """``(index of the job, function(job) or Died)`` for every job, as they are done.

    Args:
        function: of a module (it is pickled); should not raise: an exception counts as a death.
        jobs: pickled one by one.
        workers: processes; 0 takes one a core.
        time_limit: seconds after which a job's process is ended.
    """
    again: list[int] = []
    crew = min(workers or cores(), len(jobs))
    for index, result in _round(function, jobs, list(range(len(jobs))), crew, time_limit):
        if isinstance(result, Died) and not result.reason.startswith("took"):
            again.append(index)
        else:
            yield index, result
    if again:
        yield from _round(function, jobs, again, 1, time_limit)


def results_on_cluster(
    function: Callable[[Any], Any], jobs: Sequence[Any], address: str, time_limit: float = 900.0
) -> Iterator[tuple[int, Any]]:
    """As :func:`results`, on the workers of the Dask scheduler at ``address``.

    Dask itself gives the jobs of a worker that died to the others, a few times. A worker whose job
    took longer than ``time_limit`` ends, since nothing else ends a call into a decoder; Dask's
    nanny starts it anew.
    """
    from distributed import Client, as_completed
    from distributed.scheduler import KilledWorker

    limited = partial(_limited, function, time_limit)
    with Client(address, set_as_default=False) as client:
        futures = {client.submit(limited, job, pure=False): i for i, job in enumerate(jobs)}
        for future in as_completed(list(futures), loop=client.loop):
            try:
                result = future.result()
            except KilledWorker:
                result = Died("the worker process died, several times")
            except _TookTooLong as error:
                result = Died(str(error))
            yield futures.pop(future), result
            future.release()


class _TookTooLong(Exception):
    """Raised, not returned: the scheduler keeps an exception when the worker that had it is gone."""


def _limited(function: Callable[[Any], Any], time_limit: float, job: Any) -> Any:
    """``function(job)``, in a worker of a cluster, which ends if that takes too long."""
    answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put((function(job), None))
        except BaseException as error:
            answers.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        result, error = answers.get(timeout=time_limit)
    except queue.Empty:
        # A moment later, so that the scheduler has heard the reason.
        threading.Timer(FAREWELL, os._exit, (1,)).start()
        raise _TookTooLong(_too_long(time_limit)) from None
    if error is not None:
        raise error
    return result


def _too_long(time_limit: float) -> str:
    return f"took longer than {time_limit:g} s"


class _Worker:
    """A process, its pipe, and the job that it has."""

    def __init__(self, context: Any, function: bytes) -> None:
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, function), daemon=True)
        self.process.start()
        theirs.close()
        self.job: int | None = None
        self.since = 0.0

    def start(self, index: int, job: Any) -> None:
        self.job, self.since = index, time.monotonic()
        self.pipe.send(job)

    def end(self) -> str:
        """End the process if it lives; how it ended, in words."""
        self.pipe.close()
        self.process.join(0.2)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        code = self.process.exitcode or 0
        if code < 0:
            return f"the process died of {signal.Signals(-code).name}"
        return f"the process ended with code {code}"


def _round(
    function: Callable[[Any], Any],
    jobs: Sequence[Any],
    indices: list[int],
    crew: int,
    time_limit: float,
) -> Iterator[tuple[int, Any]]:
    context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    if sys.platform == "linux":
        context.set_forkserver_preload(_PRELOAD)
    target = pickle.dumps(function)
    todo = indices[::-1]
    workers: list[_Worker] = []
    try:
        while todo or any(worker.job is not None for worker in workers):
            while todo and len(workers) < crew:
                workers.append(_Worker(context, target))
            for worker in workers:
                if worker.job is None and todo:
                    index = todo.pop()
                    with suppress(ConnectionError):  # seen as a death below
                        worker.start(index, jobs[index])
            ready = wait([worker.pipe for worker in workers], timeout=1.0)
            for worker in list(workers):
                if worker.pipe in ready:
                    result, alive = _receive(worker)
                elif worker.job is not None and time.monotonic() - worker.since > time_limit:
                    worker.process.kill()
                    worker.end()
                    result, alive = Died(_too_long(time_limit)), False
                else:
                    continue
                if not alive:
                    workers.remove(worker)
                finished, worker.job = worker.job, None
                if finished is not None:
                    yield finished, result
    finally:
        for worker in workers:
            if worker.job is not None:
                worker.process.kill()
            worker.end()


def _receive(worker: _Worker) -> tuple[Any, bool]:
    """A worker's result and whether it lives on."""
    try:
        return worker.pipe.recv(), True
    except (EOFError, OSError):
        return Died(worker.end()), False


def _serve(pipe: Connection, function: bytes) -> None:
    """The life of a worker process: job in, result out, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers itself
    one_thread()
    target = pickle.loads(function)
    while True:
        try:
            job = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(target(job))


def one_thread() -> None:
    """Keep libraries from starting threads of their own: the processes already fill the cores."""
    import cv2

    cv2.setNumThreads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
