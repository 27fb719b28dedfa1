from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from dancestyle.flow import store
from dancestyle.video import rgb
from dancestyle.video.reader import ClipReader, VideoError, decode
from dancestyle.video.source import Source
from dancestyle.video.writer import FOR_NETS, write_clip
from tests.video import make


def pictures(count: int, height: int = 64, width: int = 96) -> np.ndarray:
    return np.stack([make.picture(i, height, width) for i in range(count)])


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    assert write_clip(path, pictures(40)) == 40
    frames = decode(path)
    assert frames.shape == (40, 64, 96, 3)
    assert np.abs(frames.astype(int) - pictures(40)).mean() < 4


def test_same_frames_same_bytes(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_clip(tmp_path / name, iter(pictures(20)))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_keyframes_come_steadily(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scenes = np.repeat(rng.integers(0, 255, (5, 32, 32, 3), dtype=np.uint8), 9, axis=0)
    write_clip(tmp_path / "a.mp4", scenes, gop=8)
    with av.open(str(tmp_path / "a.mp4")) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    assert [i for i, p in enumerate(packets) if p.is_keyframe] == list(range(0, 45, 8))
    assert all(p.pts == p.dts for p in packets)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((0, 4, 4, 3), np.uint8), "no frames"),
        (np.zeros((2, 5, 4, 3), np.uint8), "even sides"),
        (np.zeros((2, 4, 4, 3), np.float32), "uint8"),
        ([np.zeros((4, 4, 3), np.uint8), np.zeros((6, 4, 3), np.uint8)], "frame 1"),
    ],
)
def test_wrong_frames(tmp_path: Path, frames: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_clip(tmp_path / "a.mp4", frames)
    assert list(tmp_path.iterdir()) == []


def test_random_access_equals_reading_all(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 40, (50, 32, 48, 3), dtype=np.uint8)
    write_clip(path, noise + np.arange(50, dtype=np.uint8)[:, None, None, None] * 4, gop=8)
    whole = decode(path)
    with ClipReader(path) as reader:
        assert (reader.frames, reader.fps, reader.width, reader.height) == (50, 25.0, 48, 32)
        for _ in range(40):
            wanted = rng.integers(0, 50, 6)
            assert np.array_equal(reader.read(wanted), whole[wanted])
        assert np.array_equal(reader.read(range(50)), whole)
        assert np.array_equal(reader.read([49, 0, 49]), whole[[49, 0, 49]])
        assert reader.read([3], size=(16, 20)).shape == (1, 16, 20, 3)
        reader.close()
        assert np.array_equal(reader.read([7]), whole[[7]])


def test_random_access_decodes_only_what_it_must(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.mp4"
    write_clip(path, pictures(48), gop=8)
    reader = ClipReader(path)
    decoded = []
    original = Source.decode

    def count(self: Source, wanted: int | None = None) -> Iterator[av.VideoFrame]:
        for frame in original(self, wanted):
            decoded.append(round(frame.time * 25))
            yield frame

    monkeypatch.setattr(Source, "decode", count)
    reader.read([33, 34, 47])
    assert decoded == [32, 33, 34, *range(40, 48)]
    decoded.clear()
    reader.read([47, 0, 2])
    assert decoded == [0, 1, 2, *range(40, 48)]


@pytest.mark.parametrize("size", [(56, 74), (64, 96), (32, 34)])
def test_a_box_gives_the_same_pixels(tmp_path: Path, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 255, (9, *(side // 2 for side in size), 3), dtype=np.uint8)
    write_clip(tmp_path / "a.mp4", blocks.repeat(2, axis=1).repeat(2, axis=2), gop=4)
    whole = decode(tmp_path / "a.mp4")  # frame by frame
    with ClipReader(tmp_path / "a.mp4") as reader:
        for _ in range(60):
            top, left = (int(rng.integers(side)) for side in size)
            height = int(rng.integers(1, size[0] - top + 1))
            width = int(rng.integers(1, size[1] - left + 1))
            wanted = rng.integers(0, 9, 4)
            found = reader.read(wanted, box=(top, left, height, width))
            expected = whole[wanted, top : top + height, left : left + width]
            assert np.array_equal(found, expected)
        assert reader.read([3], size=(8, 8), box=(2, 2, 16, 16)).shape == (1, 8, 8, 3)
        for box in ((-1, 0, 4, 4), (0, 0, size[0] + 1, 4), (0, 4, 4, size[1]), (0, 0, 0, 4)):
            with pytest.raises(ValueError, match="outside of a picture"):
                reader.read([0], box=box)


def test_clips_that_others_have_written(tmp_path: Path) -> None:
    """Pixels other than ``yuv420p``, and a note to turn them: slower, and right."""
    kinds = ("yuv444p", "yuvj420p", "yuv420p10le")
    paths = [make.write(tmp_path / f"{k}.mp4", 6, pix_fmt=k, bframes=0) for k in kinds]
    make.rotate(make.write(tmp_path / "turned.mp4", 6, bframes=0), 90)
    for path in (*paths, tmp_path / "turned.mp4"):
        whole = decode(path)
        with ClipReader(path) as reader:
            assert np.array_equal(reader.read(range(6)), whole)
            assert np.array_equal(
                reader.read([5, 2], box=(3, 5, 20, 31)), whole[[5, 2], 3:23, 5:36]
            )


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("first", [0, 7])
@pytest.mark.parametrize("bframes", [0, 2])
@pytest.mark.parametrize("audio", [False, True])
def test_clips_in_other_containers(
    tmp_path: Path, suffix: str, first: int, bframes: int, audio: bool
) -> None:
    """Where they begin, what is beside them, and whether the file has a table of frames."""
    path = tmp_path / f"a.{suffix}"
    ticks = [first + i for i in range(30)]
    make.write(path, 30, 25, ticks, Fraction(1, 25), gop=6, bframes=bframes, audio=audio)
    whole = decode(path)
    assert [make.index_of(frame) for frame in whole] == list(range(30))
    with ClipReader(path) as reader:
        assert reader.frames == 30
        for wanted in ([0], [29, 3], [7, 8, 20], range(30)):
            assert np.array_equal(reader.read(wanted), whole[list(wanted)])


@pytest.mark.parametrize("size", [(2144, 64), (32, 32)])
def test_a_header_that_lies_about_the_size_of_a_clip(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "a.mp4"
    write_clip(path, pictures(4))
    content = bytearray(path.read_bytes())
    # ISO/IEC 14496-12, VisualSampleEntry: the size is 28 bytes behind its name.
    place = content.index(b"avc1", content.index(b"stsd")) + 28
    assert struct.unpack_from(">HH", content, place) == (96, 64)
    struct.pack_into(">HH", content, place, *size)
    path.write_bytes(content)
    with ClipReader(path) as reader:
        box = (0, reader.width // 2, 8, 8)
        with pytest.raises(VideoError, match=r"a\.mp4: damaged: frames of 96x64"):
            reader.read([0], box=box)


def test_x264_is_told_what_is_for_nets(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", pictures(2), gop=8, x264_params=f"{FOR_NETS}:keyint=2:threads=4")
    said = (tmp_path / "a.mp4").read_bytes()
    for setting in (b" psy=0 ", b" subme=3 ", b" keyint=8 ", b" threads=1 "):
        assert setting in said


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="Linux counts what is read")
def test_opening_decodes_nothing_and_reads_little(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (12, 256, 256, 3), np.uint8)
    write_clip(tmp_path / "a.mp4", noise, crf=0)
    store.write_codes(tmp_path / "h264.mkv", noise[..., :2], 20.0, "h264")
    store.write_codes(tmp_path / "ffv1.mkv", noise[..., :2], 20.0, "ffv1")

    def read() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])

    for path, reader in (
        (tmp_path / "a.mp4", ClipReader),
        (tmp_path / "h264.mkv", store.FlowReader),
        (tmp_path / "ffv1.mkv", store.FlowReader),
    ):
        before = read()
        reader(path).close()
        assert read() - before < 400_000 < path.stat().st_size


def test_frames_of_many_kinds_are_converted_as_one_by_one() -> None:
    rng = np.random.default_rng(0)

    def frame(kind: int) -> av.VideoFrame:
        """Alike, but for the range of their colours, the sampling, the size or the colour space."""
        sampling = "yuv444p" if kind == 2 else "yuv420p"
        size = (16, 24) if kind == 3 else (32, 48)
        image = rng.integers(0, 255, (*size, 3), np.uint8)
        made = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=sampling)
        made.color_range = 2 if kind == 1 else 1
        made.colorspace = 1 if kind == 4 else 5
        return made

    for _ in range(20):
        kinds = [0, *rng.choice(5, 8, p=(0.5, 0.2, 0.1, 0.1, 0.1))]
        frames = [frame(kind) for kind in kinds]
        found = rgb.rgb_batch(iter(frames), len(frames), VideoReformatter(), (5, 7, 20, 30))
        for one, expected in zip(found, frames, strict=True):
            whole = rgb.to_rgb(expected, VideoReformatter(), (32, 48))
            assert np.array_equal(one, whole[5:25, 7:37])


def test_long_clips_are_converted_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dancestyle.video.rgb._BATCH", 4 * 64 * 96)
    write_clip(tmp_path / "a.mp4", pictures(10))
    with ClipReader(tmp_path / "a.mp4") as reader:
        assert np.array_equal(reader.read(range(10)), decode(tmp_path / "a.mp4"))


def test_random_access_outside(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", pictures(4))
    reader = ClipReader(tmp_path / "a.mp4")
    for wanted in ([4], [-1], []):
        with pytest.raises(IndexError):
            reader.read(wanted)
    (tmp_path / "b.mp4").write_text("no")
    with pytest.raises(VideoError):
        ClipReader(tmp_path / "b.mp4")


def test_readers_travel_to_other_processes(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", pictures(4))
    reader = pickle.loads(pickle.dumps(ClipReader(tmp_path / "a.mp4")))
    assert reader.read([2]).shape == (1, 64, 96, 3)
