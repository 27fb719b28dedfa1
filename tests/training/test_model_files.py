"""Our model files: what goes in comes out, and no other file gets in."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch

from dancestyle import nets
from dancestyle.training import checkpoints
from dancestyle.training.checkpoints import CheckpointError, ModelMeta, load_model, save_model
from dancestyle.training.data import InputSpec

SPEC = InputSpec("flow", frames=8, stride=2, size=32, bound=4.0)
META = ModelMeta("i3d_inception", ("tango dancing", "zumba"), SPEC, {"dropout": 0.1})


@pytest.fixture(scope="module")
def net() -> nets.VideoNet:
    torch.manual_seed(0)
    return nets.create("i3d_inception", 2, in_channels=2, dropout=0.1)


@pytest.fixture(scope="module")
def saved(net: nets.VideoNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "net.ckpt"
    save_model(path, net, META)
    return path


def test_round_trip(net: nets.VideoNet, saved: Path) -> None:
    model = load_model(saved)
    assert model.meta == META and model.meta.modality == "flow"
    assert not model.net.training and model.net.dropout.p == 0.1
    for key, tensor in net.state_dict().items():
        assert torch.equal(tensor, model.net.state_dict()[key]), key


def test_half_the_bits(net: nets.VideoNet, saved: Path, tmp_path: Path) -> None:
    """Kernels to 11 binary digits, vectors exactly; what 16 bits cannot hold stays as it is."""
    save_model(tmp_path / "half.ckpt", net, META, half=True)
    assert (tmp_path / "half.ckpt").stat().st_size < 0.52 * saved.stat().st_size
    found = load_model(tmp_path / "half.ckpt").net.state_dict()
    for key, value in net.state_dict().items():
        assert found[key].dtype == value.dtype
        if value.ndim < 2:
            assert torch.equal(found[key], value), key
        torch.testing.assert_close(found[key], value, rtol=2**-11, atol=2**-25)
    large = {"weight": torch.tensor([[1e5, 1.0]])}
    checkpoints.save_weights(tmp_path / "large.ckpt", large, half=True)
    assert torch.equal(
        checkpoints.read_weights(tmp_path / "large.ckpt")["state_dict"]["weight"], large["weight"]
    )


def test_the_same_net_gives_the_same_bytes(net: nets.VideoNet, saved: Path, tmp_path: Path) -> None:
    save_model(tmp_path / "another name.ckpt", net, META)
    assert (tmp_path / "another name.ckpt").read_bytes() == saved.read_bytes()


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("was here",)


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_pickle_that_runs_code_is_refused(
    wrapped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.ckpt"
    if wrapped:
        torch.save({"format": checkpoints.FORMAT, "state_dict": Evil()}, path)
    else:
        path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CheckpointError, match=r"evil\.ckpt"):
        load_model(path)
    assert not Path("was here").exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_damaged_file(saved: Path, tmp_path: Path, share: float) -> None:
    path = tmp_path / "cut.ckpt"
    content = saved.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError, match=r"cut\.ckpt: .*(not a checkpoint|refused)"):
        load_model(path)


def test_a_file_that_is_not_ours(tmp_path: Path, net: nets.VideoNet) -> None:
    path = tmp_path / "theirs.pth"
    torch.save(net.state_dict(), path)
    with pytest.raises(CheckpointError, match="not a model file of this project"):
        load_model(path)


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="dvc repro"):
        load_model(tmp_path / "none.ckpt")


@pytest.mark.parametrize(
    "change",
    [
        {"net": "no such net"},
        {"labels": ["one", "two", "three"]},
        {"input": {"modality": "rgb"}},
        {"options": {"colour": "blue"}},
    ],
)
def test_a_description_that_does_not_fit_the_weights(
    saved: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    content = checkpoints.read_weights(saved) | change
    torch.save(content, tmp_path / "odd.ckpt")
    with pytest.raises(CheckpointError, match="does not describe one of our nets"):
        load_model(tmp_path / "odd.ckpt")
