"""Non-local blocks: every position of a feature map attends to every other, in space and time.

Source: Wang, Girshick, Gupta & He, "Non-local Neural Networks", CVPR 2018, section 3 (equations 1
to 6: the four pairwise functions) and figure 2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

MODES = ("dot_product", "embedded_gaussian", "gaussian", "concatenation")


class NonLocalBlock(nn.Module):
    """``(N, C, T, H, W) -> (N, C, T, H, W)``: ``x + BN(W y)``, section 3.3.

    Args:
        channels: C; the embeddings have half as many.
        mode: the pairwise function, one of :data:`MODES`.
        sub_sample: max-pool the attended positions 2x2 in space (section 3.3), 4 times cheaper.
    """

    def __init__(self, channels: int, mode: str = "dot_product", sub_sample: bool = True) -> None:
        super().__init__()
        if mode not in MODES:
            raise ValueError(f"non-local mode '{mode}' is not one of: {', '.join(MODES)}")
        self.mode = mode
        inner = max(channels // 2, 1)
        self.g = nn.Conv3d(channels, inner, 1)
        if mode != "gaussian":
            self.theta = nn.Conv3d(channels, inner, 1)
            self.phi = nn.Conv3d(channels, inner, 1)
        if mode == "concatenation":
            self.concat = nn.Conv2d(2 * inner, 1, 1, bias=False)
        self.pool = nn.MaxPool3d((1, 2, 2)) if sub_sample else nn.Identity()
        self.out = nn.Conv3d(inner, channels, 1, bias=False)
        self.bn = nn.BatchNorm3d(channels)
        self.reset_residual()

    def reset_residual(self) -> None:
        """Make the block the identity, so that it can be added to a trained net (section 4.1)."""
        nn.init.zeros_(self.bn.weight)
        nn.init.zeros_(self.bn.bias)

    def _sub(self, x: Tensor) -> Tensor:
        # A map of a single row or column cannot be pooled any further.
        return self.pool(x) if min(x.shape[3:]) > 1 else x

    def embeddings(self) -> list[nn.Conv3d]:
        """The convolutions of ``x``: theta, phi and g, or g alone."""
        return [self.g] if self.mode == "gaussian" else [self.theta, self.phi, self.g]

    def attention(self, theta: Tensor, phi: Tensor) -> Tensor:
        """Weights ``(N, P, Q)`` of the Q sub-sampled positions for each of the P positions."""
        theta, phi = theta.flatten(2), self._sub(phi).flatten(2)  # (N, C', P), (N, C', Q)
        if self.mode == "concatenation":
            p, q = theta.shape[2], phi.shape[2]
            pairs = torch.cat(
                (theta[..., None].expand(-1, -1, p, q), phi[:, :, None].expand(-1, -1, p, q)), 1
            )
            return torch.relu(self.concat(pairs).squeeze(1)) / q
        scores = theta.transpose(1, 2) @ phi
        return scores / phi.shape[2] if self.mode == "dot_product" else scores.softmax(dim=2)

    def attend(self, theta: Tensor, phi: Tensor, g: Tensor) -> Tensor:
        """The weighted sum ``(N, C', T, H, W)`` of ``g`` over all positions (equation 1)."""
        values = self._sub(g).flatten(2)  # (N, C', Q)
        y = values @ self.attention(theta, phi).transpose(1, 2)  # (N, C', P)
        return y.unflatten(2, theta.shape[2:])

    def forward(self, x: Tensor) -> Tensor:
        """The residual sum."""
        theta, phi = (x, x) if self.mode == "gaussian" else (self.theta(x), self.phi(x))
        return x + self.bn(self.out(self.attend(theta, phi, self.g(x))))
