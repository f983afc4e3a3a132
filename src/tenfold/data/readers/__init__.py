"""The words by which people name the parts of their data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import InputError
from tenfold.core.types import Role, SetAside
from tenfold.data.images import Picture, UnreadableError, decode, from_array

LARGEST_FILE_BYTES = 1 << 29


@dataclass(frozen=True, eq=False)
class Listing:
    """Labelled images that are not decoded yet, so that a small part of a large set is quick to read."""

    name: str
    class_names: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    """N, each an index into `class_names`."""
    groups: npt.NDArray[np.int64]
    sources: tuple[str, ...]
    roles: npt.NDArray[np.str_]
    read: Callable[[int], Picture] | None = None
    """Decodes image i, or raises UnreadableError; None where there are `vectors` instead."""
    vectors: npt.NDArray[np.float32] | None = None
    """N x F; None for images."""
    feature_names: tuple[str, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    roles_given_by_user: bool = False
    """True where the data's own folders or columns say what is train and what is test."""

    def __len__(self) -> int:
        return len(self.sources)


def index_labels(names: Sequence[str]) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Distinct names in order, and each name's index; whole numbers are ordered as such, others as text."""
    distinct = set(names)
    numbers = all(name.isascii() and name.isdigit() for name in distinct)
    ordered = sorted(distinct, key=lambda name: (int(name) if numbers else 0, name))
    index = {name: position for position, name in enumerate(ordered)}
    return tuple(ordered), np.array([index[name] for name in names], dtype=np.int64)


def every_image_alone(count: int) -> npt.NDArray[np.int64]:
    """Groups where nothing is known about kinship."""
    return np.arange(count, dtype=np.int64)


def read_file(path: Path) -> Picture:
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


def reject_empty(listing: Listing) -> Listing:
    """The listing itself when it holds an image of every class.

    Raises:
        InputError: there is no image at all, or none of some class.
    """
    if not len(listing):
        raise InputError(f"{listing.name} holds no images; give a folder with one folder a class")
    counts = np.bincount(listing.labels, minlength=len(listing.class_names))
    for label in np.flatnonzero(counts == 0):
        name = listing.class_names[label]
        raise InputError(f"class {name!r} holds no images; add some or remove the class")
    return listing


def list_arrays(
    name: str,
    images: npt.NDArray[np.generic],
    labels: npt.NDArray[np.integer],
    class_names: Sequence[str],
    *,
    roles: npt.NDArray[np.str_] | None = None,
    groups: npt.NDArray[np.int64] | None = None,
) -> Listing:
    """A listing of images in memory: N x H x W or N x H x W x C, of any numeric type."""
    count = len(images)
    return reject_empty(
        Listing(
            name=name,
            class_names=tuple(class_names),
            labels=labels.astype(np.int64),
            groups=every_image_alone(count) if groups is None else groups,
            sources=tuple(f"{name}[{index}]" for index in range(count)),
            roles=np.full(count, "train") if roles is None else roles,
            read=lambda index: from_array(images[index]),
        )
    )


def list_contents(
    name: str, contents: Mapping[str, bytes], labels: Sequence[str], *, roles: Sequence[str] | None = None
) -> Listing:
    """A listing of image files in memory, in the order of `contents`, each with the name of its class."""
    sources = tuple(contents)
    class_names, indices = index_labels(labels)
    return reject_empty(
        Listing(
            name=name,
            class_names=class_names,
            labels=indices,
            groups=every_image_alone(len(sources)),
            sources=sources,
            roles=np.full(len(sources), "train") if roles is None else np.array(roles),
            read=lambda index: decode(contents[sources[index]]),
        )
    )


ROLES: dict[str, Role] = {
    "train": "train", "training": "train", "val": "train", "valid": "train", "validation": "train",
    "reserve": "reserve", "test": "test",
}  # fmt: skip


def role_of(word: str, where: str) -> Role:
    """The role that a word in a split column means; validation images are studied too, as folds replace them.

    Raises:
        InputError: the word is none of those known.
    """
    role = ROLES.get(word.strip().lower())
    if role is None:
        raise InputError(f"{where}: split {word!r} is not known; write train, reserve or test")
    return role
