from __future__ import annotations

import numpy as np
import pytest

from dancestyle.video import transforms

FRAMES = np.random.default_rng(0).integers(0, 256, (5, 12, 20, 3), np.uint8)


@pytest.mark.parametrize("mean", [(127.5, 127.5, 127.5), (123.675, 116.28, 103.53)])
@pytest.mark.parametrize("std", [(127.5, 127.5, 127.5), (58.395, 57.12, 57.375)])
def test_normalised(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    for frames in (FRAMES, FRAMES[:, 2:9, 3:11], FRAMES[:, :, ::-1], FRAMES[::-2], FRAMES[:0]):
        found = transforms.rgb_tensor(frames, mean, std)
        assert found.shape == (3, *frames.shape[:3])
        scale = np.float32(1) / np.float32(std)
        expected = (frames.astype(np.float32) - np.float32(mean)) * scale
        assert np.array_equal(found.permute(1, 2, 3, 0).numpy(), expected)


def test_jitter_is_one_curve_for_the_snippet() -> None:
    for frames in (FRAMES, FRAMES[:, 2:9, 3:11]):
        found = transforms.jitter_colour(frames, 0.3, np.random.default_rng(1))
        gain, offset = 1 + np.random.default_rng(1).uniform(-0.3, 0.3, 2)
        curve = (np.arange(256) - 127.5) * gain + 127.5 * offset
        assert np.array_equal(found, np.clip(curve, 0, 255).astype(np.uint8)[frames])
    assert transforms.jitter_colour(FRAMES, 0, np.random.default_rng(1)) is FRAMES
