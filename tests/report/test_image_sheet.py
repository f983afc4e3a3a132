import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.font_manager import fontManager
from PIL import Image
from scipy import integrate, stats

from tenfold.report.image_sheet import (
    GAP,
    LARGEST_CAPTIONED,
    SMALLEST_CAPTIONED,
    SMALLEST_SIDE,
    Cell,
    Sheet,
    images_png,
    preview_png,
)
from tenfold.report.lettering import BETWEEN, Lettering
from tenfold.report.share_law import ShareLaw

SMALL = Lettering([], points=7.5)


def noise(*shape):
    return np.random.default_rng(3).integers(0, 250, shape, dtype=np.uint8)


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def law(alpha=0.2, images=2):
    return ShareLaw(alpha, np.random.default_rng(5).dirichlet([alpha] * images, 3000))


def drawn(images, captions=None, **more):
    captions = captions or [("a",)] * len(images)
    cells = [Cell(image, tuple(caption)) for image, caption in zip(images, captions, strict=True)]
    sheet = Sheet("mixup on cells", "A note.", [""] * len(cells), [cells], **more)
    return pixels(preview_png(sheet))[..., :3]


def contains(page, tile):
    """Whether the tile stands on the page, pixel by pixel."""
    windows = np.lib.stride_tricks.sliding_window_view(page[..., 0], tile.shape[:2])
    tops, lefts = np.nonzero((windows[..., 0, 0] == tile[0, 0, 0]) & (windows[..., -1, -1] == tile[-1, -1, 0]))
    height, width = tile.shape[:2]
    return any(
        np.array_equal(page[top : top + height, left : left + width], tile)
        for top, left in zip(tops, lefts, strict=True)
    )


def test_small_images_are_enlarged_pixel_by_pixel_with_transparent_gaps():
    small = noise(2, 3, 1, 10, 10)
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


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (3, 45, 30), (1, 128, 128)])
def test_small_images_are_enlarged_by_whole_factors_and_nothing_is_smoothed(shape):
    image = noise(*shape)
    factor = -(-SMALLEST_CAPTIONED // max(shape[1:]))
    tile = np.broadcast_to(image.transpose(1, 2, 0), (*shape[1:], 3)).repeat(factor, 0).repeat(factor, 1)
    assert max(tile.shape) >= SMALLEST_CAPTIONED
    assert contains(drawn([image]), tile)
    assert not contains(drawn([image.clip(0, 200)]), tile)


def test_large_images_are_shrunk():
    small, large = (
        drawn([np.full((3, side, side), 9, np.uint8)] * 5) for side in (LARGEST_CAPTIONED, 4 * LARGEST_CAPTIONED)
    )
    assert small.shape == large.shape


def test_an_empty_place_stays_white_and_the_others_where_they_were():
    cell = Cell(noise(1, 8, 8), ("a",))
    pages = [pixels(preview_png(Sheet("", "", ["", ""], [[cell, other]]))) for other in (cell, None)]
    assert pages[0].shape == pages[1].shape
    middle = 20 + 124 + 7
    assert np.array_equal(pages[0][:, :middle], pages[1][:, :middle])
    assert (pages[1][:, middle:] == 255).all()


def test_the_law_is_drawn_below_and_the_same_sheet_gives_the_same_bytes():
    image = noise(1, 8, 8)
    without, with_law = drawn([image]), drawn([image], law=law())
    assert with_law.shape[0] > without.shape[0] + 150
    assert np.array_equal(drawn([image], law=law()), with_law)
    assert not np.array_equal(drawn([image], law=law(alpha=2)), with_law)


@pytest.mark.parametrize(("images", "name"), [(2, "Beta(0.4, 0.4)"), (3, "Dirichlet(0.4, 0.4, 0.4)")])
def test_the_density_is_that_of_one_share_of_the_law_named(images, name):
    many = ShareLaw(0.4, np.random.default_rng(1).dirichlet([0.4] * images, 20_000))
    assert many.name == name
    cumulated = [integrate.quad(many.density, 0, share)[0] for share in (0.1, 0.3, 0.7)]
    assert cumulated == pytest.approx([np.mean(many.shares[:, 0] <= share) for share in (0.1, 0.3, 0.7)], abs=0.015)


def test_the_sentence_is_computed_from_the_draws():
    shares = np.array([[0.9, 0.1], [0.3, 0.7], [0.45, 0.55], [0.05, 0.95], [0.75, 0.25]])
    assert ShareLaw(1.0, shares).sentence == (
        "Half of all blends keep at least 75 % of one image; 60 % of them keep less than 80 %."
    )
    assert ShareLaw(1.0, shares, "boxes are cut off").sentence.startswith(
        "Before boxes are cut off, half of all blends"
    )
    exact = stats.beta(0.2, 0.2)
    assert np.median(law().largest_shares) == pytest.approx(exact.ppf(0.75), abs=0.01)


NAMES = st.text(st.characters(codec="utf-8"), max_size=60)


@given(st.lists(NAMES, max_size=4), st.integers(60, 300))
def test_no_line_of_a_caption_is_wider_than_its_image(parts, width):
    lettering = Lettering([], points=7.5)
    for line in lettering.lines(["".join(c for c in part if ord(c) < 250) for part in parts], width):
        assert lettering.width(line) <= width
        assert line.isprintable()


def test_parts_share_a_line_where_they_fit_and_keep_their_order():
    assert SMALL.lines(["70 % 3", "30 % 8"], 200) == ["70 % 3" + BETWEEN + "30 % 8"]
    assert SMALL.lines(["70 % 3", "30 % 8"], 50) == ["70 % 3", "30 % 8"]
    assert SMALL.lines([], 50) == []


def test_a_long_name_takes_two_lines_and_loses_its_middle_if_it_must():
    names = [f"60 % segmented neutrophil granulocyte of stage {stage} in blood" for stage in ("one", "two")]
    lines = [SMALL.lines([name, "40 % b"], 120) for name in names]
    assert [len(each) for each in lines] == [3, 3]
    assert all(each[0].startswith("60 % segmented") for each in lines)
    assert all("…" in each[1] and each[1].endswith("blood") and each[2] == "40 % b" for each in lines)
    assert SMALL.lines(["60 % segmented neutrophil granulocyte"], 120)[1] == "neutrophil granulocyte"
    (short,) = SMALL.lines(["a" * 30 + "b" * 30], 120)
    assert short.startswith("aaa")
    assert short.endswith("bbb")


def test_letters_that_no_font_has_are_boxes_and_controls_are_spaces(monkeypatch):
    monkeypatch.setattr(fontManager, "ttflist", [font for font in fontManager.ttflist if "Last" in font.name])
    lettering = Lettering(["a𒀀b"], points=7.5)
    assert lettering.written("a𒀀b\nc") == "a□b c"
    assert Lettering(["Ä ß ж λ"], points=7.5).written("Ä ß ж λ") == "Ä ß ж λ"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["$x$", "$\\frac{", "日本 😀", "\udce9", "<b>", "", "a\tb", "שלום"])
def test_any_class_name_can_be_written(name):
    assert drawn([noise(1, 8, 8)], [(name,)]).shape[0] > SMALLEST_CAPTIONED
