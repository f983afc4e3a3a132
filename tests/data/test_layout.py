from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.data.readers.layout import doubtful_folder, placed, split_folders, split_role, without_wrapper

NAMES = st.sampled_from(["a", "b", "train", "test", "val", "p1", "p2", "images", "series1", "1", "x.png"])
PATHS = st.lists(st.lists(NAMES, min_size=2, max_size=5).map(tuple), min_size=1, max_size=12)


@pytest.mark.parametrize("name", ["train", "Training", "TRAIN_set", "val", "valid", "Validation", "dev"])
def test_parts_that_are_studied(name: str) -> None:
    assert split_role(name) == "train"


@pytest.mark.parametrize("name", ["test", "Testing", "test_set", "test-images"])
def test_parts_that_are_sealed(name: str) -> None:
    assert split_role(name) == "test"


@pytest.mark.parametrize("name", ["trainer", "tested", "value", "cat", "", "testament"])
def test_classes_are_no_parts(name: str) -> None:
    assert split_role(name) is None


def test_a_folder_called_train_beside_other_classes_is_a_class() -> None:
    assert not split_folders([("train", "1.png"), ("bus", "1.png")])
    assert split_folders([("Train", "a", "1.png"), ("Test", "a", "1.png")]) == {"Test": "test", "Train": "train"}


@pytest.mark.parametrize(
    "folders",
    [["a/Imgs", "b/Imgs"], ["a/p7/series1", "a/p8/series1", "b/p9"], ["a", "a/deeper", "b"], ["a/x", "b/y"],
     ["a/images", "a/masks", "b/images", "b/masks"], ["a/1.2.840.1", "a/1.2.840.2"], ["a/TCGA-XX-0001", "a/10253"]],
)  # fmt: skip
def test_what_is_read_through(folders: list[str]) -> None:
    images = [(*folder.split("/"), "x.png") for folder in folders]
    assert doubtful_folder(images) is None
    assert [one.label for one in placed(images)] == [folder[0] for folder in folders]


@pytest.mark.parametrize(
    ("folders", "doubtful"),
    [(["outer/a", "outer/b"], "outer/a"), (["10253/0", "10253/1", "10254/0"], "10253/0"),
     (["apple/healthy", "apple/rot", "pear/healthy"], "apple/healthy"), (["a/s/x", "a/s/y"], "a/s/x"),
     (["greek/character01", "greek/character02"], "greek/character01")],
)  # fmt: skip
def test_what_may_be_a_class_of_its_own(folders: list[str], doubtful: str) -> None:
    assert doubtful_folder([(*folder.split("/"), "x.png") for folder in folders]) == doubtful


def test_parts_inside_of_every_class() -> None:
    images = [
        ("cat", "train", "1.png"),
        ("cat", "test", "2.png"),
        ("dog", "train", "3.png"),
        ("dog", "test", "4.png"),
    ]
    assert [(one.label, one.part) for one in placed(images)] == [
        ("cat", "train"), ("cat", "test"), ("dog", "train"), ("dog", "test"),
    ]  # fmt: skip
    assert not any(one.part for one in placed([*images, ("dog", "2.png")]))


def test_an_archive_that_was_unpacked_into_a_folder_of_its_own_name() -> None:
    assert without_wrapper([("set", "set", "a", "1.png"), ("set", "set", "b", "1.png")], "set") == 2
    assert without_wrapper([("set", "1.png"), ("b", "1.png")], "set") == 0


@given(PATHS)
def test_every_image_has_a_place(paths: list[tuple[str, ...]]) -> None:
    for named_by in ("auto", "top", "path", "last"):
        found = placed(paths, named_by)  # type: ignore[arg-type]  # mypy takes the words for any text
        assert len(found) == len(paths)
        assert all(one.label for one in found)


@given(st.lists(st.text(string.printable, min_size=1).filter(lambda name: "/" not in name), min_size=2, max_size=4))
def test_any_name_may_stand_anywhere(names: list[str]) -> None:
    [one] = placed([tuple(names)])
    assert one.label == names[0]
