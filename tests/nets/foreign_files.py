"""Files in the key formats of others, made out of our nets by renaming, for the tests.

Written from the key lists of the peers' own nets (not from the reader's patterns); the numbers of
keys are those of the peers' state dicts.
"""

from __future__ import annotations

import re

from torch import Tensor

from dancestyle.nets.base import VideoNet

KEY_COUNTS = {
    ("piergiaj", "i3d_inception"): 344,
    ("mmaction2", "i3d_r50"): 320,
    ("mmaction2", "dot_product"): 380,
    ("mmaction2", "embedded_gaussian"): 380,
    ("mmaction2", "gaussian"): 360,
    ("mmaction2", "concatenation"): 385,
    ("mmaction2", "slow_r50"): 320,
    ("mmaction2", "slowfast_r50"): 642,
    ("mmaction2", "c3d"): 22,
    ("pytorchvideo", "i3d_r50"): 320,
    ("pytorchvideo", "c2d_r50"): 320,
    ("pytorchvideo", "slow_r50"): 320,
    ("pytorchvideo", "slowfast_r50"): 662,
}


def piergiaj(net: VideoNet) -> dict[str, Tensor]:
    weights = {}
    for key, tensor in net.state_dict().items():
        if key == "head.weight":
            weights["logits.conv3d.weight"] = tensor[:, :, None, None, None]
        elif key == "head.bias":
            weights["logits.conv3d.bias"] = tensor
        else:
            weights[key] = tensor
    return weights


def _mmaction2_resnet(key: str) -> str:
    parts = key.split(".")
    if "non_local" in parts:
        at = parts.index("non_local")
        inner = {
            "g": "g.0.conv",
            "phi": "phi.0.conv",
            "theta": "theta.conv",
            "out": "conv_out.conv",
            "bn": "conv_out.bn",
            "concat": "concat_project.conv",
        }[parts[at + 1]]
        return ".".join([*parts[:at], "non_local_block", inner, *parts[at + 2 :]])
    if "downsample" in parts:
        at = parts.index("downsample")
        parts[at + 1] = "conv" if parts[at + 1] == "0" else "bn"
        return ".".join(parts)
    unit, leaf = parts[-2:]
    place = f"{unit[:-1]}{unit[-1]}".replace("bn", "conv")
    return ".".join([*parts[:-2], place, "bn" if unit.startswith("bn") else "conv", leaf])


def mmaction2(net: VideoNet) -> dict[str, Tensor]:
    weights = {}
    for key, tensor in net.state_dict().items():
        if key.startswith("head."):
            weights[key.replace("head.", "cls_head.fc_cls.")] = tensor
        elif key.startswith("lateral."):
            _, number, leaf = key.split(".", 2)
            name = "conv1" if number == "0" else f"layer{number}"
            weights[f"backbone.slow_path.{name}_lateral.{leaf}"] = tensor
        elif key.startswith(("slow.", "fast.")):
            weights[f"backbone.{key[:4]}_path.{_mmaction2_resnet(key[5:])}"] = tensor
        elif key.startswith("fc"):
            weights[f"backbone.{key}"] = tensor
        elif re.match(r"conv\d[ab]\.", key):
            weights["backbone." + key.replace(".", ".conv.")] = tensor
        else:
            weights["backbone." + _mmaction2_resnet(key)] = tensor
    return weights


def _pytorchvideo_resnet(key: str, pool: bool) -> tuple[int, str]:
    """Number of the block, and the key inside."""
    if not key.startswith("layer"):
        return 0, key.replace("conv1.", "conv.").replace("bn1.", "norm.")
    layer, block, rest = key.split(".", 2)
    number = int(layer[-1])
    number += pool and number > 1  # the pool after the first stage counts as a block
    if rest.startswith("downsample"):
        rest = rest.replace("downsample.0", "branch1_conv").replace("downsample.1", "branch1_norm")
    else:
        unit, leaf = rest.split(".")
        letter = "abc"[int(unit[-1]) - 1]
        rest = f"branch2.{'norm' if unit.startswith('bn') else 'conv'}_{letter}.{leaf}"
    return number, f"res_blocks.{block}.{rest}"


def pytorchvideo(net: VideoNet, pool: bool) -> dict[str, Tensor]:
    """``pool`` says whether a pool stands between res2 and res3."""
    two = any(key.startswith("slow.") for key in net.state_dict())
    head = 6 if two or pool else 5
    weights = {}
    for key, tensor in net.state_dict().items():
        if key.startswith("head."):
            weights[f"blocks.{head}.proj.{key[5:]}"] = tensor
        elif key.startswith("lateral."):
            _, number, leaf = key.split(".", 2)
            leaf = leaf.replace("conv.", "conv_fast_to_slow.").replace("bn.", "norm.")
            weights[f"blocks.{number}.multipathway_fusion.{leaf}"] = tensor
        elif two:
            path = ("slow", "fast").index(key[:4])
            number_, inside = _pytorchvideo_resnet(key[5:], pool=False)
            weights[f"blocks.{number_}.multipathway_blocks.{path}.{inside}"] = tensor
        else:
            number_, inside = _pytorchvideo_resnet(key, pool)
            weights[f"blocks.{number_}.{inside}"] = tensor
    return weights
