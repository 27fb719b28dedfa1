from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from dancestyle import params
from dancestyle.clips import Clip
from dancestyle.flow import build, methods, picture
from dancestyle.flow.methods import FlowError
from dancestyle.flow.store import FlowReader
from dancestyle.video.writer import write_clip
from tests.flow import known

FRAMES = 5


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_clip(name: str, label: str = "tango dancing", step: float = 2.0) -> Clip:
    """A clip whose content moves to the right by ``step`` pixels a frame."""
    image = known.texture(48, 64, seed=len(name))
    frames = []
    for i in range(FRAMES):
        shift = np.float32([[1, 0, step * i], [0, 1, 0]])
        moved = cv2.warpAffine(image, shift, (64, 48), borderMode=cv2.BORDER_REFLECT)
        frames.append(moved.clip(0, 255).astype(np.uint8))
    path = f"clips/{name}.mp4"
    write_clip(path, frames, crf=4)
    return Clip(name, name, "folder", label, 0, path, FRAMES, 25.0, 64, 48)


def config(**changes: object) -> params.Flow:
    return params.validate(
        "flow", {"method": "dis", "short_side": None, "bound": 10, "options": {}, **changes}
    )


def copies_of(clip: Clip, *methods: str) -> list[Clip]:
    return [replace(clip, clip_id=f"{clip.clip_id}__{method}") for method in methods]


def test_clips_and_their_copies() -> None:
    clips = [make_clip("a"), make_clip("bb", "krumping", 1.0)]
    copies = copies_of(clips[0], "hflip", "vflip", "colour", "noise")
    computed, derived = build.build(clips, copies, config(), "flow", workers=1)
    assert (computed.computed, derived.computed) == (2, 4)
    names = {path.stem for path in Path("flow").iterdir()}
    assert names == {clip.clip_id for clip in clips + copies}

    fields = FlowReader("flow/a.mkv").read(range(FRAMES - 1))
    assert fields[:, 10:-10, 10:-10, 0].mean() == pytest.approx(2.0, abs=0.2)
    mirrored = FlowReader("flow/a__hflip.mkv").read(range(FRAMES - 1))
    assert np.array_equal(mirrored, fields[:, :, ::-1] * np.float32([-1, 1]))
    for same in ("colour", "noise"):
        assert Path(f"flow/a__{same}.mkv").read_bytes() == Path("flow/a.mkv").read_bytes()

    assert build.digests([computed, derived], "flow") == {
        f"flow/{name}.mkv": hashlib.sha256(Path(f"flow/{name}.mkv").read_bytes()).hexdigest()
        for name in names
    }
    facts = build.metrics(clips, config(), computed, derived)
    assert facts["clips"] == 2 and facts["copies"] == 4 and facts["fields"] == 6 * (FRAMES - 1)
    assert facts["truncated_share"] == 0.0 and facts["failed"] == 0
    assert facts["mean_magnitude_by_style"]["tango dancing"] == pytest.approx(2.0, abs=0.3)

    again, derived = build.build(clips, copies, config(), "flow", workers=1)
    assert (again.reused, derived.reused, derived.removed) == (2, 4, 0)
    assert build.metrics(clips, config(), again, derived) == facts
    assert again.digests == computed.digests

    sheet = picture.contact_sheet(clips, "flow")
    assert sheet.dtype == np.uint8 and sheet.shape[1] == 5 * picture.TILE[1]
    assert len(picture.jpeg(sheet)) < 200_000
    assert np.array_equal(sheet, picture.contact_sheet(clips[::-1], "flow"))


def test_the_codec_is_a_choice_of_params_and_copies_have_their_source_s() -> None:
    clip = make_clip("a")
    copies = copies_of(clip, "hflip", "noise")
    build.build([clip], copies, config(), "one", workers=1)
    computed, derived = build.build([clip], copies, config(codec="h264"), "two", workers=1)
    assert (computed.computed, derived.computed) == (1, 2)
    for name in ("a", "a__hflip", "a__noise"):
        one, two = (FlowReader(f"{folder}/{name}.mkv") for folder in ("one", "two"))
        assert (one.codec, two.codec) == ("ffv1", "h264")
        assert np.array_equal(one.read(range(FRAMES - 1)), two.read(range(FRAMES - 1)))


def test_what_computes_the_flow_is_in_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = [make_clip("a")]
    build.build(clips, copies_of(clips[0], "hflip"), config(), "flow", workers=1)
    assert methods.libraries("dis") == () and "torch" in methods.libraries("raft")
    monkeypatch.setattr(methods, "libraries", lambda name: ("pillow",))
    computed, derived = build.build(
        clips, copies_of(clips[0], "hflip"), config(), "flow", workers=1
    )
    assert (computed.computed, derived.reused) == (1, 1)


def test_another_size_and_bound() -> None:
    clips = [make_clip("a")]
    computed, _ = build.build(clips, [], config(short_side=24, bound=0.5), "flow", workers=1)
    with FlowReader("flow/a.mkv") as reader:
        assert (reader.height, reader.width, reader.bound) == (24, 32, 0.5)
        assert reader.read([0]).max() == 0.5
    assert build.metrics(clips, config(), computed, _)["truncated_share"] > 0.5


def test_a_broken_clip_costs_itself_and_its_copies() -> None:
    clips = [make_clip("a"), make_clip("bb")]
    Path("clips/bb.mp4").write_text("no")
    copies = copies_of(clips[1], "hflip", "noise")
    computed, derived = build.build(clips, copies, config(), "flow", workers=1)
    assert computed.failed == {"bb": "not a video that can be opened"}
    assert derived.failed == {"bb__hflip": "file not found", "bb__noise": "file not found"}
    assert build.metrics(clips, config(), computed, derived)["failed"] == 3


def test_wrong_copies_and_options() -> None:
    clips = [make_clip("a")]
    with pytest.raises(FlowError, match="run augment again"):
        build.build(clips, copies_of(replace(clips[0], clip_id="x"), "hflip"), config(), "flow")
    with pytest.raises(FlowError, match="run augment again"):
        build.build(clips, copies_of(clips[0], "zoom"), config(), "flow")
    with pytest.raises(FlowError, match="no option"):
        build.build(clips, [], config(options={"speed": 1}), "flow")


def test_colours() -> None:
    field = np.zeros((2, 2, 2), np.float32)
    field[0, 0] = (1, 0)
    field[1, 1] = (-1, 0)
    shown = picture.colours(field, 1.0)
    assert tuple(shown[0, 0]) == (255, 0, 0)
    assert tuple(shown[1, 1]) == (0, 255, 255)
    assert tuple(shown[0, 1]) == (255, 255, 255)
