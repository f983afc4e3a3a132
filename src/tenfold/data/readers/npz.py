"""A .npz of images or vectors and their labels, or in the layout of MedMNIST (train_images, train_labels ...)."""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import InputError, listed
from tenfold.data.columns import UNKNOWN, clean, group_of, meaning_of, spelled_alike
from tenfold.data.decoding.pixels import from_array
from tenfold.data.readers import UNLABELLED, Manifest, index_labels, studied_roles
from tenfold.data.readers.table import Rows, as_float32

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]

VECTORS = ("features", "embeddings")
PREFIXES = ("train", "val", "valid", "test")
NOTHING: Mapping[str, str] = {}
LARGEST_BYTES = 16 << 30
MAGIC = b"\x93NUMPY"
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
DAMAGED = (
    zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError, OSError, EOFError, ValueError, TypeError,
    SyntaxError, LookupError, AttributeError, ArithmeticError, RuntimeError, SystemError, MemoryError,
)  # fmt: skip
"""What zipfile and numpy are known to raise where an archive or a header is damaged."""


def reads(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() == ".npz"


def read(
    path: Path, *, name: str | None = None, class_names: Sequence[str] = (), columns: Mapping[str, str] = NOTHING
) -> Manifest:
    """The images of an .npz (N x H x W, N x H x W x C or N x C x H x W) or its features (N x F), of any numeric type.

    Args:
        columns: what the arrays of `label` and `group` are called, where it is not what tenfold knows.

    Raises:
        InputError: arrays are missing, do not fit one another, or are pickled.
    """
    name, arrays = name or path.stem, read_arrays(path)
    label = columns.get("label", "labels")
    kind = _kind(arrays)
    in_parts = f"train_{kind}" in arrays or f"test_{kind}" in arrays
    joined = _join_parts(path, arrays, kind, label) if in_parts else arrays
    for wanted in (kind, label):
        if wanted not in joined:
            hint = "; name it: --label-column NAME" if wanted == label and arrays else ""
            raise InputError(f"{path} has no array {wanted!r} (it has {', '.join(arrays) or 'none'}){hint}")
    rows = None if kind == "images" else _rows(path, joined[kind], kind, name)
    images = _channels_last(path, joined[kind]) if rows is None else rows.values
    labels = _flat(path, joined, label, len(images))
    if np.ndim(joined.get("class_names", class_names)) != 1:
        raise InputError(f"{path}: class_names are no list; wanted a name for each class")
    names, indices = _classes(path, labels, [str(entry) for entry in joined.get("class_names", class_names)])
    words = [names[index] for index in indices]
    group, told, warnings = _group(path, joined, {"kind": kind, "label": label}, columns, words)
    groups = [] if group is None else [clean(entry) for entry in _flat(path, joined, group, len(images))]
    split = _flat(path, joined, "split", len(images)) if "split" in joined else ["train"] * len(images)
    if labels.dtype.kind in "US":
        warnings += spelled_alike(labels, "classes", path.name)
    test_only = f"{path} has test {kind} only; name the {kind} to study in split (train)"
    roles = studied_roles(map(str, split), str(path), test_only)
    return Manifest(
        name=name,
        class_names=names,
        labels=indices,
        sources=_sources(name, images),
        decode=None if rows else lambda index: from_array(images[index]),
        vectors=rows.values if rows else None,
        roles=roles,
        groups=index_labels(groups)[1],
        group_names=tuple(groups),
        columns=told,
        warnings=tuple(warnings),
        roles_given_by_user=rows is not None and bool((roles != "train").any()),
    )


def read_unlabelled(path: Path) -> Manifest:
    """The images of an .npz that may have no labels.

    Raises:
        InputError: as `read`.
    """
    arrays = read_arrays(path)
    if "images" not in arrays or "labels" in arrays:
        return read(path)
    images = _channels_last(path, arrays["images"])
    return Manifest(
        name=path.stem,
        class_names=(UNLABELLED,),
        labels=np.zeros(len(images), np.int64),
        sources=_sources(path.stem, images),
        decode=lambda index: from_array(images[index]),
    )


def read_vectors(path: Path) -> Rows:
    """The vectors of an .npz, whose labels are not asked for.

    Raises:
        InputError: it holds none, or a value that cannot be used.
    """
    arrays = read_arrays(path)
    kind = next((name for name in VECTORS if name in arrays), None)
    if kind is None:
        raise InputError(f"{path} has no array 'features' or 'embeddings' (it has {', '.join(arrays) or 'none'})")
    return _rows(path, arrays[kind], kind, path.stem)


def read_arrays(path: Path) -> dict[str, Array]:
    """The arrays of an .npz, by name.

    Raises:
        InputError: it is damaged, unpacks to more than 16 GB, or holds pickled objects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked_bytes = sum(member.file_size for member in archive.infolist())
            if unpacked_bytes > LARGEST_BYTES:
                raise InputError(f"{path} unpacks to {unpacked_bytes >> 30} GB; give a smaller part of it")
            _require_what_is_declared(archive)
        with np.load(path, allow_pickle=False) as arrays:
            read = {name: arrays[name] for name in arrays.files}
        _require_text(read)
        # Files that are no arrays come back as bytes.
        return {name: array for name, array in read.items() if isinstance(array, np.ndarray)}
    except InputError:
        raise
    except DAMAGED as error:
        if "pickle" not in str(error):
            raise InputError(f"{path} is damaged ({error}); fetch or save it again") from error
        raise InputError(
            f"{path} holds pickled objects, which can run code and are refused; "
            "save plain arrays: numbers, or text as dtype str instead of object"
        ) from error


def _require_what_is_declared(archive: zipfile.ZipFile) -> None:
    """
    Raises:
        ValueError: an array's header declares more values than its file holds: memory is set aside for them at once.
    """
    for member in archive.infolist():
        with archive.open(member) as file:
            if file.read(len(MAGIC)) != MAGIC:
                continue
            file.seek(0)
            read_header = HEADERS.get(np.lib.format.read_magic(file))
            if read_header is None:
                raise ValueError(f"{member.filename} is of an unknown version")
            shape, _, dtype = read_header(file)
            if math.prod(shape) * max(1, dtype.itemsize) > member.file_size or min(shape, default=0) < 0:
                raise ValueError(f"{member.filename} declares {shape} values of {dtype} and does not hold them")


def _require_text(arrays: Arrays) -> None:
    """
    Raises:
        ValueError: text holds what is no letter, or half of one.
    """
    for array in arrays.values():
        if isinstance(array, np.ndarray) and array.dtype.kind == "U" and array.nbytes:
            letters = np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(-1).view(np.uint32)
            "".join(map(chr, np.unique(letters).tolist())).encode("utf-8", "surrogateescape")


def _kind(arrays: Arrays) -> str:
    """What the arrays hold: "images", or the name under which there are vectors."""
    names = ("images", *VECTORS)
    present = [name for name in names if any(f"{part}{name}" in arrays for part in ("", "train_", "test_"))]
    return present[0] if present else "images"


def _group(
    path: Path, arrays: Arrays, used: Mapping[str, str], columns: Mapping[str, str], labels: Sequence[str]
) -> tuple[str | None, tuple[str, ...], list[str]]:
    """The array that names the groups, what the arrays were taken for, and what to warn of."""
    known = {*used.values(), "split", "class_names", *VECTORS, "images"}
    rest = [name for name in arrays if name not in known]
    asked = {"group": columns["group"]} if "group" in columns else {}
    meaning = meaning_of(rest, asked, path.name, labelled=False)
    candidates = {name: [clean(entry) for entry in _flat(path, arrays, name, len(labels))] for name in meaning.group}
    group, warnings = group_of(candidates, labels, path.name, chosen=meaning.chosen)
    told = [] if group in (None, "groups") else [f"the array {group!r} holds the groups: each in one fold"]
    if unused := [name for name in rest if name != group]:
        told.append(f"arrays not used: {listed(unused)}")
    return group, tuple(told), warnings


def _join_parts(path: Path, arrays: Arrays, kind: str, label: str) -> dict[str, Array]:
    """The parts one behind the other: the images, their labels, and whatever else each part has."""
    present = [prefix for prefix in PREFIXES if f"{prefix}_{kind}" in arrays and f"{prefix}_{label}" in arrays]
    first = present[0] if present else ""
    of_first = [name.removeprefix(f"{first}_") for name in arrays if first and name.startswith(f"{first}_")]
    columns = [column for column in of_first if all(f"{prefix}_{column}" in arrays for prefix in present)]
    joined = {}
    for column in columns:
        parts = [arrays[f"{prefix}_{column}"] for prefix in present]
        try:
            joined[column] = np.concatenate(parts)
        except (ValueError, TypeError) as error:
            kinds = " and ".join(f"{part.dtype} {part.shape}" for part in parts)
            raise InputError(f"{path}: {column} of its parts are {kinds}; give them one shape and type") from error
    lengths = [len(arrays[f"{prefix}_{kind}"]) for prefix in present]
    extra = {"class_names": arrays["class_names"]} if "class_names" in arrays else {}
    return joined | {"split": np.repeat(present, lengths)} | extra


def _rows(path: Path, values: Array, kind: str, name: str) -> Rows:
    _require_numbers(path, values, kind, "float32")
    if values.ndim != 2 or 0 in values.shape:
        raise InputError(f"{path}: {kind} has shape {values.shape}; wanted N,F: a row an example, a column a feature")
    exact = as_float32(values, lambda row, column: f"{path}: {kind}[{':' if row is None else row}, {column}]")
    return Rows(exact, _sources(name, exact))


def _require_numbers(path: Path, values: Array, kind: str, usual: str) -> None:
    if values.dtype.kind not in "biuf":
        raise InputError(f"{path}: {kind} are {values.dtype}; save them as {usual} or another numeric type")


def _sources(name: str, values: Array) -> tuple[str, ...]:
    return tuple(f"{name}[{index}]" for index in range(len(values)))


def _channels_last(path: Path, images: Array) -> Array:
    _require_numbers(path, images, "images", "uint8")
    if images.ndim == 3 or (images.ndim == 4 and images.shape[3] in (1, 3, 4)):
        return images
    if images.ndim == 4 and images.shape[1] in (1, 3, 4):
        return images.transpose(0, 2, 3, 1)
    raise InputError(
        f"{path}: images have shape {images.shape}; wanted N,H,W or N,H,W,C or N,C,H,W with C = 1, 3 or 4"
    )


def _flat(path: Path, columns: Arrays, name: str, count: int) -> Array:
    column = columns[name]
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.shape != (count,):
        raise InputError(f"{path}: {name} has shape {column.shape} for {count} images or rows; wanted one for each")
    if column.dtype.kind == "f" and not np.isfinite(column).all():
        raise InputError(f"{path}: {name}[{int(np.argmin(np.isfinite(column)))}] is not a number; fill it in")
    if column.dtype.kind in "US" and name != "split":
        for index, entry in enumerate(column):
            if clean(entry) in UNKNOWN:
                said = f"is {clean(entry)!r}, which names nothing" if clean(entry) else "is blank"
                raise InputError(f"{path}: {name} is blank: {name}[{index}] {said}; fill it in or leave it out")
    if column.dtype.kind in "if" and (column < 0).any():
        index = int(np.argmax(column < 0))
        raise InputError(
            f"{path}: {name}[{index}] is {column[index]:g}, which often marks what is not known; leave it out, "
            "or write another number or a word"
        )
    return column


def _classes(path: Path, labels: Array, names: Sequence[str]) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Class names and indices: text names itself, whole numbers index `names` or stand for themselves."""
    if np.issubdtype(labels.dtype, np.floating):
        if not (labels == np.rint(labels)).all():
            raise InputError(f"{path}: labels must be whole numbers or text, not {labels.dtype}")
        labels = labels.astype(np.int64)
    if labels.dtype == np.bool_ and len(names):
        labels = labels.astype(np.int64)
    if np.issubdtype(labels.dtype, np.integer) and len(names):
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(names):
            raise InputError(f"{path}: labels run to {labels.max()}, but there are {len(names)} class names")
        return tuple(names), labels.astype(np.int64)
    return index_labels([clean(label) for label in labels])
