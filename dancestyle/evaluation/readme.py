"""README.md's results, filled in from ``metrics/``: ``python -m dancestyle.evaluation.readme``.

The part between the two marks of :data:`BEGIN` and :data:`END` is written anew, all else is left as it
is. ``--check`` writes nothing and fails where the numbers there are not those in ``metrics/``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from dancestyle.evaluation.names import in_order, model_name
from dancestyle.evaluation.tables import percent, percent_range
from dancestyle.files import write_text

README = Path("README.md")
BEGIN = "<!-- results: `make readme` fills this in -->"
END = "<!-- end of results -->"
SCORES = Path("metrics/evaluate.json")
DETAILS = Path("metrics/evaluate_details.json")
CONFUSIONS = Path("metrics/confusions.json")
MATRIX = Path("plots/confusion_matrix.png")
REPORT = Path("metrics/report.md")


class ReadmeError(ValueError):
    """A README that cannot be filled in; the message says what to mend."""


def results(root: Path | str = ".") -> str:
    """The results of the run in folder ``root`` as Markdown; that there are none, if so.

    Raises:
        ReadmeError: a metrics file that is no JSON, or not of this project.
    """
    root = Path(root)
    scores, details = _json(root / SCORES), _json(root / DETAILS)
    if not scores:
        return "No run's results are here yet; `make repro` and then `make readme` put them here."
    try:
        parts = [_about(details), _table(scores, details), _matrix(root)]
    except (KeyError, TypeError, AttributeError) as error:
        raise ReadmeError(
            f"{root / SCORES} and {root / DETAILS}: not of this version: {error!r}"
        ) from None
    if (root / REPORT).exists():
        parts.append(f"Every table and figure of this run: [{REPORT}]({REPORT}).")
    return "\n\n".join(part for part in parts if part)


def filled(text: str, content: str) -> str:
    """``text`` with ``content`` between its marks.

    Raises:
        ReadmeError: the marks are not there once each and in this order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in before + after:
        raise ReadmeError(
            f"{README}: needs the lines '{BEGIN}' and '{END}', once each, in this order"
        )
    return f"{before}{BEGIN}\n\n{content}\n\n{END}{after}"


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ReadmeError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise ReadmeError(f"{path}: holds no models")
    return content


def _about(details: dict[str, Any]) -> str:
    if not details:
        return ""
    chance = percent(1 / len(details["labels"]))
    seen = details["test_clips_of_training_videos"]
    known = f"{seen} of them of videos that" if seen else "none of a video that"
    return (
        f"{details['clips']} test clips of {details['videos']} source videos, {known} training has "
        f"seen; chance is {chance}. “95 %” is the interval of top-1, resampled by source video."
    )


def _table(scores: dict[str, Any], details: dict[str, Any]) -> str:
    lines = [
        "| model | top-1 | 95 % | top-5 | mean per class | test clips |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for model in in_order(scores):
        score = scores[model]
        about = details.get("models", {}).get(model, {}).get("intervals", {})
        cells = (
            model_name(model),
            percent(score["top1"]),
            percent_range(about.get("top1")),
            percent(score["top5"]),
            percent(score["mean_class_accuracy"]),
            str(score["clips"]),
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _matrix(root: Path) -> str:
    if not (root / MATRIX).exists():
        return ""
    model = _json(root / CONFUSIONS).get("model")
    which = f" of the {model_name(model)}" if model else ""
    alt = f"Confusion matrix{which}: the test clips of each style by what they were taken for"
    return f"![{alt}]({MATRIX})"


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if out of date")
    check = parser.parse_args(arguments).check
    try:
        text = README.read_text(encoding="utf-8")
        wanted = filled(text, results())
    except FileNotFoundError:
        print(f"{README}: not found; run from the folder that holds it", file=sys.stderr)
        return 1
    except ReadmeError as error:
        print(error, file=sys.stderr)
        return 1
    if text == wanted:
        print(f"{README}: the results are those in metrics/")
        return 0
    if check:
        print(f"{README}: the results are not those in metrics/; `make readme` puts this right")
        return 1
    write_text(README, wanted)
    print(f"{README}: filled in from metrics/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
