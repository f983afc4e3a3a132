from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tenfold.core.errors import InputError
from tenfold.data.readers.walk import is_image_name, may_be_image, walk

Folders = Callable[..., Path]


def test_every_file_is_an_image_or_told(class_folders: Folders) -> None:
    root = class_folders({"a": 2, "a/deeper/still": 1, "b": 1, ".git": 1, "@eaDir": 1})
    for name in ("paper.PDF", "a/notes.txt", "a/.DS_Store", "b/no_extension", "LICENSE"):
        (root / name).write_text("x")
    (root / "empty/.ipynb_checkpoints").mkdir(parents=True)
    contents = walk(root)
    assert contents.images == [
        "a/000.png", "a/001.png", "a/deeper/still/000.png", "b/000.png", "b/no_extension",
    ]  # fmt: skip
    assert contents.others == ["LICENSE", "a/notes.txt", "paper.PDF"]
    assert contents.empty == ["empty"]
    assert contents.not_read == {"files that are no images by their names, not read (.pdf, .txt, LICENSE)": 3}


def test_nothing_but_regular_files_inside_is_opened(class_folders: Folders, tmp_path: Path) -> None:
    root = class_folders({"a": 1})
    outside = class_folders({"x": 1}, tmp_path / "outside")
    (root / "a/loop").symlink_to(root)
    (root / "a/up").symlink_to("..")
    (root / "a/self.png").symlink_to("self.png")
    (root / "a/out.png").symlink_to(outside / "x/000.png")
    (root / "a/outer").symlink_to(outside)
    (root / "a/copy.png").symlink_to("000.png")
    os.mkfifo(root / "a/pipe.png")
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(root / "a")
        server.bind("socket.png")
        contents = walk(root)
    assert contents.images == ["a/000.png", "a/copy.png"]
    assert {entry.source for entry in contents.set_aside} == {
        f"a/{name}" for name in ("loop", "up", "self.png", "out.png", "outer", "pipe.png", "socket.png")
    }


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        walk(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["x.jpg", "x.TIFF", "x.dcm", "brain.nii.gz", "x.heic"])
def test_names_of_images(name: str) -> None:
    assert is_image_name(name)


@pytest.mark.parametrize("name", ["paper.pdf", "model.h5", "data.hdf", "clip.mpg", "set.tar.gz", "README", "x.csv"])
def test_names_of_other_things(name: str) -> None:
    assert not may_be_image(name)
