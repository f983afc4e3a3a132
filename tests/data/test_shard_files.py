from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tenfold.core.errors import InputError
from tenfold.data.load import load
from tenfold.data.readers.shard_files import Shards, matching, shards_at

Folders = Callable[..., Path]


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a-{000..002}.tar", ["a-000.tar", "a-001.tar", "a-002.tar"]),
        ("a-{9..11}.tar", ["a-9.tar", "a-10.tar", "a-11.tar"]),
        ("{x,y}-{0..1}.tar", ["x-0.tar", "x-1.tar", "y-0.tar", "y-1.tar"]),
        ("[xy]-?.tar", ["x-0.tar", "x-1.tar", "y-0.tar", "y-1.tar"]),
        ("none-*.tar", []),
    ],
)
def test_braces_and_wildcards_name_files(pattern: str, names: list[str], tmp_path: Path) -> None:
    touch(tmp_path, *names)
    assert [path.name for path in matching(str(tmp_path / pattern))] == names


def test_a_file_that_a_range_lacks_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "a-0.tar", "a-2.tar")
    with pytest.raises(InputError, match=r"there is no file .*a-1\.tar"):
        load(str(tmp_path / "a-{0..2}.tar"))
    with pytest.raises(InputError, match="names 2,000,000 files"):
        matching("{0..1999}-{0..999}.tar")


def test_a_folder_with_images_is_no_folder_of_shards(tmp_path: Path, class_folders: Folders) -> None:
    root = class_folders({"a": 2, "b": 2})
    touch(root, "more.tar", "labels.parquet")
    assert shards_at(root, ".tar") is None
    assert load(root).class_names == ("a", "b")
    only = touch(tmp_path / "only", "data/one.tar", "README.md", "b.tar")
    found = shards_at(only, ".tar")
    assert found is not None
    assert found.names == ("b.tar", "data/one.tar")


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["train-00000-of-00002.tar", "test-00000-of-00001.tar"], ["train", "test"]),
        (["mnist-train-0.tar", "mnist-test-0.tar", "extra.tar"], ["train", "test", "train"]),
        (["test/0.tar", "train/0.tar"], ["test", "train"]),
        (["test-0.tar", "test-1.tar"], ["train", "train"]),
        (["testimony-0.tar", "train-0.tar"], ["train", "train"]),
    ],
)
def test_the_names_of_shards_say_of_which_part_they_are(names: list[str], splits: list[str]) -> None:
    assert list(Shards(Path("set"), tuple(Path("set", name) for name in names)).splits) == splits
