"""Snippets of clips as tensors: random ones to train on, fixed views to test on."""

from __future__ import annotations

import functools
import multiprocessing
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate, get_worker_info

from dancestyle import pool
from dancestyle.clips import Clip
from dancestyle.flow.store import FlowReader, decode, path_of
from dancestyle.progress import progress
from dancestyle.seeds import derive, rng
from dancestyle.training import parallel
from dancestyle.video import snippets, transforms
from dancestyle.video.errors import VideoError
from dancestyle.video.reader import ClipReader

FLOW_DIR = Path("data/flow")
MODALITIES = ("rgb", "flow")
CHANNELS = {"rgb": 3, "flow": 2}
IN_MEMORY = 3 << 29
"""Most bytes of decoded clips that the loaders of one dataset keep, 1.5 GiB."""


@dataclass(frozen=True)
class InputSpec:
    """What a net is fed with, kept inside its checkpoint.

    ``mean`` and ``std`` are grey levels of RGB input; ``bound`` is the flow, in pixels a frame, that
    becomes 1; ``crop`` is the side of a test view as a share of the clip's shorter side (study: 224
    of 256).
    """

    modality: str
    frames: int
    stride: int
    size: int
    mean: tuple[float, ...] = (127.5, 127.5, 127.5)
    std: tuple[float, ...] = (127.5, 127.5, 127.5)
    bound: float = 20.0
    crop: float = 0.875

    @property
    def channels(self) -> int:
        """3 for RGB, 2 for flow."""
        return CHANNELS[self.modality]


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a training snippet, one draw a snippet.

    ``smallest_crop`` is the smallest crop's side as a share of the shorter side; ``mirror`` the
    probability of exchanging left and right; ``jitter`` the strength of brightness and contrast,
    ``saturation`` that of the colours; ``noise`` the standard deviation of the noise in grey levels.
    The last three change pictures, not flow. What is 0 draws no random number.
    """

    smallest_crop: float = 0.8
    mirror: float = 0.5
    jitter: float = 0.2
    saturation: float = 0.0
    noise: float = 0.0


def flow_path(clip_id: str, flow_dir: Path | str = FLOW_DIR) -> Path:
    """Where the flow of a clip is stored."""
    return path_of(clip_id, flow_dir)


Choose = Callable[[int, int], transforms.Box]
"""Of a picture's height and width, the square that is wanted."""


def stored_file(clip: Clip, modality: str, flow_dir: Path | str = FLOW_DIR) -> Path:
    """The file that a clip, or its flow, is read from."""
    return Path(clip.path) if modality == "rgb" else flow_path(clip.clip_id, flow_dir)


def stored_size(clip: Clip, modality: str, flow_dir: Path | str = FLOW_DIR) -> int:
    """Its bytes, 0 where there is none."""
    path = stored_file(clip, modality, flow_dir)
    return path.stat().st_size if path.exists() else 0


class Memory:
    """Clips that stay decoded, where all of a dataset's fit into :data:`IN_MEMORY` bytes.

    With small clips decoding takes longer than all else that a loader does, and on a CPU it takes
    time of a core that trains. Where they do not fit, none stays, and only the frames of a snippet are
    decoded.
    """

    def __init__(self, clips: Sequence[Clip], modality: str, flow_dir: Path | str) -> None:
        self.clips, self.modality, self.flow_dir = tuple(clips), modality, flow_dir
        pixels = sum(clip.frames * clip.width * clip.height for clip in clips)
        self.bytes = pixels * CHANNELS[modality]
        self.kept: dict[str, tuple[np.ndarray, float]] = {}

    def holds(self, clip: Clip) -> bool:
        """Whether a clip is or may be kept: every loader process may have a memory of its own."""
        loader = get_worker_info()
        memories = parallel.local_world() * (loader.num_workers if loader else 1)
        room = self.bytes * memories <= IN_MEMORY
        return room or clip.clip_id in self.kept

    def of(self, clip: Clip) -> tuple[np.ndarray, float]:
        """A clip's frames, or the codes of its fields and their bound; decoded once."""
        if clip.clip_id not in self.kept:
            self.kept[clip.clip_id] = _decode_all(clip, self.modality, self.flow_dir)
        return self.kept[clip.clip_id]

    def fill(self, name: str) -> None:
        """Decode all clips now, on all cores, if there is room for them.

        It takes less time than decoding beside the first epoch, and loader processes that are forked
        inherit it; others would get a copy each, so there is none for them. A clip that cannot be
        decoded is left to the loader, whose complaint names it.
        """
        copied = torch.cuda.is_available() and multiprocessing.get_start_method() != "fork"
        if copied or self.bytes * parallel.local_world() > IN_MEMORY:
            return
        todo = [clip for clip in self.clips if clip.clip_id not in self.kept]

        def one(clip: Clip) -> None:
            with suppress(VideoError):
                self.of(clip)

        if todo:
            with ThreadPoolExecutor(max(pool.cores() // parallel.local_world(), 1)) as threads:
                for _ in progress(threads.map(one, todo), len(todo), f"{name}: clips"):
                    pass


def shared_memory(clips: Sequence[Clip], modality: str, flow_dir: Path | str) -> Memory:
    """One memory for all of a process that read the same files: trials of a study, models in a test."""
    files = (stored_file(clip, modality, flow_dir) for clip in clips)
    stats = tuple((path.absolute(), path.stat() if path.exists() else None) for path in files)
    marks = tuple((path, stat and (stat.st_size, stat.st_mtime_ns)) for path, stat in stats)
    return _memory(tuple(clips), modality, flow_dir, marks)


@functools.lru_cache(maxsize=2)  # clips to train on and to validate on; pictures and flow
def _memory(
    clips: tuple[Clip, ...], modality: str, flow_dir: Path | str, marks: tuple[object, ...]
) -> Memory:
    return Memory(clips, modality, flow_dir)


def _read(
    clip: Clip,
    spec: InputSpec,
    indices: np.ndarray,
    flow_dir: Path | str,
    choose: Choose | None = None,
    memory: Memory | None = None,
    threads: int = 1,
) -> np.ndarray:
    """Frames ``(T, H, W, 3)``, or fields ``(T, H, W, 2)`` in pixels a frame; the chosen square only."""
    if memory is not None and memory.holds(clip):
        whole, bound = memory.of(clip)

        def cut(wanted: np.ndarray) -> np.ndarray:
            found = whole[_evenly(wanted)]
            if choose is None:
                return np.asarray(found)
            top, left, side = choose(whole.shape[1], whole.shape[2])
            return np.asarray(found[:, top : top + side, left : left + side])

        if spec.modality == "rgb":
            return cut(indices)
        return mean_fields(cut, bound, len(whole), indices, spec.stride, clip.frames)

    if spec.modality == "rgb":
        with ClipReader(clip.path) as reader:
            if choose is None:
                return reader.read(indices)
            top, left, side = choose(reader.height, reader.width)
            return reader.read(indices, box=(top, left, side, side))

    def read(wanted: np.ndarray) -> np.ndarray:
        codes = flow.read_codes(wanted)
        if choose is not None:
            top, left, side = choose(flow.height, flow.width)
            codes = codes[:, top : top + side, left : left + side]
        return codes

    with FlowReader(flow_path(clip.clip_id, flow_dir), threads) as flow:
        return mean_fields(read, flow.bound, flow.fields, indices, spec.stride, clip.frames)


def _evenly(indices: np.ndarray) -> np.ndarray | slice:
    """The same as a slice, which copies nothing, where there is one."""
    steps = np.diff(indices)
    if len(steps) and steps[0] > 0 and (steps == steps[0]).all():
        return slice(int(indices[0]), int(indices[-1]) + 1, int(steps[0]))
    return indices


def _decode_all(clip: Clip, modality: str, flow_dir: Path | str) -> tuple[np.ndarray, float]:
    """All frames of a clip, or the codes of all its fields and their bound."""
    if modality == "rgb":
        with ClipReader(clip.path) as reader:
            return reader.read(range(reader.frames)), 0.0
    with FlowReader(flow_path(clip.clip_id, flow_dir)) as flow:
        return flow.read_codes(range(flow.fields)), flow.bound


def mean_fields(
    read: Callable[[np.ndarray], np.ndarray],
    bound: float,
    fields: int,
    indices: np.ndarray,
    stride: int,
    length: int,
) -> np.ndarray:
    """The flow at ``indices`` ``(T,)`` of a clip of ``length`` frames: ``(T, H, W, 2)``, pixels.

    A field is the mean of those from one sampled frame to the next: taking every ``stride``-th alone
    would alias movements that are faster. The last frame has no field of its own.

    Args:
        read: codes uint8 ``(n, H, W, 2)`` of the fields at n indices, out of as many as ``fields``.
        bound: the pixels that the largest code stands for.
    """
    between = (indices[:, None] + np.arange(stride)) % length
    codes = read(np.minimum(between, fields - 1).ravel())
    if stride == 1:
        return decode(codes, bound)
    codes = codes.reshape(len(indices), stride, *codes.shape[1:])
    # Whole numbers are added up and made pixels once, not each field alone.
    total = codes[:, 0].astype(np.uint16 if stride < 256 else np.uint32)
    for step in range(1, stride):
        np.add(total, codes[:, step], out=total)
    return decode(total, bound, count=stride)


def _tensor(array: np.ndarray, spec: InputSpec, zoom: float = 1.0) -> Tensor:
    """Normalised for the net; ``zoom`` is by how much the picture grew, which its flow has yet to."""
    if spec.modality == "rgb":
        return transforms.rgb_tensor(array, spec.mean, spec.std)
    return transforms.flow_tensor(array, spec.bound / zoom)


def load_snippet(
    clip: Clip,
    spec: InputSpec,
    augmentation: Augmentation,
    generator: np.random.Generator,
    flow_dir: Path | str = FLOW_DIR,
    memory: Memory | None = None,
    threads: int = 1,
) -> Tensor:
    """A random, augmented snippet ``(C, T, S, S)``, normalised for the net.

    ``threads`` decode it where it comes from a file that several can decode.
    """
    start = snippets.random_start(clip.frames, spec.frames, spec.stride, generator)
    indices = snippets.snippet_indices(clip.frames, spec.frames, spec.stride, start)

    def choose(height: int, width: int) -> transforms.Box:
        return transforms.random_box(height, width, augmentation.smallest_crop, generator)

    array = _read(clip, spec, indices, flow_dir, choose, memory, threads)
    side = array.shape[1]
    mirrored = generator.random() < augmentation.mirror
    array = transforms.crop_resize(array, (0, 0, side), spec.size)
    if spec.modality == "rgb":
        array = transforms.jitter_colour(array, augmentation.jitter, generator)
        array = transforms.jitter_saturation(array, augmentation.saturation, generator)
        array = transforms.add_noise(array, augmentation.noise, generator)
        return _tensor(transforms.mirror_rgb(array) if mirrored else array, spec)
    return _tensor(transforms.mirror_flow(array) if mirrored else array, spec, spec.size / side)


def load_views(
    clip: Clip,
    spec: InputSpec,
    num_clips: int = 1,
    num_crops: int = 1,
    flow_dir: Path | str = FLOW_DIR,
    memory: Memory | None = None,
) -> Tensor:
    """The fixed views ``(num_clips * num_crops, C, T, S, S)`` of a clip, normalised for the net."""
    return make_views(
        lambda indices: _read(clip, spec, indices, flow_dir, memory=memory),
        clip.frames,
        spec,
        num_clips,
        num_crops,
    )


def of_all_frames(spec: InputSpec, length: int) -> InputSpec:
    """``spec`` for one snippet of every ``stride``-th frame of a clip, no fewer than before."""
    return replace(spec, frames=max(spec.frames, -(-length // spec.stride)))


def make_views(
    read: Callable[[np.ndarray], np.ndarray],
    length: int,
    spec: InputSpec,
    num_clips: int,
    num_crops: int,
) -> Tensor:
    """As :func:`load_views`, for ``length`` frames out of which ``read`` takes those at indices.

    ``read`` gives uint8 ``(T, H, W, 3)`` or, for flow, float32 ``(T, H, W, 2)`` in pixels. The views
    of one snippet stand together, its crops in order.
    """
    return torch.stack(list(_views(read, length, spec, num_clips, num_crops)))


def _views(
    read: Callable[[np.ndarray], np.ndarray],
    length: int,
    spec: InputSpec,
    num_clips: int = 1,
    num_crops: int = 1,
) -> Iterator[Tensor]:
    for start in snippets.view_starts(length, spec.frames, spec.stride, num_clips):
        indices = snippets.snippet_indices(length, spec.frames, spec.stride, start)
        array = read(indices)
        for crop in range(num_crops):
            box = transforms.view_box(array.shape[1], array.shape[2], spec.crop, crop, num_crops)
            cut = transforms.crop_resize(array, box, spec.size)
            yield _tensor(cut, spec, spec.size / box[2])


class _Items(Dataset[tuple[Tensor, int]], ABC):
    """Items that are read from files, or cut out of memory; a batch of them on several threads.

    Only where there are no loader processes, each of which has one thread. An item is made by NumPy,
    OpenCV and FFmpeg, which let other threads go on meanwhile, and not by PyTorch, each of whose
    callers gets a team of threads that it keeps.
    """

    @abstractmethod
    def item(self, key: Any, threads: int) -> tuple[Tensor, int]:
        """One of them, by that many threads."""

    def __getitem__(self, key: Any) -> tuple[Tensor, int]:
        return self.item(key, 1)

    def __getitems__(self, keys: Sequence[Any]) -> list[tuple[Tensor, int]]:
        threads = 1 if get_worker_info() else torch.get_num_threads()
        each = functools.partial(self.item, threads=max(threads // len(keys), 1))
        if min(threads, len(keys)) == 1:
            return [each(key) for key in keys]
        return list(_threads(threads).map(each, keys))


@functools.cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, "reader")


class TrainSnippets(_Items):
    """Item ``(epoch, index)``: the random snippet of a clip in that epoch, and its label's number.

    What is drawn depends on the seed, the epoch and the clip alone, so the number of workers and
    threads, a restart or the order of the clips change nothing.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        spec: InputSpec,
        augmentation: Augmentation,
        seed: int,
        flow_dir: Path | str = FLOW_DIR,
        memory: Memory | None = None,
    ) -> None:
        self.clips, self.spec, self.augmentation = list(clips), spec, augmentation
        self.seed, self.flow_dir = seed, flow_dir
        self.memory = memory or Memory(self.clips, spec.modality, flow_dir)

    def __len__(self) -> int:
        return len(self.clips)

    def item(self, key: tuple[int, int], threads: int) -> tuple[Tensor, int]:
        """The snippet ``(C, T, S, S)``."""
        epoch, index = key
        clip = self.clips[index]
        generator = rng(self.seed, "snippet", epoch, clip.clip_id)
        x = load_snippet(
            clip, self.spec, self.augmentation, generator, self.flow_dir, self.memory, threads
        )
        return x, clip.label_id


class MiddleViews(_Items):
    """Item ``index``: the middle view of a clip and its label's number."""

    def __init__(
        self,
        clips: Sequence[Clip],
        spec: InputSpec,
        flow_dir: Path | str = FLOW_DIR,
        memory: Memory | None = None,
    ) -> None:
        self.clips, self.spec, self.flow_dir = list(clips), spec, flow_dir
        self.memory = memory or Memory(self.clips, spec.modality, flow_dir)

    def __len__(self) -> int:
        return len(self.clips)

    def item(self, key: int, threads: int) -> tuple[Tensor, int]:
        """The view ``(C, T, S, S)``."""
        clip = self.clips[key]

        def read(indices: np.ndarray) -> np.ndarray:
            where, memory = self.flow_dir, self.memory
            return _read(clip, self.spec, indices, where, memory=memory, threads=threads)

        return next(_views(read, clip.frames, self.spec)), clip.label_id


class EpochSampler(Sampler[tuple[int, int]]):
    """A new seeded order each epoch, as ``(epoch, index)``; ``limit`` items of it at most.

    With ``weights``, items are drawn with replacement, each as often as its weight says. Of ``world``
    processes, each takes every ``world``-th item, all equally many, so that together they go through
    the batches of a single process; what does not go round evenly is left out of the epoch.
    """

    def __init__(
        self,
        length: int,
        seed: int,
        limit: int | None = None,
        weights: Sequence[float] | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.length, self.seed, self.epoch = length, seed, 0
        self.count = min(length, limit or length)
        self.rank, self.world = rank, world
        self.shares = None if weights is None else np.asarray(weights) / np.sum(weights)

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch, also after a restart."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count // self.world

    def __iter__(self) -> Iterator[tuple[int, int]]:
        generator = rng(self.seed, "order", self.epoch)
        if self.shares is None:
            order = generator.permutation(self.length)[: self.count]
        else:
            order = generator.choice(self.length, self.count, p=self.shares)
        own = order[self.rank : len(self) * self.world : self.world]
        return iter([(self.epoch, int(index)) for index in own])


def balanced_weights(labels: Sequence[int]) -> list[float]:
    """A weight an item that gives every class the same sum; 1 on average."""
    counts = np.bincount(labels)
    present = int((counts > 0).sum())
    return [len(labels) / (present * counts[label]) for label in labels]


def batch_of(items: Sequence[tuple[Tensor, Any]]) -> tuple[Tensor, Any]:
    """Snippets and labels as a batch; channels stay last in memory, as nets want them."""
    snippets, labels = zip(*items, strict=True)
    last = torch.stack([snippet.movedim(0, -1) for snippet in snippets])
    return last.movedim(-1, 1), default_collate(list(labels))


def train_loader(
    dataset: Dataset,
    seed: int,
    batch_size: int,
    workers: int,
    limit: int | None = None,
    weights: Sequence[float] | None = None,
) -> DataLoader:
    """Batches of a :class:`TrainSnippets` (or any dataset keyed by ``(epoch, index)``).

    ``batch_size`` is that of all processes together, and this one gets its share; ``weights`` are
    those of :class:`EpochSampler`.
    """
    length: int = len(dataset)  # type: ignore[arg-type]
    sampler = EpochSampler(length, seed, limit, weights, parallel.rank(), parallel.world())
    own = parallel.own_batch(batch_size)
    return DataLoader(
        dataset,
        batch_size=own,
        sampler=sampler,
        num_workers=workers,
        collate_fn=batch_of,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
        # A last batch of one clip has no BatchNorm statistics.
        drop_last=len(sampler) % own == 1,
        generator=torch.Generator().manual_seed(derive(seed, "loader")),
    )


def view_loader(dataset: Dataset, batch_size: int, workers: int) -> DataLoader:
    """Batches of a :class:`MiddleViews` in the order of its clips; of this process's share of them.

    Every item is in exactly one process's share, so none is scored twice.
    """
    length: int = len(dataset)  # type: ignore[arg-type]
    return DataLoader(
        dataset,
        batch_size=parallel.own_batch(batch_size),
        sampler=range(parallel.rank(), length, parallel.world()),
        num_workers=workers,
        collate_fn=batch_of,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
