import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tenfold.report.image_sheet import GAP, SMALLEST_SIDE, images_png


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def test_small_images_are_enlarged_pixel_by_pixel_with_transparent_gaps():
    small = np.random.default_rng(3).integers(0, 256, (2, 3, 1, 10, 10), dtype=np.uint8)
    image = pixels(images_png(small))
    assert image.shape == (2 * 50 + GAP, 3 * 50 + 2 * GAP, 2)
    np.testing.assert_array_equal(image[2:50:5, 2:50:5, 0], small[0, 0, 0])
    np.testing.assert_array_equal(image[50 + GAP + 4 :: 5, -50::5, 0], small[1, 2, 0])
    assert (image[50 : 50 + GAP, :, 1] == 0).all()
    assert (image[:50, :50, 1] == 255).all()


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([1, 3]), st.sampled_from([32, 96, 160]))
def test_images_come_in_readable_sizes_and_keep_their_shape(height, width, channels, largest):
    images = np.full((1, 1, channels, height, width), 200, dtype=np.uint8)
    shown = pixels(images_png(images, largest))
    longer = max(shown.shape[:2])
    assert (shown[..., :channels] == 200).all()
    assert longer <= max(largest, 2 * SMALLEST_SIDE)
    assert longer >= min(largest, SMALLEST_SIDE)
    assert shown.shape[0] / shown.shape[1] == pytest.approx(height / width, rel=0.2) or min(shown.shape[:2]) <= 4
