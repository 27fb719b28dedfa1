"""For each clip, do this: incremental, parallel, one clip's failure never another's.

A result is kept in a store beside the outputs, ``.cache/clipmap/<name>/``, together with the key
that it was made under: the content of its inputs, the params and the version of the code. A later
run computes only what has no result under its key, removes what no longer belongs, and links the
results into the output folder. ``docs/clipmap.md`` says why there is a store.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import hashlib
import json
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from dancestyle import essence, files, pool
from dancestyle.files import atomic_path
from dancestyle.progress import progress

STORE = Path(".cache/clipmap")
LOGS = Path("logs")
_STATE = ".state"
_LOCK = ".lock"

Work = Callable[["Item", Path], Mapping[str, Any] | None]
"""Writes an item's result to the path and returns JSON facts of it (frames, width, ...).

A fact called ``notes``, a list of texts ``<kind>: <details>``, says what the result lacks: it is
counted by kind and logged.

Must be a function of a module or ``functools.partial`` of one, since it goes to other processes,
and its result may depend on nothing but the item, ``params`` and the code that ``version`` names.
It raises ``ValueError`` (``VideoError`` has a ``reason``) for an item that cannot be done."""


class ClipMapError(RuntimeError):
    """The map had to stop; what was done until then is kept and the next run goes on from it."""


@dataclass(frozen=True)
class Item:
    """One piece of work.

    Attributes:
        id: unique; the result is ``<out_dir>/<id><suffix>``, so it must be safe as a file name
        inputs: files that the result is made from; their content is part of the key, their names
            are not
        args: anything JSON-able that the work needs and that the result depends on
        libraries: installed packages, by name, that the result depends on besides those that
            :func:`code_version` knows
    """

    id: str
    inputs: tuple[str, ...] = ()
    args: Mapping[str, Any] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()


@dataclass
class Report:
    """What came out.

    Attributes:
        done: id -> the facts that the work returned, for every item with a result, sorted by id
        failed: id -> a short reason, sorted by id
        reused, computed, removed: numbers of items
        digests: id -> hexadecimal SHA-256 of the result, for every item that has one
    """

    done: dict[str, dict[str, Any]]
    failed: dict[str, str]
    reused: int = 0
    computed: int = 0
    removed: int = 0
    digests: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f"reused {self.reused}, computed {self.computed}, removed {self.removed}, "
            f"failed {len(self.failed)}"
        )


_LIBRARIES = ("av", "numpy", "opencv-contrib-python-headless")
"""Of all work; what only some of it uses is named by its items."""


def code_version(*modules: ModuleType) -> str:
    """A version that changes with what the source of ``modules`` says, for :func:`run`.

    Comments and docstrings are no part of it. It also changes with the libraries that decode, encode
    and compute. Modules of a sub-package bring along those of the same sub-package that they import
    from.
    """
    found: dict[str, str] = {}
    todo = list(modules)
    while todo:
        module = todo.pop()
        if module.__name__ in found:
            continue
        found[module.__name__] = essence.digest(Path(str(module.__file__)))
        package = module.__name__.rpartition(".")[0]
        for value in list(vars(module).values()) if "." in package else []:
            name = value.__name__ if isinstance(value, ModuleType) else _module_of(value)
            if name.rpartition(".")[0] == package and name in sys.modules:
                todo.append(sys.modules[name])
    digest = hashlib.sha256(repr([metadata.version(name) for name in _LIBRARIES]).encode())
    for name in sorted(found):
        digest.update(found[name].encode())
    return digest.hexdigest()[:16]


def _module_of(value: object) -> str:
    """The name of the module that a function or class is from, else an empty string."""
    name = getattr(value, "__module__", "")
    return name if isinstance(name, str) else ""


def run(
    items: Sequence[Item],
    work: Work,
    *,
    name: str,
    out_dir: Path | str | None,
    suffix: str,
    params: Mapping[str, Any],
    version: str,
    workers: int = 0,
    cluster: str | None = None,
    time_limit: float = 900.0,
    store: Path | str | None = None,
    keep: Collection[str] = (),
) -> Report:
    """Make ``<out_dir>/<id><suffix>`` for every item, reusing what is already there and right.

    The results do not depend on the number of workers, nor on what earlier runs have left. Failures
    that the work raises as ``ValueError`` are remembered like results; a process that died, or an
    unforeseen error, is tried again by the next run.

    Args:
        name: of the map, unique in the project: names its store and ``logs/<name>.log``.
        out_dir: files in it with ``suffix`` that belong to no item are removed. None leaves the
            results in the store, as ``<store>/<id><suffix>``, for who lays them out otherwise.
        params: what else the results depend on (JSON-able).
        version: of the code that the results depend on; see :func:`code_version`.
        workers: processes; 0 takes one a core.
        cluster: address of a Dask scheduler (``tcp://host:8786``) whose workers share this folder;
            they then do the work in place of processes here.
        time_limit: seconds that one item may take.
        store: where results are kept, in place of ``.cache/clipmap/<name>``.
        keep: ids of another map's results in the same folder, which are left alone.

    Raises:
        ValueError: two items of one id, or an id that is no file name.
        ClipMapError: the disk is full, or another run is at work.
    """
    started = time.monotonic()
    _check_ids(items)
    kept = Path(store) if store is not None else STORE / name
    here = str(Path.cwd())
    basis = json.dumps([version, dict(params), suffix], sort_keys=True)
    with _locked(kept):
        report = Report({}, {})
        report.removed = _remove_strangers(kept, {item.id for item in items}, suffix)
        jobs: list[_Job] = []
        for item in items:
            job = _Job(item, work, here, str(kept.resolve()), suffix, _digest(basis, _own(item)))
            state = _State.read(job)
            if state is not None and state.stat == _stats(item.inputs) and state.fits(job):
                _count(report, item.id, state.outcome(reused=True))
            else:
                jobs.append(job)
        with closing(_outcomes(jobs, workers, cluster, time_limit)) as outcomes:
            for index, outcome in progress(outcomes, len(jobs), name):
                if isinstance(outcome, pool.Died):
                    outcome = _Outcome(reason=outcome.reason)
                if outcome.stop:
                    raise ClipMapError(f"{name}: {outcome.stop}")
                if outcome.trace:
                    _log(name, outcome.trace)
                _count(report, jobs[index].item.id, outcome)
        report.done = dict(sorted(report.done.items()))
        report.failed = dict(sorted(report.failed.items()))
        if out_dir is not None:
            try:
                _publish(kept, Path(out_dir), suffix, report.done, keep)
            except OSError as error:
                raise ClipMapError(f"{name}: {_explain(error, Path(out_dir))}") from None
    seconds = time.monotonic() - started
    rate = f"{len(jobs) / seconds:.1f} clips/s" if jobs else "nothing to compute"
    print(f"{name}: {report}", flush=True)
    lines = [f"{report} ({rate}, {seconds:.1f} s)"]
    lines += [f"  {i}: {reason}" for i, reason in report.failed.items()]
    notes = [(i, note) for i, facts in report.done.items() for note in facts.get("notes", [])]
    _log(name, "\n".join(lines + [f"  {i}: {note}" for i, note in notes]))
    if notes:
        kinds = Counter(note.split(":")[0] for _, note in notes)
        told = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
        print(f"{name}: {told} ({LOGS / name}.log lists them)", flush=True)
    return report


@dataclass(frozen=True)
class _Job:
    """What a worker process is told."""

    item: Item
    work: Work
    folder: str  # that relative names start from
    store: str
    suffix: str
    basis: str  # digest of all that the result depends on, but for the content of the inputs

    @property
    def result(self) -> Path:
        return Path(self.store) / f"{self.item.id}{self.suffix}"

    @property
    def sidecar(self) -> Path:
        return Path(self.store) / f"{self.item.id}{_STATE}"


@dataclass(frozen=True)
class _Outcome:
    """What a worker process answers: facts, or the reason of a failure, or why all must stop."""

    facts: dict[str, Any] | None = None
    reason: str = ""
    digest: str = ""
    reused: bool = False
    stop: str = ""
    trace: str = ""


@dataclass(frozen=True)
class _State:
    """The sidecar of a result: under which key it was made, and how to see that it is whole."""

    key: str
    basis: str
    stat: str
    size: int
    mtime_ns: int
    facts: dict[str, Any] | None
    reason: str
    digest: str  # of the result

    @classmethod
    def read(cls, job: _Job) -> _State | None:
        try:
            return cls(**json.loads(job.sidecar.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def fits(self, job: _Job, key: str | None = None) -> bool:
        """Whether this state may be reused; without a key, the inputs are known to be the same."""
        if (key or self.key) != self.key or self.basis != job.basis:
            return False
        if self.facts is None:
            return True  # a failure
        try:
            found = job.result.stat()
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == (self.size, self.mtime_ns)

    def outcome(self, reused: bool) -> _Outcome:
        return _Outcome(self.facts, self.reason, self.digest, reused)

    def write(self, job: _Job) -> None:
        with atomic_path(job.sidecar) as temporary:
            temporary.write_text(json.dumps(self.__dict__), encoding="utf-8")


def _perform(job: _Job) -> _Outcome:
    """Do one item, in whatever process: its result and sidecar are in the store afterwards."""
    try:
        if str(Path.cwd()) != job.folder:  # a cluster's worker was started elsewhere
            os.chdir(job.folder)
        # Taken before the content is read: a file that changes meanwhile is then seen next time.
        stat = _stats(job.item.inputs)
        key = _digest(job.basis, *(_content(path) for path in job.item.inputs))
        state = _State.read(job)
        if state is not None and state.fits(job, key):
            _State(**{**state.__dict__, "stat": stat}).write(job)
            return state.outcome(reused=True)
        size = mtime_ns = 0
        facts, reason, digest = None, "", ""
        try:
            with atomic_path(job.result) as temporary:
                facts = json.loads(json.dumps(dict(job.work(job.item, temporary) or {})))
                with temporary.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
            found = job.result.stat()
            size, mtime_ns = found.st_size, found.st_mtime_ns
        except ValueError as error:
            if _is_full(error):
                raise
            job.result.unlink(missing_ok=True)
            facts, reason = None, str(getattr(error, "reason", "") or error)
        state = _State(key, job.basis, stat, size, mtime_ns, facts, reason, digest)
        state.write(job)
        return state.outcome(reused=False)
    except Exception as error:
        if _is_full(error):
            return _Outcome(stop=_explain(error, Path(job.store)))
        reason = f"{type(error).__name__}: {error}"
        return _Outcome(reason=reason, trace=f"{job.item.id}\n{traceback.format_exc()}")


def _outcomes(
    jobs: Sequence[_Job], workers: int, cluster: str | None, time_limit: float
) -> Generator[tuple[int, Any], None, None]:
    if jobs and cluster:
        yield from pool.results_on_cluster(_perform, jobs, cluster, time_limit)
    elif jobs:
        yield from pool.results(_perform, jobs, workers, time_limit)


def _count(report: Report, item_id: str, outcome: _Outcome) -> None:
    if outcome.facts is None:
        report.failed[item_id] = outcome.reason
        return
    report.done[item_id] = outcome.facts
    report.digests[item_id] = outcome.digest
    report.reused += outcome.reused
    report.computed += not outcome.reused


def _publish(
    store: Path, out: Path, suffix: str, done: Mapping[str, Any], keep: Collection[str]
) -> None:
    """Make the output folder hold the results and nothing else: hard links, else copies."""
    out.mkdir(parents=True, exist_ok=True)
    names = {f"{item_id}{suffix}" for item_id in done}
    belonging = names | {f"{item_id}{suffix}" for item_id in keep}
    for entry in list(os.scandir(out)):
        if entry.name not in belonging and (
            entry.name.endswith(suffix) or entry.name[:5] == ".tmp-"
        ):
            Path(entry.path).unlink()
    for name in names:
        source, target = store / name, out / name
        stat = source.stat()
        try:
            found = target.stat()
            if (found.st_size, found.st_mtime_ns) == (stat.st_size, stat.st_mtime_ns):
                continue
        except FileNotFoundError:
            pass
        files.link(source, target)


def _remove_strangers(store: Path, ids: set[str], suffix: str) -> int:
    """Remove from the store what belongs to no item; the number of items that this was."""
    belonging = {f"{item_id}{end}" for item_id in ids for end in (suffix, _STATE)} | {_LOCK}
    strangers = [entry.name for entry in os.scandir(store) if entry.name not in belonging]
    for stranger in strangers:
        (store / stranger).unlink(missing_ok=True)
    return sum(name.endswith(_STATE) and name[:5] != ".tmp-" for name in strangers)


@contextmanager
def _locked(store: Path) -> Iterator[None]:
    """One run at a time in a store."""
    store.mkdir(parents=True, exist_ok=True)
    with (store / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ClipMapError(f"{store}: another run is at work; wait for its end") from None
        yield


def _check_ids(items: Sequence[Item]) -> None:
    seen: set[str] = set()
    for item in items:
        if not item.id or item.id.startswith(".") or "/" in item.id or "\0" in item.id:
            raise ValueError(f"item id {item.id!r} cannot be a file name")
        if item.id in seen:
            raise ValueError(f"item id {item.id!r} occurs twice")
        seen.add(item.id)


def _own(item: Item) -> str:
    own = [item.id, dict(item.args), len(item.inputs)]
    own += [_installed(name) for name in item.libraries]
    return json.dumps(own, sort_keys=True)


@functools.cache
def _installed(library: str) -> str:
    return f"{library} {metadata.version(library)}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def _stats(paths: Sequence[str]) -> str:
    """Changes whenever a file's content may have changed; costs no reading."""
    parts = []
    for path in paths:
        try:
            found = Path(path).stat()
            parts.append(f"{path}|{found.st_size}|{found.st_mtime_ns}|{found.st_ino}")
        except OSError:
            parts.append(f"{path}|missing")
    return _digest(*parts)


def _content(path: str) -> str:
    try:
        found = Path(path).stat()
        return _hash(path, found.st_size, found.st_mtime_ns, found.st_ino)
    except OSError:
        return "missing"


@functools.lru_cache(maxsize=256)
def _hash(path: str, *_stamp: int) -> str:
    """A long video is the input of many items, and is read once by each process."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


def _is_full(error: BaseException) -> bool:
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)


def _explain(error: BaseException, where: Path) -> str:
    if _is_full(error):
        return f"the disk is full at {where}; free space and run again, what is done is kept"
    return f"{type(error).__name__}: {error}"


def _log(name: str, text: str) -> None:
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / f"{name}.log").open("a", encoding="utf-8") as log:
        log.write(text + "\n")
