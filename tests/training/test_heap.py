"""What is freed stays, and lies in large pages where the system has them; in processes of their own."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
WITH_GLIBC = sys.platform == "linux" and platform.libc_ver()[0] == "glibc"

BEGIN = """
import ctypes, resource, sys
from pathlib import Path
from dancestyle.training import heap

def fill(size=64 << 20):
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    start = libc.malloc(size)
    ctypes.memset(start, 1, size)
    return lambda: libc.free(start)

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def large():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("AnonHuge"))

"""


def run(code: str) -> list[int]:
    """Numbers that the code prints, in a process of its own."""
    command = [sys.executable, "-c", BEGIN + code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


@pytest.mark.skipif(not WITH_GLIBC, reason="glibc's memory")
def test_freed_memory_comes_without_faults() -> None:
    first, second = run(
        "heap.keep(); heap.keep(); a = faults(); fill()(); b = faults(); fill()(); c = faults()\n"
        "print(b - a, c - b)"
    )
    assert second < first / 10 + 8


@pytest.mark.skipif(
    not WITH_GLIBC or not PAGES.is_file() or "[never]" in PAGES.read_text(),
    reason="no large pages",
)
def test_memory_lies_in_large_pages() -> None:
    can, before, after = run(
        "import mmap\n"
        "asked = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n"
        "asked.madvise(mmap.MADV_HUGEPAGE); asked[::4096] = bytes(len(asked[::4096]))\n"
        "can = large(); heap.keep(); a = large(); free = fill(); print(can, a, large())"
    )
    if can < 48:
        pytest.skip("the system has no large pages left")
    assert after - before > 32  # MB of 64


@pytest.mark.skipif(not WITH_GLIBC, reason="glibc's memory")
@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_limited_addresses_are_left_alone(limit: str) -> None:
    """What a batch system allows is not spent on addresses that nothing is behind."""
    (taken,) = run(
        f"resource.setrlimit(resource.{limit}, (64 << 30, 64 << 30))\n"
        "size = lambda: int(Path('/proc/self/statm').read_text().split()[0])\n"
        "a = size(); heap.keep(); fill(); print((size() - a) * resource.getpagesize() >> 20)"
    )
    assert taken < 256


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    from dancestyle.training import heap

    def without(name: None) -> object:
        return object()

    monkeypatch.setattr(heap.ctypes, "CDLL", without)
    heap.keep()
