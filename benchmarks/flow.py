"""Flow methods and their storage side by side: ``python -m benchmarks.flow [--video FILE]``.

Methods: milliseconds a pair and end-point error in pixels, on a smooth field and on one with motion
edges, beside OpenCV's own TV-L1; and on FILE, whose flow nobody knows, how much the first picture
differs from the second warped back. ``--options NAME JSON`` adds a setting. Storage: the size, error
and time of our format and of others, for the flow of a video: FILE, or the sample's dancers at
340 x 256. All on one thread.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import av
import cv2
import numpy as np

from benchmarks import material, record
from dancestyle.flow import methods, store
from dancestyle.video.reader import ClipReader, decode
from dancestyle.video.writer import write_clip
from tests.flow import known

PEER = "OpenCV's TV-L1"
SETTINGS: list[tuple[str, str, dict[str, Any]]] = [
    ("dis (default)", "dis", {}),
    ("dis, preset refined", "dis", {"preset": "refined"}),
    ("dis, preset medium", "dis", {"preset": "medium"}),
    ("farneback", "farneback", {}),
    ("tvl1", "tvl1", {}),
    (PEER, "tvl1", {"preset": "opencv"}),
]

Codes = Sequence[np.ndarray]
"""uint8 (H, W, 2) each"""


def compare(height: int, width: int, repeats: int, more: list[tuple[str, str, dict]]) -> list[str]:
    """The table of methods, and what was to hold."""
    amplitude = height / 42
    fields = {
        "smooth": known.smooth_field(height, width, amplitude),
        "edges": known.edge_field(height, width, amplitude),
    }
    pairs = {name: known.pair(field) for name, field in fields.items()}
    found: dict[str, tuple[float, ...]] = {}
    for title, name, options in SETTINGS + more:
        method = methods.create(name, **options)
        errors = [known.error(method(*pairs[key]), fields[key]) for key in fields]
        times = []
        for _ in range(repeats if title == PEER else 5 * repeats):
            begun = time.process_time()
            for pair in pairs.values():
                method(*pair)
            times.append((time.process_time() - begun) / len(pairs))
        found[title] = (1000 * float(np.median(times)), *errors)
    peer = found[PEER]
    rows = [
        [title, f"{ms:.1f}", f"{peer[0] / ms:.1f}", f"{smooth:.3f}", f"{edges:.3f}"]
        for title, (ms, smooth, edges) in found.items()
    ]
    header = [f"method, {width}x{height}", "ms a pair", "times as fast", "error, smooth", "edges"]
    claims = []
    for title, speed, error in (("dis (default)", 100, 0.04), ("tvl1", 4.5, 0.0)):
        mine = found[title]
        claims.append(record.claim(f"{title}, times as fast as {PEER}", peer[0] / mine[0], speed))
        for place, name in enumerate(fields, start=1):
            words = f"{title}, pixels of error more than {PEER}'s, {name} field"
            claims.append(record.claim(words, mine[place] - peer[place], most=error))
    return [record.table(header, rows), "\n".join(claims)]


def on_film(video: str, seconds: float, pairs: int, more: list[tuple[str, str, dict]]) -> list[str]:
    """How well the flow of each method explains a film: mean difference in brightness, of 255."""
    frames = decode(video, short_side=256, max_seconds=seconds)
    starts = sorted({int(i) for i in np.linspace(0, len(frames) - 2, pairs)})
    height, width = frames[0].shape[:2]

    def difference(start: int, field: np.ndarray) -> float:
        first, second = (cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in frames[start : start + 2])
        back = known.warped(second, field, cv2.INTER_LINEAR)
        return float(np.abs(back.astype(float) - first)[8:-8, 8:-8].mean())

    still = np.zeros((height, width, 2), np.float32)
    rows = [["no flow", f"{np.mean([difference(i, still) for i in starts]):.2f}"]]
    for title, name, options in SETTINGS + more:
        method = methods.create(name, **options)
        found = [difference(i, method(frames[i], frames[i + 1])) for i in starts]
        rows.append([title, f"{np.mean(found):.2f}"])
    what = f"{len(starts)} pairs {width}x{height} of {Path(video).name}"
    return [record.table([what, "difference after warping"], rows)]


def as_store(codec: store.Codec) -> Callable[[Path, Codes], tuple[float, float]]:
    """Our own files; seconds to write and to read."""

    def measure(path: Path, codes: Codes) -> tuple[float, float]:
        written = timed(lambda: store.write_codes(path, codes, 20.0, codec))
        return written, timed(lambda: list(store.FlowReader(path).read_codes(range(len(codes)))))

    return measure


def as_video(codec: str, **options: str) -> Callable[[Path, Codes], tuple[float, float]]:
    """One grey video, x above y."""

    def write(path: Path, codes: Codes) -> None:
        kind = "avi" if codec == "jpegls" else "matroska"
        with av.open(str(path), "w", format=kind) as container:
            stream = container.add_stream(codec, rate=25)
            height, width, _ = codes[0].shape
            stream.width, stream.height, stream.pix_fmt = width, 2 * height, "gray"
            stream.gop_size = int(options.get("g", 1))
            stream.thread_count = 1
            stream.options = options
            for number, code in enumerate(codes):
                planes = np.concatenate([code[..., 0], code[..., 1]])
                frame = av.VideoFrame.from_ndarray(planes, format="gray")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())

    def measure(path: Path, codes: Codes) -> tuple[float, float]:
        return timed(lambda: write(path, codes)), timed(lambda: read_video(path))

    return measure


def as_hevc(**options: str) -> Callable[[Path, Codes], tuple[float, float]]:
    """:func:`as_video` by x265."""
    words = {"keyint": "16", "bframes": "0", "pools": "none", "log-level": "error", **options}
    given = ":".join(f"{key}={value}" for key, value in words.items())
    return as_video("libx265", g="16", preset="medium", **{"x265-params": given})


def read_video(path: Path) -> list[np.ndarray]:
    """Every field of a grey video."""
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        planes = [f.to_ndarray()[: f.height] for f in container.decode(video=0)]
    half = planes[0].shape[0] // 2
    return [np.stack([p[:half], p[half:]], axis=-1) for p in planes]


def as_jpegs(path: Path, codes: Codes) -> tuple[float, float]:
    """Two sequences of JPEGs, one file after the other."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, 95]
    files: list[np.ndarray] = []

    def write() -> None:
        files.extend(
            cv2.imencode(".jpg", code[..., i], quality)[1] for code in codes for i in (0, 1)
        )
        path.write_bytes(b"".join(file.tobytes() for file in files))

    written = timed(write)
    return written, timed(lambda: read_jpegs(files))


def read_jpegs(files: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The fields of JPEGs."""
    planes = [cv2.imdecode(file, cv2.IMREAD_GRAYSCALE) for file in files]
    return [np.stack(planes[i : i + 2], -1) for i in range(0, len(planes), 2)]


def as_zlib(path: Path, codes: Codes) -> tuple[float, float]:
    """An array, compressed field by field."""
    packed: list[bytes] = []

    def write() -> None:
        packed.extend(zlib.compress(code.tobytes(), 6) for code in codes)
        path.write_bytes(b"".join(packed))

    return timed(write), timed(
        lambda: [np.frombuffer(zlib.decompress(p), np.uint8) for p in packed]
    )


FORMATS: list[tuple[str, Callable[[Path, Codes], tuple[float, float]]]] = [
    ("FFV1, range coder (`codec: ffv1`)", as_store("ffv1")),
    ("H.264 lossless, CAVLC, intra (`codec: h264`)", as_store("h264")),
    ("FFV1, Rice coder", as_video("ffv1", level="3", coder="rice", slicecrc="0")),
    ("H.264 lossless, GOP 16", as_video("libx264", qp="0", preset="medium", g="16", bf="0")),
    ("H.264 lossless, ultrafast, intra", as_video("libx264", qp="0", preset="ultrafast", g="1")),
    ("H.264 CRF 8, GOP 16", as_video("libx264", crf="8", preset="medium", g="16", bf="0")),
    ("H.264 CRF 12, GOP 16", as_video("libx264", crf="12", preset="medium", g="16", bf="0")),
    ("HEVC lossless, GOP 16", as_hevc(lossless="1")),
    ("HEVC CRF 8, GOP 16", as_hevc(crf="8")),
    ("JPEG-LS", as_video("jpegls")),
    ("zlib, level 6", as_zlib),
    ("two JPEG sequences, quality 95", as_jpegs),
]


def timed(work: Callable[[], Any]) -> float:
    """Seconds of processor time."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def error_of(path: Path, name: str, codes: Codes) -> float:
    """Mean error in pixels that a lossy format adds to the codes."""
    if name.startswith("two JPEG"):
        files = [cv2.imencode(".jpg", c[..., i], [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
                 for c in codes for i in (0, 1)]  # fmt: skip
        back = read_jpegs(files)
    elif name.startswith("zlib"):
        return 0.0
    else:
        back = read_video(path)
    assert len(back) == len(codes)
    difference = [np.abs(b.astype(int) - c).mean() for b, c in zip(back, codes, strict=True)]
    return float(np.mean(difference)) * 20 / 127


def storage(video: str | None, seconds: float, name: str = "dis") -> list[str]:
    """The table of formats for the flow that method ``name`` finds, and what was to hold."""
    count = round(seconds * material.FPS)
    if video:
        frames = decode(video, short_side=256, max_seconds=seconds)
    else:
        frames = material.dancers(count, (340, 256))
    method = methods.create(name)
    fields = methods.of_clip(method, frames)
    codes = [store.encode(field) for field in fields]
    count, (height, width) = len(codes), codes[0].shape[:2]
    rows, sizes = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for title, measure in FORMATS:
            path = Path(folder) / "flow.mkv"
            written, read = measure(path, codes)
            sizes[title] = path.stat().st_size
            rows.append(
                [
                    title,
                    f"{sizes[title] / 1e6:.2f}",
                    f"{1000 * written / count:.2f}",
                    f"{1000 * read / count:.2f}",
                    f"{error_of(path, title, codes):.3f}",
                ]
            )
        beside = snippets(Path(folder), frames, codes)
        still = Path(folder) / "still.mkv"
        store.write(still, np.zeros((3, height, width, 2), np.float32))
        zero = np.abs(store.FlowReader(still).read(range(3))).max()
    ours, jpegs = FORMATS[0][0], FORMATS[-1][0]
    claims = [
        record.claim("our bytes, times those of two JPEGs", sizes[ours] / sizes[jpegs], most=1.2),
        record.claim("pixels, largest of a stored zero field", float(zero), most=0),
    ]
    what = Path(video).name if video else "the sample's dancers"
    header = [f"{count} fields {width}x{height} of {what}, {name}", "MB", "ms to write a field"]
    header += ["ms to read", "mean error, pixels"]
    return [record.table(header, rows), beside, "\n".join(claims)]


def snippets(folder: Path, frames: np.ndarray, codes: Codes, length: int = 64) -> str:
    """A sentence: the milliseconds to open a file and read a random snippet, of frames and of flow."""
    clip = folder / "clip.mp4"
    write_clip(clip, frames, fps=material.FPS)
    length = min(length, len(codes) - 1)
    starts = np.random.default_rng(0).integers(0, len(codes) - length, 12)
    readers: dict[str, Callable[[range], Any]] = {"frames": lambda wanted: _frames(clip, wanted)}
    for codec in get_args(store.Codec):
        path = folder / f"{codec}.mkv"
        store.write_codes(path, codes, 20.0, codec)
        readers[f"fields by `{codec}`"] = lambda wanted, path=path: _fields(path, wanted)
    taken = {
        title: 1000
        * timed(lambda read=read: [read(range(at, at + length)) for at in starts])
        / len(starts)
        for title, read in readers.items()
    }
    words = ", ".join(f"{title} {ms:.0f} ms" for title, ms in taken.items())
    return f"Opening a file and reading a random snippet of {length}: {words}."


def _frames(path: Path, wanted: range) -> np.ndarray:
    with ClipReader(path) as reader:
        return reader.read(wanted)


def _fields(path: Path, wanted: range) -> np.ndarray:
    with store.FlowReader(path) as reader:
        return reader.read_codes(wanted)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--video", nargs="*", metavar="FILE", default=[], help="real films, for all"
    )
    parser.add_argument("--seconds", type=float, default=4, help="of each video (4)")
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--width", type=int, default=340)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--options", nargs=2, metavar=("NAME", "JSON"), action="append", default=[])
    parser.add_argument("--write", action="store_true", help="keep the result in the repository")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    more = [(f"{name} {text}", name, json.loads(text)) for name, text in arguments.options]
    parts = compare(arguments.height, arguments.width, arguments.repeats, more)
    for video in arguments.video:
        parts += on_film(video, arguments.seconds, 8 * arguments.repeats, more)
    for video in [None, *arguments.video]:
        parts += storage(video, arguments.seconds)
    for video in arguments.video:
        parts += storage(video, arguments.seconds, "tvl1")
    packages = ["av", "numpy", "opencv-contrib-python-headless"]
    record.show("flow", "Optical flow", parts, packages, arguments.write)


if __name__ == "__main__":
    main()
