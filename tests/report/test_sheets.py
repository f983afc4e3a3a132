import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_content import sheet
from PIL import Image

from tenfold.report.image_sheet import GAP, SMALLEST_SIDE, Sheet, sheet_png


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def test_small_images_are_enlarged_pixel_by_pixel_with_transparent_gaps():
    small = sheet(rows=2, columns=3, side=10)
    image = pixels(sheet_png(small))
    assert image.shape == (2 * 50 + GAP, 3 * 50 + 2 * GAP, 2)
    np.testing.assert_array_equal(image[2:50:5, 2:50:5, 0], small.images[0, 0, 0])
    np.testing.assert_array_equal(image[50 + GAP + 4 :: 5, -50::5, 0], small.images[1, 2, 0])
    assert (image[50 : 50 + GAP, :, 1] == 0).all()
    assert (image[:50, :50, 1] == 255).all()


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([1, 3]), st.sampled_from([32, 96, 160]))
def test_images_come_in_readable_sizes_and_keep_their_shape(height, width, channels, largest):
    images = np.full((1, 1, channels, height, width), 200, dtype=np.uint8)
    shown = pixels(sheet_png(Sheet("", "", images), largest))
    longer = max(shown.shape[:2])
    assert (shown[..., :channels] == 200).all()
    assert longer <= max(largest, 2 * SMALLEST_SIDE)
    assert longer >= min(largest, SMALLEST_SIDE)
    assert shown.shape[0] / shown.shape[1] == pytest.approx(height / width, rel=0.2) or min(shown.shape[:2]) <= 4


def test_a_sheet_without_images_is_still_a_png():
    empty = Sheet("", "", np.zeros((0, 4, 1, 8, 8), dtype=np.uint8))
    assert pixels(sheet_png(empty)).shape == (1, 1, 2)


def test_sheets_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="a sheet is uint8"):
        Sheet("", "", np.zeros((4, 1, 8, 8), dtype=np.uint8))
    with pytest.raises(ValueError, match="2 row labels for 3 rows"):
        sheet(rows=3, row_labels=["a", "b"])
    with pytest.raises(ValueError, match="1 column labels for 3 columns"):
        sheet(column_labels=["a"])
