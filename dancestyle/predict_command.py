"""``python -m dancestyle predict``: the command."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dancestyle.files import write_text
from dancestyle.video.errors import VideoError

if TYPE_CHECKING:
    from dancestyle.predict import Prediction, Predictor

STREAMS = (Path("models/i3d_rgb.ckpt"), Path("models/i3d_flow.ckpt"))
"""Used where no model is named; the flow stream only if it is there."""
LONG = 10.0
"""Seconds above which the text shows a timeline."""
BAR = 20
"""Characters of a bar that stands for certainty."""

_DESCRIPTION = """The style of dance videos, from RGB alone or from both streams. A long video gets a
timeline. A file that cannot be read costs one line on standard error, and the exit status is 1."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``predict`` to a command line."""
    parser = commands.add_parser(
        "predict", help="the style of your videos", description=_DESCRIPTION
    )
    add = parser.add_argument
    add("videos", nargs="+", metavar="VIDEO", help="any video file")
    add_model_options(parser)
    add("--top", type=int, default=3, help="styles that are listed (3)")
    add("--json", action="store_true", help="JSON in place of text: every style, every window")
    add("--out", type=Path, metavar="FILE", help="write there in place of printing")
    parser.set_defaults(run=run)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Options that say which models look, and how often."""
    add = parser.add_argument
    add(
        "--model",
        action="append",
        type=Path,
        metavar="FILE",
        help="a model file; repeated, they are joined (default: the streams in models/)",
    )
    add("--clips", type=int, help="snippets of each ten seconds (evaluate.num_clips, or 3)")
    add("--crops", type=int, help="1 or 3 crops of each (evaluate.num_crops, or 1)")


def predictor_of(arguments: argparse.Namespace) -> Predictor:
    """The predictor that the options ask for, seeing a video as the evaluation does."""
    from dancestyle import params
    from dancestyle.predict import load_model

    options: dict[str, Any] = {"num_clips": 3, "num_crops": 1}
    if params.PARAMS_FILE.exists():
        config: params.Evaluate = params.load("evaluate")
        options = config.model_dump(
            include={"views", "num_clips", "num_crops", "average", "fusion"}
        )
    given = {"num_clips": arguments.clips, "num_crops": arguments.crops}
    options |= {key: value for key, value in given.items() if value is not None}
    if arguments.clips is not None:
        options["views"] = "spread"
    files = arguments.model or [path for path in STREAMS if path.exists()] or STREAMS[:1]
    return load_model(files, **options)


def run(arguments: argparse.Namespace) -> int:
    """Predict; the exit status is 1 if any video failed."""
    predictor = predictor_of(arguments)
    results: list[dict[str, Any]] = []
    texts: list[str] = []
    failed = 0
    for video in arguments.videos:
        try:
            prediction = predictor.predict(video)
        except VideoError as error:
            failed += 1
            print(error, file=sys.stderr)
            results.append({"video": video, "error": error.reason})
            continue
        results.append({"video": video, **prediction.to_dict()})
        texts.append(as_text(video, prediction, arguments.top))
        if not arguments.json and arguments.out is None:
            print(texts[-1], flush=True)
    text = json.dumps(results, indent=2, ensure_ascii=False) if arguments.json else "\n".join(texts)
    if arguments.out is not None:
        write_text(arguments.out, text + "\n")
    elif arguments.json:
        print(text)
    return 1 if failed else 0


def as_text(video: str, prediction: Prediction, top: int) -> str:
    """A video's styles, and its timeline if it is long."""
    lines = [f"{video}  {clock(prediction.seconds)}"]
    wide = max(len(label) for label in prediction.labels)
    for style, probability in prediction.top(max(top, 1)):
        lines.append(f"  {style:{wide}}  {_share(probability)}".rstrip())
    if prediction.seconds > LONG:
        for part in prediction.stretches:
            when = f"{clock(part.start)} to {clock(part.end)}"
            lines.append(f"  {when:>18}  {part.style:{wide}}  {_share(part.probability)}".rstrip())
    return "\n".join(lines)


def _share(probability: float) -> str:
    return f"{100 * probability:5.1f} %  {'#' * round(BAR * probability)}"


def clock(seconds: float) -> str:
    """Minutes and seconds, hours where there are any.

    >>> clock(7.6), clock(59.97), clock(3725)
    ('0:07.6', '1:00.0', '1:02:05')
    """
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    if minutes < 60:
        return f"{minutes}:{rest / 10:04.1f}"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest // 10:02d}"
