from __future__ import annotations

import pickle
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dancestyle.flow import methods, store
from dancestyle.flow.store import FlowReader
from dancestyle.video.errors import VideoError
from dancestyle.video.reader import decode
from dancestyle.video.writer import write_clip
from tests.flow import known

floats = st.floats(-50, 50, width=32)
CODECS: tuple[store.Codec, ...] = ("ffv1", "h264")


@pytest.fixture(params=CODECS)
def codec(request: pytest.FixtureRequest) -> store.Codec:
    """Every codec keeps the same promises."""
    found: store.Codec = request.param
    return found


def fields(count: int = 10, height: int = 20, width: int = 30) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(0, 4, (count, height, width, 2)).astype(np.float32)


@given(arrays.arrays(np.float32, (3, 4, 5, 2), elements=floats), st.sampled_from([5.0, 20.0]))
def test_codes(field: np.ndarray, bound: float) -> None:
    codes = store.encode(field, bound)
    back = store.decode(codes, bound)
    assert codes.min() >= 1
    assert np.abs(back - field.clip(-bound, bound)).max() <= bound / 254 * 1.0001
    assert np.array_equal(store.decode(store.encode(-field, bound), bound), -back)
    for how in ("hflip", "vflip"):
        twice = store.mirror_codes(store.mirror_codes(codes, how), how)
        assert np.array_equal(twice, codes)


def test_zero_is_exactly_zero(tmp_path: Path, codec: store.Codec) -> None:
    store.write(tmp_path / "a.mkv", np.zeros((3, 16, 24, 2), np.float32), codec=codec)
    assert not FlowReader(tmp_path / "a.mkv").read([0, 1, 2]).any()
    assert not FlowReader(tmp_path / "a.mkv").read([1], size=(7, 9)).any()
    assert store.decode(store.encode(np.float32([np.nan]))) == 0


def test_what_is_written_is_read(tmp_path: Path, codec: store.Codec) -> None:
    path = tmp_path / "a.mkv"
    assert store.write(path, fields(), 8, codec) == 10
    with FlowReader(path) as reader:
        assert (reader.fields, reader.height, reader.width, reader.bound) == (10, 20, 30, 8.0)
        assert reader.codec == codec
        found = reader.read(range(10))
        assert found.shape == (10, 20, 30, 2) and found.dtype == np.float32
        assert np.abs(found - fields().clip(-8, 8)).max() <= 8 / 254 * 1.0001
        small = reader.read([4], size=(10, 15))
        assert np.allclose(small[0], methods.resize(found[4], (10, 15)))


def test_same_fields_same_bytes(tmp_path: Path, codec: store.Codec) -> None:
    for name in ("a.mkv", "b.mkv"):
        store.write(tmp_path / name, iter(fields()), codec=codec)
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()


class Counting:
    """In place of a container: counts the packets that are decoded."""

    def __init__(self, container: Any) -> None:
        self.seek, self._demux = container.seek, container.demux
        self.decoded = 0

    def demux(self, stream: Any) -> Iterator[SimpleNamespace]:
        for packet in self._demux(stream):
            yield SimpleNamespace(pts=packet.pts, decode=partial(self._decode, packet))

    def _decode(self, packet: Any) -> Any:
        self.decoded += 1
        return packet.decode()


@pytest.mark.parametrize("size", [(2, 2), (17, 33), (64, 20)])
def test_any_size_and_threads(tmp_path: Path, codec: store.Codec, size: tuple[int, int]) -> None:
    codes = store.encode(fields(5, *size))
    store.write_codes(tmp_path / "a.mkv", codes, 20.0, codec)
    for threads in (1, 2):
        with FlowReader(tmp_path / "a.mkv", threads) as reader:
            assert np.array_equal(reader.read_codes(range(5)), codes)


def test_random_access(tmp_path: Path, codec: store.Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mkv"
    store.write(path, fields(120), codec=codec)
    reader = FlowReader(path)
    whole = reader.read_codes(range(120))
    assert np.array_equal(whole, store.encode(fields(120)))
    rng = np.random.default_rng(1)
    container = Counting(reader._container)
    monkeypatch.setattr(reader, "_container", container)
    for _ in range(30):
        wanted = rng.integers(0, 120, 5)
        container.decoded = 0
        assert np.array_equal(reader.read_codes(wanted), whole[wanted])
        assert container.decoded == len(set(wanted))  # and none on the way to them
    assert np.array_equal(reader.read_codes([119, 119, 0]), whole[[119, 119, 0]])
    again = pickle.loads(pickle.dumps(reader))
    assert np.array_equal(again.read_codes([7]), whole[[7]])


def test_mirrored_files(tmp_path: Path, codec: store.Codec) -> None:
    store.write(tmp_path / "a.mkv", fields(), codec=codec)
    field = FlowReader(tmp_path / "a.mkv").read(range(10))
    store.mirror(tmp_path / "a.mkv", tmp_path / "h.mkv", "hflip")
    assert np.array_equal(
        FlowReader(tmp_path / "h.mkv").read(range(10)), field[:, :, ::-1] * np.float32([-1, 1])
    )
    store.mirror(tmp_path / "h.mkv", tmp_path / "a2.mkv", "hflip")
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "a2.mkv").read_bytes()
    store.mirror(tmp_path / "a.mkv", tmp_path / "v.mkv", "vflip")
    assert np.array_equal(
        FlowReader(tmp_path / "v.mkv").read(range(10)), field[:, ::-1] * np.float32([1, -1])
    )


@pytest.mark.parametrize("how", ["hflip", "vflip"])
def test_derived_flow_is_the_flow_of_the_mirrored_pictures(how: store.Mirror) -> None:
    first, second = known.pair(known.smooth_field(64, 96, 2.0))
    axis = 1 if how == "hflip" else 0
    method = methods.create("dis")
    derived = store.decode(store.mirror_codes(store.encode(method(first, second)), how))
    computed = method(np.flip(first, axis), np.flip(second, axis))
    # not the same numbers: the method's blocks start at the left and the top
    assert np.abs(derived - computed).mean() < 0.12


def test_wrong_input(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no flow to write"):
        store.write(tmp_path / "a.mkv", [])
    with pytest.raises(ValueError, match="field 1"):
        store.write(tmp_path / "a.mkv", [fields()[0], fields()[0][:4]])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(VideoError, match="file not found"):
        FlowReader(tmp_path / "a.mkv")
    (tmp_path / "a.mkv").write_text("no")
    with pytest.raises(VideoError, match="no flow file"):
        FlowReader(tmp_path / "a.mkv")
    write_clip(tmp_path / "a.mp4", np.zeros((3, 16, 16, 3), np.uint8))
    with pytest.raises(VideoError, match="no flow file"):
        FlowReader(tmp_path / "a.mp4")
    assert len(decode(tmp_path / "a.mp4")) == 3


def test_a_truncated_file(tmp_path: Path, codec: store.Codec) -> None:
    path = tmp_path / "a.mkv"
    store.write(path, fields(60), codec=codec)
    path.write_bytes(path.read_bytes()[:20_000])
    reader = FlowReader(path)
    assert np.array_equal(reader.read_codes([0]), store.encode(fields(60)[:1]))
    with pytest.raises(VideoError):
        reader.read([59])
    with pytest.raises(IndexError):
        reader.read([60])
