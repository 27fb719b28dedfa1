from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dancestyle import clipmap
from dancestyle.clipmap import ClipMapError, Item, Report
from dancestyle.video import errors, reader, source

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    return tmp_path


def make_inputs(count: int) -> list[Item]:
    items = []
    for i in range(count):
        path = Path(f"in/{i}.txt")
        if not path.exists():
            path.write_text(f"input {i}")
        items.append(Item(f"item{i}", (str(path),), {"times": 2}))
    return items


def shout(item: Item, path: Path) -> dict[str, Any]:
    text = Path(item.inputs[0]).read_text()
    path.write_text(text.upper() * item.args["times"])
    with Path("calls").open("a") as calls:
        calls.write(item.id + "\n")
    return {"length": len(text)}


def refuse_odd(item: Item, path: Path) -> dict[str, Any]:
    if int(item.id[4:]) % 2:
        raise ValueError("odd")
    return shout(item, path)


def crash(item: Item, path: Path) -> dict[str, Any]:
    if item.id == "item3":
        os.kill(os.getpid(), signal.SIGSEGV)
    return shout(item, path)


def crash_once(item: Item, path: Path) -> dict[str, Any]:
    if item.id == "item3" and not Path("crashed").exists():
        Path("crashed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return shout(item, path)


def hang(item: Item, path: Path) -> dict[str, Any]:
    if item.id == "item3":
        time.sleep(100)
    return shout(item, path)


def fill_disk(item: Item, path: Path) -> dict[str, Any]:
    path.write_text("half")
    if item.id == "item3":
        raise OSError(errno.ENOSPC, "No space left on device")
    return shout(item, path)


def blunder(item: Item, path: Path) -> dict[str, Any]:
    if item.id == "item3":
        raise KeyError("typo")
    return shout(item, path)


def run(items: list[Item], work: clipmap.Work = shout, **other: Any) -> Report:
    options: dict[str, Any] = {
        "name": "test",
        "out_dir": "out",
        "suffix": ".txt",
        "params": {"a": 1},
        "version": "1",
        "workers": 2,
    }
    return clipmap.run(items, work, **{**options, **other})


def counts(report: Report) -> tuple[int, int, int, int]:
    return report.reused, report.computed, report.removed, len(report.failed)


def contents(folder: str = "out") -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(Path(folder).iterdir())}


def noting(item: Item, path: Path) -> dict[str, Any]:
    notes = [f"frame lost: {n}" for n in range(int(item.id[4:]))]
    return {**shout(item, path), **({"notes": notes} if notes else {})}


def test_results_are_reused_recomputed_and_removed(capsys: pytest.CaptureFixture[str]) -> None:
    items = make_inputs(6)
    report = run(items)
    assert counts(report) == (0, 6, 0, 0)
    assert report.done["item4"] == {"length": 7}
    assert contents()["item4.txt"] == "INPUT 4INPUT 4"
    assert counts(run(items)) == (6, 0, 0, 0)
    Path("in/2.txt").write_text("changed")
    assert counts(run(items)) == (5, 1, 0, 0)
    assert contents()["item2.txt"] == "CHANGEDCHANGED"
    assert counts(run(items[:4])) == (4, 0, 2, 0)
    assert list(contents()) == [f"item{i}.txt" for i in range(4)]
    assert "test: reused 4, computed 0, removed 2, failed 0" in capsys.readouterr().out
    assert "reused 4, computed 0" in Path("logs/test.log").read_text()


@pytest.mark.parametrize("change", [{"params": {"a": 2}}, {"version": "2"}, {"suffix": ".text"}])
def test_params_and_version_make_results_anew(change: dict[str, Any]) -> None:
    items = make_inputs(3)
    run(items)
    assert run(items, **change).computed == 3


def test_arguments_make_one_result_anew() -> None:
    items = make_inputs(3)
    run(items)
    items[1] = Item("item1", items[1].inputs, {"times": 3})
    assert counts(run(items)) == (2, 1, 0, 0)


def test_same_content_is_reused_though_touched_or_moved() -> None:
    items = make_inputs(3)
    run(items)
    os.utime("in/0.txt", (1, 1))
    Path("in/1.txt").rename("in/moved.txt")
    items[1] = Item("item1", ("in/moved.txt",), {"times": 2})
    assert counts(run(items)) == (3, 0, 0, 0)
    assert len(Path("calls").read_text().split()) == 3


def test_outputs_that_were_deleted_come_back_without_work() -> None:
    items = make_inputs(3)
    run(items)
    expected = contents()
    for path in Path("out").iterdir():
        path.unlink()
    assert counts(run(items)) == (3, 0, 0, 0)
    assert contents() == expected


def test_a_damaged_result_is_made_again() -> None:
    items = make_inputs(3)
    run(items)
    expected = contents()
    for path in Path("out").iterdir():  # hard links: the store's copy changes too
        path.write_text("damaged")
    assert run(items).computed == 3
    assert contents() == expected


def test_failures_have_reasons_and_are_remembered() -> None:
    items = make_inputs(5)
    report = run(items, refuse_odd)
    assert report.failed == {"item1": "odd", "item3": "odd"}
    assert list(contents()) == ["item0.txt", "item2.txt", "item4.txt"]
    Path("calls").unlink()
    assert counts(run(items, refuse_odd)) == (3, 0, 0, 2)
    assert not Path("calls").exists()


def test_what_a_result_lacks_is_told_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        run(make_inputs(3), noting)
        assert "test: frame lost 3 (logs/test.log lists them)" in capsys.readouterr().out
    assert Path("logs/test.log").read_text().count("  item2: frame lost: 1\n") == 2


def test_libraries_are_part_of_the_key_where_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, painted = make_inputs(2)
    items = [plain, replace(painted, libraries=("pillow",))]
    run([plain, painted])
    assert counts(run(items)) == (1, 1, 0, 0)
    monkeypatch.setattr(clipmap, "_installed", lambda name: f"{name} 99")
    assert counts(run(items)) == (1, 1, 0, 0)


def test_a_crash_costs_one_item() -> None:
    report = run(make_inputs(8), crash)
    assert report.failed == {"item3": "the process died of SIGSEGV"}
    assert report.computed == 7
    assert counts(run(make_inputs(8), shout)) == (7, 1, 0, 0)


def test_a_crash_that_does_not_come_again_costs_nothing() -> None:
    assert counts(run(make_inputs(8), crash_once)) == (0, 8, 0, 0)


def test_a_hang_is_ended() -> None:
    report = run(make_inputs(5), hang, time_limit=1)
    assert report.failed == {"item3": "took longer than 1 s"}
    assert report.computed == 4


def test_an_unforeseen_error_is_isolated_and_logged() -> None:
    report = run(make_inputs(5), blunder)
    assert report.failed == {"item3": "KeyError: 'typo'"}
    assert "Traceback" in Path("logs/test.log").read_text()
    assert counts(run(make_inputs(5))) == (4, 1, 0, 0)


def test_full_disk_stops_with_a_message_and_keeps_what_is_done() -> None:
    items = make_inputs(8)
    with pytest.raises(ClipMapError, match=r"disk is full.*run again"):
        run(items, fill_disk, workers=1)
    kept = list(Path(".cache/clipmap/test").glob("*.txt"))
    assert len(kept) == 3
    assert all(path.read_text().startswith("INPUT") for path in kept)
    assert counts(run(items)) == (3, 5, 0, 0)


def test_workers_and_order_do_not_matter() -> None:
    items = make_inputs(12)
    run(items, workers=1)
    expected = contents()
    other = run(items[::-1], name="other", out_dir="other", workers=3)
    assert contents("other") == expected
    assert list(other.done) == sorted(other.done)


def test_two_maps_may_share_a_folder() -> None:
    items = make_inputs(4)
    run(items[:2], keep=["item2", "item3"])
    run(items[2:], name="other", keep=["item0", "item1"])
    assert len(contents()) == 4
    run(items[:1], keep=["item2", "item3"])
    assert list(contents()) == ["item0.txt", "item2.txt", "item3.txt"]


@pytest.mark.parametrize("bad", ["", "a/b", ".hidden"])
def test_bad_ids(bad: str) -> None:
    with pytest.raises(ValueError, match="file name"):
        run([Item(bad)])
    with pytest.raises(ValueError, match="twice"):
        run([Item("a"), Item("a")])


def test_one_run_at_a_time() -> None:
    with clipmap._locked(Path("store")), pytest.raises(ClipMapError, match="another run"):
        run(make_inputs(1), store="store")


def test_nothing_to_do() -> None:
    assert counts(run([])) == (0, 0, 0, 0)


def test_code_version_follows_the_source(tmp_path: Path) -> None:
    assert clipmap.code_version(clipmap) == clipmap.code_version(clipmap)
    assert clipmap.code_version(clipmap) != clipmap.code_version(clipmap, sys.modules[__name__])
    # a module of a sub-package brings along what it imports from there
    assert clipmap.code_version(reader) == clipmap.code_version(source, errors, reader)


SLOW_RUN = """
import sys, time
from pathlib import Path
from dancestyle import clipmap

def work(item, path):
    time.sleep(0.05)
    path.write_text(item.id)
    with open("worked", "a") as worked:
        worked.write(item.id + "\\n")
    return {}

if __name__ == "__main__":
    items = [clipmap.Item(f"item{i}") for i in range(60)]
    clipmap.run(items, work, name="slow", out_dir="out", suffix=".txt", params={}, version="1",
                workers=2)
"""
WORKERS = 2


def test_killed_again_and_again(folder: Path) -> None:
    Path("slow.py").write_text(SLOW_RUN)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    before = kills = 0
    for number in range(8):
        command = [sys.executable, "slow.py"]
        process = subprocess.Popen(command, env=environment, start_new_session=True)
        goal = min(60, before + 12)
        wait_until(partial(reached, goal, process))
        if process.poll() is None:
            kills += 1  # by turns it alone and all that it has started
            (os.killpg if number % 2 else os.kill)(process.pid, signal.SIGKILL)
        process.wait()
        assert done() >= before
        before = done()
        if before == 60:
            break
    finish = subprocess.run(
        [sys.executable, "slow.py"], env=environment, capture_output=True, text=True, check=True
    )
    assert "failed 0" in finish.stdout
    worked = Counter(Path("worked").read_text().split())
    assert len(worked) == 60 and kills
    assert worked.total() - 60 <= kills * WORKERS  # lost is at most what was in flight
    assert contents() == {f"item{i}.txt": f"item{i}" for i in range(60)}
    assert [p for p in Path(".cache/clipmap/slow").iterdir() if p.name.startswith(".tmp")] == []


def reached(goal: int, process: subprocess.Popen[bytes]) -> bool:
    return done() >= goal or process.poll() is not None


def done() -> int:
    return len(list(Path(".cache/clipmap/slow").glob("*.state")))


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited too long"
        time.sleep(0.02)
