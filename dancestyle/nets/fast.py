"""A trained net made fast: the same outputs, to rounding, in a fraction of the time.

    fast = optimise_for_inference(net)              # bfloat16 where the machine does it in hardware
    fast = optimise_for_inference(net, "fp32")      # the same as the net to float32 rounding
    logits, features = fast(x), fast.features(x)

What is done to a copy of the net: each BatchNorm goes into the convolution before it; convolutions
of one input become one (the three 1x1x1 of an Inception module, the three embeddings of a non-local
block); ReLU and the sum of a residual block are done by the convolution as it writes its output;
3x3x3 maxima are taken axis by axis; convolutions of few positions with many weights are matrix
products; everything is in channels-last order. Weights are not packed into
oneDNN's own order: it would be chosen before the size of the input is known, and for small maps the
wrong one costs two to eight times what the right one saves. ``benchmarks/nets_speed.py``
measures each of them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dancestyle.nets.base import VideoNet
from dancestyle.nets.conv import few_channels, sooner_as_product
from dancestyle.nets.inception_i3d import ConvUnit, MaxPoolSame, Mixed, same_padding
from dancestyle.nets.non_local import NonLocalBlock
from dancestyle.nets.products import as_product, fold_strides, lone_column
from dancestyle.nets.resnet_i3d import Bottleneck

PRECISIONS = ("auto", "bf16", "fp32")
_NORMS = nn.modules.batchnorm._BatchNorm


def has_fast_bf16(device: str | None = None) -> bool:
    """Whether bfloat16 is done in hardware: CUDA from Ampere on, or a CPU with AMX or AVX512-BF16.

    Elsewhere it is emulated, and hundreds of times slower than float32.

    Args:
        device: ``cuda``, ``cpu`` or another of torch's; None is CUDA where there is one, else the CPU.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and bool(
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )


def optimise_for_inference(
    net: VideoNet, precision: str = "auto", compile: bool = False
) -> FastNet:
    """A copy of ``net`` that is fast at inference and can do nothing else; ``net`` stays as it is.

    Args:
        net: as :func:`dancestyle.nets.create` makes it, trained, on the device it is to run on.
        precision: ``bf16``, ``fp32``, or ``auto``, which takes bf16 where :func:`has_fast_bf16`.
        compile: also hand it to ``torch.compile``, which needs a C++ compiler and, once for each
            shape of input, a minute or more: for many clips of one size.

    Raises:
        ValueError: no such precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision '{precision}' is not one of: {', '.join(PRECISIONS)}")
    if precision == "auto":
        precision = "bf16" if has_fast_bf16(next(net.parameters()).device.type) else "fp32"
    return FastNet(net, torch.bfloat16 if precision == "bf16" else torch.float32, compile)


class FastNet(nn.Module):
    """What :func:`optimise_for_inference` makes: ``(N, C, T, H, W)`` to logits, both float32."""

    def __init__(self, net: VideoNet, dtype: torch.dtype, compile: bool) -> None:
        super().__init__()
        self.native, self.feature_size, self.dtype = net.native, net.feature_size, dtype
        with torch.no_grad():
            body = copy.deepcopy(net).eval().requires_grad_(False)
            self.head = body.head
            body.add_module("head", nn.Identity())
            _rewrite(body)
            for module in body.modules():
                # BatchNorm that no convolution could take keeps float32: its scales are steep.
                if not isinstance(module, _NORMS):
                    for name, own in module.named_parameters(recurse=False):
                        setattr(module, name, nn.Parameter(own.to(dtype), requires_grad=False))
            on_cpu = next(net.parameters()).device.type == "cpu"
            fuse = on_cpu and not compile and torch.backends.mkldnn.is_available()
            for module in body.modules():
                if isinstance(module, FusedConv):
                    module.finish(fuse)
        self.net = body
        self._features: Callable[[Tensor], Tensor] = body.features
        if compile:
            self._features = torch.compile(body.features, options={"freezing": True})

    def train(self, mode: bool = True) -> FastNet:
        """It can only predict, so it stays in evaluation mode whatever ``mode`` is."""
        return super().train(False)

    @torch.no_grad()
    def features(self, x: Tensor) -> Tensor:
        """Pooled features ``(N, feature_size)``."""
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(self.dtype, memory_format=torch.channels_last_3d)
            return self._features(x).float()

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(N, num_classes)``; the head itself is always in float32."""
        features = self.features(x)
        with torch.autocast(x.device.type, enabled=False):
            logits: Tensor = self.head(features)
        return logits


class FusedConv(nn.Module):
    """Convolution, with the BatchNorm after it folded in, and ReLU; or a sum, then ReLU."""

    def __init__(
        self,
        conv: nn.Conv3d,
        norm: nn.Module | None = None,
        relu: bool = False,
        same: bool = False,
    ) -> None:
        super().__init__()
        assert not isinstance(conv.padding, str)
        weight, bias = folded(conv, norm)
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.kernel, self.stride, self.padding = conv.kernel_size, conv.stride, conv.padding
        self.dilation, self.groups, self.relu = conv.dilation, conv.groups, relu
        self.plain = conv.groups == 1 and set(conv.dilation) == {1}
        self.same = same and max(conv.stride) > 1
        self.fused = False

    def finish(self, fuse: bool) -> None:
        """Lay the weight out once its type is settled; ``fuse``: leave ReLU and sum to oneDNN."""
        self.weight.data = self.weight.data.contiguous(memory_format=torch.channels_last_3d)
        self.fused = fuse

    def _padded(self, x: Tensor) -> Tensor:
        if not self.same:
            return x
        axes = zip(x.shape[:1:-1], self.kernel[::-1], self.stride[::-1], strict=True)
        return F.pad(x, [pad for axis in axes for pad in same_padding(*axis)])

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, T, H, W) -> (N, C', T', H', W')``."""
        x = self._padded(x)
        if not self.fused:
            x = F.conv3d(
                x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
            )
            return F.relu(x, inplace=True) if self.relu else x
        if self._sooner_as_product(x):
            x = as_product(x, self.weight, self.bias, self.stride, self.padding)
            return F.relu(x, inplace=True) if self.relu else x
        weight, ones = self.weight.data, (1,) * len(self.stride)
        if self.plain and few_channels(x.dtype, x.shape[1], self.stride):
            x, weight = fold_strides(x, weight, self.stride, self.padding)
            how: tuple[Any, ...] = (0,) * len(ones), ones, ones, 1
        else:
            x, how = self._how(x)
        out: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, weight, self.bias, *how, "relu" if self.relu else "none", [], ""
        )
        return out

    def added_to(self, other: Tensor, x: Tensor) -> Tensor:
        """ReLU of ``other`` plus the convolution of ``x``, written into ``other``."""
        if not self.fused:
            return F.relu(other + self.forward(x))
        if self._sooner_as_product(x):
            other += as_product(x, self.weight, self.bias, self.stride, self.padding)
            return F.relu(other, inplace=True)
        x, how = self._how(x)
        torch.ops.mkldnn._convolution_pointwise_.binary(
            other, x, self.weight, self.bias, *how, "add", 1.0, "relu", [], ""
        )
        return other

    def _sooner_as_product(self, x: Tensor) -> bool:
        return self.plain and sooner_as_product(x, self.weight, self.stride, self.padding)

    def _how(self, x: Tensor) -> tuple[Tensor, tuple[Any, ...]]:
        """The input, and what oneDNN is told of padding, stride, dilation and groups."""
        stride, padding = self.stride, self.padding
        if x.dtype == torch.bfloat16 and self.plain:
            x, stride, padding = lone_column(x, self.kernel, stride, padding)
        return x, (padding, stride, self.dilation, self.groups)


def folded(conv: nn.Conv3d, norm: nn.Module | None) -> tuple[Tensor, Tensor]:
    """Weight and bias of the convolution that does what ``conv`` and then ``norm`` do."""
    device = conv.weight.device
    if device.type not in ("cpu", "cuda", "meta"):  # others may have no double precision
        conv, norm = copy.deepcopy(conv).cpu(), copy.deepcopy(norm).cpu() if norm else None
    weight = conv.weight.double()
    bias = weight.new_zeros(len(weight)) if conv.bias is None else conv.bias.double()
    if norm is not None:
        assert isinstance(norm, _NORMS) and norm.running_var is not None
        assert norm.running_mean is not None
        scale = norm.weight.double() * (norm.running_var.double() + norm.eps).rsqrt()
        weight = weight * scale[:, None, None, None, None]
        bias = norm.bias.double() + (bias - norm.running_mean.double()) * scale
    return weight.float().to(device), bias.float().to(device)


def merged(convs: Sequence[FusedConv]) -> FusedConv:
    """One convolution whose output is that of all, one after the other along the channels."""
    result = copy.deepcopy(convs[0])
    result.weight = nn.Parameter(torch.cat([conv.weight for conv in convs]))
    result.bias = nn.Parameter(torch.cat([conv.bias for conv in convs]))
    return result


class FastMaxPool(nn.Module):
    """Maxima of 3x3x3 windows at every position, axis by axis, for the outputs of a ReLU.

    On a CPU 2 to 6 times as fast as ``max_pool3d``, which also notes where each maximum was.
    """

    def forward(self, x: Tensor) -> Tensor:
        """As large as ``x``."""
        for axis in (4, 3, 2):
            size = x.shape[axis]
            if size == 1:
                continue
            pairs = torch.maximum(x.narrow(axis, 0, size - 1), x.narrow(axis, 1, size - 1))
            x = torch.empty_like(x)
            x.narrow(axis, 0, 1).copy_(pairs.narrow(axis, 0, 1))
            x.narrow(axis, size - 1, 1).copy_(pairs.narrow(axis, size - 2, 1))
            if size > 2:
                inner = pairs.narrow(axis, 0, size - 2), pairs.narrow(axis, 1, size - 2)
                x.narrow(axis, 1, size - 2).copy_(torch.maximum(*inner))
        return x


class _FastMixed(nn.Module):
    def __init__(self, mixed: Mixed) -> None:
        super().__init__()
        firsts = [_of_unit(unit) for unit in (mixed.b0, mixed.b1a, mixed.b2a)]
        self.widths = [len(conv.weight) for conv in firsts]
        self.first = merged(firsts)
        self.b1b, self.b2b = _of_unit(mixed.b1b), _of_unit(mixed.b2b)
        self.b3a, self.b3b = FastMaxPool(), _of_unit(mixed.b3b)

    def forward(self, x: Tensor) -> Tensor:
        b0, b1, b2 = self.first(x).split(self.widths, dim=1)
        return torch.cat((b0, self.b1b(b1), self.b2b(b2), self.b3b(self.b3a(x))), dim=1)


class _FastBottleneck(nn.Module):
    def __init__(self, block: Bottleneck) -> None:
        super().__init__()
        self.conv1 = FusedConv(block.conv1, block.bn1, relu=True)
        self.conv2 = FusedConv(block.conv2, block.bn2, relu=True)
        self.conv3 = FusedConv(block.conv3, block.bn3)
        self.downsample: FusedConv | None = None
        if block.downsample is not None:
            conv, norm = block.downsample
            assert isinstance(conv, nn.Conv3d)
            self.downsample = FusedConv(conv, norm)
        self.non_local = None if block.non_local is None else _FastNonLocal(block.non_local)

    def forward(self, x: Tensor) -> Tensor:
        inside = self.conv2(self.conv1(x))
        # A block without a downsample follows another block, whose output nobody else wants.
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.conv3.added_to(shortcut, inside)
        return x if self.non_local is None else self.non_local(x)


class _FastNonLocal(NonLocalBlock):
    def __init__(self, block: NonLocalBlock) -> None:
        nn.Module.__init__(self)
        self.mode, self.pool = block.mode, block.pool
        self.embedded = merged([FusedConv(c) for c in block.embeddings()])
        if block.mode == "concatenation":
            self.concat = block.concat
        self.last = FusedConv(block.out, block.bn)

    def forward(self, x: Tensor) -> Tensor:
        theta, phi, g = (x, x, self.embedded(x)) if self.mode == "gaussian" else self._three(x)
        return x + self.last(self.attend(theta, phi, g))

    def _three(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        theta, phi, g = self.embedded(x).chunk(3, dim=1)
        return theta, phi, g


def _of_unit(unit: ConvUnit) -> FusedConv:
    return FusedConv(unit.conv3d, unit.bn, relu=True, same=True)


_REPLACED: tuple[tuple[type[nn.Module], Callable[[Any], nn.Module]], ...] = (
    (ConvUnit, _of_unit),
    (Mixed, _FastMixed),
    (Bottleneck, _FastBottleneck),
)


def _rewrite(module: nn.Module) -> None:
    """Replace, in place, what is known by its faster equal; elsewhere fold BatchNorm."""
    before: tuple[str, nn.Conv3d] | None = None
    for name, child in list(module.named_children()):
        make = next((make for kind, make in _REPLACED if isinstance(child, kind)), None)
        if make is not None:
            setattr(module, name, make(child))
        elif before and isinstance(child, _NORMS) and child.num_features == before[1].out_channels:
            # In all our nets a BatchNorm that stands behind a convolution is fed by it.
            setattr(module, before[0], FusedConv(before[1], child))
            setattr(module, name, nn.Identity())
        elif not isinstance(child, MaxPoolSame):
            _rewrite(child)
        before = (name, child) if isinstance(child, nn.Conv3d) else None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Conv3d) and not isinstance(child.padding, str):
            setattr(module, name, FusedConv(child))
    if isinstance(module, nn.Sequential):
        _fuse_relu(module)


def _fuse_relu(chain: nn.Sequential) -> None:
    last: FusedConv | None = None
    for name, child in list(chain.named_children()):
        if isinstance(child, nn.ReLU) and last is not None:
            last.relu = True
            setattr(chain, name, nn.Identity())
        if not isinstance(child, nn.Identity):
            last = child if isinstance(child, FusedConv) else None
