from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from made_up_images import noise_image
from tenfold.core.errors import InputError
from tenfold.data.load import load

Folders = Callable[..., Path]


def test_classes_labels_and_sources(class_folders: Folders) -> None:
    dataset = load(class_folders({"cat": 3, "dog": 2}))
    assert dataset.name == "set"
    assert dataset.class_names == ("cat", "dog")
    assert dataset.labels.tolist() == [0, 0, 0, 1, 1]
    assert dataset.sources[3] == "dog/000.png"
    assert set(dataset.roles) == {"train"}
    assert len(set(dataset.groups)) == 5
    assert dataset.image_shape == (1, 8, 8)


def test_numbered_classes_are_ordered_as_numbers(class_folders: Folders) -> None:
    assert load(class_folders({"10": 1, "9": 1})).class_names == ("9", "10")


def test_train_val_and_test_folders_give_roles(class_folders: Folders) -> None:
    root = class_folders({"train/a": 2, "train/b": 2, "val/a": 1, "val/b": 1, "test/a": 1, "test/b": 1})
    dataset = load(root)
    assert dataset.class_names == ("a", "b")
    assert sorted(dataset.roles) == ["test"] * 2 + ["train"] * 6


def test_the_same_image_in_train_and_test_is_refused(class_folders: Folders) -> None:
    root = class_folders({"train/a": 1, "train/b": 1, "test/a": 1, "test/b": 1})
    shutil.copy(root / "train/a/000.png", root / "test/b/000.png")
    with pytest.raises(InputError, match=r"train/a/000\.png .*test/b/000\.png"):
        load(root)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, "no class folders"),
        ({"a": 2, "b": 0}, "'b' is empty"),
        ({"a": 2, ".": 2}, "without a label"),
        ({".": 2}, "without a label"),
        ({"outer/a": 2, "outer/b": 2}, "inside the class folder 'outer'"),
        ({"outer/inner/a": 2, "outer/inner/b": 2}, "Give .*outer/inner instead"),
        ({"day1/a": 2, "day1/b": 2, "day2/a": 1, "day2/b": 1}, "--class-folders top, path .* or last"),
        ({"train/a": 2, "train/b": 2, "test/a": 1, "bus/front": 1, "bus/back": 1}, "inside the class folder 'bus'"),
        ({"test/a": 2, "test/b": 2}, "a test part only; give .*test to study it"),
        ({"train": 2, "test": 2}, "must hold class folders"),
        ({"train/a": 1, "train/b": 1, "test/c": 1}, "'c'"),
    ],
)
def test_what_cannot_be_read_in_one_way_is_refused(
    counts: dict[str, int], message: str, class_folders: Folders, tmp_path: Path
) -> None:
    (tmp_path / "set").mkdir()
    with pytest.raises(InputError, match=message):
        load(class_folders(counts))


def test_clutter_is_passed_over(class_folders: Folders) -> None:
    root = class_folders({"a": 1, "b": 1, ".hidden": 1, "__MACOSX": 1})
    for name in ("README.md", "a/.DS_Store", "b/Thumbs.db"):
        (root / name).write_text("x")
    dataset = load(root)
    assert len(dataset) == 2
    assert dataset.set_aside == ()


def test_broken_files_are_set_aside_and_the_rest_is_read(class_folders: Folders) -> None:
    root = class_folders({"a": 2, "b": 2})
    (root / "a/empty.png").write_bytes(b"")
    (root / "a/page.jpg").write_text("<html>404</html>")
    dataset = load(root)
    assert len(dataset) == 4
    assert {(entry.source, entry.reason) for entry in dataset.set_aside} == {
        ("a/empty.png", "empty file (0 bytes)"),
        ("a/page.jpg", "a web page, not an image"),
    }
    for image in (root / "a").glob("0*.png"):
        image.unlink()
    with pytest.raises(InputError, match=r"'a'.*a/empty\.png: empty file"):
        load(root)


def test_links_out_of_the_data_and_pipes_are_not_followed(class_folders: Folders, tmp_path: Path) -> None:
    root = class_folders({"a": 2, "b": 2})
    outside = tmp_path / "outside.png"
    Image.fromarray(noise_image("outside")).save(outside)
    (root / "a/link.png").symlink_to(outside)
    (root / "a/inner.png").symlink_to(root / "b/000.png")
    (root / "loop").symlink_to(tmp_path)
    os.mkfifo(root / "b/pipe.png")
    dataset = load(root)
    assert "a/inner.png" in dataset.sources
    assert {entry.source for entry in dataset.set_aside} == {"a/link.png", "loop", "b/pipe.png"}


@pytest.mark.parametrize("name", ["größe", "日本", "كلب", "🐱", "a\nb", "=cmd", "<script>", "CON", "\udcff"])
def test_any_name_survives(name: str, class_folders: Folders) -> None:
    dataset = load(class_folders({name: 1, "other": 1}))
    assert name in dataset.class_names
    assert f"{name}/000.png" in dataset.sources


def test_names_equal_but_for_case_or_form_are_two_classes(class_folders: Folders) -> None:
    names = ("A", "a", "\u00e9", "e\u0301")
    assert set(load(class_folders(dict.fromkeys(names, 1))).class_names) == set(names)


def test_the_folders_that_name_the_class_can_be_said(class_folders: Folders) -> None:
    root = class_folders({"day1/a": 2, "day1/b": 2, "day2/a": 1, "day2/b": 1})
    assert load(root, class_folders="last").class_names == ("a", "b")
    assert load(root, class_folders="top").class_names == ("day1", "day2")
    assert load(root, class_folders="path").class_names == ("day1/a", "day1/b", "day2/a", "day2/b")
    with pytest.raises(InputError, match="--class-folders is for folders"):
        load("digits", class_folders="last")


def test_patients_folders_are_groups_in_every_part_and_class(class_folders: Folders) -> None:
    root = class_folders({"a/p1": 2, "a/p2": 1, "b/p2": 2, "b/patient_7/series1": 2})
    groups = dict(zip((data := load(root)).sources, data.groups.tolist(), strict=True))
    assert len(set(groups.values())) == 3
    assert groups["a/p2/000.png"] == groups["b/p2/001.png"]
    assert groups["a/p1/000.png"] == groups["a/p1/001.png"] != groups["a/p2/000.png"]


FOLDERS = ("", "a", "b", "train", "test", "val", "images", "masks", "p7", "ä", ".hidden", "a/a", "train/a", "test/b")
FILES = (
    "0.png",
    "1.jpg",
    "2_mask.png",
    "no extension",
    "README.md",
    "x.txt",
    "metadata.csv",
    "labels.json",
    ".DS_Store",
)
KINDS = (
    "image",
    "image",
    "image",
    "empty",
    "text",
    "link out",
    "link to itself",
    "link to a folder",
    "pipe",
    "folder",
)


@given(st.lists(st.tuples(st.sampled_from(FOLDERS), st.sampled_from(FILES), st.sampled_from(KINDS)), min_size=1))
@settings(max_examples=80)
def test_any_folder_is_read_or_refused_and_each_image_is_accounted_for(
    entries: list[tuple[str, str, str]],
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        root, images = Path(temporary) / "set", set()
        for number, (folder, name, kind) in enumerate(entries):
            path = root / folder / name
            with suppress(OSError):  # another entry has made a file of the folder, or the file
                path.parent.mkdir(parents=True, exist_ok=True)
                put_there(path, kind, number)
                images |= {path.relative_to(root).as_posix()} if kind == "image" else set()
        with suppress(InputError):
            dataset = load(root)
            assert set(dataset.sources) <= images
            assert not {entry.source for entry in dataset.set_aside} & set(dataset.sources)


def put_there(path: Path, kind: str, number: int) -> None:
    """A file, link, pipe or folder where nothing is yet."""
    if os.path.lexists(path):
        raise FileExistsError
    match kind:
        case "image":
            Image.fromarray(noise_image(number)).save(path, "PNG")
        case "link out":
            path.symlink_to("/dev/zero")
        case "link to itself":
            path.symlink_to(path.name)
        case "link up":
            path.symlink_to("..")
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case _:
            path.write_text("file_name,label\n0.png,a\n" if kind == "text" else "")
