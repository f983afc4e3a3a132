from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import noise_picture
from tenfold.core.errors import InputError
from tenfold.data.load import load, require_classes

Folders = Callable[..., Path]


def test_digits_study_a_small_part() -> None:
    digits = load("digits")
    assert digits.part("train").counts().tolist() == [20] * 10
    assert len(digits) == 1797
    assert abs(len(digits.part("test")) - len(digits.part("reserve"))) <= 10
    assert digits.image_shape == (1, 8, 8)
    assert digits.images.max() == 255
    assert any("--per-class" in note for note in digits.conversions)


def test_digits_whole() -> None:
    assert set(load("digits", images=1797).roles) == {"train"}


def test_the_seed_chooses_the_part() -> None:
    first, again, other = (set(load("digits", seed=seed).part("train").sources) for seed in (0, 0, 1))
    assert first == again != other


def test_mixed_sizes_take_the_median_side(class_folders: Folders) -> None:
    root = class_folders({"a": 3, "b": 1})
    Image.fromarray(noise_picture("large", 300, 200, 3)).save(root / "b/large.jpg")
    dataset = load(root)
    assert dataset.image_shape == (3, 8, 8)
    assert dataset.conversions["resized"] == 1
    assert dataset.conversions["grey image among colour ones, kept as RGB"] == 4
    assert load(root, size=32).image_shape == (3, 32, 32)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("digit", "Did you mean 'digits'"),
        ("no/such/folder", "Check the path"),
        (Path("nowhere"), "no such file"),
        ("nul\0byte", "no such file"),
    ],
)
def test_what_is_not_there_is_refused(data: str | Path, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(data)


@pytest.mark.parametrize(
    ("name", "message"), [("set.zip", "unpack it"), ("set.txt", "give a folder of class folders")]
)
def test_other_files_are_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match=message):
        load(tmp_path / name)


@pytest.mark.parametrize("size", [0, 3, 100_000])
def test_impossible_sizes_are_refused(size: int) -> None:
    with pytest.raises(InputError, match="--size"):
        load("digits", size=size)


def test_a_single_class_loads_but_cannot_be_judged(class_folders: Folders) -> None:
    single = load(class_folders({"only": 3}))
    assert len(single) == 3
    with pytest.raises(InputError, match=r"single class \(only\)"):
        require_classes(single)
    require_classes(load("digits"))


def test_a_path_object_means_the_folder(
    class_folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class_folders({"a": 1, "b": 1}, tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    assert len(load(Path("digits"))) == len(load("./digits")) == 2
    assert len(load("digits")) == 1797


def test_global_generators_are_untouched() -> None:
    before = np.random.get_state()[1].tolist()  # noqa: NPY002 - it is what must not change
    load("digits", per_class=3)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
