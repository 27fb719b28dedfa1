"""Processes to film with."""

from __future__ import annotations

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor


def processes(workers: int) -> ProcessPoolExecutor:
    """``workers`` processes, 0 for one a core, none of them a copy of this one.

    A forked copy of a process that has threads (torch's, OpenCV's) may wait for ever for a lock that
    one of them held.
    """
    how = "forkserver" if sys.platform == "linux" else "spawn"
    return ProcessPoolExecutor(workers or None, multiprocessing.get_context(how))
