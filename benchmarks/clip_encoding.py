"""How clips are encoded: ``python -m benchmarks.clip_encoding [--video FILE ...]``.

The same frames by the settings of ``write_clip`` and by others: bytes, seconds to encode, milliseconds
to decode a random snippet of 64 frames, and what became of the frames: PSNR, SSIM, and how far the
optical flow of the clip (``dis``) is from that of the frames before, in pixels. Frames are those of the
sample's dancers in a 720p film, and of the FILES, at 256 pixels of the shorter side; every fifth is
looked at for PSNR and SSIM. Decoding is from opening the file to the last frame, and the settings take
turns; encoding is timed once. On one thread.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import cv2
import numpy as np

from benchmarks import material, record, turns
from dancestyle.flow import methods
from dancestyle.training import heap
from dancestyle.video.reader import decode
from dancestyle.video.source import open_file
from dancestyle.video.writer import FOR_NETS, write_clip

OURS, PLAIN = "ours", "`veryfast` alone"
SETTINGS: dict[str, dict[str, Any]] = {
    OURS: {},
    "psychovisual, as x264 does": {"x264_params": "subme=3"},
    "motion search of `veryfast`": {"x264_params": "no-psy=1"},
    PLAIN: {"x264_params": ""},
    "no 8 x 8 transform": {"x264_params": f"{FOR_NETS}:8x8dct=0"},
    "bits spread evenly": {"x264_params": f"{FOR_NETS}:aq-mode=0"},
    "deblocking, arithmetic coding": {"tune": None},
    "preset `medium`": {"preset": "medium", "x264_params": "no-psy=1"},
    "a keyframe in 8": {"gop": 8},
    "a keyframe in 32": {"gop": 32},
    "a keyframe in 250": {"gop": 250},
    "CRF 20": {"crf": 20},
}
SNIPPET, PLACES, FLOW, LEAST = 64, 15, 80, 100
"""Frames decoded, from how many places, frames of which flow is compared, least frames of a film."""


class Quality(NamedTuple):
    """Of a clip against the frames that were encoded."""

    psnr: float
    ssim: float
    flow: float


def quality(path: Path, frames: np.ndarray, fields: np.ndarray) -> Quality:
    """PSNR in dB, SSIM of the brightness, and the mean end-point error in pixels."""
    found = decode(path)
    every = slice(None, None, 5)
    squared = [
        float(np.mean((one.astype(np.float32) - other) ** 2))
        for one, other in zip(found[every], frames[every], strict=True)
    ]
    likeness = [
        cv2.quality.QualitySSIM_compute(*(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in pair))[0][0]
        for pair in zip(found[every], frames[every], strict=True)
    ]
    return Quality(
        10 * np.log10(255**2 / np.mean(squared)),
        float(np.mean(likeness)),
        float(np.linalg.norm(flow_of(found) - fields, axis=-1).mean()),
    )


def flow_of(frames: np.ndarray) -> np.ndarray:
    """Of some frames in the middle: float32 (T - 1, H, W, 2)."""
    begin = max(0, (len(frames) - FLOW) // 2)
    return methods.of_clip(methods.create("dis"), frames[begin : begin + FLOW])


def snippet(path: Path, start: int) -> None:
    """Open a clip as ``ClipReader`` does, and decode."""
    with open_file(path, pixel_format="yuv420p") as container:
        material.play(container, start, SNIPPET)


def compare(title: str, frames: np.ndarray, rounds: int, folder: Path) -> tuple[str, list[float]]:
    """The table of a film; and of ours its bytes, time to decode and flow error, over those of what
    x264 does by itself."""
    fields = flow_of(frames)
    paths = {name: folder / f"{place}.mp4" for place, name in enumerate(SETTINGS)}
    encoded = {
        name: turns.seconds(lambda name=name: write_clip(paths[name], frames, **SETTINGS[name]))
        for name in SETTINGS
    }
    starts = material.places(PLACES, len(frames) - SNIPPET - 1)
    times: dict[str, list[float]] = {name: [] for name in SETTINGS}
    for _ in range(rounds):
        for name, path in paths.items():
            times[name] += [turns.seconds(lambda at=at, p=path: snippet(p, at)) for at in starts]
    took = {name: 1000 * median(own) for name, own in times.items()}
    size = {name: path.stat().st_size / 1000 for name, path in paths.items()}
    found = {name: quality(path, frames, fields) for name, path in paths.items()}
    rows = [
        [
            name,
            f"{size[name]:.0f}",
            f"{encoded[name]:.2f}",
            f"{took[name]:.1f}",
            f"{found[name].psnr:.2f}",
            f"{found[name].ssim:.4f}",
            f"{found[name].flow:.3f}",
        ]
        for name in SETTINGS
    ]
    header = [title, "KB", "s to encode", "ms a snippet", "PSNR, dB", "SSIM", "flow error, pixels"]
    ratios = [
        size[OURS] / size[PLAIN],
        took[OURS] / took[PLAIN],
        found[OURS].flow / found[PLAIN].flow,
    ]
    return record.table(header, rows), ratios


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--video", nargs="*", metavar="FILE", default=[], help="real films, for all"
    )
    parser.add_argument("--seconds", type=float, default=10, help="of each (10)")
    parser.add_argument("--rounds", type=int, default=6, help="turns of each setting")
    parser.add_argument("--write", action="store_true", help="keep the result in the repository")
    arguments = parser.parse_args()
    heap.keep()
    cv2.setNumThreads(1)
    parts, ratios = [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        made = material.film(
            folder / "dancers.mp4",
            material.dancers(round(arguments.seconds * material.FPS), (1280, 720)),
        )
        for path in (made, *map(Path, arguments.video)):
            frames = decode(path, short_side=256, max_seconds=arguments.seconds)
            if len(frames) < LEAST:
                parser.error(f"{path.name}: {len(frames)} frames in --seconds, {LEAST} are needed")
            title = f"{len(frames)} frames {frames.shape[2]}x{frames.shape[1]} of {path.stem}"
            table, own = compare(title, frames, arguments.rounds, folder)
            parts.append(table)
            ratios.append(own)
    words = ["bytes", "time to decode", "flow error"]
    goals = [0.95, 1.0, 1.03]
    means = np.exp(np.mean(np.log(ratios), axis=0))
    parts.append(
        "\n".join(
            record.claim(
                f"{what} of ours, times that of {PLAIN}, mean over the films", mean, most=goal
            )
            for what, mean, goal in zip(words, means, goals, strict=True)
        )
    )
    packages = ["av", "opencv-contrib-python-headless"]
    record.show("clip_encoding", "How clips are encoded", parts, packages, arguments.write)


if __name__ == "__main__":
    main()
