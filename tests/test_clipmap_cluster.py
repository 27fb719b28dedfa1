"""The clip map on a Dask cluster: a scheduler and two worker processes, one of which ends midway."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dancestyle import clipmap
from dancestyle.clipmap import Item

pytest.importorskip("distributed")
pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
COUNT = 40


def slow(item: Item, path: Path) -> dict[str, Any]:
    time.sleep(0.1)
    Path("pids").mkdir(exist_ok=True)
    Path(f"pids/{os.getpid()}").touch()
    path.write_text(item.id)
    return {"length": len(item.id)}


def hang_on_the_third(item: Item, path: Path) -> dict[str, Any]:
    if item.id == "item3":
        time.sleep(600)
    time.sleep(0.1)
    path.write_text(item.id)
    return {}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "scheduler.json"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}

    def start(command: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL)

    scheduler = [
        sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port",
        "0", "--no-dashboard", "--scheduler-file", str(place),
    ]  # fmt: skip
    worker = [
        sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(place),
        "--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(tmp_path / "w"),
    ]  # fmt: skip
    processes = [start(scheduler)]
    try:
        limit = time.monotonic() + 200
        while not place.exists():
            assert time.monotonic() < limit and processes[0].poll() is None
            time.sleep(0.1)
        processes += [start(worker) for _ in range(2)]
        yield json.loads(place.read_text())["address"]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def kill_a_worker_midway() -> None:
    limit = time.monotonic() + 200
    while time.monotonic() < limit:
        pids = list(Path("pids").glob("*")) if Path("pids").exists() else []
        if len(pids) >= 2:
            os.kill(int(pids[0].name), signal.SIGKILL)
            return
        time.sleep(0.05)


def test_a_cluster_that_loses_a_worker(cluster: str, tmp_path: Path) -> None:
    items = [Item(f"item{i}") for i in range(COUNT)]
    options: dict[str, Any] = {
        "name": "cluster", "out_dir": "out", "suffix": ".txt", "params": {}, "version": "1",
    }  # fmt: skip
    killer = threading.Thread(target=kill_a_worker_midway)
    killer.start()
    report = clipmap.run(items, slow, cluster=cluster, **options)
    killer.join()
    assert report.failed == {} and report.computed + report.reused == COUNT
    assert len(list(Path("pids").glob("*"))) == 2
    assert {p.stem: p.read_text() for p in Path("out").iterdir()} == {i.id: i.id for i in items}
    assert clipmap.run(items, slow, workers=1, **options).reused == COUNT


def test_an_item_that_hangs_on_a_cluster(cluster: str, tmp_path: Path) -> None:
    items = [Item(f"item{i}") for i in range(COUNT)]
    report = clipmap.run(
        items, hang_on_the_third, cluster=cluster, time_limit=2, name="hang", out_dir="out",
        suffix=".txt", params={}, version="1",
    )  # fmt: skip
    assert report.failed == {"item3": "took longer than 2 s"} and report.computed == COUNT - 1
    assert {p.stem for p in Path("out").iterdir()} == {i.id for i in items} - {"item3"}
