"""Against Pillow, which does the same to one picture of 8 bits at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from conftest import noise_picture
from tenfold.augment import operations as tones
from tenfold.augment.tensors import SIGNED, UNIT, Range, to_float

SIZES = [(28, 28), (17, 40), (64, 64)]


def pictures(channels: int, height: int, width: int) -> torch.Tensor:
    """Six pictures of 8 bits: noise, dim noise, a ramp, few levels, flat, and one of a few bright pixels."""
    noise = noise_picture("tones", channels, height, width)
    ramp = np.broadcast_to(np.arange(width, dtype=np.uint8) * 2, noise.shape)
    sparse = np.where(noise > 230, noise, 0)
    flat = np.full_like(noise, 77)
    rows = [noise, noise // 3 + 50, ramp, noise // 64 * 64, flat, sparse]
    return torch.from_numpy(np.stack(rows).astype(np.uint8))


def by_pillow(
    images: torch.Tensor, change: Callable[[Image.Image, float], Image.Image], how: list[float]
) -> np.ndarray:
    done = []
    for picture, strength in zip(images.numpy(), how, strict=True):
        changed = np.asarray(
            change(Image.fromarray(picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)), strength)
        )
        done.append(changed[None] if changed.ndim == 2 else changed.transpose(2, 0, 1))
    return np.stack(done).astype(float)


def levels_of(images: torch.Tensor, value_range: Range) -> np.ndarray:
    low, high = value_range
    return ((images.double().numpy()) - low) * 255 / (high - low)


every_shape = pytest.mark.parametrize("shape", [(c, *s) for c in (1, 3) for s in SIZES], ids=str)
both_ranges = pytest.mark.parametrize("value_range", [UNIT, SIGNED], ids=str)

FACTORS = [0.01, 0.5, 1.0, 1.3, 1.99, 0.8]
# Pillow rounds or cuts to whole levels, and its contrast rounds the mean grey as well; ours goes on in floats. What
# Pillow cuts off is below 1 level; of the rounded mean grey at most half a level more remains.
ENHANCED = [
    (tones.brighten, lambda p, f: ImageEnhance.Brightness(p).enhance(f), 1.01),
    (tones.change_contrast, lambda p, f: ImageEnhance.Contrast(p).enhance(f), 1.51),
    # Each pixel's grey is rounded by Pillow, and so is each pixel of the smoothed picture.
    (tones.saturate, lambda p, f: ImageEnhance.Color(p).enhance(f), 1.51),
    (tones.sharpen, lambda p, f: ImageEnhance.Sharpness(p).enhance(f), 1.51),
]


@every_shape
@both_ranges
@pytest.mark.parametrize(("ours", "pillows", "tolerance"), ENHANCED, ids=lambda x: getattr(x, "__name__", ""))
def test_scaled_distances_are_pillows(
    shape: tuple[int, int, int],
    value_range: Range,
    ours: Callable[[torch.Tensor, torch.Tensor, Range], object],
    pillows: Callable[[Image.Image, float], Image.Image],
    tolerance: float,
) -> None:
    given = pictures(*shape)
    changed = to_float(given, value_range)
    ours(changed, torch.tensor(FACTORS), value_range)
    difference = np.abs(levels_of(changed, value_range) - by_pillow(given, pillows, FACTORS))
    assert difference.max() <= tolerance
    assert difference.mean() < 0.6


@every_shape
@both_ranges
def test_posterizing_is_pillows(shape: tuple[int, int, int], value_range: Range) -> None:
    given = pictures(*shape)
    bits = [1, 2, 4, 8, 6, 3]
    changed = to_float(given, value_range)
    tones.posterize(changed, torch.tensor(bits), value_range)
    expected = by_pillow(given, lambda p, b: ImageOps.posterize(p, int(b)), bits)
    assert np.allclose(levels_of(changed, value_range), expected, atol=1e-3), "whole levels: nothing is rounded"


@every_shape
@both_ranges
def test_solarizing_is_pillows(shape: tuple[int, int, int], value_range: Range) -> None:
    given = pictures(*shape)
    thresholds = [0, 256, 100, 128, 77, 240.5]
    changed = to_float(given, value_range)
    tones.solarize(changed, torch.tensor(thresholds), value_range)
    expected = by_pillow(given, lambda p, t: ImageOps.solarize(p, t), thresholds)
    assert np.allclose(levels_of(changed, value_range), expected, atol=1e-3)


@every_shape
@both_ranges
def test_autocontrast_is_pillows(shape: tuple[int, int, int], value_range: Range) -> None:
    given = pictures(*shape)
    changed = to_float(given, value_range)
    tones.autocontrast(changed, value_range)
    expected = by_pillow(given, lambda p, _: ImageOps.autocontrast(p), [0] * 6)
    # Pillow cuts the stretched level to a whole one.
    assert np.abs(levels_of(changed, value_range) - expected).max() <= 1.01


@every_shape
@both_ranges
def test_equalizing_is_pillows(shape: tuple[int, int, int], value_range: Range) -> None:
    given = pictures(*shape)
    changed = to_float(given, value_range)
    tones.equalize(changed, value_range)
    expected = by_pillow(given, lambda p, _: ImageOps.equalize(p), [0] * 6)
    assert np.allclose(levels_of(changed, value_range), expected, atol=1e-3)
    assert np.abs(expected - given.numpy()).max() > 20, "the pictures are such that something happens"


@pytest.mark.parametrize("channels", [2, 4])
def test_grey_of_other_channel_counts_is_their_plain_mean(channels: int) -> None:
    images = to_float(torch.from_numpy(noise_picture("grey", 3, channels, 9, 7)), UNIT)
    grey = images.mean(1, keepdim=True)
    tones.saturate(images, torch.zeros(3), UNIT)
    assert torch.allclose(images, grey.expand_as(images))


def test_without_neighbours_nothing_is_sharpened() -> None:
    images = torch.rand(2, 1, 2, 9, generator=torch.Generator())
    before = images.clone()
    tones.sharpen(images, torch.tensor([0.0, 2.0]), UNIT)
    assert torch.equal(images, before)
