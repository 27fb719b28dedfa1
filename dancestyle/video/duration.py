"""How long a video is, without decoding it."""

from __future__ import annotations

from pathlib import Path

import av

from dancestyle.video.errors import VideoError
from dancestyle.video.source import open_file

MAX_CLAIM = 6 * 3600.0
"""Seconds; a header that claims more is not believed."""
MIN_BYTES_A_SECOND = 500
"""A header that claims so much time for so few bytes is not believed."""


def seconds(path: Path | str) -> float:
    """Seconds from the first to the last frame, or a little more.

    The header's claim is taken if it is plausible, else all packets are read (not decoded).

    Raises:
        VideoError: the file is missing, empty or no video.
    """
    with open_file(path) as container:
        if not container.streams.video:
            raise VideoError(path, "no video stream")
        claimed = (container.duration or 0) / av.time_base
        plausible = min(MAX_CLAIM, Path(path).stat().st_size / MIN_BYTES_A_SECOND)
        if 0 < claimed <= plausible:
            return claimed
        return _last_packet(container, path)


def _last_packet(container: av.container.InputContainer, path: Path | str) -> float:
    stream = container.streams.video[0]
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
