"""Several sets of pictures that are to be learned from together: classes matched by their names, copies found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.audit import audit, cleaned
from tenfold.data.duplicates import near_pairs
from tenfold.data.listing import index_labels
from tenfold.data.loading import load

Images = npt.NDArray[np.uint8]
ALL = 1_000_000_000
"""More images than any set has: known sets are used whole unless told otherwise."""
LARGEST_AUDITED = 3_000
"""Pictures whose duplicates are looked for, which takes time that grows with the square of their number."""
FEWEST_TO_SPARE = 5
"""Groups of a class; of fewer none is held out."""


def read_related(
    data: str | Path | ImageDataset, *, per_class: int | None = None, images: int | None = None, seed: int = 0
) -> ImageDataset:
    """The pictures of a labelled set that are to be learned from, without faults and without its own test part.

    Raises:
        InputError: it cannot be read, or holds vectors.
    """
    if isinstance(data, ImageDataset):
        found = data
    elif images is not None:
        found = load(data, images=images, seed=seed)
    else:
        found = load(data, per_class=per_class or ALL, seed=seed)
    if found.is_vectors:
        raise InputError(f"{found.name} holds vectors; this takes pictures")
    studied = found.part("train")
    return cleaned(studied, audit(studied)) if len(studied) <= LARGEST_AUDITED else studied


def all_classes(sets: Sequence[ImageDataset]) -> tuple[str, ...]:
    """The classes that any of the sets has a picture of, in order."""
    names = {data.class_names[label] for data in sets for label in np.unique(data.labels)}
    return index_labels(sorted(names))[0]


def in_classes(data: ImageDataset, class_names: Sequence[str]) -> ImageDataset:
    """The pictures of classes of these names, labelled by their place among them; the others are left out."""
    place = {name: index for index, name in enumerate(class_names)}
    moved = np.array([place.get(name, -1) for name in data.class_names], dtype=np.int64)[data.labels]
    kept = np.flatnonzero(moved >= 0)
    part = data.take(kept)
    return replace(part, labels=moved[kept], class_names=tuple(class_names))


def missing_classes(data: ImageDataset, class_names: Sequence[str]) -> list[str]:
    """Those of the names that the set has no picture of."""
    present = {data.class_names[label] for label in np.unique(data.labels)}
    return [name for name in class_names if name not in present]


def hold_out(data: ImageDataset, share: float, key: Key) -> tuple[ImageDataset, ImageDataset]:
    """About so much of every class by whole groups: what is trained on, and what is held out.

    Classes of fewer than five groups are trained on whole.
    """
    chosen: set[int] = set()
    for label in np.unique(data.labels):
        groups = np.unique(data.groups[data.labels == label])
        if len(groups) >= FEWEST_TO_SPARE:
            count = max(1, round(share * len(groups)))
            chosen.update((key / int(label)).numpy_generator().permutation(groups)[:count].tolist())
    out = np.isin(data.groups, list(chosen))
    # A group of several classes may take the last pictures of a small one along.
    left = np.bincount(data.labels[~out], minlength=data.class_count)
    out &= left[data.labels] > 0
    return data.take(np.flatnonzero(~out)), data.take(np.flatnonzero(out))


def equal_to_any(images: Images, others: Images) -> npt.NDArray[np.bool_]:
    """N marks of pictures that are the same, value by value, as one of the others; of another shape none is."""
    if images.shape[1:] != others.shape[1:]:
        return np.zeros(len(images), np.bool_)
    known = {image.tobytes() for image in others}
    return np.array([image.tobytes() in known for image in images], dtype=np.bool_)


def copies_of(images: Images, others: Images) -> npt.NDArray[np.int64]:
    """Pairs M x 2 (one of the images, one of the others) that are equal, or as close as a re-saved JPEG."""
    known = {image.tobytes(): index for index, image in enumerate(others)}
    equal = [(index, known[key]) for index, image in enumerate(images) if (key := image.tobytes()) in known]
    joined = np.concatenate([others, images])
    near = near_pairs(joined, np.arange(len(others)))
    near = np.sort(near, axis=1)
    across = near[(near[:, 0] < len(others)) & (near[:, 1] >= len(others))]
    pairs = [
        np.array(equal, dtype=np.int64).reshape(-1, 2),
        np.stack([across[:, 1] - len(others), across[:, 0]], axis=1),
    ]
    return np.unique(np.concatenate(pairs), axis=0)
