"""Memory that a process has had stays with it, in large pages (Linux with glibc; elsewhere nothing).

Every large tensor is otherwise memory fresh from the kernel, which clears it page by page: 5 to 20 %
of a training step. And maps that are larger than the caches are read through page tables that are
larger than theirs: with pages of 2 MB instead of 4 KB a step takes another 5 to 10 % less.
"""

from __future__ import annotations

import ctypes
import os
import resource
from contextlib import suppress
from pathlib import Path

# Of glibc's mallopt: malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_HUGE = 2 << 20  # bytes of a large page on x86-64 and on most of ARM64
_MADV_HUGEPAGE = 14  # of madvise: linux/mman.h
_OVERCOMMIT = Path("/proc/sys/vm/overcommit_memory")


def keep() -> None:
    """Let memory that is freed stay with the process, for what it needs next."""
    with suppress(OSError, AttributeError):  # another system
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_TRIM_THRESHOLD, -1)
        libc.mallopt(_TOP_PAD, 64 << 20)
        _ask_for_large_pages(libc)


def _ask_for_large_pages(libc: ctypes.CDLL) -> None:
    """Where the heap is going to grow; what is there already keeps its pages.

    Addresses are taken for as much as half of the machine's memory, and given back to the heap. None
    of it is touched, so that it is no memory yet.
    """
    if not _may_reserve():
        return
    size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.restype, libc.free.argtypes = None, [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    start = libc.malloc(size)
    if not start:
        return
    first = -(-start // _HUGE) * _HUGE
    libc.madvise(first, (start + size - first) // _HUGE * _HUGE, _MADV_HUGEPAGE)
    libc.free(start)


def _may_reserve() -> bool:
    """Whether addresses cost nothing: they have no limit, and do not count as memory."""
    limits = (resource.RLIMIT_AS, resource.RLIMIT_DATA)
    free = all(resource.getrlimit(limit)[0] == resource.RLIM_INFINITY for limit in limits)
    return free and _OVERCOMMIT.read_text(encoding="ascii").strip() != "2"
