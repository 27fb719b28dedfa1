"""How long a video is, without decoding it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import av

from dancestyle import files, pool
from dancestyle.video.errors import VideoError
from dancestyle.video.source import open_file, video_streams

MAX_CLAIM = 6 * 3600.0
"""Seconds; a header that claims more is not believed, and a file whose frames do is refused."""
MIN_BYTES_A_SECOND = 500
"""A header that claims so much time for so few bytes is not believed."""
DOUBT = 0.1
"""Seconds by which a believed claim may be too long: sound often ends a little after the pictures."""


def seconds(path: Path | str) -> float:
    """Seconds from the first to the last frame, or a little more.

    The header's claim is taken if it is plausible, else all packets are read (not decoded).

    Raises:
        VideoError: the file is missing, empty, no video, or endless by its own account.
    """
    with open_file(path) as container:
        if not video_streams(container):
            raise VideoError(path, "no video stream")
        claimed = (container.duration or 0) / av.time_base
        plausible = min(MAX_CLAIM, Path(path).stat().st_size / MIN_BYTES_A_SECOND)
        if 0 < claimed <= plausible:
            return claimed
        found = _last_packet(container, path)
    if found > MAX_CLAIM:
        raise VideoError(path, f"longer than {MAX_CLAIM / 3600:g} hours, by its own account")
    return found


def of_files(
    paths: Sequence[Path], workers: int = 0, cache: Path | None = None, time_limit: float = 120.0
) -> list[float | str]:
    """For each file its :func:`seconds`, or in words why it has none.

    Files are opened in other processes: one that crashes whoever opens it costs only itself.

    Args:
        paths: of the files.
        workers: processes; 0 takes one a core.
        cache: a JSON file; a video whose size and date are as it says is not opened again.
        time_limit: seconds that one file may take.
    """
    known = _read_cache(cache)
    marks = [_mark(path) for path in paths]
    todo = [place for place, mark in enumerate(marks) if mark not in known]
    found = pool.results(_seconds_or_reason, [paths[place] for place in todo], workers, time_limit)
    died: dict[int, str] = {}  # may be chance, so they are tried again the next time
    for index, answer in found:
        if isinstance(answer, pool.Died):
            died[todo[index]] = answer.reason
        else:
            known[marks[todo[index]]] = answer
    if cache is not None and todo:
        files.write_json(cache, {mark: known[mark] for mark in sorted(set(marks) & set(known))})
    return [died.get(place) or known[mark] for place, mark in enumerate(marks)]


def _seconds_or_reason(path: Path) -> float | str:
    try:
        return seconds(path)
    except VideoError as error:
        return error.reason
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _mark(path: Path) -> str:
    """Changes whenever the content may have changed."""
    try:
        found = path.stat()
    except OSError:
        return f"{path!r}|missing"
    return f"{str(path)!r}|{found.st_size}|{found.st_mtime_ns}"


def _read_cache(path: Path | None) -> dict[str, float | str]:
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _last_packet(container: av.container.InputContainer, path: Path | str) -> float:
    stream = video_streams(container)[0]
    base = float(stream.time_base or 0)
    times: list[int] = []
    packets = 0
    try:
        for packet in container.demux(stream):
            time = packet.pts if packet.pts is not None else packet.dts
            packets += packet.size > 0
            if time is not None:
                times = [min([*times[:1], time]), max([*times[1:], time])]
    except (av.FFmpegError, OSError, IndexError):
        pass  # a file that breaks off: what came before counts
    if not packets:
        raise VideoError(path, "no frames")
    rate = float(stream.average_rate or 25)
    return max(packets / rate, (times[1] - times[0]) * base if times else 0.0)
