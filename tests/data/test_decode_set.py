"""Every file is decoded once, for the small squares and for the large ones, which are what either alone would be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from made_up_images import noise_image
from tenfold.data import readers
from tenfold.data.combine import with_external_test
from tenfold.data.load import load


def write(root: Path, sides: list[int], *, deep: bool = False) -> Path:
    for number, side in enumerate(sides):
        path = root / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = noise_image((root.name, number), side, max(4, side // 2))
        Image.fromarray(pixels.astype(np.uint16) * 16 + number if deep else pixels).save(path)
    return root


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were opened, in order."""
    names, read = list[str](), readers.read_file

    def noted(path: Path) -> readers.DecodedImage:
        names.append(path.name)
        return read(path)

    for module in ("folders", "metadata"):
        monkeypatch.setattr(f"tenfold.data.readers.{module}.read_file", noted)
    return names


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(
    ("sides", "large"),
    [([300, 260, 500, 230], 224), ([60, 150, 300, 90, 100, 20], 95), ([64, 70, 500, 20, 80, 66], 68)],
    ids=str,
)
def test_the_larger_images_are_those_that_the_side_alone_gives(
    sides: list[int], large: int, deep: bool, tmp_path: Path
) -> None:
    data = write(tmp_path / "set", sides, deep=deep)
    small, both = load(data), load(data, large_side=224)
    assert small.large is small
    assert np.array_equal(both.images, small.images)
    assert (both.value_ranges, both.conversions) == (small.value_ranges, small.conversions)
    alone = load(data, size=large, value_ranges=small.value_ranges or None)
    assert both.large.image_shape == (1, large, large)
    assert np.array_equal(both.large.images, alone.images)


def test_a_file_is_opened_once(tmp_path: Path, decoded: list[str]) -> None:
    load(write(tmp_path / "set", [300, 260, 500, 230]), large_side=224)
    assert decoded == ["0.png", "2.png", "1.png", "3.png"]


def test_the_external_test_is_opened_once_too_and_reaches_the_same_side(tmp_path: Path, decoded: list[str]) -> None:
    study = load(write(tmp_path / "set", [300, 260, 500, 230]), large_side=224)
    decoded.clear()
    whole = with_external_test(study, write(tmp_path / "test", [250, 280]), tmp_path / "set")
    assert sorted(decoded) == ["0.png", "1.png"]
    assert whole.part("test").large.image_shape == (1, 224, 224)
    whole = with_external_test(study, write(tmp_path / "smaller", [100, 90]), tmp_path / "set")
    assert whole.part("test").large.image_shape == (1, 224, 224)
    alone = load(tmp_path / "smaller", size=224)
    assert np.array_equal(whole.part("test").large.images, alone.images)


@pytest.mark.parametrize(("sides", "size"), [([8, 8, 8, 8], None), ([8, 8, 8, 90], None), ([300, 260], 224)])
def test_where_files_have_no_more_pixels_there_are_no_larger_images(
    sides: list[int], size: int | None, tmp_path: Path
) -> None:
    both = load(write(tmp_path / "set", sides), size=size, large_side=224)
    assert both.large is both
    assert np.array_equal(both.images, load(tmp_path / "set", size=size).images)
