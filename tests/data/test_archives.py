from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tenfold.core.errors import InputError
from tenfold.data.load import load

Folders = Callable[..., Path]


def packed(root: Path, inside: str = "") -> Path:
    path = root.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(root.rglob("*")):
            archive.write(file, inside + file.relative_to(root).as_posix())
    return path


@pytest.mark.parametrize("inside", ["", "outer/", "outer/inner/"])
def test_a_zip_is_read_as_its_folder(inside: str, class_folders: Folders) -> None:
    root = class_folders({"train/a": 2, "train/b": 2, "test/a": 1, "test/b": 1, "__MACOSX/a": 1})
    (root / "README.txt").write_text("x")
    folder, archive = load(root), load(packed(root, inside))
    assert archive.fingerprint() == folder.fingerprint()
    assert archive.sources == folder.sources
    assert archive.conversions == folder.conversions


def test_the_folders_that_name_the_class(class_folders: Folders) -> None:
    path = packed(class_folders({"greek/alpha": 2, "greek/beta": 2, "latin/alpha": 2}))
    with pytest.raises(InputError, match="--class-folders"):
        load(path)
    assert load(path, class_folders="path").class_names == ("greek/alpha", "greek/beta", "latin/alpha")


def test_row_46_paths_and_links_that_leave_the_archive(class_folders: Folders) -> None:
    path = packed(class_folders({"a": 2, "b": 2}))
    for name in ("a/../../x.png", "/etc/x.png", "C:/x.png"):
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(name, b"x")
        with pytest.raises(InputError, match="leaves the archive"):
            load(path)
    link = zipfile.ZipInfo("a/link.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match="a link"):
        load(path)


def test_row_47_a_bomb(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/x.png", bytes(1 << 24))
    with pytest.raises(InputError, match="unpacks to 16,777,216 bytes"):
        load(tmp_path / "bomb.zip")


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x05\x06" + bytes(18)])
def test_damaged_and_empty_archives(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(InputError):
        load(tmp_path / "x.zip")


def test_a_damaged_member_is_set_aside(class_folders: Folders) -> None:
    path = packed(class_folders({"a": 2, "b": 2}))
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 6] ^= 255
    path.write_bytes(content)
    data = load(path)
    assert len(data) == 3
    assert "damaged" in data.set_aside[0].reason
