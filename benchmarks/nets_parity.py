"""Do our nets give their peers' outputs, from weights in the peers' own key format?

    python -m benchmarks.nets_parity [PEERS] [--deps FOLDER] [--write]

PEERS is a folder with checkouts of ``pytorch-i3d``, ``mmaction2`` (with ``mmcv`` and ``mmengine``
beside it) and ``pytorchvideo``; a peer that is not there is said so and skipped. FOLDER is put on
the import path too, for what the peers import themselves (addict, yapf, termcolor, rich,
platformdirs; fvcore, iopath, portalocker, yacs, tabulate, parameterized). Nothing of them is
compiled, and no weights are downloaded: they are random, with the BatchNorm statistics that these
weights have on the input, saved by the peer, read by ours, and the outputs are compared in fp32.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import record
from dancestyle import nets
from dancestyle.nets import checkpoints

CLASSES = 400
I3D_INFLATE = ((1, 1, 1), (1, 0, 1, 0), (1, 0, 1, 0, 1, 0), (0, 1, 0))
NON_LOCAL = ((0, 0, 0), (0, 1, 0, 1), (0, 1, 0, 1, 0, 1), (0, 0, 0))


@dataclass(frozen=True)
class Case:
    """One net of a peer: how it is made, how it is run, and which of ours it should equal."""

    peer: str
    what: str
    make: Callable[[], nn.Module]
    run: Callable[[nn.Module, Tensor], Tensor]
    shape: tuple[int, ...]
    net: str
    wrap: Callable[[dict[str, Tensor]], Any] = dict
    options: dict[str, Any] = field(default_factory=dict)
    classes: int = CLASSES


def piergiaj() -> Iterator[Case]:
    """piergiaj/pytorch-i3d."""
    from pytorch_i3d import InceptionI3d

    def run(net: nn.Module, x: Tensor) -> Tensor:
        return net(x).mean(dim=2)

    for channels, frames in ((3, 16), (2, 33)):
        yield Case(
            "pytorch-i3d",
            f"{channels} channels",
            lambda channels=channels: InceptionI3d(CLASSES, in_channels=channels),
            run,
            (1, channels, frames, 224, 224),
            "i3d_inception",
        )


class Recognizer(nn.Module):
    """MMAction2's parts under the names that its published files have."""

    def __init__(self, backbone: nn.Module, features: int, classes: int, pool: bool = True) -> None:
        super().__init__()
        self.backbone = backbone
        self.cls_head = nn.Module()
        self.cls_head.fc_cls = nn.Linear(features, classes)
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        """Logits: pooled maps (of both pathways, where there are two) into the classifier."""
        maps = self.backbone(x)
        maps = maps if isinstance(maps, tuple) else (maps,)
        if self.pool:
            maps = tuple(m.mean(dim=(2, 3, 4)) for m in maps)
        return self.cls_head.fc_cls(torch.cat(maps, dim=1))


def mmaction2(folder: Path) -> Iterator[Case]:
    """MMAction2's backbones, without the rest of the package, which wants a video decoder."""
    for name in ("mmaction", "mmaction.models", "mmaction.models.backbones"):
        package = types.ModuleType(name)
        package.__path__ = [str(folder / name.replace(".", "/"))]
        sys.modules[name] = package
    from mmaction.models.backbones.c3d import C3D
    from mmaction.models.backbones.resnet3d import ResNet3d
    from mmaction.models.backbones.resnet3d_slowfast import ResNet3dSlowFast
    from mmaction.models.backbones.resnet3d_slowonly import ResNet3dSlowOnly

    def published(weights: dict[str, Tensor]) -> Any:
        return {"meta": {"epoch": 100}, "state_dict": weights}

    def case(what: str, make: Callable[[], nn.Module], shape: Any, net: str, **more: Any) -> Case:
        return Case("mmaction2", what, make, lambda n, x: n(x), shape, net, published, **more)

    stem = {"conv1_stride_t": 2, "pool1_stride_t": 2, "pretrained": None}
    i3d = {"depth": 50, "conv1_kernel": (5, 7, 7), "inflate": I3D_INFLATE, **stem}
    yield case(
        "I3D R50",
        lambda: Recognizer(ResNet3d(**i3d, zero_init_residual=False), 2048, CLASSES),
        (1, 3, 32, 112, 112),
        "i3d_r50",
    )
    for mode in ("dot_product", "embedded_gaussian", "gaussian", "concatenation"):
        block = {"sub_sample": True, "use_scale": False, "mode": mode}
        block["norm_cfg"] = {"type": "BN3d", "requires_grad": True}
        yield case(
            f"I3D R50 {mode}",
            lambda block=block: Recognizer(
                ResNet3d(**i3d, non_local=NON_LOCAL, non_local_cfg=block), 2048, CLASSES
            ),
            (1, 3, 16, 64, 64) if mode == "concatenation" else (1, 3, 32, 112, 112),
            "i3d_r50_nl",
            options={"non_local": mode},
        )
    yield case(
        "SlowOnly R50",
        lambda: Recognizer(ResNet3dSlowOnly(depth=50, pretrained=None), 2048, CLASSES),
        (1, 3, 8, 112, 112),
        "slow_r50",
    )
    for alpha, length in ((8, 5), (4, 7)):
        slow = {"type": "resnet3d", "depth": 50, "pretrained": None, "lateral": True}
        slow |= {"conv1_kernel": (1, 7, 7), "inflate": (0, 0, 1, 1), "fusion_kernel": length}
        yield case(
            f"SlowFast R50 alpha {alpha}",
            lambda alpha=alpha, slow=slow: Recognizer(
                ResNet3dSlowFast(resample_rate=alpha, speed_ratio=alpha, slow_pathway=slow),
                2304,
                CLASSES,
            ),
            (1, 3, 32, 112, 112),
            "slowfast_r50",
            options={"alpha": alpha, "lateral_length": length, "lateral_norm": False},
        )
    yield case(
        "C3D",
        lambda: Recognizer(C3D(), 4096, 101, pool=False),
        (1, 3, 16, 112, 112),
        "c3d",
        classes=101,
    )


def pytorchvideo() -> Iterator[Case]:
    """PyTorchVideo's hub models."""
    from pytorchvideo.models.hub import c2d_r50, i3d_r50, slow_r50, slowfast_r50

    def published(weights: dict[str, Tensor]) -> Any:
        return {"model_state": weights}

    def two_paths(net: nn.Module, x: Tensor) -> Tensor:
        index = torch.linspace(0, x.shape[2] - 1, x.shape[2] // 4).long()
        return net([x[:, :, index], x])

    def one_path(net: nn.Module, x: Tensor) -> Tensor:
        return net(x)

    for make, net, options in (
        (i3d_r50, "i3d_r50", {"time_strides": (1, 1, 2)}),
        (c2d_r50, "c2d_r50", {}),
        (slow_r50, "slow_r50", {}),
        (slowfast_r50, "slowfast_r50", {"slow_frames": "spread"}),
    ):
        fast = make is slowfast_r50
        yield Case(
            "pytorchvideo",
            make.__name__,
            make,
            two_paths if fast else one_path,
            (1, 3, 32 if fast else 8, 224, 224),
            net,
            published,
            options,
        )


def randomise(net: nn.Module, run: Callable[[nn.Module, Tensor], Tensor], x: Tensor) -> None:
    """Random scales everywhere, and the BatchNorm statistics of ``x``."""
    norms = [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = 1.0
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.uniform_(norm.bias, -0.2, 0.2)
    net.eval()
    for norm in norms:
        norm.train()
    run(net, x)
    net.eval()


@torch.no_grad()
def compare(case: Case) -> tuple[float, float]:
    """Largest absolute difference of the logits, and the largest logit."""
    torch.manual_seed(0)
    theirs = case.make()
    x = torch.randn(case.shape)
    randomise(theirs, case.run, x)
    ours = nets.create(case.net, case.classes, in_channels=case.shape[1], **case.options).eval()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "theirs.pth"
        torch.save(case.wrap(theirs.state_dict()), path)
        report = checkpoints.load(ours, path)
    assert not report.missing and not report.unexpected, report
    expected = case.run(theirs, x)
    return float((ours(x) - expected).abs().max()), float(expected.abs().max())


def main() -> None:
    """Print a row for each net of each peer that is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "peers", type=Path, nargs="?", default=Path("peers"), help="their checkouts (./peers)"
    )
    parser.add_argument("--deps", type=Path, help="folder with the packages that they import")
    parser.add_argument("--only", default="", help="run only nets whose description has this")
    parser.add_argument("--write", action="store_true", help="keep the result in the repository")
    arguments = parser.parse_args()
    folder: Path = arguments.peers
    sources: dict[str, tuple[tuple[str, ...], Callable[[], Iterator[Case]]]] = {
        "pytorch-i3d": (("pytorch-i3d",), piergiaj),
        "mmaction2": (
            ("mmaction2", "mmcv", "mmengine"),
            lambda: mmaction2(folder / "mmaction2"),
        ),
        "pytorchvideo": (("pytorchvideo",), pytorchvideo),
    }
    if arguments.deps:
        sys.path.append(str(arguments.deps))
    rows, differences = [], []
    for peer, (checkouts, cases) in sources.items():
        absent = [name for name in checkouts if not (folder / name).is_dir()]
        if absent:
            rows.append([peer, f"not there ({', '.join(absent)})", "", "", "", ""])
            continue
        sys.path[:0] = [str(folder / name) for name in checkouts]
        try:
            for case in cases():
                if arguments.only not in f"{case.peer} {case.what}":
                    continue
                difference, size = compare(case)
                shape = "x".join(map(str, case.shape))
                parameters = sum(p.numel() for p in case.make().parameters()) / 1e6
                numbers = f"{parameters:.2f}", f"{difference:.1e}", f"{size:.2f}"
                rows.append([peer, case.what, shape, *numbers])
                print(*rows[-1], flush=True)
                differences.append(difference)
        except ImportError as error:
            rows.append([peer, f"cannot be imported: {error}", "", "", "", ""])
    header = ["peer", "net", "input", "parameters, M", "largest difference", "largest logit"]
    parts = [
        "Logits of ours and theirs in float32, the same random weights read from a file of theirs:",
        record.table(header, rows),
    ]
    if differences:
        parts.append(record.claim("largest difference of all", max(differences), most=1e-4))
    record.show("nets_parity", "The same outputs as the peers'", parts, ["torch"], arguments.write)


if __name__ == "__main__":
    main()
