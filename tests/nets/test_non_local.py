"""Non-local blocks against the equations of the paper, on cases small enough for a pencil."""

from __future__ import annotations

import pytest
import torch

from dancestyle.nets.non_local import MODES, NonLocalBlock


def weighted(block: NonLocalBlock) -> NonLocalBlock:
    """A block in which everything acts, its BatchNorm the identity."""
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    torch.nn.init.ones_(block.bn.weight)
    torch.nn.init.zeros_(block.bn.bias)
    return block.eval()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(1, 6, 2, 4, 4), (2, 6, 1, 3, 5), (1, 6, 3, 1, 1)])
def test_a_fresh_block_is_the_identity(mode: str, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    for block in (NonLocalBlock(6, mode), NonLocalBlock(6, mode).eval()):
        assert torch.equal(block(x), x)


@pytest.mark.parametrize("mode", MODES)
def test_a_fresh_block_can_learn(mode: str) -> None:
    block = NonLocalBlock(6, mode)
    block(torch.randn(2, 6, 2, 4, 4)).square().sum().backward()
    assert block.bn.weight.grad is not None and block.bn.weight.grad.abs().max() > 0


@pytest.mark.parametrize("sub_sample", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_sum_over_all_positions_as_in_equation_1(mode: str, sub_sample: bool) -> None:
    """y_i = sum_j f(x_i, x_j) g(x_j) / C(x), position by position with plain loops."""
    block = weighted(NonLocalBlock(4, mode, sub_sample))
    x = torch.randn(1, 4, 2, 2, 4)
    with torch.no_grad():
        query = x if mode == "gaussian" else block.theta(x)
        key = block.pool(x if mode == "gaussian" else block.phi(x))
        queries, keys = query[0].flatten(1).T, key[0].flatten(1).T  # one row a position
        values = block.pool(block.g(x))[0].flatten(1).T
        assert len(queries) == 16 and len(keys) == len(values) == (4 if sub_sample else 16)
        y = torch.zeros(len(queries), values.shape[1])
        for i, q in enumerate(queries):
            if mode == "concatenation":  # equation 6
                f = [torch.relu(block.concat.weight.flatten() @ torch.cat((q, k))) for k in keys]
            elif mode == "dot_product":  # equation 5
                f = [q @ k for k in keys]
            else:  # equations 2 and 4
                f = [torch.exp(q @ k) for k in keys]
            normaliser = sum(f) if mode.endswith("gaussian") else len(keys)
            for f_ij, value in zip(f, values, strict=True):
                y[i] += f_ij * value / normaliser
        expected = x + block.bn(block.out(y.T.reshape(1, -1, 2, 2, 4)))
        torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)


def test_dot_product_attention_by_hand() -> None:
    """Two channels, one embedding, two frames of one pixel: theta (1, 0), phi (0, 1), no bias."""
    block = NonLocalBlock(2, "dot_product", sub_sample=False)
    with torch.no_grad():
        block.theta.weight.copy_(torch.tensor([1.0, 0.0]).view(1, 2, 1, 1, 1))
        block.phi.weight.copy_(torch.tensor([0.0, 1.0]).view(1, 2, 1, 1, 1))
        block.theta.bias.zero_()
        block.phi.bias.zero_()
    x = torch.tensor([[[2.0, 3.0], [5.0, 7.0]]]).view(1, 2, 2, 1, 1)  # channels, frames
    expected = torch.tensor([[[2 * 5.0, 2 * 7.0], [3 * 5.0, 3 * 7.0]]]) / 2  # over two positions
    torch.testing.assert_close(block.attention(block.theta(x), block.phi(x)), expected)


@pytest.mark.parametrize("mode", ["gaussian", "embedded_gaussian"])
def test_gaussian_attention_sums_to_one(mode: str) -> None:
    theta, phi = torch.randn(2, 2, 4, 3, 4, 4)
    attention = weighted(NonLocalBlock(4, mode)).attention(theta, phi)
    assert attention.shape == (2, 3 * 4 * 4, 3 * 2 * 2)
    torch.testing.assert_close(attention.sum(dim=2), torch.ones(2, 48))


@pytest.mark.parametrize("mode", MODES)
def test_every_position_sees_every_other(mode: str) -> None:
    """In double precision, and with all embeddings positive so that no ReLU hides a position."""
    block = weighted(NonLocalBlock(4, mode)).double()
    for parameter in block.parameters():
        parameter.data.abs_()
    x = torch.rand(1, 4, 2, 4, 4, dtype=torch.float64) + 0.1
    before = block(x)
    x[0, :, 1, 3, 3] += 1.0
    assert (block(x) - before)[0, 0].abs().min() > 0


def test_an_unknown_mode_is_an_error() -> None:
    with pytest.raises(ValueError, match="non-local mode 'cosine' is not one of: dot_product"):
        NonLocalBlock(4, "cosine")
