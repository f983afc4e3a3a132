from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from made_up_images import noise_image
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.data import load as subset
from tenfold.data import readers
from tenfold.data.load import choose, load, require_classes, shares

Folders = Callable[..., Path]


def test_digits_study_a_small_part() -> None:
    digits = load("digits")
    assert digits.part("train").counts().tolist() == [20] * 10
    assert len(digits) == 1797
    assert abs(len(digits.part("test")) - len(digits.part("reserve"))) <= 10
    assert digits.image_shape == (1, 8, 8)
    assert digits.images.max() == 255
    assert any("--per-class" in note for note in digits.conversions)
    assert set(load("digits", images=1797).roles) == {"train"}


def test_the_seed_chooses_the_part() -> None:
    first, again, other = (set(load("digits", seed=seed).part("train").sources) for seed in (0, 0, 1))
    assert first == again != other


def test_mixed_sizes_take_the_median_side(class_folders: Folders) -> None:
    root = class_folders({"a": 3, "b": 1})
    Image.fromarray(noise_image("large", 300, 200, 3)).save(root / "b/large.jpg")
    dataset = load(root)
    assert dataset.image_shape == (3, 8, 8)
    assert dataset.conversions["resized"] == 1
    assert dataset.conversions["grey image among colour ones, kept as RGB"] == 4
    assert load(root, size=32).image_shape == (3, 32, 32)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("set.tar", "unpack it"),
        ("set.txt", "give a folder of class folders"),
        ("digit", "Did you mean 'digits'"),
        ("no/such/folder", "Check the path"),
        (Path("nowhere"), "no such file"),
        ("nul\0byte", "no such file"),
    ],
)
def test_what_is_not_there_or_another_file_is_refused(
    data: str | Path, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("set.tar", "set.txt"):
        Path(name).write_bytes(b"x")
    with pytest.raises(InputError, match=message):
        load(data)


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


def test_a_new_format_is_one_module_that_nothing_else_knows_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lines.py").write_text(
        "import numpy as np\n"
        "from tenfold.data.decoding.pixels import from_array\n"
        "from tenfold.data.readers import Manifest, index_labels\n"
        "def reads(path): return path.suffix == '.lines'\n"
        "def read(path):\n"
        "    words, values = zip(*(line.split() for line in path.read_text().splitlines()))\n"
        "    names, labels = index_labels(words)\n"
        "    show = lambda i: from_array(np.full((8, 8), int(values[i]), np.uint8))\n"
        "    return Manifest(path.stem, names, labels, tuple(values), show)\n"
    )
    monkeypatch.setattr(readers, "__path__", [*readers.__path__, str(tmp_path)])
    (tmp_path / "set.lines").write_text("a 7\nb 8\na 9\n")
    data = load(tmp_path / "set.lines")
    assert (data.class_names, data.labels.tolist()) == (("a", "b"), [0, 1, 0])
    assert data.images[:, 0, 0, 0].tolist() == [7, 8, 9]
    assert (set(data.roles), data.groups.tolist()) == ({"train"}, [0, 1, 2])


def test_global_generators_are_untouched() -> None:
    before = np.random.get_state()[1].tolist()  # noqa: NPY002 - it is what must not change
    load("digits", per_class=3)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


LABELS = np.repeat([0, 1, 2], [60, 30, 10])
TRAIN = np.full(100, "train")
ALONE = np.arange(100)
KEY = Key("seed-0")


def counts(indices: np.ndarray, roles: np.ndarray, role: str) -> list[int]:
    return np.bincount(LABELS[indices[roles == role]], minlength=3).tolist()


@pytest.mark.parametrize(
    ("wanted", "train", "reserve", "test"),
    [
        ({"per_class": None, "images": None}, [60, 30, 10], [0, 0, 0], [0, 0, 0]),
        ({"per_class": 20, "images": None}, [20, 20, 10], [40, 10, 0], [0, 0, 0]),
        ({"per_class": None, "images": 20}, [12, 6, 2], [48, 24, 8], [0, 0, 0]),
        ({"per_class": 10, "images": None, "half_of_rest_is_test": True}, [10, 10, 10], [25, 10, 0], [25, 10, 0]),
    ],
)
def test_what_is_asked_for_is_studied(
    wanted: dict[str, Any], train: list[int], reserve: list[int], test: list[int]
) -> None:
    indices, roles = choose(LABELS, TRAIN, ALONE, key=KEY, **wanted)
    assert [counts(indices, roles, role) for role in ("train", "reserve", "test")] == [train, reserve, test]
    assert indices.tolist() == list(range(100))


def test_the_seed_decides_and_the_test_stays() -> None:
    roles = np.where(ALONE % 5 == 0, "test", "train")
    draws = [choose(LABELS, roles, ALONE, per_class=5, images=None, key=Key(f"seed-{s}")) for s in (0, 0, 1)]
    studied = [indices[given_roles == "train"].tolist() for indices, given_roles in draws]
    assert studied[0] == studied[1] != studied[2]
    assert all((indices[given_roles == "test"] == ALONE[::5]).all() for indices, given_roles in draws)


def test_relatives_of_studied_images_are_no_reserve() -> None:
    patients = ALONE // 2
    indices, roles = choose(LABELS, TRAIN, patients, per_class=5, images=None, key=KEY)
    studied, reserve = indices[roles == "train"], indices[roles == "reserve"]
    assert len(studied) == 15
    assert not set(patients[studied]) & set(patients[reserve])


def test_reserve_and_test_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subset, "LARGEST_RESERVE", 20)
    monkeypatch.setattr(subset, "LARGEST_TEST", 9)
    roles = np.where(ALONE % 2 == 0, "test", "train")
    indices, given_roles = choose(LABELS, roles, ALONE, per_class=5, images=None, key=KEY)
    assert (given_roles == "reserve").sum() == 20
    assert (given_roles == "test").sum() == 9
    assert set(LABELS[indices[given_roles == "test"]]) == {0, 1, 2}


@pytest.mark.parametrize(
    ("per_class", "images", "message"),
    [(0, None, "at least 1"), (None, 2, "at least 3"), (5, 50, "not both")],
)
def test_impossible_numbers_are_refused(per_class: int | None, images: int | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose(LABELS, TRAIN, ALONE, per_class=per_class, images=images, key=KEY)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=12).filter(any), st.integers(1, 700))
def test_shares_add_up(sizes: list[int], total: int) -> None:
    available = np.array(sizes)
    quota = shares(available, total)
    assert quota.sum() == min(total, available.sum())
    assert (quota >= 0).all()
    assert (quota <= available).all()
    if total >= (available > 0).sum():
        assert (quota[available > 0] > 0).all()


def test_files_are_read_with_more_pixels_for_networks_that_want_them(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / "set" / name).mkdir(parents=True)
        for index in range(3):
            pixels = noise_image((name, index), 100, 100)
            Image.fromarray(pixels).save(tmp_path / "set" / name / f"{index}.png")
    small, both = load(tmp_path / "set", size=20), load(tmp_path / "set", size=20, large_side=64)
    assert small.large is small
    assert (both.image_shape, both.large.image_shape, both.file_side) == ((1, 20, 20), (1, 64, 64), 100)
    assert np.array_equal(both.images, small.images)
    assert np.array_equal(both.large.images, load(tmp_path / "set", size=64).images)
    assert both.fingerprint() != small.fingerprint()
    part = both.take([4, 1])
    assert np.array_equal(part.large.images, both.large.images[[4, 1]])
    assert len(part.images)  # an array of its own, beside which the larger images stay
    assert np.array_equal(part.large.images, both.large.images[[4, 1]])
    again = part.joined(both.take([0]))
    assert np.array_equal(again.large.images, both.large.images[[4, 1, 0]])
    assert load(tmp_path / "set", large_side=64, size=100).large.image_shape == (1, 100, 100)
