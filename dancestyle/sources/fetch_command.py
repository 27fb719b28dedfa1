"""``python -m dancestyle fetch kinetics``: the command."""

from __future__ import annotations

import argparse
from pathlib import Path

from dancestyle.labels import STYLES
from dancestyle.sources import fetch_cvdf, fetch_youtube
from dancestyle.sources.fetch import Patience, wanted_clips

_DESCRIPTION = """Get the clips of Kinetics that show a dance, and nothing else. What is there is
not fetched again, so an interrupted command is just repeated. Choose the source: CVDF's tar parts
(--parts, a list of their addresses) or the videos themselves (yt-dlp must be installed)."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``fetch`` to a command line."""
    fetch = commands.add_parser("fetch", help="download a dataset")
    datasets = fetch.add_subparsers(required=True, metavar="dataset")
    parser = datasets.add_parser("kinetics", help="Kinetics", description=_DESCRIPTION)
    add = parser.add_argument
    add("--annotations", nargs="+", required=True, metavar="CSV", help="Kinetics lists with labels")
    add("--out", required=True, type=Path, help="folder for the clips")
    add("--labels", nargs="+", default=list(STYLES), help="default: the 19 styles")
    add("--workers", type=int, default=4, help="downloads at a time (4)")
    add("--attempts", type=int, default=5, help="tries for each file (5)")
    add("--wait", type=float, default=2.0, help="seconds before the second try, then doubled (2)")
    add("--parts", metavar="FILE", help="list of addresses of CVDF's tar files, one a line")
    add("--keep-tars", action="store_true", help="keep the tar files")
    add("--checksums", metavar="FILE", help="md5sum or sha256sum of the tar files")
    add("--url", help="address of a video, with {id} for its id; given, no yt-dlp is used")
    add("--retry-unavailable", action="store_true", help="ask again for what was gone for good")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Fetch; the exit status is 1 if a tar part could not be had."""
    wanted = wanted_clips(arguments.annotations, arguments.labels)
    patience = Patience(arguments.attempts, arguments.wait)
    print(f"{len(wanted)} clips of {len({key[0] for key in wanted})} videos are listed")
    if arguments.parts:
        sums = fetch_cvdf.read_checksums(arguments.checksums) if arguments.checksums else None
        parts = fetch_cvdf.fetch(
            fetch_cvdf.read_list(arguments.parts),
            frozenset(wanted),
            arguments.out,
            keep_tars=arguments.keep_tars,
            workers=arguments.workers,
            patience=patience,
            checksums=sums,
        )
        bad = [part for part in parts if part.problem]
        for part in bad:
            print(f"{part.url}: {part.problem}")
        print(
            f"{len(parts) - len(bad)} of {len(parts)} parts done, {sum(p.kept for p in parts)} "
            "clips in them" + ("; repeat the command for the others" if bad else "")
        )
        if not bad and (missing := fetch_cvdf.list_missing(wanted, arguments.out)):
            print(f"{missing} clips are in none of them (see {arguments.out / 'unavailable.csv'})")
        return 1 if bad else 0
    get = fetch_youtube.plain_http(arguments.url) if arguments.url else fetch_youtube.yt_dlp()
    summary = fetch_youtube.fetch(
        wanted,
        arguments.out,
        get,
        workers=arguments.workers,
        patience=patience,
        retry_unavailable=arguments.retry_unavailable,
    )
    print(f"{summary} (see {arguments.out / 'unavailable.csv'})")
    return 0
