"""Snippets and views as tensors: fixed, random but repeatable, mirrored with the right signs."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dancestyle import params
from dancestyle.clips import Clip
from dancestyle.flow import store
from dancestyle.training import data
from dancestyle.training.data import Augmentation, EpochSampler, InputSpec
from dancestyle.training.tasks import loader_workers
from dancestyle.video import snippets, transforms
from dancestyle.video.errors import VideoError
from dancestyle.video.writer import write_clip

FRAMES, HEIGHT, WIDTH = 20, 32, 48
RGB = InputSpec("rgb", frames=4, stride=3, size=24)
FLOW = replace(RGB, modality="flow", bound=8.0)
PLAIN = Augmentation(smallest_crop=1.0, mirror=0.0, jitter=0.0)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Clip], Path]:
    """Six clips whose brightness is the frame's number, with flow 3 px to the right, 2 px down."""
    root = tmp_path_factory.mktemp("clips")
    clips = []
    for number in range(6):
        path = root / f"clip{number}.mp4"
        grey = 20 + 10 * np.arange(FRAMES, dtype=np.uint8)[:, None, None, None] + number
        write_clip(path, np.broadcast_to(grey, (FRAMES, HEIGHT, WIDTH, 3)).copy(), crf=0)
        fields = np.broadcast_to(np.float32([3, 2]), (FRAMES - 1, HEIGHT, WIDTH, 2))
        store.write(root / "flow" / f"clip{number}.mkv", fields, bound=8.0)
        clips.append(
            Clip(f"clip{number}", f"video{number}", "folder", "ab"[number % 2], number % 2,
                 str(path), FRAMES, 25.0, WIDTH, HEIGHT)
        )  # fmt: skip
    return clips, root / "flow"


def frame_numbers(x: torch.Tensor) -> list[int]:
    """Which frames of the first clip a snippet (3, T, S, S) is made of."""
    grey = x.mean(dim=(0, 2, 3)) * 127.5 + 127.5
    return [round((float(value) - 20) / 10) for value in grey]


def test_views_are_spread_over_the_clip(world) -> None:
    clips, _ = world
    views = data.load_views(clips[0], RGB, num_clips=3, num_crops=1)
    assert views.shape == (3, 3, 4, 24, 24) and views.dtype == torch.float32
    assert [frame_numbers(view) for view in views] == [
        [0, 3, 6, 9],
        [5, 8, 11, 14],
        [10, 13, 16, 19],
    ]
    middle = data.load_views(clips[0], RGB)
    assert frame_numbers(middle[0]) == [5, 8, 11, 14]
    assert data.load_views(clips[0], RGB, 2, 3).shape == (6, 3, 4, 24, 24)
    assert float(views.min()) >= -1 and float(views.max()) <= 1


def test_a_short_clip_is_looped(world) -> None:
    clips, flow_dir = world
    view = data.load_views(clips[0], replace(RGB, frames=12))[0]
    assert frame_numbers(view) == [(3 * i) % FRAMES for i in range(12)]
    assert data.load_views(clips[0], replace(FLOW, frames=12), flow_dir=flow_dir).isfinite().all()


def test_flow_is_in_shares_of_the_bound_and_grows_with_the_picture(world) -> None:
    clips, flow_dir = world
    view = data.load_views(clips[0], replace(FLOW, crop=0.75), flow_dir=flow_dir)[0]
    assert view.shape == (2, 4, 24, 24)
    torch.testing.assert_close(view[0], torch.full((4, 24, 24), 3 / 8), atol=0.01, rtol=0)
    torch.testing.assert_close(view[1], torch.full((4, 24, 24), 2 / 8), atol=0.01, rtol=0)
    # 24 pixels shown as 48: a displacement is twice as many pixels.
    large = data.load_views(clips[0], replace(FLOW, crop=0.75, size=48), flow_dir=flow_dir)[0]
    torch.testing.assert_close(large[0], torch.full((4, 48, 48), 6 / 8), atol=0.02, rtol=0)


def test_the_last_frame_borrows_the_last_field(world) -> None:
    clips, flow_dir = world
    whole = replace(FLOW, frames=FRAMES, stride=1)
    view = data.load_views(clips[0], whole, flow_dir=flow_dir)[0]
    torch.testing.assert_close(view[:, -1], view[:, -2])


@pytest.mark.parametrize("modality", ["rgb", "flow"])
def test_mirroring_negates_the_x_component_only(world, modality) -> None:
    clips, flow_dir = world
    spec = replace(RGB, modality=modality, bound=8.0)

    def snippet(mirror: float) -> torch.Tensor:
        how = replace(PLAIN, mirror=mirror)
        generator = np.random.default_rng(3)
        return data.load_snippet(clips[0], spec, how, generator, flow_dir)

    plain, mirrored = snippet(0.0), snippet(1.0)
    expected = plain.flip(-1)
    if modality == "flow":
        expected[0] *= -1
        assert float(plain[0].mean()) > 0 > float(mirrored[0].mean())
    torch.testing.assert_close(mirrored, expected)


def test_a_mirrored_field_is_the_field_of_the_mirrored_pictures() -> None:
    """A dot that moves right moves left in the mirror, and as far up or down as before."""
    fields = np.zeros((1, 5, 7, 2), np.float32)
    fields[0, 1, 2] = (3, -2)
    mirrored = transforms.flow_tensor(transforms.mirror_flow(fields), 4.0)
    assert mirrored[:, 0, 1, 7 - 1 - 2].tolist() == [-0.75, -0.5]
    assert int((mirrored != 0).sum()) == 2


def test_a_snippet_depends_on_seed_epoch_and_clip_alone(world) -> None:
    clips, _ = world
    one = data.TrainSnippets(clips, RGB, Augmentation(), seed=1)
    turned = data.TrainSnippets(clips[::-1], RGB, Augmentation(), seed=1)
    for index in (0, 3):
        torch.testing.assert_close(one[2, index][0], turned[2, 5 - index][0], rtol=0, atol=0)
    assert not torch.equal(one[0, 0][0], one[1, 0][0])
    other = data.TrainSnippets(clips, RGB, Augmentation(), seed=2)
    assert not torch.equal(one[0, 0][0], other[0, 0][0])


@pytest.mark.parametrize("spec", [RGB, FLOW], ids=["rgb", "flow"])
def test_clips_kept_in_memory_give_the_same(
    spec: InputSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0)
    path = tmp_path / "a.mp4"
    write_clip(path, noise.integers(0, 255, (FRAMES, HEIGHT, WIDTH, 3), np.uint8), crf=20)
    fields = noise.normal(size=(FRAMES - 1, HEIGHT, WIDTH, 2)).astype(np.float32)
    store.write(tmp_path / "a.mkv", fields, bound=8.0)
    clips = [Clip("a", "v", "folder", "x", 0, str(path), FRAMES, 25.0, WIDTH, HEIGHT)]
    found = []
    for most in (0, FRAMES * HEIGHT * WIDTH * spec.channels):
        monkeypatch.setattr(data, "IN_MEMORY", most)
        random = data.TrainSnippets(clips, spec, Augmentation(), 1, tmp_path)
        middle = data.MiddleViews(clips, spec, tmp_path)
        found.append([random[0, 0][0], random[1, 0][0], middle[0][0], middle[0][0]])
        assert len(random.memory.kept) == len(middle.memory.kept) == bool(most)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_clips_are_decoded_once_for_all_trainings(world, monkeypatch: pytest.MonkeyPatch) -> None:
    clips, flow_dir = world
    alone = data.TrainSnippets(clips, RGB, Augmentation(), 1)[1, 0][0]
    memory = data.shared_memory(clips, "rgb", flow_dir)
    memory.fill("test")
    assert len(memory.kept) == len(clips)
    monkeypatch.setattr(data, "_decode_all", None)  # it is not wanted any more
    again = data.shared_memory(list(clips), "rgb", flow_dir)
    again.fill("another training")
    dataset = data.TrainSnippets(clips, RGB, Augmentation(), 1, flow_dir, again)
    assert torch.equal(dataset[1, 0][0], alone)
    loaded = next(iter(data.train_loader(dataset, 1, batch_size=2, workers=1)))
    assert len(loaded[0]) == 2, "loader processes inherit what is decoded"
    monkeypatch.setattr(data, "IN_MEMORY", memory.bytes - 1)
    full = data.Memory(clips, "rgb", flow_dir)
    full.fill("test")
    assert not full.kept, "there is no room"
    os.utime(clips[0].path)
    assert data.shared_memory(clips, "rgb", flow_dir) is not memory, "a file has changed"


@pytest.mark.parametrize(
    ("asked", "cores", "gpu", "clips", "other"),
    [(0, 8, False, 0, 4), (2, 8, False, 0, 1), (0, 8, True, 4, 4), (16, 8, True, 16, 16)],
)
def test_where_the_cores_train_clips_need_no_loader_processes(
    asked, cores, gpu, clips, other, monkeypatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
    monkeypatch.setattr("dancestyle.pool.cores", lambda: cores)
    settings = params.load("machine", Path(__file__).parents[2] / "params.yaml")
    settings = settings.model_copy(update={"workers": asked})
    assert (loader_workers(settings), loader_workers(settings, clips=False)) == (clips, other)


@pytest.mark.parametrize("spec", [RGB, FLOW], ids=["rgb", "flow"])
@pytest.mark.parametrize("kept", [True, False])
def test_a_batch_is_its_items_whatever_the_threads(world, spec, kept, monkeypatch) -> None:
    clips, flow_dir = world
    monkeypatch.setattr(data, "IN_MEMORY", data.IN_MEMORY if kept else 0)
    random = data.TrainSnippets(clips, spec, replace(PLAIN, mirror=0.5), 1, flow_dir)
    middle = data.MiddleViews(clips, spec, flow_dir)
    alone = [random[0, n] for n in range(4)] + [middle[n] for n in range(4)]
    for threads in (1, 2, 3, 9):
        monkeypatch.setattr("torch.get_num_threads", lambda threads=threads: threads)
        together = [
            *random.__getitems__([(0, n) for n in range(4)]),
            *middle.__getitems__(range(4)),
        ]
        together += [*random.__getitems__([(0, 0)]), *middle.__getitems__([0])]
        expected = [*alone, alone[0], alone[4]]
        for (x, label), (other, label_of_other) in zip(together, expected, strict=True):
            assert torch.equal(x, other) and label == label_of_other


@pytest.mark.parametrize("stride", [1, 3, 300])
@pytest.mark.parametrize("frames", [8, 400])
def test_a_field_is_the_mean_of_those_up_to_the_next(stride, frames) -> None:
    codes = np.random.default_rng(0).integers(0, 256, (frames - 1, 2, 3, 2), np.uint8)
    indices = snippets.snippet_indices(frames, 4, stride, 1)
    found = data.mean_fields(lambda at: codes[at], 5.0, frames - 1, indices, stride, frames)
    for index, field in zip(indices, found, strict=True):
        at = [min((index + step) % frames, frames - 2) for step in range(stride)]
        assert np.allclose(field, store.decode(codes[at], 5.0).mean(axis=0), atol=1e-5)


def test_a_clip_that_cannot_be_decoded_is_left_to_the_loader(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    clip = Clip("a", "v", "folder", "x", 0, str(tmp_path / "a.mp4"), FRAMES, 25.0, WIDTH, HEIGHT)
    memory = data.shared_memory([clip], "rgb", tmp_path)
    memory.fill("test")
    with pytest.raises(VideoError, match=r"a\.mp4"):
        data.TrainSnippets([clip], RGB, Augmentation(), 1, tmp_path, memory)[0, 0]


def test_the_number_of_workers_changes_nothing(world) -> None:
    clips, _ = world

    def batches(workers: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        dataset = data.TrainSnippets(clips, RGB, Augmentation(), seed=1)
        loader = data.train_loader(dataset, 1, batch_size=4, workers=workers)
        loader.sampler.set_epoch(1)  # type: ignore[attr-defined]
        return list(loader)

    for (x, y), (other_x, other_y) in zip(batches(0), batches(2), strict=True):
        assert torch.equal(x, other_x) and torch.equal(y, other_y)


def test_each_epoch_has_its_order_and_sees_every_clip_once() -> None:
    sampler = EpochSampler(10, seed=1)
    orders = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        keys = list(sampler)
        assert {key[0] for key in keys} == {epoch}
        orders.append([key[1] for key in keys])
        assert sorted(orders[-1]) == list(range(10))
    assert orders[0] == orders[2] != orders[1]


def test_a_limit_draws_anew_each_epoch() -> None:
    sampler = EpochSampler(50, seed=1, limit=8)
    seen = set()
    for epoch in range(4):
        sampler.set_epoch(epoch)
        keys = [index for _, index in sampler]
        assert len(keys) == len(set(keys)) == len(sampler) == 8
        seen |= set(keys)
    assert len(seen) > 16
    assert len(EpochSampler(5, seed=1, limit=8)) == 5


@pytest.mark.parametrize(("clips", "batches"), [(8, 2), (9, 2), (10, 3), (3, 1)])
def test_no_batch_of_a_single_clip(clips: int, batches: int) -> None:
    loader = data.train_loader(list(range(clips)), 1, batch_size=4, workers=0)  # type: ignore[arg-type]
    assert len(loader) == batches


@given(
    length=st.integers(1, 300),
    frames=st.integers(1, 64),
    stride=st.integers(1, 8),
    seed=st.integers(0, 100),
)
def test_snippets_stay_inside_the_clip(length: int, frames: int, stride: int, seed: int) -> None:
    start = snippets.random_start(length, frames, stride, np.random.default_rng(seed))
    indices = snippets.snippet_indices(length, frames, stride, start)
    assert len(indices) == frames and indices.min() >= 0 and indices.max() < length
    if snippets.span(frames, stride) <= length:
        assert (np.diff(indices) == stride).all(), "it fits, so it must not wrap"
    starts = snippets.view_starts(length, frames, stride, 5)
    assert starts == sorted(starts) and starts[0] >= 0
    assert starts[-1] + snippets.span(frames, stride) <= max(length, snippets.span(frames, stride))


@given(
    height=st.integers(32, 400),
    width=st.integers(32, 400),
    share=st.floats(0.3, 1.0),
    crops=st.sampled_from([1, 3]),
)
def test_view_boxes_are_inside_the_picture(
    height: int, width: int, share: float, crops: int
) -> None:
    for crop in range(crops):
        top, left, side = transforms.view_box(height, width, share, crop, crops)
        assert 0 <= top <= height - side and 0 <= left <= width - side
        assert side == round(min(height, width) * share)


def test_balanced_weights_give_every_class_the_same_sum() -> None:
    labels = [0] * 6 + [2] * 3 + [3]
    weights = np.array(data.balanced_weights(labels))
    sums = [weights[np.array(labels) == label].sum() for label in (0, 2, 3)]
    np.testing.assert_allclose(sums, 10 / 3)
    assert weights.mean() == pytest.approx(1)


def test_balanced_sampling_draws_the_classes_equally_often() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    sampler = EpochSampler(100, seed=1, weights=data.balanced_weights(labels.tolist()))
    drawn = []
    for epoch in range(20):
        sampler.set_epoch(epoch)
        keys = list(sampler)
        assert len(keys) == 100
        drawn += [labels[index] for _, index in keys]
        sampler.set_epoch(epoch)
        assert list(sampler) == keys
    assert 0.45 < np.mean(drawn) < 0.55


@given(
    length=st.integers(1, 60),
    limit=st.none() | st.integers(1, 60),
    world=st.integers(1, 4),
    own=st.integers(1, 4),
)
def test_processes_go_through_the_batches_of_a_single_one(
    length: int, limit: int | None, world: int, own: int
) -> None:
    alone = [index for _, index in EpochSampler(length, 1, limit)]
    parts = [
        [index for _, index in EpochSampler(length, 1, limit, rank=rank, world=world)]
        for rank in range(world)
    ]
    assert len({len(part) for part in parts}) == 1, "or some would wait for others for ever"
    for step in range(len(alone) // (world * own)):
        together = [i for part in parts for i in part[step * own : (step + 1) * own]]
        assert sorted(together) == sorted(alone[step * world * own : (step + 1) * world * own])
    assert sum(map(len, parts)) > len(alone) - world


def test_strengths_of_zero_change_nothing_and_draw_nothing() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    generator, untouched = np.random.default_rng(1), np.random.default_rng(1)
    for change in (
        transforms.jitter_colour,
        transforms.jitter_saturation,
        transforms.add_noise,
    ):
        assert change(frames, 0.0, generator) is frames
    assert generator.random() == untouched.random()


def test_saturation_changes_colours_and_keeps_their_brightness() -> None:
    frames = np.random.default_rng(0).integers(60, 190, (2, 8, 8, 3), dtype=np.uint8)
    luma = np.array([0.299, 0.587, 0.114])
    spreads = set()
    for seed in range(5):
        changed = transforms.jitter_saturation(frames, 0.5, np.random.default_rng(seed))
        assert changed.dtype == np.uint8 and changed.shape == frames.shape
        np.testing.assert_allclose(changed @ luma, frames @ luma, atol=1.0)
        spreads.add(round(float(np.ptp(changed.astype(float), axis=-1).mean()), 1))
    assert len(spreads) > 3 and min(spreads) < np.ptp(frames.astype(float), axis=-1).mean()
    grey = np.full((1, 4, 4, 3), 100, np.uint8)
    np.testing.assert_array_equal(
        transforms.jitter_saturation(grey, 0.5, np.random.default_rng(0)), grey
    )


def test_noise_has_the_deviation_asked_for_and_differs_by_frame() -> None:
    frames = np.full((2, 64, 64, 3), 128, np.uint8)
    noise = transforms.add_noise(frames, 8.0, np.random.default_rng(0)).astype(float) - 128
    assert noise.std() == pytest.approx(8, rel=0.05) and abs(noise.mean()) < 0.2
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.05


def test_noise_and_colours_leave_flow_alone(world) -> None:
    clips, flow_dir = world
    spec = replace(FLOW, bound=8.0)
    strong = replace(PLAIN, saturation=0.9, noise=50.0, jitter=0.9)

    def snippet(how: Augmentation) -> torch.Tensor:
        return data.load_snippet(clips[0], spec, how, np.random.default_rng(3), flow_dir)

    torch.testing.assert_close(snippet(strong), snippet(PLAIN), rtol=0, atol=0)
