"""The command line: ``python -m dancestyle --help``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from dancestyle import export_command, predict_command, serve_command
from dancestyle.sources import fetch_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; errors that a person can act on are sentences, not tracebacks."""
    parser = argparse.ArgumentParser(prog="python -m dancestyle", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in (predict_command, serve_command, export_command, fetch_command):
        command.add_parser(commands)
    parsed = parser.parse_args(arguments)
    try:
        return int(parsed.run(parsed))
    except (ValueError, OSError) as error:
        if type(error) is ValueError:
            raise  # not one of ours: a defect
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
