"""One copy of the images on disk, which every process of a study maps instead of being sent its own."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import InputError, SystemFault
from tenfold.core.files import json_bytes, read_json, write_many
from tenfold.core.rows import ImageRows
from tenfold.core.types import ImageDataset, SetAside
from tenfold.data.value_range import ranges_from_json

MOST_BYTES = 16 * 2**30
IMAGES, LARGE = "images.npy", "large.npy"
COLUMNS = "columns.json"


class ImageCache:
    """Sets under one directory, each in a folder named by its fingerprint and a hash of its names.

    What earlier runs left gives way, the longest unused first, where a new set would take more than `most_bytes`;
    what this object stored stays.
    """

    def __init__(self, root: Path, most_bytes: int = MOST_BYTES) -> None:
        self.root = root
        self.most_bytes = most_bytes
        self._in_use: set[Path] = set()

    def store(self, data: ImageDataset) -> Path:
        """Where the set lies; it is written unless it is there already.

        Raises:
            SystemFault: the disk is full or the directory cannot be written.
        """
        columns = json_bytes(_columns(data))
        path = self.root / f"{data.fingerprint()}-{hashlib.sha256(columns).hexdigest()[:8]}"
        self._in_use.add(path)
        if (path / COLUMNS).exists():
            os.utime(path)
            return path
        kept = {IMAGES: data.rows, **({} if data.rows.large is None else {LARGE: data.rows.large})}
        self._make_room(sum(int(np.prod(rows.shape)) * rows.dtype.itemsize for rows in kept.values()))
        try:
            write_many(path, [*((name, _npy(rows)) for name, rows in kept.items()), (COLUMNS, columns)])
        except (InputError, SystemFault):
            if not (path / COLUMNS).exists():  # another process wrote the same set meanwhile
                raise
        return path

    def open(self, path: Path) -> ImageDataset:
        """The set that `store` put there, its images as a read-only map whose pages all processes share.

        Raises:
            SystemFault: it is not there any more.
        """
        try:
            columns: dict[str, Any] = read_json(path / COLUMNS)
            large = ImageRows((_mapped(path / LARGE),)) if (path / LARGE).exists() else None
            rows = ImageRows((_mapped(path / IMAGES),), large=large)
        except (InputError, OSError, ValueError) as error:
            raise SystemFault(f"cannot read the images in {path}: {error}; start the same command again") from error
        images: Any = rows  # of which the set's array is a part
        return ImageDataset(
            name=columns["name"],
            images=images,
            labels=np.array(columns["labels"], dtype=np.int64),
            class_names=tuple(columns["class_names"]),
            groups=np.array(columns["groups"], dtype=np.int64),
            sources=tuple(columns["sources"]),
            roles=np.array(columns["roles"], dtype=np.str_),
            set_aside=tuple(SetAside(**entry) for entry in columns["set_aside"]),
            conversions=dict(columns["conversions"]),
            columns=tuple(columns["columns"]),
            warnings=tuple(columns["warnings"]),
            feature_names=tuple(columns["feature_names"]),
            value_ranges=ranges_from_json(columns),
            file_side=int(columns["file_side"]),
        )

    def _make_room(self, more: int) -> None:
        folders = [entry for entry in self.root.glob("*-*") if (entry / COLUMNS).exists()]
        folders.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
        held = more + sum(_bytes_of(folder) for folder in folders)
        while folders and held > self.most_bytes:
            oldest = folders.pop()
            if oldest not in self._in_use:
                held -= _bytes_of(oldest)
                shutil.rmtree(oldest, ignore_errors=True)


def _columns(data: ImageDataset) -> dict[str, Any]:
    return {
        "name": data.name,
        "labels": data.labels.tolist(),
        "class_names": data.class_names,
        "groups": data.groups.tolist(),
        "sources": data.sources,
        "roles": data.roles.tolist(),
        "set_aside": [asdict(entry) for entry in data.set_aside],
        "conversions": list(data.conversions.items()),  # a list, as their order is told
        "columns": data.columns,
        "warnings": data.warnings,
        "feature_names": data.feature_names,
        "value_ranges": dict(data.value_ranges),
        "file_side": data.file_side,
    }


def _npy(rows: ImageRows) -> Iterator[bytes]:
    """The bytes of an .npy file of the images, a part at a time."""
    header = io.BytesIO()
    described = {"descr": rows.dtype.str, "fortran_order": False, "shape": rows.shape}
    np.lib.format.write_array_header_1_0(header, described)
    yield header.getvalue()
    yield from (images.tobytes() for images in rows.chunks())


def _mapped(path: Path) -> npt.NDArray[Any]:
    """A plain array over the map: what is gathered from it must not look like a map itself."""
    images: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    return images


def _bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())
