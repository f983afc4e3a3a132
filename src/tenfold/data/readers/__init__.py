"""Readers of data, a module a format: each lists what is there, and nothing is decoded before it is wanted.

A new format is a new module here with two functions: `reads(path)` says whether it is for that path, and `read(path)`
gives its manifest. Where labels can be done without there is `read_unlabelled(path)` too.
"""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import InputError, did_you_mean
from tenfold.core.options import ClassFolders
from tenfold.core.types import Role, SetAside, ValueRanges
from tenfold.data.decoding import decode
from tenfold.data.decoding.pixels import MADE, DecodedImage, UnreadableError
from tenfold.data.value_range import ranges_beside

LARGEST_FILE_BYTES = 1 << 29
UNLABELLED = "unlabelled"
"""The one class of images whose labels are unknown, or kept from whoever learns."""
REFUSED_SUFFIXES = (".pkl", ".pickle", ".pt", ".pth", ".npy", ".joblib")
ARCHIVE_SUFFIXES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
ROLES: dict[str, Role] = {
    "train": "train", "training": "train", "val": "train", "valid": "train", "validation": "train", "dev": "train",
    "reserve": "reserve", "test": "test", "testing": "test",
}  # fmt: skip
"""How people name the parts of their data; validation images are studied too, as folds replace them."""

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Manifest:
    """Labelled images that are not decoded yet, so that a small part of a large set is quick to read; or vectors.

    Raises:
        InputError: there is no image at all, none of some class, or a single vector.
    """

    name: str
    class_names: tuple[str, ...]
    labels: Indices
    """N, each an index into `class_names`."""
    sources: tuple[str, ...]
    decode: Callable[[int], DecodedImage] | None = None
    """Decodes image i, or raises UnreadableError; None where there are `vectors` instead."""
    vectors: npt.NDArray[np.float32] | None = None
    """N x F; None for images."""
    roles: npt.NDArray[np.str_] = field(default_factory=lambda: np.empty(0, np.str_))
    """N; all are studied, unless given."""
    groups: Indices = field(default_factory=lambda: np.empty(0, np.int64))
    """N; every image is alone, unless given."""
    group_names: tuple[str, ...] = ()
    """N where the data names its groups, else none."""
    feature_names: tuple[str, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    columns: tuple[str, ...] = ()
    """What the columns of a table were taken for, a sentence each."""
    warnings: tuple[str, ...] = ()
    """What deserves the user's eye, a sentence each."""
    conversions: Mapping[str, int] = field(default_factory=dict)
    """What the reader made of the layout and what it did not read, as in `ImageDataset.conversions`."""
    value_ranges: ValueRanges | None = None
    """What the values of the originals were scaled by, of images that tenfold wrote with 8 bits."""
    roles_given_by_user: bool = False
    """True where the data's own folders or columns say what is train and what is test."""

    def __post_init__(self) -> None:
        if self.vectors is not None and len(self.vectors) == 1:
            raise InputError(f"{self.name} holds a single row, and nothing can be told from one; add rows")
        count = len(self.sources)
        if not count:
            raise InputError(f"{self.name} holds no images; give a folder with one folder a class")
        for label in np.flatnonzero(np.bincount(self.labels, minlength=len(self.class_names)) == 0):
            raise InputError(f"class {self.class_names[label]!r} holds no images; add some or remove the class")
        if not len(self.roles):
            object.__setattr__(self, "roles", np.full(count, "train"))
        if not len(self.groups):
            object.__setattr__(self, "groups", np.arange(count))

    def image(self, index: int, role: str) -> DecodedImage:
        """Image i, which is original, unless its role is `grown` or labels are not asked for.

        Raises:
            UnreadableError: nothing in its file can be used.
            InputError: tenfold made it.
        """
        assert self.decode is not None  # there are images
        image = self.decode(index)
        if MADE in image.notes and role != "grown" and self.class_names != (UNLABELLED,):
            raise InputError(
                f"{self.sources[index]} was made by tenfold, and nothing here says from which images; give the "
                "original data, or the folder that tenfold wrote, with its metadata.jsonl"
            )
        return image


def manifest_of(
    data: str | Path,
    *,
    labelled: bool = True,
    class_folders: ClassFolders = "auto",
    columns: Mapping[str, str] | None = None,
) -> Manifest:
    """What a path or a known name holds, by the reader that is for it.

    Args:
        labelled: or else labels may be missing, and a folder may hold images in any folders.
        class_folders: which of the folders around an image name its class, where there are several.
        columns: what the columns for `file`, `label` and `group` of a table are called.

    Raises:
        InputError: there is nothing, no reader is for it, or its reader cannot use it.
    """
    from tenfold.data.readers import archives, folders, hub, known, shard_files

    if isinstance(data, str) and data.startswith(hub.PREFIX):
        if class_folders != "auto":
            raise InputError(f"--class-folders is for folders of class folders, and {data} is none; leave it out")
        return hub.read(data, columns or {}, labelled=labelled)
    path = Path(data)
    is_known = isinstance(data, str) and data in known.KNOWN
    if is_known and class_folders == "auto":
        return known.read(str(data))
    if not is_known and not os.path.exists(path) and not shard_files.matching(str(data)):
        hint = did_you_mean(str(data), known.KNOWN) if len(path.parts) == 1 else " Check the path."
        raise InputError(f"{data}: no such file, folder or known set.{hint}")
    if class_folders != "auto":
        if archives.reads(path):
            return archives.read(path, class_folders)
        if is_known or not folders.reads(path):
            raise InputError(f"--class-folders is for folders of class folders, and {data} is none; leave it out")
        return _with_what_lies_beside(folders.read(path, class_folders), path)
    if columns:
        return _with_columns(path, columns)
    for module in pkgutil.iter_modules(__path__):
        reader: Any = import_module(f"{__name__}.{module.name}")
        if hasattr(reader, "reads") and reader.reads(path):
            read = reader.read if labelled else getattr(reader, "read_unlabelled", reader.read)
            manifest: Manifest = read(path)
            of_files = path.is_dir() and not shard_files.holds_shards(path)
            return _with_what_lies_beside(manifest, path) if of_files else manifest
    suffix = path.suffix.lower()
    if suffix in REFUSED_SUFFIXES:
        raise InputError(f"{path} may hold pickled code and is refused; save images and labels as .npz")
    if suffix in ARCHIVE_SUFFIXES:
        raise InputError(f"{path} is an archive; unpack it and give the folder")
    raise InputError(f"{path} is a file; give a folder of class folders, one with metadata.csv, an .npz, or a .csv")


def has_table(path: Path) -> bool:
    """Whether columns, or arrays, could be named there."""
    from tenfold.data.readers import metadata

    if path.is_dir() and metadata.find_table(path, of_any_name=True) is not None:
        return True
    return any(reader.reads(path) for reader in _with_named_columns())


def _with_columns(path: Path, columns: Mapping[str, str]) -> Manifest:
    from tenfold.data.readers import metadata

    if path.is_dir() and (listing := metadata.find_table(path, of_any_name=True)):
        return _with_what_lies_beside(metadata.read_listed(listing, columns), path)
    for reader in _with_named_columns():
        if reader.reads(path):
            manifest: Manifest = reader.read(path, columns=columns)
            return manifest
    flags = ", ".join(f"--{what}-column" for what in columns)
    raise InputError(f"{path} holds no table whose columns could be named; leave {flags} out, or add a metadata.csv")


def _with_named_columns() -> tuple[Any, ...]:
    """The readers of files whose columns can be named."""
    from tenfold.data.readers import npz, parquet, table, webdataset

    return npz, parquet, table, webdataset


def _with_what_lies_beside(manifest: Manifest, folder: Path) -> Manifest:
    """A folder's manifest with the patients that its files name and the range that they were scaled by."""
    from tenfold.data.readers.patients import by_patient

    return replace(by_patient(manifest, folder), value_ranges=ranges_beside(folder))


def index_labels(names: Sequence[str]) -> tuple[tuple[str, ...], Indices]:
    """Distinct names in order, and each name's index; whole numbers are ordered as such, others as text."""
    distinct = set(names)
    numbers = all(name.isascii() and name.isdigit() for name in distinct)
    ordered = sorted(distinct, key=lambda name: (int(name) if numbers else 0, name))
    index = {name: position for position, name in enumerate(ordered)}
    return tuple(ordered), np.array([index[name] for name in names], dtype=np.int64)


def role_of(word: str, where: str) -> Role:
    """The role that a word in a split column means.

    Raises:
        InputError: the word is none of those known.
    """
    role = ROLES.get(word.strip().lower())
    if role is None:
        raise InputError(f"{where}: split {word!r} is not known; write train, reserve or test")
    return role


def studied_roles(words: Iterable[str], where: str, nothing_studied: str) -> npt.NDArray[np.str_]:
    """The roles that the words of a split column mean.

    Raises:
        InputError: a word is not known, or, with the words `nothing_studied`, none of them means train.
    """
    roles = np.array([role_of(word, where) for word in words], np.str_)
    if len(roles) and not (roles == "train").any():
        raise InputError(nothing_studied)
    return roles


def read_file(path: Path) -> DecodedImage:
    """Decode one file.

    Raises:
        UnreadableError: the file cannot be opened, is too large, or holds no image.
    """
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise UnreadableError("larger than 512 MB")
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableError(f"cannot be opened: {error.strerror}") from error
    return decode(content, path.suffix)


def read_text(path: Path) -> str:
    """A file's text; bytes that are not UTF-8 survive as surrogates, as in file names.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; give it read permission") from error
