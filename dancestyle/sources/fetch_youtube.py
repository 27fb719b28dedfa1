"""Kinetics from the videos themselves: only the wanted styles, exact cuts, politely.

Each video is downloaded once, by yt-dlp (installed apart: it has to be as new as the sites it
reads) or from a mirror by plain HTTP, and all of its clips are cut from it: decoded and encoded
anew, since a cut without that starts at the keyframe before. Clips that are there already, from CVDF's
parts too, are not asked for again, nor those that are gone for good; ``unavailable.csv`` lists these
with reasons.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from dancestyle.progress import progress
from dancestyle.sources.fetch import (
    Interrupted,
    MissingTable,
    Patience,
    Unavailable,
    clips_there,
    download,
)
from dancestyle.sources.kinetics import Key, Listed, stem_of
from dancestyle.video.errors import VideoError
from dancestyle.video.reader import decode
from dancestyle.video.writer import write_clip

WATCH = "https://www.youtube.com/watch?v={id}"

Get = Callable[[str, Path], Path]
"""Downloads the video of an id into a folder and returns the file, or raises Unavailable or
Interrupted."""

_GONE = re.compile(
    r"private video|video unavailable|has been removed|no longer available|been terminated"
    r"|not available in your country|who has blocked it|confirm your age|members-only"
    r"|account associated|does not exist|HTTP Error 4(04|10)|Unsupported URL|inappropriate",
    re.IGNORECASE,
)

# Said of all videos, not of this one.
_LATER = re.compile(r"rate.?limit|try again later|not a bot|HTTP Error 4(03|29)", re.IGNORECASE)
PAUSE = 300.0
"""Seconds to wait after one of these; yt-dlp's manual puts a guest at about 300 videos an hour."""


@dataclass(frozen=True)
class Cut:
    """How clips are cut.

    Attributes:
        fps: frames a second
        short_side: pixels
        crf: quality, 0 (lossless) to 51
    """

    fps: float = 25.0
    short_side: int = 340
    crf: int = 18


@dataclass(frozen=True)
class Summary:
    """Numbers of clips."""

    there: int
    fetched: int
    missing: int

    def __str__(self) -> str:
        return f"already there {self.there}, fetched {self.fetched}, unavailable {self.missing}"


def yt_dlp(url: str = WATCH, timeout: float = 1800.0) -> Get:
    """Download by yt-dlp, at most 480 lines, no sound.

    Args:
        url: with ``{id}`` for the video's id.
        timeout: seconds for one video.
    """

    def get(youtube_id: str, folder: Path) -> Path:
        command = [
            *(sys.executable, "-m", "yt_dlp", "--quiet", "--no-warnings", "--no-playlist"),
            *("--sleep-requests", "1", "--sleep-interval", "5", "--max-sleep-interval", "10"),
            *("--retries", "3", "--format", "bv*[height<=480]/b[height<=480]/wv*/w"),
            *("--output", str(folder / "video.%(ext)s"), "--", url.format(id=youtube_id)),
        ]
        try:
            run = subprocess.run(
                command, capture_output=True, text=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            raise Interrupted(f"took more than {timeout:g} s") from None
        if "No module named yt_dlp" in run.stderr:
            sys.exit("fetch: yt-dlp is not installed; install it with: pip install yt-dlp")
        found = sorted(path for path in folder.iterdir() if path.suffix != ".part")
        if run.returncode == 0 and found:
            return found[0]
        raise reason_of(run.stderr)

    return get


def reason_of(text: str) -> Unavailable | Interrupted:
    """What yt-dlp's complaint means: gone for good, or worth another try."""
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
    reason = re.sub(
        r"^ERROR: *(\[[^]]*\] *([\w-]{11}: )?)?", "", errors[0] if errors else "no answer"
    )
    if _LATER.search(reason):
        return Interrupted(reason, after=PAUSE)
    return Unavailable(reason) if _GONE.search(reason) else Interrupted(reason)


def plain_http(url: str, patience: Patience | None = None) -> Get:
    """Download from a mirror; ``url`` has ``{id}`` for the video's id."""

    def get(youtube_id: str, folder: Path) -> Path:
        path = folder / "video"
        download(url.format(id=youtube_id), path, patience or Patience(attempts=1))
        return path

    return get


def fetch(
    wanted: Mapping[Key, Listed],
    out: Path,
    get: Get,
    *,
    workers: int = 4,
    patience: Patience | None = None,
    cut: Cut | None = None,
    retry_unavailable: bool = False,
) -> Summary:
    """Fetch the ``wanted`` clips to ``<out>/<split>/<label>/<id>_<start>_<end>.mp4``."""
    patience, cut = patience or Patience(), cut or Cut()
    missing = MissingTable(out / "unavailable.csv")
    gone = set() if retry_unavailable else missing.final()
    videos: dict[str, list[Listed]] = defaultdict(list)
    there = set(wanted) & set(clips_there(out))
    missing.drop(stem_of(key) for key in there)
    for key, row in sorted(wanted.items()):
        if key not in there and stem_of(key) not in gone:
            videos[key[0]].append(row)

    def work(rows: list[Listed]) -> int:
        return _fetch_video(rows, out, get, patience, cut, missing)

    with ThreadPoolExecutor(workers) as pool:
        done = pool.map(work, videos.values())
        fetched = sum(progress(done, len(videos), "fetch", "video"))
    return Summary(len(there), fetched, len(missing))


def target_of(row: Listed, out: Path) -> Path:
    """Where a clip belongs."""
    return out / (row.split or "clips") / (row.label or "") / f"{stem_of(row.key)}.mp4"


def _fetch_video(
    rows: list[Listed], out: Path, get: Get, patience: Patience, cut: Cut, missing: MissingTable
) -> int:
    """Fetch one video and cut its clips; how many came out."""
    fetched = 0
    with tempfile.TemporaryDirectory(prefix=".tmp-", dir=_made(out)) as folder:
        try:
            video = patience.keep_trying(lambda: get(rows[0].key[0], Path(folder)))
        except (Unavailable, Interrupted) as error:
            missing.add(rows, str(error), isinstance(error, Unavailable))
            return 0
        for row in rows:
            try:
                frames = decode(
                    video,
                    fps=cut.fps,
                    start=float(row.key[1]),
                    end=float(row.key[2]),
                    short_side=cut.short_side,
                )
            except VideoError as error:
                missing.add([row], error.reason, final=True)
                continue
            write_clip(target_of(row, out), frames, fps=cut.fps, crf=cut.crf)
            fetched += 1
            missing.drop([stem_of(row.key)])
    return fetched


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
