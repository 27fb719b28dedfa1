from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dancestyle import params, split
from dancestyle.clips import Clip
from dancestyle.labels import STYLES

BASE: dict[str, Any] = {
    "seed": 1,
    "by": "video",
    "train": 0.6,
    "val": 0.15,
    "test": 0.25,
    "subset1": {"clips": 4, "train": 0.5},
    "subset2": {"clips": 2, "train": 0.5},
}


def config(**changes: Any) -> params.Split:
    found: params.Split = params.validate("split", {**BASE, **changes})
    return found


def clip(video: str, number: int, label_id: int, source: str = "kinetics700") -> Clip:
    name = f"{video}_{number:03d}"
    label = STYLES[label_id]
    return Clip(name, video, source, label, label_id, f"clips/{name}.mp4", 75, 25.0, 64, 48)


def world(videos: int, labels: int = 19, start: int = 0) -> list[Clip]:
    """One to three clips a video, one label, every tenth video of Let's Dance."""
    return [
        clip(f"v{v:05d}", n, v % labels, "lets_dance" if v % 10 == 9 else "kinetics700")
        for v in range(start, start + videos)
        for n in range(1 + v % 3)
    ]


def homes(dealt: split.Dealt) -> dict[str, str]:
    return {clip.video_id: name for name in split.SPLITS for clip in dealt.tables[name]}


def training_videos(dealt: split.Dealt) -> Counter[str]:
    return Counter(label for _, label in {(c.video_id, c.label) for c in dealt.tables["train"]})


@settings(max_examples=40, deadline=None)
@given(
    videos=st.lists(st.tuples(st.integers(0, 18), st.integers(1, 4)), min_size=60, max_size=150),
    seed=st.integers(0, 1000),
    least=st.integers(0, 3),
)
def test_all_are_dealt_and_no_video_is_divided(
    videos: list[tuple[int, int]], seed: int, least: int
) -> None:
    table = [
        clip(f"v{v}", n, (label + n // 3) % 19)  # the fourth clip of a video has another label
        for v, (label, count) in enumerate(videos)
        for n in range(count)
    ]
    dealt = split.deal(table, config(seed=seed, min_val=least, min_test=least))
    dealt_ids = [clip.clip_id for name in split.SPLITS for clip in dealt.tables[name]]
    assert sorted(dealt_ids) == sorted(clip.clip_id for clip in table)
    assert not split.leaking(dealt.tables[name] for name in split.SPLITS)
    test = {clip.clip_id for clip in dealt.tables["test"]}
    for subset in split.SUBSETS:
        assert not {c.clip_id for c in dealt.tables[f"{subset}_train"]} & test
        assert {c.clip_id for c in dealt.tables[f"{subset}_test"]} <= test


@settings(max_examples=30, deadline=None)
@given(st.integers(100, 300), st.integers(1, 300), st.integers(0, 1000))
def test_growth_moves_nothing(before: int, more: int, seed: int) -> None:
    old = homes(split.deal(world(before), config(seed=seed)))
    new = homes(split.deal(world(before + more), config(seed=seed)))
    assert {video: new[video] for video in old} == old


def test_growth_moves_nothing_where_styles_have_enough() -> None:
    enough = config(min_val=1, min_test=3)
    one = split.deal(world(1900), enough)
    assert one.moved == 0
    old, new = homes(one), homes(split.deal(world(2500), enough))
    assert {video: new[video] for video in old} == old


def test_the_order_of_the_table_does_not_matter() -> None:
    table = world(200)
    assert split.deal(table, config()) == split.deal(table[::-1], config())


def test_shares_are_met_on_average() -> None:
    dealt = split.deal(world(6000), config())
    shares = split.metrics(dealt, config(), STYLES, set())["share"]
    assert shares == pytest.approx({"train": 0.6, "val": 0.15, "test": 0.25}, abs=0.02)
    for label in STYLES:
        mine = [c for c in dealt.tables["test"] if c.label == label]
        assert len(mine) == pytest.approx(0.25 * 6000 / 19 * 2, rel=0.35)


def test_another_seed_deals_anew() -> None:
    table = world(200)
    assert homes(split.deal(table, config())) != homes(split.deal(table, config(seed=2)))


def test_every_style_has_its_least() -> None:
    dealt = split.deal(
        world(19 * 12), config(val=0.05, test=0.05, train=0.9, min_val=1, min_test=6)
    )
    smallest = split.metrics(dealt, config(), STYLES, set())["smallest_label"]
    assert smallest["val"] >= 1 and smallest["test"] >= 6 and dealt.moved > 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_every_style_has_its_least_whatever_the_seed(seed: int) -> None:
    changes = config(seed=seed, val=0.12, test=0.32, train=0.56, min_val=2, min_test=6)
    dealt = split.deal(world(19 * 12), changes)
    smallest = split.metrics(dealt, changes, STYLES, set())["smallest_label"]
    assert smallest["val"] >= 2 and smallest["test"] >= 6
    untouched = split.deal(world(19 * 12), config(seed=seed, val=0.12, test=0.32, train=0.56))
    before, after = training_videos(untouched), training_videos(dealt)
    # Chance alone may leave training less than a quarter of a style's twelve videos.
    assert all(after[label] >= min(before[label], 3) for label in STYLES)


def test_training_keeps_a_quarter_of_a_style() -> None:
    table = [clip(f"v{v}", 0, v % 2) for v in range(12)]
    dealt = split.deal(table, config(min_val=1, min_test=50, subset1=BASE["subset2"]))
    for label in STYLES[:2]:
        assert sum(c.label == label for c in dealt.tables["train"]) >= 1


def test_seen_clips_stay_out_of_test() -> None:
    table = world(400)
    seen = {c.clip_id for c in table if int(c.video_id[1:]) % 2}
    for by in ("video", "clip"):
        dealt = split.deal(table, config(by=by), seen)
        assert not seen & {c.clip_id for c in dealt.tables["test"]}
        assert dealt.seen_moved > 0
        told = split.metrics(dealt, config(by=by), STYLES, seen)["seen_by_kinetics400"]
        assert told["test"] == 0 and told["train"] + told["val"] == len(seen)
    free = split.deal(table, config(exclude_seen=False), seen)
    assert seen & {c.clip_id for c in free.tables["test"]}
    kept = split.deal(table, config(), seen)
    clean = {v: h for v, h in homes(kept).items() if int(v[1:]) % 2 == 0}
    assert clean == {v: h for v, h in homes(free).items() if v in clean}


def test_by_clip_is_exact_and_leaks() -> None:
    table = world(200)
    dealt = split.deal(table, config(by="clip"))
    told = split.metrics(dealt, config(by="clip"), STYLES, set())
    assert told["clips"]["test"] == round(0.25 * len(table))
    assert told["clips"]["val"] == round(0.15 * len(table))
    assert told["leaking_videos"] > 0
    assert any("split.by: clip" in warning for warning in dealt.warnings)


def test_subsets_are_kinetics_of_the_size_asked_for() -> None:
    dealt = split.deal(world(400), config(subset1={"clips": 100, "train": 0.93}))
    assert [len(dealt.tables[f"subset1_{part}"]) for part in ("train", "test")] == [93, 7]
    for name in split.NAMES[3:]:
        assert {c.source for c in dealt.tables[name]} == {"kinetics700"}


def test_subsets_are_drawn_with_equal_probability() -> None:
    table = world(300)
    counts: dict[str, int] = {}
    for seed in range(60):
        changes = config(seed=seed, subset1={"clips": 60, "train": 0.5})
        for row in split.deal(table, changes).tables["subset1_train"]:
            counts[row.label] = counts.get(row.label, 0) + 1
    pool = [row for row in table if row.source == "kinetics700"]
    for label in STYLES:
        share = sum(row.label == label for row in pool) / len(pool)
        assert counts[label] == pytest.approx(60 * 30 * share, rel=0.35)


def test_own_videos_have_subsets_too() -> None:
    table = [clip(f"v{v}", 0, v % 2, "folder") for v in range(100)]
    dealt = split.deal(table, config())
    assert len(dealt.tables["subset1_train"]) == 2
    assert any("no Kinetics clips" in warning for warning in dealt.warnings)


@pytest.mark.parametrize(
    ("table", "changes", "words"),
    [
        ([], {}, "no clips to deal"),
        (world(100), {"subset1": {"clips": 1500, "train": 0.93}}, r"split\.subset1\.clips: 1500"),
        (world(100), {"subset2": {"clips": 10, "train": 1.0}}, r"split\.subset2\.train: 1\.0"),
        (world(3), {"test": 0.001, "train": 0.849}, r"split\.test: 0\.001 of 3 videos"),
    ],
)
def test_sizes_are_checked(table: Sequence[Clip], changes: dict[str, Any], words: str) -> None:
    with pytest.raises(split.SplitError, match=words):
        split.deal(table, config(**changes))


def test_the_size_that_the_message_names_fits() -> None:
    with pytest.raises(split.SplitError) as caught:
        split.deal(world(200), config(subset1={"clips": 5000, "train": 0.75}))
    most = int(str(caught.value).split()[-1])
    split_again = split.deal(world(200), config(subset1={"clips": most // 2, "train": 0.75}))
    assert split_again.tables["subset1_train"]


def test_annotation_list_is_mmaction2s() -> None:
    lines = split.annotation_list([clip("a", 0, 3), clip("b", 1, 18)]).splitlines()
    assert lines == ["clips/a_000.mp4 3", "clips/b_001.mp4 18"]
