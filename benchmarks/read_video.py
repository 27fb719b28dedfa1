"""How fast random snippets are read: ``python -m benchmarks.read_video --mmaction2 FOLDER``.

A snippet is 64 frames at 25 a second from a random place of a 10 s clip, cropped to 224 x 224, as
a normalised float tensor. Files: originals of 340 x 256 and of 1280 x 720 as encoders make them (a
keyframe every 250 frames), and the clips that ``build_dataset`` makes of them. Readers: ours, those
of the peers that are there, and as the floor decoding alone, from the keyframe before.

FOLDER is a checkout of MMAction2, whose own transforms then run (they need decord, mmengine and
mmcv or mmcv-lite 2.1): DecordInit, SampleFrames, DecordDecode, Resize, CenterCrop, FormatShape.
torchcodec is measured if it can be imported. ``--original`` takes a file of one's own in place of
the 340 x 256 one. Every reader decodes by one thread, since training has a process for every core, and
has a process of its own for each file: what one frees would be what the next one finds. All take
turns; with both peers they are 24, of half a gigabyte each. Ours keeps the memory that it frees, as the
process of training does; the peers' are as they are shipped.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import torch

from benchmarks import material, record, turns
from dancestyle.training import heap
from dancestyle.video.reader import ClipReader, decode
from dancestyle.video.transforms import rgb_tensor, view_box
from dancestyle.video.writer import write_clip

FRAMES, SIZE, SECONDS, SHORT = 64, 224, 10, 256
GREY = (127.5, 127.5, 127.5)

Reader = Callable[[str, int], object]
"""Of a path and the index of the first frame: the snippet."""


def ours_original(path: str, start: int) -> torch.Tensor:
    """Any file."""
    end = (start + FRAMES) / material.FPS
    frames = decode(path, start=start / material.FPS, end=end, short_side=SHORT)
    return tensor(middle(frames))


def ours_clip(path: str, start: int) -> torch.Tensor:
    """A clip of the dataset, as training reads it."""
    with ClipReader(path) as reader:
        top, left, side = view_box(reader.height, reader.width, SIZE / SHORT, 0, 1)
        frames = reader.read(range(start, start + FRAMES), box=(top, left, side, side))
    return tensor(frames)


def middle(frames: np.ndarray) -> np.ndarray:
    """The middle 224 x 224 of uint8 (T, H, W, 3)."""
    top, left = (frames.shape[1] - SIZE) // 2, (frames.shape[2] - SIZE) // 2
    return frames[:, top : top + SIZE, left : left + SIZE]


def tensor(frames: np.ndarray) -> torch.Tensor:
    """uint8 (64, 224, 224, 3) to normalised float (3, 64, 224, 224)."""
    assert frames.shape == (FRAMES, SIZE, SIZE, 3), frames.shape
    return rgb_tensor(frames, GREY, GREY)


def floor(path: str, start: int) -> object:
    """Decoding from the keyframe before the first frame to the last frame, and nothing else."""
    with av.open(path) as container:
        return material.play(container, start, FRAMES)


def mmaction2(folder: str | None) -> dict[str, Reader]:
    """MMAction2's transforms, from a checkout."""
    if not folder or not (Path(folder) / "mmaction").is_dir():
        return {}
    sys.path.insert(0, folder)
    from mmaction.datasets import transforms as peer

    opened, sampled = peer.DecordInit(), peer.SampleFrames(clip_len=FRAMES, num_clips=1)
    decoded, resized = peer.DecordDecode(), peer.Resize(scale=(-1, SHORT))
    cropped, shaped = peer.CenterCrop(SIZE), peer.FormatShape("NCTHW")

    def read(path: str, start: int) -> torch.Tensor:
        found = {"filename": path, "start_index": 0, "modality": "RGB"}
        found = sampled(opened(found))
        found["frame_inds"] = np.arange(start, start + FRAMES)  # the same place for all readers
        for transform in (decoded, resized, cropped, shaped):
            found = transform(found)
        x = torch.from_numpy(found["imgs"])[0]  # (3, 64, 224, 224)
        return x.float().sub_(GREY[0]).div_(GREY[0])

    return {"MMAction2, decord": read}


def torchcodec() -> dict[str, Reader]:
    """torchcodec in the ways that it offers; the fastest is what counts."""
    try:
        from torchcodec import transforms as peer
        from torchcodec.decoders import VideoDecoder
    except (ImportError, RuntimeError):
        return {}

    def reader(order: str, crops: bool, convert: str) -> Reader:
        def read(path: str, start: int) -> torch.Tensor:
            crop = {"transforms": [peer.CenterCrop((SIZE, SIZE))]} if crops else {}
            file = VideoDecoder(
                path,
                seek_mode="approximate",
                dimension_order=order,
                num_ffmpeg_threads=1,
                **crop,
            )
            frames = file.get_frames_in_range(start, start + FRAMES).data
            if order == "NCHW":
                frames = frames.permute(0, 2, 3, 1)
            if not crops:
                top, left = (frames.shape[1] - SIZE) // 2, (frames.shape[2] - SIZE) // 2
                frames = frames[:, top : top + SIZE, left : left + SIZE]
            if convert == "ours":
                return tensor(frames.numpy())
            return frames.permute(3, 0, 1, 2).float().sub_(GREY[0]).div_(GREY[0])

        return read

    return {
        f"torchcodec, {order}{', crops itself' * crops}, {convert} conversion": reader(
            order, crops, convert
        )
        for order in ("NHWC", "NCHW")
        for crops in (False, True)
        for convert in ("torch's", "our")
        if not (order == "NCHW" and convert == "our")  # it wants NHWC
    }


def make(folder: Path, original: str | None) -> dict[str, Path]:
    """The files, by name; those that an earlier run has left in the folder are taken."""
    files = {
        "340x256": Path(original) if original else folder / "340x256.mp4",
        "720p": folder / "720p.mp4",
        "clip of 340x256": folder / "clip_of_340x256.mp4",
        "clip of 720p": folder / "clip_of_720p.mp4",
    }
    if not files["720p"].exists() or not files["340x256"].exists():
        frames = material.dancers(SECONDS * material.FPS, (1280, 720))
        material.film(files["720p"], frames)
        if not original:
            material.film(files["340x256"], material.shrunk(frames, (340, 256)))
    for name in ("340x256", "720p"):
        if not files[f"clip of {name}"].exists():
            frames = decode(files[name], short_side=SHORT, max_seconds=SECONDS)
            write_clip(files[f"clip of {name}"], frames)
    return files


def read_all(read: Reader, path: str, places: int) -> None:
    """Read snippets all over the file, since the way from the keyframe before a place is most of the
    time in some files."""
    for start in material.places(places, material.FPS * SECONDS - FRAMES - 1):
        read(path, start)


def readers_of(name: str, peers: dict[str, Reader]) -> dict[str, Reader]:
    """The readers of a file, by their names: torchcodec's for clips alone."""
    readers = {"floor: decoding alone": floor, "ours": ours_original, **peers}
    if name.startswith("clip"):
        return readers | {"ours": ours_clip}
    return {one: read for one, read in readers.items() if not one.startswith("torchcodec")}


def serve(reader: str, name: str, path: str, places: int, peers: dict[str, Reader]) -> None:
    """One reader's process."""
    if reader == "ours":
        heap.keep()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    read = readers_of(name, peers)[reader]
    turns.serve(lambda: lambda: read_all(read, path, places))


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mmaction2", metavar="FOLDER", help="checkout of MMAction2")
    parser.add_argument("--original", metavar="FILE", help="10 s at 25 frames a second or more")
    parser.add_argument(
        "--folder", metavar="FOLDER", help="keep the files that are made, for again"
    )
    parser.add_argument("--places", type=int, default=7, help="snippets of each file")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each reader; medians count")
    parser.add_argument("--write", action="store_true", help="keep the result in the repository")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    peers = {**mmaction2(arguments.mmaction2), **torchcodec()}
    if arguments.serve:
        serve(*arguments.serve, arguments.places, peers)
        return
    rates: dict[str, dict[str, float]] = {}
    again = ["--places", str(arguments.places)]
    if arguments.mmaction2:
        again += ["--mmaction2", arguments.mmaction2]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(arguments.folder or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        files = make(folder, arguments.original)
        start = [sys.executable, "-m", "benchmarks.read_video", *again, "--serve"]
        commands = {  # of all files in one run: the speed of a machine changes within minutes
            f"{one} | {name}": [*start, one, name, str(path)]
            for name, path in files.items()
            for one in readers_of(name, peers)
        }
        found = turns.medians(commands, arguments.rounds)
        for name in files:
            rates[name] = {
                one: arguments.places / found[f"{one} | {name}"].seconds
                for one in readers_of(name, peers)
            }
    rows = [
        [one, *(f"{rates[name][one]:.1f}" if one in rates[name] else "" for name in rates)]
        for one in readers_of("clip", peers)
    ]
    parts = ["Snippets a second:", record.table(["reader", *rates], rows), claims(rates, peers)]
    packages = ["av", "torch", "torchcodec", "decord", "mmcv-lite"]
    record.show("read_video", "Reading random snippets", parts, packages, arguments.write)


def claims(rates: dict[str, dict[str, float]], peers: dict[str, Reader]) -> str:
    """What was to hold, as far as the peers were there."""
    lines = []
    peer = "MMAction2, decord"
    if peer in peers:
        goals = [
            ("340x256", "340x256", 1.15),
            ("720p", "720p", 1.7),
            ("clip of 340x256", "340x256", 3.5),
            ("clip of 720p", "720p", 20),
        ]
        for mine, its, goal in goals:
            words = f"ours on the {mine}, times MMAction2's on the {its}"
            lines.append(record.claim(words, rates[mine]["ours"] / rates[its][peer], goal))
    else:
        lines.append("- MMAction2: not there")
    codecs = [name for name in peers if name.startswith("torchcodec")]
    for name in ("clip of 340x256", "clip of 720p"):
        if codecs:
            best = max(rates[name][codec] for codec in codecs)
            words = f"ours on the {name}, times torchcodec's best there"
            lines.append(record.claim(words, rates[name]["ours"] / best, 1))
        else:
            lines.append("- torchcodec: not there")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
