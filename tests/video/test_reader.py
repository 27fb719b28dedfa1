from __future__ import annotations

import math
import pickle
import resource
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from dancestyle.video import rgb, source, stream
from dancestyle.video.reader import ClipReader, VideoError, decode
from dancestyle.video.source import Source, even_size
from dancestyle.video.writer import write_clip
from tests.video import make


def indices(frames: np.ndarray) -> list[int]:
    return [make.index_of(frame) for frame in frames]


def test_same_rate_gives_every_frame_once(tmp_path: Path) -> None:
    frames = decode(make.write(tmp_path / "a.mp4", 30, 25))
    assert frames.shape == (30, 64, 96, 3) and frames.dtype == np.uint8
    assert indices(frames) == list(range(30))


@pytest.mark.parametrize("rate", [24, 30, Fraction(30000, 1001), 50, 12, 60])
def test_other_rates_take_the_nearest_time(tmp_path: Path, rate: Fraction | int) -> None:
    count = 48
    path = make.write(tmp_path / "a.mp4", count, rate)
    found = indices(decode(path))
    assert len(found) == pytest.approx(count / rate * 25, abs=0.51)
    for k, index in enumerate(found):
        exact = k / 25 * float(rate)
        assert abs(index - exact) <= 0.5001 or index == count - 1


def test_variable_rate(tmp_path: Path) -> None:
    ticks = [0, 1, 2, 10, 11, 30]  # hundredths of a second times four
    path = make.write(tmp_path / "a.mkv", 6, 25, ticks, Fraction(1, 25), bframes=0)
    found = indices(decode(path))
    nearest = [int(np.argmin([abs(t - k) for t in ticks])) for k in range(31)]
    assert found[:31] == nearest


def test_start_that_is_not_zero(tmp_path: Path) -> None:
    ticks = [200 + i for i in range(30)]
    path = make.write(tmp_path / "a.mkv", 30, 25, ticks, Fraction(1, 25))
    assert indices(decode(path)) == list(range(30))
    assert indices(decode(path, start=0.4, end=0.8)) == list(range(10, 20))


@pytest.mark.parametrize("gop", [5, 250])
def test_part_of_a_file(tmp_path: Path, gop: int) -> None:
    path = make.write(tmp_path / "a.mp4", 55, 25, gop=gop)
    assert indices(decode(path, start=1.4, end=2.0)) == list(range(35, 50))
    assert indices(decode(path, start=2.0)) == list(range(50, 55))
    assert indices(decode(path, start=2.0, max_seconds=0.08)) == [50, 51]
    with pytest.raises(VideoError, match="no frames after 9 s"):
        decode(path, start=9)


@pytest.mark.parametrize("start", [1.2, 1.4])
def test_frames_that_nobody_needs_are_dropped_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: float
) -> None:
    path = make.write(tmp_path / "a.mp4", 57, 25, bframes=3, quality="18")
    whole = decode(path)
    decoded: list[object] = []
    check = Source._check_size
    monkeypatch.setattr(
        Source, "_check_size", lambda self, *size: (decoded.append(size), check(self, *size))[1]
    )
    first, last = round(25 * start), round(25 * start) + 12
    assert np.array_equal(decode(path, start=start, end=start + 0.48), whole[first:last])
    quick = len(decoded)
    decoded.clear()
    monkeypatch.setattr(Source, "_hurry", lambda self, wanted: self.packets())
    assert np.array_equal(decode(path, start=start, end=start + 0.48), whole[first:last])
    assert quick <= len(decoded) - 4


@pytest.mark.parametrize(
    ("times", "limit"),
    [
        ([0, 120, 40, 80, 160], 80),  # 80 and 120 are the last two up to 130
        ([0, None, 40], -math.inf),
        ([0, 40, 40, 120], -math.inf),
        ([40, 0, 80], -math.inf),  # not a keyframe first
        ([0, 200], -math.inf),
    ],
)
def test_what_may_be_dropped(times: list[int | None], limit: float) -> None:
    assert source._droppable_until(times, 130) == limit


@pytest.mark.parametrize("short_side", [None, 60, 32, 20])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation(tmp_path: Path, degrees: int, short_side: int | None) -> None:
    path = make.rotate(make.write(tmp_path / "a.mp4", 2), degrees)
    expected = np.rot90(make.picture(0), -degrees // 90)
    frame = decode(path, short_side=short_side)[0]
    if short_side:
        expected = rgb.resize(
            np.ascontiguousarray(expected), even_size(*expected.shape[:2], short_side)
        )
    assert frame.shape == expected.shape
    assert np.abs(frame.astype(int) - expected).mean() < 5


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "colour_range", "suffix"),
    [
        ("libx264", "yuv420p10le", None, "mp4"),
        ("libx264", "yuvj420p", 2, "mp4"),
        ("libx264", "yuv420p", 2, "mkv"),
        ("libx264", "yuv444p", None, "mp4"),
        ("libvpx-vp9", "yuv420p", None, "webm"),
        ("mpeg4", "yuv420p", None, "avi"),
        ("ffv1", "bgr0", None, "mkv"),
        ("gif", "rgb8", None, "gif"),
    ],
)
def test_codecs_and_pixel_formats(
    tmp_path: Path, codec: str, pix_fmt: str, colour_range: int | None, suffix: str
) -> None:
    path = make.write(
        tmp_path / f"a.{suffix}", 10, codec=codec, pix_fmt=pix_fmt, colour_range=colour_range
    )
    frames = decode(path)
    assert len(frames) == 10
    limit = 25 if codec == "gif" else 6
    half = decode(path, short_side=32)  # shrunk before its colours are converted
    for found, place in ((frames, np.s_[4:12, 4:20]), (half, np.s_[2:6, 2:10])):
        corner = found[:, *place].reshape(-1, 3).mean(0)
        assert np.abs(corner - (220, 20, 20)).max() < limit
    assert abs(float(frames[5, 32, 48].mean()) - 40) < limit
    assert abs(float(half[5, 16, 24].mean()) - 40) < limit


def test_odd_sizes(tmp_path: Path) -> None:
    path = make.write(tmp_path / "a.mp4", 3, height=61, width=97, pix_fmt="yuv444p")
    assert decode(path).shape == (3, 61, 97, 3)
    assert decode(path, short_side=30).shape == (3, 30, 48, 3)


def test_header_that_claims_more(tmp_path: Path) -> None:
    path = make.write(tmp_path / "a.mkv", 40, gop=5)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    found = indices(decode(path))
    assert 5 < len(found) < 35
    assert found == list(range(len(found)))


def test_damage_in_the_middle_is_survived(tmp_path: Path) -> None:
    path = make.write(tmp_path / "a.mp4", 50, gop=5, bframes=0)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 200] = bytes(200)
    path.write_bytes(bytes(content))
    found = indices(decode(path))
    assert len(found) == 50 and found[:5] == list(range(5))


def hostile(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / "a.mp4"
    if kind == "missing":
        return path
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("this is not a video\n" * 50)
    elif kind == "playlist":
        path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n/etc/hostname\n")
    elif kind == "noise":
        path.write_bytes(np.random.default_rng(0).bytes(5000))
    elif kind == "audio":
        make.write_audio(path)
    elif kind == "cover":
        make.write_sound_with_cover(path)
    elif kind == "no index":
        make.write(path, 10)
        path.write_bytes(path.read_bytes()[:1000])
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "file not found"),
        ("folder", "not a file"),
        ("empty", "empty file"),
        ("text", "not a video that can be opened"),
        ("playlist", "not a video that can be opened"),
        ("noise", "not a video that can be opened"),
        ("audio", "no video stream"),
        ("cover", "no video stream"),
        ("no index", "not a video that can be opened"),
    ],
)
def test_hostile_files_end_as_a_reason(tmp_path: Path, kind: str, reason: str) -> None:
    path = hostile(tmp_path, kind)
    with pytest.raises(VideoError) as caught:
        decode(path)
    assert caught.value.reason == reason
    assert str(caught.value) == f"{path}: {reason}"
    assert pickle.loads(pickle.dumps(caught.value)).reason == reason


def test_sound_beside_the_picture_does_no_harm(tmp_path: Path) -> None:
    assert len(decode(make.write(tmp_path / "a.mp4", 10, audio=True))) == 10


def test_too_large_frames_are_refused(tmp_path: Path) -> None:
    path = make.write(tmp_path / "a.mp4", 2)
    with pytest.raises(VideoError, match="frames of 96x64 are too large"):
        decode(path, max_pixels=96 * 64 - 1)
    assert len(decode(path, max_pixels=96 * 64)) == 2


def test_a_ribbon_is_refused_before_it_is_enlarged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make.write(tmp_path / "a.mkv", 2, height=1, width=65_535, codec="ffv1")
    assert decode(path).shape == (2, 1, 65_535, 3)
    monkeypatch.setattr(source, "to_rgb", pytest.fail)
    with pytest.raises(VideoError, match="65535x1 would become 16776960x256"):
        decode(path, short_side=256)


def lie_about_size(path: Path, side: int) -> Path:
    content = bytearray(path.read_bytes())
    at = content.index(b"strf") + 12  # width and height of AVI's bitmap header
    content[at : at + 8] = side.to_bytes(4, "little") * 2
    path.write_bytes(bytes(content))
    return path


@pytest.mark.parametrize("side", [60_000, 16_000, 2_000_000_000])
@pytest.mark.parametrize("codec", ["ffv1", "rawvideo", "mpeg4"])
def test_a_header_that_lies_about_the_size(tmp_path: Path, codec: str, side: int) -> None:
    path = make.write(tmp_path / "a.avi", 3, codec=codec)
    lie_about_size(path, side)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if codec == "mpeg4":  # says its size in the stream too, which is the truth
        assert decode(path).shape == (3, 64, 96, 3)
    else:
        with pytest.raises(VideoError):
            decode(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def test_endless_files_are_refused_or_cut(tmp_path: Path) -> None:
    ticks = [0, 1, 10**7]  # the last frame claims to come a hundred hours later
    path = make.write(tmp_path / "a.mkv", 3, 25, ticks, Fraction(1, 25), bframes=0)
    with pytest.raises(VideoError, match="more than 3000 frames"):
        decode(path)
    assert indices(decode(path, end=0.2)) == [0, 1, 1, 1, 1]
    long = make.write(tmp_path / "b.mp4", 50)
    with pytest.raises(VideoError, match="more than 20 frames"):
        decode(long, max_frames=20)
    assert len(decode(long, max_seconds=0.8, max_frames=20)) == 20


def test_many_frames_in_no_time_are_refused(tmp_path: Path) -> None:
    path = make.write(
        tmp_path / "a.mkv", 5000, 25, [0] * 5000, height=16, width=16, codec="ffv1", pix_fmt="gray"
    )
    with pytest.raises(VideoError, match="more than 4112 frames"):
        decode(path, max_frames=1)


def test_memory_stays_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dancestyle.video.source.MAX_BYTES", 100_000)
    path = make.write(tmp_path / "a.mp4", 30)
    with pytest.raises(VideoError, match="too many pixels"):
        decode(path)
    assert len(decode(path, short_side=16)) == 30


@pytest.mark.parametrize(
    "error", [av.error.PermissionError(1, "Operation not permitted"), OverflowError("too large")]
)
def test_a_clip_in_which_nothing_can_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A damaged table of frames: FFmpeg says no in words of its own."""

    def seek(*_: object, **__: object) -> None:
        raise error

    write_clip(tmp_path / "clip.mp4", [make.picture(0)] * 40)
    with ClipReader(tmp_path / "clip.mp4") as clip:
        monkeypatch.setattr(clip, "_container", SimpleNamespace(seek=seek))
        clip._next = 30
        with pytest.raises(VideoError, match=r"clip\.mp4: damaged: no way to frame"):
            clip.read([3])


@pytest.mark.parametrize("tag", ["colorspace", "color_primaries", "color_trc"])
@pytest.mark.parametrize("value", [3, 65, 243])
def test_colours_that_nobody_knows_are_taken_for_the_usual(tag: str, value: int) -> None:
    """Reserved numbers, in a damaged file or one of an odd camera."""
    rng = np.random.default_rng(0)
    planes = rng.integers(0, 255, (96, 64), np.uint8)

    def frame(odd: bool) -> av.VideoFrame:
        made = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        if odd:
            setattr(made, tag, value)
        return made

    usual = rgb.to_rgb(frame(False), VideoReformatter())
    assert np.array_equal(rgb.to_rgb(frame(True), VideoReformatter()), usual)
    both = rgb.rgb_batch([frame(True), frame(True)], 2, VideoReformatter())
    assert np.array_equal(both, [usual, usual])


def test_colours_that_cannot_be_had_are_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert(*_: object) -> None:
        raise av.error.NotImplementedError(38, "Function not implemented")

    path = write_clip_of(tmp_path / "clip.mp4")
    monkeypatch.setattr(rgb, "_convert", convert)
    reads: list[Callable[[], object]] = [
        lambda: decode(path),
        lambda: ClipReader(path).read([0]),
        lambda: list(stream.frames(path, 25, 32, 10)),
    ]
    for read in reads:
        with pytest.raises(VideoError, match=r"clip\.mp4: no way to its colours"):
            read()


def write_clip_of(path: Path) -> Path:
    write_clip(path, [make.picture(0)] * 3)
    return path


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="fps must be positive"):
        decode("x.mp4", fps=0)
