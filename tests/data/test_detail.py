"""How much detail an image loses when it is shrunk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from made_up_images import noise_image
from tenfold.core.keys import Key
from tenfold.data.decoding.pixels import DecodedImage
from tenfold.data.detail import DETAIL_LOST, MOST_LOST, lost_detail
from tenfold.data.images import resize_to_squares, shrink
from tenfold.data.load import load


def blurred(name: str, true_side: int, side: int) -> np.ndarray:
    """Detail of `true_side` pixels only, though the image has more."""
    small = Image.fromarray(noise_image(name, true_side // 4, true_side // 4))
    return np.asarray(small.resize((side, side), Image.Resampling.BICUBIC))


def test_what_is_not_shrunk_or_holds_no_detail_loses_none() -> None:
    assert lost_detail(noise_image("noise", 32, 32), 32) == 0
    assert lost_detail(np.full((300, 200), 7, np.uint8), 32) == 0
    assert lost_detail(blurred("blurred", 32, 256), 64) < 0.1


@pytest.mark.parametrize("shape", [(128, 128), (128, 128, 3), (60, 128)], ids=str)
def test_noise_of_single_pixels_is_lost(shape: tuple[int, ...]) -> None:
    assert lost_detail(noise_image("noise", *shape), 32) > 0.9


@given(st.sampled_from(["uint8", "int32", "float32"]), st.integers(0, 10))
def test_the_unit_of_the_values_does_not_count(kind: str, name: int) -> None:
    values = noise_image(("unit", name), 48, 48) // 4
    scaled = values.astype(kind) * np.array(3, kind)
    assert lost_detail(scaled, 24) == pytest.approx(lost_detail(values, 24), abs=0.02)


def test_a_large_photograph_is_measured_in_its_middle() -> None:
    photograph = np.zeros((1200, 3000), np.uint8)
    photograph[:, 1400:1600] = noise_image("middle", 1200, 200)
    assert lost_detail(photograph, 64) > 0.9


def test_real_sets_are_told_or_not(data_directory: Path) -> None:
    """Digits are never shrunk; cells of 120 pixels are blurred; photographs of cells of 300 pixels are sharp."""
    for name, is_told in {"digits": False, "mnist": False, "wbc": False, "faces": False, "wbc2": True}.items():
        told = [what for what in load(name, per_class=5).conversions if what.startswith(DETAIL_LOST)]
        assert bool(told) == is_told, name
    assert MOST_LOST == 0.5


def test_an_image_larger_than_most_is_shrunk_as_it_is_when_it_is_predicted(tmp_path: Path) -> None:
    """The side is known only when all images were seen, and two steps of shrinking give other values than one."""
    for name in "ab":
        (tmp_path / name).mkdir()
        for index, side in enumerate((20, 20, 300)):
            random = (Key("large") / name / index).numpy_generator()
            image = random.integers(0, 256, (side, side), dtype=np.uint8)
            Image.fromarray(image).save(tmp_path / name / f"{index}.png")
    dataset = load(tmp_path)
    large = np.asarray(Image.open(tmp_path / "a/2.png"))
    alone, _ = resize_to_squares([shrink(DecodedImage(large), 20)], [300], 20)
    assert np.array_equal(dataset.images[dataset.sources.index("a/2.png")], alone[0])
