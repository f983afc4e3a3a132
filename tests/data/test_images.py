"""Decoded images of any size and kind become squares that networks read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.data.decoding.pixels import DecodedImage
from tenfold.data.images import GREY_AS_RGB, PADDED, RESIZED, choose_side, resize_to_squares, shrink
from tenfold.data.value_range import INTEGERS, REALS, scaling


@pytest.mark.parametrize(
    "values", [np.arange(64, dtype=np.uint8).reshape(8, 8), np.arange(0, 256, 4, dtype=np.int32).reshape(8, 8)]
)
def test_squares_of_the_right_size_and_of_eight_bits_are_untouched(values: np.ndarray) -> None:
    images, done = resize_to_squares([DecodedImage(values)], [8], 8)
    assert (images[0, 0] == values).all()
    assert not done


def test_the_border_colour_fills_the_rest() -> None:
    wide = np.full((4, 8), 90, np.uint8)
    wide[1:3, 2:6] = 200
    images, done = resize_to_squares([DecodedImage(wide)], [8], 8)
    assert (images[0, 0, :2] == 90).all()
    assert (images[0, 0, 2:6] == wide).all()
    assert done == {PADDED: 1}


def test_grey_among_colour_becomes_rgb() -> None:
    colour = np.zeros((8, 8, 3), np.uint8)
    colour[..., 0] = 255
    images, done = resize_to_squares([DecodedImage(colour), DecodedImage(np.full((8, 8), 7, np.uint8))], [8, 8], 8)
    assert images.shape == (2, 3, 8, 8)
    assert (images[1] == 7).all()
    assert done == {GREY_AS_RGB: 1}


@pytest.mark.parametrize(
    ("size", "sides", "side"), [(None, [100, 300, 200], 64), (None, [8, 8, 30], 8), (128, [8, 8], 128)]
)
def test_side(size: int | None, sides: list[int], side: int) -> None:
    assert choose_side(sides, size) == side


def test_twelve_bit_images_share_one_scale_and_stay_bright() -> None:
    dark, bright = np.full((4, 4), 1000, np.int32), np.full((4, 4), 4000, np.int32)
    images, done = resize_to_squares([DecodedImage(dark), DecodedImage(bright)], [4, 4], 4)
    assert images[0, 0, 0, 0] == round(1000 / 4095 * 255)
    assert images[1, 0, 0, 0] == round(4000 / 4095 * 255)
    assert done == {scaling(INTEGERS, (0, 4095)): 2}


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (-700.0, 1300.0)])
def test_real_values_span_the_whole_range(low: float, high: float) -> None:
    values = np.linspace(low, high, 16, dtype=np.float32).reshape(4, 4)
    images, done = resize_to_squares([DecodedImage(values)], [4], 4)
    assert images.min() == 0
    assert images.max() == 255
    assert done == {scaling(REALS, (low, high)): 1}


@given(st.integers(3, 60), st.integers(3, 60), st.integers(4, 32), st.sampled_from(["uint8", "int32", "float32"]))
def test_any_image_fits_and_none_overshoots(height: int, width: int, side: int, kind: str) -> None:
    """A resampling filter with negative lobes would leave the range of real values and wrap around."""
    checks = (np.indices((height, width)).sum(axis=0) // 3 % 2).astype(kind) * np.array(200, kind)
    image = DecodedImage(checks)
    small = shrink(image, side)
    assert small.longer_side <= max(side, min(height, width, side))
    if kind != "uint8":
        assert checks.min() <= small.pixels.min() <= small.pixels.max() <= checks.max()
    images, done = resize_to_squares([small], [image.longer_side], side)
    assert images.shape == (1, 1, side, side)
    assert done[RESIZED] == (max(height, width) != side)
