"""A .zip of class folders, read where it lies: nothing of it is ever unpacked onto the disk."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from tenfold.core.errors import InputError
from tenfold.core.options import ClassFolders
from tenfold.data.decoding import decode
from tenfold.data.decoding.pixels import DecodedImage, UnreadableError
from tenfold.data.readers import LARGEST_FILE_BYTES, Manifest, folders
from tenfold.data.readers.layout import Parts
from tenfold.data.readers.metadata import TABLE_NAMES
from tenfold.data.readers.walk import Contents, is_clutter, may_be_image

LARGEST_BYTES = 16 << 30
LARGEST_RATIO = 200
"""Unpacked to packed bytes of a file over a megabyte: no image comes near, a bomb is beyond it."""


def reads(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() == ".zip"


def read(path: Path, class_folders: ClassFolders = "auto") -> Manifest:
    """The images of a .zip, labelled by the folders they are in; one folder around all of them says nothing.

    Raises:
        InputError: it is damaged, encrypted, holds links or paths that leave it, or would unpack to too much; or as
            for a folder.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error}); fetch or save it again") from error
    files = [entry for entry in archive.infolist() if not entry.is_dir()]
    _reject_traps(path, files)
    names = [name for entry in files if not _is_clutter(name := entry.filename)]
    if any(name.rpartition("/")[2] in TABLE_NAMES for name in names):
        raise InputError(f"{path} holds a table of labels; unpack it and give the folder")
    depth = _wrappers([tuple(name.split("/")) for name in filter(may_be_image, names)])
    prefix = "/".join(next(filter(may_be_image, names), "").split("/")[:depth]) + "/" * bool(depth)
    contents = Contents(path)
    for name in sorted((name.removeprefix(prefix) for name in names), key=lambda name: name.split("/")):
        (contents.images if may_be_image(name) else contents.others).append(name)
    folders_inside = {entry.filename for entry in archive.infolist() if entry.is_dir()}
    full = {f"{folder}/" for name in names for folder in map(str, PurePosixPath(name).parents)}
    contents.empty = sorted(name.removeprefix(prefix)[:-1] for name in folders_inside - full if not _is_clutter(name))
    manifest = folders.read_contents(path, contents, class_folders)

    def decode_member(index: int) -> DecodedImage:
        name = prefix + manifest.sources[index]
        try:
            return decode(archive.read(name), Path(name).suffix)
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError) as error:
            raise UnreadableError(f"damaged in the archive: {error}") from error

    return replace(manifest, name=path.stem, decode=decode_member)


def _is_clutter(name: str) -> bool:
    return any(map(is_clutter, name.split("/")))


def _wrappers(images: Sequence[Parts]) -> int:
    """How many folders at the top hold everything, with folders of their own inside."""
    depth = 0
    while images and all(len(parts) > depth + 2 for parts in images) and len({parts[depth] for parts in images}) == 1:
        depth += 1
    return depth


def _reject_traps(path: Path, files: Sequence[zipfile.ZipInfo]) -> None:
    for entry in files:
        name = entry.filename
        if ".." in name.split("/") or name.startswith("/") or "\\" in name or ":" in name.split("/")[0]:
            raise InputError(f"{path} holds {name!r}, which leaves the archive; pack it anew without such paths")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise InputError(f"{path} holds a link ({name!r}); pack the file itself")
        if entry.flag_bits & 1:
            raise InputError(f"{path} is encrypted; unpack it and give the folder")
        bomb = entry.file_size > 1 << 20 and entry.file_size > LARGEST_RATIO * max(1, entry.compress_size)
        if bomb or entry.file_size > LARGEST_FILE_BYTES:
            raise InputError(f"{path} holds {name!r}, which unpacks to {entry.file_size:,} bytes; leave it out")
    if sum(entry.file_size for entry in files) > LARGEST_BYTES:
        raise InputError(f"{path} unpacks to more than {LARGEST_BYTES >> 30} GB; unpack it and give the folder")
