"""Flow methods side by side: ``python -m benchmarks.flow [--opencv]``.

Milliseconds of processor time a pair and end-point error in pixels, on a smooth field and on one
with motion edges; ``--opencv`` adds OpenCV's own TV-L1 defaults, which take long. Then the storage:
bytes, error and time a field of our format and of two JPEG sequences.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from dancestyle.flow import methods, store
from tests.flow import known


def main() -> None:
    """Measure and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--opencv", action="store_true", help="with OpenCV's default TV-L1")
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--width", type=int, default=340)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    height, width = arguments.height, arguments.width
    settings = {"dis": {}, "farneback": {}, "tvl1": {}}
    chosen = [(name, name, options) for name, options in settings.items()]
    if arguments.opencv:
        chosen.append(("tvl1, OpenCV's defaults", "tvl1", {"preset": "opencv"}))
    amplitude = height / 42
    fields = {
        "smooth": known.smooth_field(height, width, amplitude),
        "edges": known.edge_field(height, width, amplitude),
    }
    print(f"| method, {width}x{height} | ms a pair | error, smooth | error, edges |")
    print("|---|---|---|---|")
    for title, name, options in chosen:
        method = methods.create(name, **options)
        errors, seconds = [], []
        for field in fields.values():
            pair = known.pair(field)
            method(*pair)
            begun = time.process_time()
            found = method(*pair)
            seconds.append(time.process_time() - begun)
            errors.append(known.error(found, field))
        print(f"| {title} | {1000 * np.mean(seconds):.1f} | {errors[0]:.3f} | {errors[1]:.3f} |")
    storage(height, width)


def storage(height: int, width: int, count: int = 60) -> None:
    """The second table: a clip of a moving swirl, with the noise that real flow has."""
    rng = np.random.default_rng(0)
    fields = []
    for i in range(count):
        noise = cv2.GaussianBlur(rng.normal(0, 3, (height, width, 2)).astype(np.float32), (0, 0), 6)
        swirl = known.smooth_field(height, width, 6 * np.sin(i / 9))
        fields.append(swirl + 2 * noise)
    codes = [store.encode(field) for field in fields]
    print(f"\n| storage, {count} fields | kB | error, pixels | ms to write | ms to read |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flow.mkv"
        begun = time.process_time()
        store.write(path, fields)
        written = time.process_time() - begun
        begun = time.process_time()
        back = store.FlowReader(path).read(range(count))
        read = time.process_time() - begun
        report(
            "FFV1 (ours)", path.stat().st_size, np.abs(back - fields).mean(), written, read, count
        )
    begun = time.process_time()
    files = [
        [cv2.imencode(".jpg", code[..., i], [cv2.IMWRITE_JPEG_QUALITY, 95])[1] for i in (0, 1)]
        for code in codes
    ]
    written = time.process_time() - begun
    begun = time.process_time()
    decoded = [np.stack([cv2.imdecode(f, cv2.IMREAD_GRAYSCALE) for f in two], -1) for two in files]
    back = store.decode(np.stack(decoded))
    read = time.process_time() - begun
    size = sum(len(file) for two in files for file in two)
    report("two JPEG q95 sequences", size, np.abs(back - fields).mean(), written, read, count)


def report(name: str, size: int, error: float, written: float, read: float, count: int) -> None:
    """One row."""
    times = f"{1000 * written / count:.2f} | {1000 * read / count:.2f}"
    print(f"| {name} | {size / 1000:.0f} | {error:.4f} | {times} |")


if __name__ == "__main__":
    main()
