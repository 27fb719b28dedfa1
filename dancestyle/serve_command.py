"""``python -m dancestyle serve``: the command. The page itself is :mod:`dancestyle.serve`."""

from __future__ import annotations

import argparse
import importlib.util
import ipaddress
import socket

from dancestyle.predict_command import add_model_options, predictor_of

NEEDED = "serve needs NiceGUI: pip install -r requirements-serve.txt"

_DESCRIPTION = """A page on this machine to drop a video on: its style, a timeline, and which moments
and places spoke for it. Nothing leaves the machine, and an uploaded video is deleted as soon as it
has been looked at."""


class ServeError(ValueError):
    """Something that keeps the page from being served; the message says what to do."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``serve`` to a command line."""
    parser = commands.add_parser(
        "serve", help="a local page to drop a video on", description=_DESCRIPTION
    )
    add_model_options(parser)
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen at (127.0.0.1: this machine alone)")
    add("--port", type=int, default=8080, help="(8080)")
    add("--max-mb", type=float, default=500, help="largest file that is taken (500)")
    add("--max-seconds", type=float, default=600, help="longest video that is looked at (600)")
    add("--open", action="store_true", help="open the page in a browser")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until stopped."""
    if importlib.util.find_spec("nicegui") is None:
        raise ServeError(NEEDED)
    if arguments.max_mb <= 0 or arguments.max_seconds <= 0:
        raise ServeError("--max-mb and --max-seconds must be above 0")
    _check_free(arguments.host, arguments.port)
    predictor = predictor_of(arguments)
    predictor.max_seconds = arguments.max_seconds
    # Here, since only this command needs it, and it takes a second.
    from dancestyle import serve

    limits = serve.Limits(round(arguments.max_mb * 1e6), arguments.max_seconds)
    if not is_loopback(arguments.host):
        print(
            f"serve: {arguments.host} can be reached by other machines, and nothing asks who they are",
            flush=True,
        )
    print(f"http://{arguments.host}:{arguments.port}  (Ctrl-C stops it)", flush=True)
    serve.run(predictor, limits, arguments.host, arguments.port, show=arguments.open)
    return 0


def is_loopback(host: str) -> bool:
    """Whether an address reaches no further than this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_free(host: str, port: int) -> None:
    """A port that is taken is said in a sentence, before a model is loaded.

    Raises:
        ServeError: it is, or the address is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ServeError(
                f"cannot listen at {host}:{port} ({reason}); name another --port or --host"
            ) from None
