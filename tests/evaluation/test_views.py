from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from dancestyle.clips import Clip
from dancestyle.evaluation import general, views


def clips_of(count: int) -> list[Clip]:
    return [
        Clip(f"c{n:03d}", f"v{n}", "folder", "a", 0, f"c{n}.mp4", 50, 25.0, 8, 8)
        for n in range(count)
    ]


def load(clip: Clip) -> Tensor:
    """Three views (V, C, T, H, W) that differ by clip and by view."""
    generator = torch.Generator().manual_seed(int(clip.clip_id[1:]))
    return torch.randn(3, 2, 4, 5, 5, generator=generator)


class Net:
    """Logits of three classes from the mean of each view, and the batch sizes it saw."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, x: Tensor) -> Tensor:
        self.batches.append(len(x))
        assert not torch.is_grad_enabled()
        mean = x.mean(dim=(1, 2, 3, 4))
        return torch.stack([mean * 9, -mean * 9, mean * 0], dim=1)


def quiet(items: list[Clip], **_: object) -> Iterator[Clip]:
    yield from items


@pytest.mark.parametrize("batch_size", [1, 2, 3, 8, 100])
@pytest.mark.parametrize("average", ["probabilities", "logits"])
def test_views_are_averaged_whatever_the_batch(batch_size: int, average: views.Average) -> None:
    net, some = Net(), clips_of(11)
    found = views.predict(net, some, load, batch_size, average, quiet)
    assert found.shape == (11, 3)
    assert np.allclose(found.sum(axis=1), 1)
    assert max(net.batches) <= batch_size
    assert sum(net.batches) == 33
    with torch.no_grad():
        logits = torch.stack([Net()(load(clip)) for clip in some]).double()
    expected = (
        logits.softmax(dim=2).mean(dim=1)
        if average == "probabilities"
        else logits.mean(1).softmax(1)
    )
    assert np.allclose(found, expected.numpy(), atol=1e-6)


def test_clips_of_any_length_are_seen_whole() -> None:
    """Views of several lengths cannot share a batch, and give what each gives alone."""

    def whole(clip: Clip) -> Tensor:
        number = int(clip.clip_id[1:])
        return torch.randn(
            1, 2, 4 + number // 3, 5, 5, generator=torch.Generator().manual_seed(number)
        )

    net, some = Net(), clips_of(7)
    found = views.predict(net, some, whole, 8, "probabilities", quiet)
    assert net.batches == [3, 3, 1]
    alone = [views.predict(Net(), [clip], whole, 8, "probabilities", quiet)[0] for clip in some]
    assert np.allclose(found, alone)


def test_an_error_in_loading_is_raised_and_no_clips_are_refused() -> None:
    def broken(clip: Clip) -> Tensor:
        raise OSError(clip.path)

    with pytest.raises(OSError, match=r"c0\.mp4"):
        views.predict(Net(), clips_of(2), broken, 4, "logits", quiet)
    with pytest.raises(ValueError, match="split is empty"):
        views.predict(Net(), [], load, 4, "logits", quiet)


def test_a_general_head_is_read_by_name() -> None:
    head = ["juggling", "Salsa_dancing", "zumba", '"tango dancing"']
    labels = ["cumbia", "salsa dancing", "tango dancing", "zumba"]
    assert general.known_labels(head, labels) == {1: 1, 2: 3, 3: 2}
    found = general.read_head(np.array([[0.5, 0.1, 0.1, 0.3], [1.0, 0.0, 0.0, 0.0]]), head, labels)
    assert np.allclose(found, [[0, 0.2, 0.6, 0.2], [0, 1 / 3, 1 / 3, 1 / 3]])
    with pytest.raises(ValueError, match="nearest_class_mean"):
        general.read_head(np.ones((1, 1)), ["juggling"], labels)


def test_the_nearest_class_mean_wins_and_unseen_labels_get_nothing() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 6)) * 4
    truth = np.repeat([0, 1, 3], 10)
    train = np.repeat(centres, 10, axis=0) + rng.normal(size=(30, 6))
    test = centres + rng.normal(size=(3, 6)) * 0.1
    found = general.nearest_class_mean(train, truth, test, 4)
    assert found.argmax(axis=1).tolist() == [0, 1, 3]
    assert (found[:, 2] == 0).all()
    assert np.allclose(found.sum(axis=1), 1)
