"""Whether the metrics in ``metrics/`` are those that are committed: ``python .ci/compare_metrics.py``.

On the same kind of machine they do not differ at all. On another one the data still come out the same,
but sums in another order, or bfloat16 that one of them lacks, change a step of training a little, and
training enlarges that until the net is as different as one of another seed. So, with ``--exact`` for
none of it:

- what there is (files, keys) and every fact of the data and of the splits: no difference;
- optical flow: 1 % of the value, since it is single precision;
- top-1 and its like in evaluate.json, on the common test split: 0.20, as nets of two seeds may be apart
  (two standard errors of the difference of two scores of 0.8 on 245 clips are 0.07, without what
  training adds);
- all other figures of trained nets (losses, intervals, which pairs are confused): printed, not judged.

Everything that differs is printed, judged or not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DATA = ("dataset.json", "split.json")
FLOW, FLOW_TOLERANCE = "flow.json", 0.01
SCORES, SCORE_TOLERANCE = "evaluate.json", 0.20
SHARES = ("top1", "top5", "mean_class_accuracy", "macro_f1")
SHOWN = 40
"""Differences of one kind that are printed; of the others, how many."""

Difference = tuple[str, bool]


def flat(content: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Every number, text and truth value of a JSON content with its dotted name."""
    if isinstance(content, dict | list):
        pairs = content.items() if isinstance(content, dict) else enumerate(content)
        for key, value in pairs:
            yield from flat(value, f"{above}.{key}" if above else str(key))
        yield above, "{}" if isinstance(content, dict) else "[]"
    else:
        yield above, content


def allowed(file: str, key: str, old: Any, new: Any) -> bool:
    """Whether a value of a metrics file may be ``new`` where ``old`` is committed."""
    if file in DATA:
        return False
    numbers = all(type(value) in (int, float) for value in (old, new))
    if file == FLOW:
        return numbers and abs(new - old) <= FLOW_TOLERANCE * abs(old)
    if file == SCORES:
        name = key.rsplit(".", 1)[-1]
        if name in SHARES and ".subset." not in key:
            return numbers and abs(new - old) <= SCORE_TOLERANCE
        return numbers and name != "clips"
    return True


def differences(file: str, old: Any, new: Any) -> list[Difference]:
    """Sentences on how a metrics file differs from the committed one, each with whether it may."""
    before, after = dict(flat(old)), dict(flat(new))
    judged = file in (*DATA, FLOW, SCORES)
    found = []
    for key in dict.fromkeys([*before, *after]):
        if key not in after:
            found.append((f"{file}: {key} is committed, and not in this run", not judged))
        elif key not in before:
            found.append((f"{file}: {key} is of this run, and not committed", not judged))
        elif type(before[key]) is not type(after[key]) or before[key] != after[key]:
            one, other = before[key], after[key]
            text = f"{file}: {key}: committed {one}, now {other}"
            if all(type(value) in (int, float) for value in (one, other)):
                text += f" ({other - one:+.4g})"
            found.append((text, allowed(file, key, one, other)))
    return found


def committed(revision: str) -> dict[str, Any]:
    """The metrics of a git revision by file name."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, encoding="utf-8")
        if done.returncode:
            sys.exit(f"git {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    paths = git("ls-tree", "-r", "--name-only", revision, "metrics/").splitlines()
    return {
        Path(path).name: json.loads(git("show", f"{revision}:{path}"))
        for path in paths
        if path.endswith(".json")
    }


def compare(old: dict[str, Any], new: dict[str, Any]) -> list[Difference]:
    """All differences between two sets of metrics files."""
    found = [
        (f"{file}: committed, and not written by this run", False) for file in old.keys() - new
    ]
    found += [(f"{file}: written, and not committed", False) for file in new.keys() - old]
    for file in sorted(old.keys() & new):
        found += differences(file, old[file], new[file])
    return found


def show(title: str, lines: list[str]) -> None:
    """At most :data:`SHOWN` of the lines below a title."""
    if lines:
        more = [f"  ... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        print("\n".join([title, *(f"  {line}" for line in lines[:SHOWN]), *more]))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--revision", default="HEAD", help="where the committed ones are (HEAD)")
    parser.add_argument("--exact", action="store_true", help="nothing may differ")
    arguments = parser.parse_args()
    old = committed(arguments.revision)
    if not old:
        print(f"{arguments.revision} has no metrics; commit those of a run")
        return 1
    new = {
        path.name: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(Path("metrics").glob("*.json"))
    }
    found = [(text, may and not arguments.exact) for text, may in compare(old, new)]
    bad = [text for text, may in found if not may]
    show("Different, within what another kind of machine may do:", [t for t, may in found if may])
    show("Different, and must not be:", bad)
    if not found:
        print(f"All {len(old)} metrics files are exactly the committed ones.")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
