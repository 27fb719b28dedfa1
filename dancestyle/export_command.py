"""``python -m dancestyle export``: the command."""

from __future__ import annotations

import argparse
from pathlib import Path

from dancestyle.predict_command import STREAMS

OUT = Path("models/export")
KINDS = ("torch", "onnx")

_DESCRIPTION = """Trained models as files that other programs run, torch.export and ONNX, each checked
against the net it was made of, and a card that says what the model is and what it is not."""


class MissingError(ValueError):
    """Packages that are not installed; the message says how to install them."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``export`` to a command line."""
    parser = commands.add_parser(
        "export", help="a model as torch.export and ONNX, with its card", description=_DESCRIPTION
    )
    add = parser.add_argument
    add(
        "--model",
        action="append",
        type=Path,
        metavar="FILE",
        help="a model file; may be repeated (default: the streams in models/)",
    )
    add("--format", action="append", choices=KINDS, help="may be repeated (default: both)")
    add("--out", type=Path, default=OUT, metavar="FOLDER", help=f"({OUT})")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Export every model that is asked for."""
    # Here, since they load torch.
    from dancestyle import card, export
    from dancestyle.files import write_text
    from dancestyle.training.checkpoints import load_model

    kinds = list(dict.fromkeys(arguments.format or KINDS))
    if export.missing_packages(kinds):
        raise MissingError(
            "export to ONNX needs more packages: pip install -r requirements-export.txt "
            "(--format torch does without)"
        )
    for path in arguments.model or [one for one in STREAMS if one.exists()] or STREAMS[:1]:
        model = load_model(path)
        name = card.evaluated_name(path)
        written = []
        for kind in kinds:
            made = export.export(model, arguments.out / (name + export.SUFFIXES[kind]), kind)
            what = {"torch": "torch.export", "onnx": "ONNX"}[kind]
            said = f"{what}, logits at most {made.difference:.1e} off the net's"
            print(f"{made.path}: {said}", flush=True)
            written.append((made.path.name, said))
        where = arguments.out / f"{name}.md"
        write_text(where, card.card(model, path, written))
        print(f"{where}: the model's card")
    return 0
