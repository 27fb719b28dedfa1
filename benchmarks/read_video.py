"""How fast random snippets are read: ``python -m benchmarks.read_video [--peers FOLDER]``.

Reads 64 frames at a random place of a 10 s clip, cropped to 224 x 224, as a float tensor: from an
original (long distance of keyframes), and from the clip that ``build_dataset`` makes of it. Beside
it stands the floor, decoding alone. ``--video`` takes a file of one's own as the original, else one
is made. ``--peers`` names a folder of Python files that each define
``read(path, start, frames) -> array`` for another reader; they are measured in the same run.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import torch

from dancestyle.video.reader import ClipReader, decode
from dancestyle.video.writer import write_clip

FRAMES, SIZE, SECONDS = 64, 224, 10

Reader = Callable[[str, int, int], object]


def scene(height: int, width: int, seed: int = 0) -> np.ndarray:
    """10 s of texture that drifts and turns: uint8 (250, height, width, 3)."""
    rng = np.random.default_rng(seed)
    noise = rng.random((height // 8, width // 8, 3)).astype(np.float32)
    image = cv2.resize(noise, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)
    frames = []
    for i in range(25 * SECONDS):
        turn = cv2.getRotationMatrix2D((width, height), 10 * np.sin(i / 15), 1.0)
        turn[:, 2] += (-width / 2 + 20 * np.cos(i / 20), -height / 2 + i / 10)
        moved = cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REFLECT)
        frames.append((moved * 230 + rng.random(moved.shape) * 8).clip(0, 255).astype(np.uint8))
    return np.stack(frames)


def crop(frames: np.ndarray) -> torch.Tensor:
    """uint8 (T, H, W, 3) to float (3, T, 224, 224), the middle."""
    top, left = (frames.shape[1] - SIZE) // 2, (frames.shape[2] - SIZE) // 2
    cut = frames[:, top : top + SIZE, left : left + SIZE]
    return (
        torch.from_numpy(np.ascontiguousarray(cut)).permute(3, 0, 1, 2).float().div_(127.5).sub_(1)
    )


def ours_original(path: str, start: int, frames: int) -> object:
    """Any file, through :func:`decode`."""
    part = decode(path, start=start / 25, end=(start + frames) / 25, short_side=256)
    return crop(part)


def ours_clip(path: str, start: int, frames: int) -> object:
    """A clip of the dataset, through :class:`ClipReader`."""
    with ClipReader(path) as reader:
        return crop(reader.read(range(start, start + frames)))


def floor(path: str, start: int, frames: int) -> object:
    """Decoding the wanted frames from the keyframe before them, and nothing else."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        container.seek(int(start / 25 / (stream.time_base or 1)), stream=stream)
        last = None
        for frame in container.decode(stream):
            last = frame
            if frame.time is not None and frame.time >= (start + frames - 1) / 25:
                break
        return last


def peers(folder: str | None) -> dict[str, Reader]:
    """The readers that a folder's files define."""
    found: dict[str, Reader] = {}
    for file in sorted(Path(folder).glob("*.py")) if folder else []:
        spec = importlib.util.spec_from_file_location(file.stem, file)
        if spec and spec.loader:
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            found[file.stem] = module.read
    return found


def measure(read: Reader, path: Path, repeats: int) -> float:
    """Snippets a second of processor time, the median of ``repeats``."""
    rng = np.random.default_rng(0)
    seconds = []
    for start in [0, *rng.integers(0, 25 * SECONDS - FRAMES - 1, repeats)]:
        begun = time.process_time()
        read(str(path), int(start), FRAMES)
        seconds.append(time.process_time() - begun)
    return 1 / float(np.median(seconds[1:]))  # the first only warms up


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", help="the original; 10 s at 25 frames a second or more")
    parser.add_argument("--peers", help="folder of Python files with other readers")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", help="also write the numbers there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rows: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        original, clip = Path(folder) / "original.mp4", Path(folder) / "clip.mp4"
        if arguments.video:
            original = Path(arguments.video)
        else:
            write_clip(original, scene(256, 340), crf=23, gop=250, preset="medium", tune=None)
        write_clip(clip, decode(original, short_side=256, max_seconds=SECONDS), crf=18, gop=16)
        others = peers(arguments.peers)
        for name, path in (("original", original), ("clip", clip)):
            rows[f"floor, {name}"] = measure(floor, path, arguments.repeats)
            ours = ours_original if name == "original" else ours_clip
            rows[f"dancestyle, {name}"] = measure(ours, path, arguments.repeats)
            for peer, read in others.items():
                rows[f"{peer}, {name}"] = measure(read, path, arguments.repeats)
    base = rows["dancestyle, original"]
    print("| reader, file | snippets/s | times ours on the original |\n|---|---|---|")
    for name, rate in rows.items():
        print(f"| {name} | {rate:.1f} | {rate / base:.2f} |")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
