"""A .npz of images or vectors and their labels, or in the layout of MedMNIST (train_images, train_labels ...)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import InputError
from tenfold.data.readers import Listing, index_labels, list_arrays, role_of
from tenfold.data.readers.archives import read_npz
from tenfold.data.readers.table import ARRAY_NAMES, list_vectors, rows_of_array

Arrays = Mapping[str, npt.NDArray[Any]]
PREFIXES = ("train", "val", "valid", "test")


def list_npz(path: Path, *, name: str | None = None, class_names: Sequence[str] = ()) -> Listing:
    """The images of an .npz (N x H x W, N x H x W x C or N x C x H x W) or its features (N x F), of any numeric type.

    Raises:
        InputError: arrays are missing, do not fit one another, or are pickled.
    """
    arrays = read_npz(path)
    kind = array_kind(arrays)
    in_parts = f"train_{kind}" in arrays or f"test_{kind}" in arrays
    columns = _join_parts(arrays, kind) if in_parts else arrays
    for wanted in (kind, "labels"):
        if wanted not in columns:
            raise InputError(f"{path} has no array {wanted!r} (it has {', '.join(arrays) or 'none'})")
    rows = None if kind == "images" else rows_of_array(path, columns[kind], kind, name)
    images = _channels_last(path, columns[kind]) if rows is None else rows.values
    labels = _flat(path, columns, "labels", len(images))
    known_names = [str(entry) for entry in columns.get("class_names", class_names)]
    names, indices = _classes(path, labels, known_names)
    groups = _flat(path, columns, "groups", len(images)) if "groups" in columns else None
    split = _flat(path, columns, "split", len(images)) if "split" in columns else ["train"] * len(images)
    roles = np.array([role_of(str(entry), str(path)) for entry in split])
    group_numbers = None if groups is None else index_labels([str(group) for group in groups])[1]
    if rows is not None:
        listing = list_vectors(name or path.stem, rows, names, indices, roles, group_numbers)
    else:
        listing = list_arrays(name or path.stem, images, indices, names, roles=roles, groups=group_numbers)
    if not (listing.roles == "train").any():
        raise InputError(f"{path} has test {kind} only; name the {kind} to study in split (train)")
    return listing


def list_images_of(path: Path, images: npt.NDArray[Any]) -> Listing:
    """The images of an .npz that has no labels.

    Raises:
        InputError: they are no pictures.
    """
    pictures = _channels_last(path, images)
    return list_arrays(path.stem, pictures, np.zeros(len(pictures), np.int64), ("unlabelled",))


def array_kind(arrays: Arrays) -> str:
    """What the arrays hold: "images", or the name under which there are vectors."""
    names = ("images", *ARRAY_NAMES)
    present = [name for name in names if any(f"{part}{name}" in arrays for part in ("", "train_", "test_"))]
    return present[0] if present else "images"


def _join_parts(arrays: Arrays, kind: str) -> dict[str, npt.NDArray[Any]]:
    present = [prefix for prefix in PREFIXES if f"{prefix}_{kind}" in arrays and f"{prefix}_labels" in arrays]
    joined = {
        column: np.concatenate([arrays[f"{prefix}_{column}"] for prefix in present])
        for column in (kind, "labels")
        if present
    }
    lengths = [len(arrays[f"{prefix}_{kind}"]) for prefix in present]
    extra = {"class_names": arrays["class_names"]} if "class_names" in arrays else {}
    return joined | {"split": np.repeat(present, lengths)} | extra


def _channels_last(path: Path, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    numeric = images.dtype == np.bool_ or np.issubdtype(images.dtype, np.number)
    if not numeric or np.iscomplexobj(images):
        raise InputError(f"{path}: images are {images.dtype}; save them as uint8 or another numeric type")
    if images.ndim == 3:
        return images
    if images.ndim == 4 and images.shape[3] in (1, 3, 4):
        return images
    if images.ndim == 4 and images.shape[1] in (1, 3, 4):
        return images.transpose(0, 2, 3, 1)
    raise InputError(
        f"{path}: images have shape {images.shape}; wanted N,H,W or N,H,W,C or N,C,H,W with C = 1, 3 or 4"
    )


def _flat(path: Path, columns: Arrays, name: str, count: int) -> npt.NDArray[Any]:
    column = columns[name]
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.shape != (count,):
        raise InputError(f"{path}: {name} has shape {column.shape} for {count} images or rows; wanted one for each")
    if column.dtype.kind == "f" and not np.isfinite(column).all():
        raise InputError(f"{path}: {name}[{int(np.argmin(np.isfinite(column)))}] is not a number; fill it in")
    if column.dtype.kind in "US" and any(not entry.strip() for entry in column):
        raise InputError(f"{path}: an entry of {name} is blank; fill it in or leave the array out")
    return column


def _classes(
    path: Path, labels: npt.NDArray[Any], names: Sequence[str]
) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Class names and indices: text names itself, whole numbers index `names` or stand for themselves."""
    if np.issubdtype(labels.dtype, np.floating):
        if not (labels == np.rint(labels)).all():
            raise InputError(f"{path}: labels must be whole numbers or text, not {labels.dtype}")
        labels = labels.astype(np.int64)
    if np.issubdtype(labels.dtype, np.integer) and len(names):
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(names):
            raise InputError(f"{path}: labels run to {labels.max()}, but there are {len(names)} class names")
        return tuple(names), labels.astype(np.int64)
    return index_labels([str(label) for label in labels])
