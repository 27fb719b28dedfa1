from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dancestyle.sources import kinetics
from dancestyle.sources.base import Found, SourceError

IDS = st.text("abcXYZ0189_-", min_size=11, max_size=11)
SECONDS = st.integers(0, 999_999)
HEADER = "label,youtube_id,time_start,time_end,split\n"
ID = "-a_b-c_1-2_"


def put(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def read(root: Path, **options: object) -> Found:
    lists = sorted(str(path) for path in (root / "annotations").glob("*.csv"))
    return kinetics.read(lists, [str(root / "videos")], **options)  # type: ignore[arg-type]


@given(IDS, SECONDS, SECONDS)
def test_names_are_parsed_from_the_right(youtube_id: str, start: int, end: int) -> None:
    key = (youtube_id, start, end)
    assert kinetics.parse_stem(kinetics.stem_of(key)) == key


@pytest.mark.parametrize("stem", ["", "abc", "abc_000001", "_000001_000002", "abc_000001_00000x"])
def test_other_names(stem: str) -> None:
    assert kinetics.parse_stem(stem) is None


@pytest.mark.parametrize(
    "place",
    [
        "train/salsa dancing/{}.mp4",
        "videos_train/salsa_dancing/{}.mp4",
        "train/{}.mkv",
        "{}.webm",
        "train/Salsa Dancing/{}.mp4.mkv",
        "deep/er/{}.MP4",
    ],
)
@pytest.mark.parametrize(
    "row",
    [
        HEADER + "salsa dancing,{},5,15,train\n",
        HEADER + '"salsa dancing",{},5,15,train\n',
        "label,youtube_id,time_start,time_end,split,is_cc\n" + '"Salsa_Dancing",{},5,15,train,1\n',
        "\ufefflabel,youtube_id,time_start,time_end,split\r\nsalsa dancing,{},5.0,15.0,train\r\n",
    ],
)
def test_lists_and_layouts(tmp_path: Path, place: str, row: str) -> None:
    put(tmp_path / "annotations/train.csv", row.format(ID))
    put(tmp_path / "videos" / place.format(f"{ID}_000005_000015"))
    found = read(tmp_path)
    assert [(c.clip_id, c.video_id, c.label, c.split) for c in found.clips] == [
        (f"{ID}_000005_000015", ID, "salsa dancing", "train")
    ]
    assert not found.rejected


def test_every_reason(tmp_path: Path) -> None:
    put(
        tmp_path / "annotations/train.csv",
        HEADER
        + "zumba,aaaaaaaaaaa,1,11,train\n"
        + "zumba,bbbbbbbbbbb,1,11,train\n"  # no file
        + "juggling,ccccccccccc,1,11,train\n"  # not a dance: counted only
        + "zumba,aaaaaaaaaaa,1,11,train\n"
        + "krumping,aaaaaaaaaaa,1,11,train\n"
        + "zumba,ddddddddddd,late,11,train\n",
    )
    put(
        tmp_path / "annotations/test.csv",
        "youtube_id,time_start,time_end,split\neeeeeeeeeee,1,11,test\nfffffffffff,1,11,test\n",
    )
    for name in ["aaaaaaaaaaa", "ccccccccccc", "eeeeeeeeeee", "ggggggggggg"]:
        put(tmp_path / f"videos/train/{name}_000001_000011.mp4")
    put(tmp_path / "videos/train/my holiday.mp4")
    put(tmp_path / "videos/train/notes.txt")
    found = read(tmp_path)
    assert [clip.video_id for clip in found.clips] == ["aaaaaaaaaaa"]
    assert {(Path(row.path_or_id).name.split(".")[0], row.reason) for row in found.rejected} == {
        ("bbbbbbbbbbb_000001_000011", "missing"),
        ("aaaaaaaaaaa_000001_000011", "listed already: as 'zumba'"),
        ("train", "the list's row cannot be read"),
        ("eeeeeeeeeee_000001_000011", "no label in the list"),
        ("ggggggggggg_000001_000011", "not listed"),
        ("my holiday", "file name is not <youtube id>_<start>_<end>"),
    }
    assert found.counts == {
        "listed": 7,
        "other_labels": 1,
        "listed_twice": 2,
        "unlabelled_without_file": 1,
    }


def test_replacements_win(tmp_path: Path) -> None:
    put(tmp_path / "annotations/train.csv", HEADER + "zumba,aaaaaaaaaaa,1,11,train\n")
    put(tmp_path / "videos/k700/train/aaaaaaaaaaa_000001_000011.mp4")
    good = put(tmp_path / "videos/replacement_for_corrupted_k700/aaaaaaaaaaa_000001_000011.mp4")
    found = read(tmp_path)
    assert [clip.origin for clip in found.clips] == [str(good)]
    assert [row.reason for row in found.rejected] == [f"superseded: by {good}"]


def test_roots_that_overlap(tmp_path: Path) -> None:
    put(tmp_path / "annotations/train.csv", HEADER + "zumba,aaaaaaaaaaa,1,11,train\n")
    put(tmp_path / "videos/train/aaaaaaaaaaa_000001_000011.mp4")
    found = kinetics.read(
        [str(tmp_path / "annotations/train.csv")],
        [str(tmp_path / "videos"), str(tmp_path / "videos/train")],
    )
    assert len(found.clips) == 1 and not found.rejected


def test_any_label(tmp_path: Path) -> None:
    put(tmp_path / "annotations/train.csv", HEADER + "juggling,aaaaaaaaaaa,1,11,validate\n")
    put(tmp_path / "videos/aaaaaaaaaaa_000001_000011.mp4")
    clips = read(tmp_path, labels=None, name="kinetics400").clips
    assert [(c.label, c.source, c.split) for c in clips] == [("juggling", "kinetics400", "val")]


def test_what_is_not_there_names_its_key(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"kinetics700.*videos: .*is not a folder"):
        kinetics.read([], [str(tmp_path / "nowhere")])
    with pytest.raises(SourceError, match=r"annotations: .*not found"):
        kinetics.read([str(tmp_path / "no.csv")], [str(tmp_path)])
    put(tmp_path / "bad.csv", "label,id\n")
    with pytest.raises(SourceError, match="youtube_id, time_start, time_end missing"):
        kinetics.read([str(tmp_path / "bad.csv")], [str(tmp_path)])


@pytest.mark.parametrize(
    "text",
    [
        HEADER + "zumba,aaaaaaaaaaa,1,11,train\nkrumping,bbb_bbb_bbb,1,11,train\n",
        "aaaaaaaaaaa\nbbb_bbb_bbb\n",
        "aaaaaaaaaaa_000001_000011\nbbb_bbb_bbb_000001_000011\n",
    ],
)
def test_ids(tmp_path: Path, text: str) -> None:
    assert kinetics.read_ids(put(tmp_path / "ids.csv", text)) == {"aaaaaaaaaaa", "bbb_bbb_bbb"}


def test_no_ids(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"kinetics400_ids: .* not found"):
        kinetics.read_ids(tmp_path / "ids.csv")
    with pytest.raises(SourceError, match="holds no ids"):
        kinetics.read_ids(put(tmp_path / "ids.csv", HEADER))
