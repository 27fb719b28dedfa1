"""Weights of others, in their own key formats, give our nets the outputs that they stand for."""

from __future__ import annotations

import copy
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import foreign_files
import pytest
import torch
import torchvision
from made_up_nets import video
from torch import Tensor, nn

from dancestyle import nets
from dancestyle.nets import checkpoints
from dancestyle.nets.base import VideoNet
from dancestyle.nets.checkpoints import WeightsError
from dancestyle.nets.foreign_keys import recognise
from dancestyle.nets.inflate import inflate
from dancestyle.nets.published import PUBLISHED

CLASSES = 6


def logits(net: nn.Module, x: Tensor) -> Tensor:
    with torch.inference_mode():
        return net.eval()(x)


def made(name: str, options: dict[str, Any], channels: int = 3, seed: int = 0) -> VideoNet:
    """A net with random weights and statistics, without the time that its initialisation takes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        net = nets.create(name, CLASSES, in_channels=channels, **options)
    net.to_empty(device="cpu")
    # Dot products of untrained embeddings grow with the third power of their input.
    attention = 1e-6 if options.get("non_local", "dot_product") == "dot_product" else 1e-3
    for key, tensor in net.state_dict().items():
        if key.endswith("num_batches_tracked"):
            tensor.fill_(seed)
        elif tensor.ndim > 1:  # as large as He initialisation makes them
            bound = (6 * tensor.shape[0] / tensor.numel()) ** 0.5
            tensor.uniform_(-bound, bound, generator=generator)
        elif "non_local.bn" in key and not key.endswith("running_var"):
            tensor.uniform_(0, attention, generator=generator)
        else:
            tensor.uniform_(0.5, 1.5, generator=generator)
    return net


def as_mmaction2(net: VideoNet) -> dict[str, Tensor]:
    return {"meta": {"epoch": 100}, "state_dict": OrderedDict(foreign_files.mmaction2(net))}


def as_pytorchvideo(pool: bool) -> Callable[[VideoNet], dict[str, Any]]:
    return lambda net: {"model_state": foreign_files.pytorchvideo(net, pool)}


CASES = [
    ("piergiaj", "i3d_inception", {}, 3, foreign_files.piergiaj),
    ("piergiaj", "i3d_inception", {}, 2, foreign_files.piergiaj),
    ("mmaction2", "i3d_r50", {}, 3, as_mmaction2),
    ("mmaction2", "i3d_r50_nl", {"non_local": "dot_product"}, 3, as_mmaction2),
    ("mmaction2", "i3d_r50_nl", {"non_local": "embedded_gaussian"}, 3, as_mmaction2),
    ("mmaction2", "i3d_r50_nl", {"non_local": "gaussian"}, 3, as_mmaction2),
    ("mmaction2", "i3d_r50_nl", {"non_local": "concatenation"}, 3, as_mmaction2),
    ("mmaction2", "slow_r50", {}, 3, as_mmaction2),
    ("mmaction2", "slowfast_r50", {"lateral_norm": False, "alpha": 8}, 3, as_mmaction2),
    ("mmaction2", "c3d", {}, 3, as_mmaction2),
    ("pytorchvideo", "i3d_r50", {"time_strides": (1, 1, 2)}, 3, as_pytorchvideo(True)),
    ("pytorchvideo", "c2d_r50", {}, 3, as_pytorchvideo(True)),
    ("pytorchvideo", "slow_r50", {}, 3, as_pytorchvideo(False)),
    ("pytorchvideo", "slowfast_r50", {}, 3, as_pytorchvideo(False)),
]


@pytest.mark.parametrize(
    "source, name, options, channels, written", CASES, ids=[f"{c[0]}-{c[1]}-{c[2]}" for c in CASES]
)
def test_files_of_others_give_the_same_logits(
    tmp_path: Path,
    source: str,
    name: str,
    options: dict[str, Any],
    channels: int,
    written: Callable[[VideoNet], dict[str, Any]],
) -> None:
    theirs, ours = made(name, options, channels), made(name, options, channels, seed=1)
    content = written(theirs)
    weights = content.get("state_dict", content.get("model_state", content))
    count = foreign_files.KEY_COUNTS[source, options.get("non_local", name)]
    assert len(weights) == count
    torch.save(content, tmp_path / "theirs.pth")
    x = video(1, channels, 8, 32, 32)
    expected = logits(theirs, x)
    assert torch.isfinite(expected).all()
    assert not torch.allclose(logits(ours, x), expected)
    report = checkpoints.load(ours, tmp_path / "theirs.pth")
    assert report.source == source and not report.dropped_head
    assert not report.missing and not report.unexpected and not report.misshapen
    assert set(report.loaded) == set(ours.state_dict())
    assert str(report) == f"{count} tensors loaded from a file of {source}"
    assert torch.equal(logits(ours, x), expected)


def test_known_keys_of_the_published_files() -> None:
    """A sample of literal keys, so that the renaming of these tests cannot err unnoticed."""
    known = {
        "piergiaj": (
            foreign_files.piergiaj(made("i3d_inception", {})),
            "Conv3d_1a_7x7.conv3d.weight Mixed_3b.b0.bn.running_var Mixed_5c.b3b.conv3d.weight "
            "logits.conv3d.bias",
        ),
        "mmaction2": (
            foreign_files.mmaction2(made("i3d_r50_nl", {})),
            "backbone.conv1.conv.weight backbone.conv1.bn.num_batches_tracked "
            "backbone.layer1.0.conv3.bn.bias backbone.layer1.0.downsample.conv.weight "
            "backbone.layer1.0.downsample.bn.running_mean "
            "backbone.layer2.1.non_local_block.g.0.conv.bias "
            "backbone.layer2.1.non_local_block.theta.conv.weight "
            "backbone.layer3.5.non_local_block.phi.0.conv.weight "
            "backbone.layer3.5.non_local_block.conv_out.bn.weight cls_head.fc_cls.weight",
        ),
        "pytorchvideo": (
            foreign_files.pytorchvideo(made("i3d_r50", {}), pool=True),
            "blocks.0.conv.weight blocks.0.norm.running_var "
            "blocks.1.res_blocks.0.branch1_conv.weight blocks.3.res_blocks.3.branch2.norm_c.bias "
            "blocks.5.res_blocks.2.branch2.conv_a.weight blocks.6.proj.bias",
        ),
    }
    for source, (weights, keys) in known.items():
        assert recognise(weights) == source
        for key in keys.split():
            assert key in weights, key
    slowfast = foreign_files.pytorchvideo(made("slowfast_r50", {}), pool=False)
    assert "blocks.4.multipathway_blocks.1.res_blocks.2.branch2.norm_c.bias" in slowfast
    assert "blocks.3.multipathway_fusion.conv_fast_to_slow.weight" in slowfast


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["r3d_18", "mc3_18", "r2plus1d_18", "s3d", "mvit_v2_s", "swin3d_t"]
)
def test_torchvisions_video_nets_give_the_same_logits(name: str, tmp_path: Path) -> None:
    theirs = getattr(torchvision.models.video, name)(num_classes=CLASSES).eval()
    ours = nets.create(name, CLASSES).eval()
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    report = checkpoints.load(ours, tmp_path / "theirs.pth")
    assert report.source == "torchvision" and not report.missing and not report.unexpected
    x = video(1, 3, 16, 224, 224)  # MViT takes no other size
    torch.testing.assert_close(logits(ours, x), logits(theirs, x), rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def donor() -> VideoNet:
    return made("i3d_r50", {})


@pytest.fixture(scope="module")
def ours() -> VideoNet:
    """Filled by some tests, which no other of them minds."""
    return made("i3d_r50", {}, seed=1)


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def test_a_head_of_another_size_is_dropped_and_said(tmp_path: Path, donor: VideoNet) -> None:
    net = made("i3d_r50", {}, seed=1)
    net.reset_head(4)
    head = net.head.weight.clone()
    report = checkpoints.load(net, saved(tmp_path / "a.pth", as_mmaction2(donor)))
    assert report.dropped_head
    assert report.missing == ("head.weight", "head.bias")
    assert "head.weight (6, 2048) for (4, 2048)" in report.misshapen
    assert "its head dropped (head.weight (6, 2048) for (4, 2048)" in str(report)
    assert torch.equal(net.head.weight, head)
    assert torch.equal(net.state_dict()["conv1.weight"], donor.state_dict()["conv1.weight"])


def assert_refused(
    net: VideoNet, path: Path, sentence: str, source: str = "auto", **more: Any
) -> None:
    """With this sentence, and the net as before."""
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(WeightsError, match=sentence) as caught:
        checkpoints.load(net, path, source, **more)
    assert path.name in str(caught.value)
    assert all(torch.equal(tensor, before[key]) for key, tensor in net.state_dict().items())


def test_a_missing_weight_is_an_error(tmp_path: Path, donor: VideoNet, ours: VideoNet) -> None:
    content = as_mmaction2(donor)
    del content["state_dict"]["backbone.layer4.2.conv3.bn.running_var"]
    path = saved(tmp_path / "a.pth", content)
    assert_refused(ours, path, r"nothing for layer4.2.bn3.running_var\. Create the net")


def test_a_missing_head_is_an_error(tmp_path: Path, donor: VideoNet, ours: VideoNet) -> None:
    content = as_mmaction2(donor)
    del content["state_dict"]["cls_head.fc_cls.bias"]
    assert_refused(ours, saved(tmp_path / "a.pth", content), "nothing for head.bias")


def test_a_body_of_another_shape_is_an_error(tmp_path: Path, donor: VideoNet) -> None:
    flow = made("i3d_r50", {}, 2)
    path = saved(tmp_path / "a.pth", as_mmaction2(donor))
    assert_refused(flow, path, r"another shape: conv1.weight \(64, 3, 5, 7, 7\) for \(64, 2, 5")


def test_non_local_weights_need_a_non_local_net(tmp_path: Path, ours: VideoNet) -> None:
    path = saved(tmp_path / "a.pth", as_mmaction2(made("i3d_r50_nl", {})))
    assert_refused(ours, path, r"no place for layer2.1.non_local.g.weight.* and \d+ more")


def test_unknown_keys_are_reported_and_left(
    tmp_path: Path, donor: VideoNet, ours: VideoNet
) -> None:
    content = as_mmaction2(donor)
    content["state_dict"]["data_preprocessor.mean"] = torch.zeros(3)
    report = checkpoints.load(ours, saved(tmp_path / "a.pth", content))
    assert report.unexpected == ("data_preprocessor.mean",)
    assert "unknown and left aside: data_preprocessor.mean" in str(report)


def test_old_files_without_batch_counts_load(
    tmp_path: Path, donor: VideoNet, ours: VideoNet
) -> None:
    weights = foreign_files.mmaction2(donor)
    old = {key: tensor for key, tensor in weights.items() if "num_batches" not in key}
    report = checkpoints.load(ours, saved(tmp_path / "a.pth", {"state_dict": old}))
    assert report.missing == () and len(report.loaded) == len(old)


def test_the_container_of_old_pytorch_and_the_prefix_of_many_processes(
    tmp_path: Path, donor: VideoNet, ours: VideoNet
) -> None:
    weights = {f"module.{k}": v for k, v in foreign_files.mmaction2(donor).items()}
    torch.save(weights, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    assert not zipfile.is_zipfile(tmp_path / "a.pt")
    assert checkpoints.load(ours, tmp_path / "a.pt").source == "mmaction2"
    assert torch.equal(ours.head.weight, donor.head.weight)


def test_equal_shapes_with_other_strides_in_time_are_told_apart(
    tmp_path: Path, donor: VideoNet
) -> None:
    """The weights alone would fit, and the net would quietly be another one."""
    path = saved(tmp_path / "a.pth", as_pytorchvideo(True)(donor))
    net = made("i3d_r50", {}, seed=1)
    assert_refused(net, path, r"create it with time_strides=\(1, 1, 2\)")
    path = saved(tmp_path / "b.pth", as_mmaction2(donor))
    net = made("i3d_r50", {"time_strides": (1, 1, 2)}, seed=1)
    assert_refused(net, path, r"create it with time_strides=\(2, 2, 2\)")


def test_our_own_files(tmp_path: Path, donor: VideoNet, ours: VideoNet) -> None:
    content = {"format": "dancestyle-1", "net": "i3d_r50", "state_dict": donor.state_dict()}
    report = checkpoints.load(ours, saved(tmp_path / "a.ckpt", content))
    assert report.source == "dancestyle" and not report.missing
    assert torch.equal(ours.layer4[2].conv3.weight, donor.layer4[2].conv3.weight)
    other = made("c3d", {})
    assert_refused(other, tmp_path / "a.ckpt", "nothing for conv1a.weight")


def test_our_own_files_of_a_net_with_more_or_other_options(tmp_path: Path) -> None:
    """Blocks would be dropped, or positions compared by another function, without a word."""
    more = made("i3d_r50_nl", {})
    content = {"net": "i3d_r50_nl", "options": {}, "state_dict": more.state_dict()}
    path = saved(tmp_path / "a.ckpt", content)
    assert_refused(made("i3d_r50", {}, seed=1), path, r"no place for layer2.1.non_local")
    other = made("i3d_r50_nl", {"non_local": "embedded_gaussian"}, seed=1)
    assert_refused(other, path, r"create it with non_local='dot_product'")
    strided = made("i3d_r50_nl", {"time_strides": (1, 1, 2)}, seed=1)
    assert_refused(strided, path, r"create it with time_strides=\(2, 2, 2\)")
    same = made("i3d_r50_nl", {"time_strides": [2, 2, 2], "non_local": "dot_product"}, seed=1)
    assert not checkpoints.load(same, path).missing


@pytest.mark.parametrize("mode", ["dot_product", "embedded_gaussian"])
def test_published_files_are_known_by_name_where_shapes_say_nothing(
    tmp_path: Path, mode: str
) -> None:
    donor = made("i3d_r50_nl", {"non_local": mode})
    name = PUBLISHED[f"mmaction2/i3d_r50_nl_{mode}"].file_name
    path = saved(tmp_path / name, as_mmaction2(donor))
    assert not checkpoints.load(made("i3d_r50_nl", {"non_local": mode}, seed=1), path).missing
    other = {"dot_product": "embedded_gaussian", "embedded_gaussian": "dot_product"}[mode]
    net = made("i3d_r50_nl", {"non_local": other}, seed=1)
    assert_refused(net, path, f"create it with non_local='{mode}'")


@pytest.mark.parametrize("mode", ["spread", "centre"])
def test_2d_nets_are_inflated(tmp_path: Path, mode: str) -> None:
    flat = torchvision.models.googlenet(weights=None, aux_logits=True, init_weights=False)
    path = saved(tmp_path / "googlenet.pth", flat.state_dict())
    ours, expected = made("i3d_inception", {}, 2), made("i3d_inception", {}, 2)
    report = checkpoints.load(ours, path, inflation=mode)
    inflate(expected, flat.state_dict(), mode)
    assert report.source == "torchvision_2d" and report.dropped_head
    assert report.missing == ("head.weight", "head.bias")
    assert report.unexpected and all(key.startswith("aux") for key in report.unexpected)
    x = video(1, 2, 8, 32, 32)
    assert torch.equal(logits(ours, x), logits(expected, x))


def test_a_2d_net_of_another_kind_is_refused(tmp_path: Path) -> None:
    flat = torchvision.models.googlenet(weights=None, aux_logits=False, init_weights=False)
    path = saved(tmp_path / "googlenet.pth", flat.state_dict())
    assert_refused(made("i3d_r50", {}), path, "do not fit a ResNetI3D")
    assert_refused(made("c3d", {}), path, "a C3D cannot be inflated")


def test_a_deeper_2d_net_is_refused(tmp_path: Path) -> None:
    """Its first blocks would fit."""
    weights = torchvision.models.resnet50(weights=None).state_dict()
    weights["layer3.6.conv1.weight"] = weights["layer3.5.conv1.weight"]
    path = saved(tmp_path / "resnet101.pth", weights)
    assert_refused(made("i3d_r50", {}), path, r"left over \['layer3.6.conv1.weight'\]")


class Evil:
    """Runs code when unpickled by a reader that lets it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("writer", ["torch", "torch_legacy", "pickle"])
def test_a_file_that_would_run_code_is_refused(tmp_path: Path, ours: VideoNet, writer: str) -> None:
    mark, path = tmp_path / "was_here", tmp_path / "evil.pth"
    content = {"state_dict": {"conv1.weight": torch.zeros(1)}, "meta": Evil(mark)}
    if writer == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=writer == "torch")
    assert_refused(ours, path, "refused, since .* would run code")
    assert not mark.exists()


@pytest.mark.parametrize(
    "content, sentence",
    [
        (b"", "damaged"),
        (b"<html>404</html>", "damaged"),
        (b"PK\x03\x04 and no more", "damaged"),
    ],
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=sentence):
        checkpoints.read(path)


@pytest.mark.parametrize(
    "content, sentence",
    [
        ([1, 2], "holds a list"),
        ({"epoch": 3}, "has no tensors"),
        ({"encoder.weight": torch.zeros(1)}, r"keys of an unknown kind \(encoder.weight\)"),
    ],
)
def test_other_contents_are_refused(
    tmp_path: Path, ours: VideoNet, content: Any, sentence: str
) -> None:
    assert_refused(ours, saved(tmp_path / "a.pth", content), sentence)


def test_a_missing_file_and_an_unknown_source(tmp_path: Path, ours: VideoNet) -> None:
    assert_refused(ours, tmp_path / "nowhere.pth", "nowhere.pth: not found")
    with pytest.raises(WeightsError, match="no source 'keras'; there are: auto, dancestyle"):
        checkpoints.load(ours, tmp_path / "nowhere.pth", source="keras")
