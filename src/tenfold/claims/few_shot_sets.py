"""Sets whose classes are split: some to train a generator on, some to choose its settings by, and some never seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.load import load

DARK_INK = ("omniglot",)
"""Drawn dark on light: turned round, so that what lies outside the picture has the ground's value, which is 0."""


@dataclass(frozen=True, eq=False)
class ClassSplit:
    """Three sets that share no class; each names its own classes from 0."""

    source: ImageDataset
    validation: ImageDataset
    unseen: ImageDataset


def class_split(told: Mapping[str, Any]) -> ClassSplit:
    """The set that `told` describes by `set`, `size`, `per_class` and `classes` (source, validation and unseen).

    Raises:
        InputError: the set is not there, or has fewer classes than asked for.
    """
    source, validation, unseen = told["classes"]
    return _class_split(told["set"], told["size"], told["per_class"], (source, validation, unseen))


@cache
def _class_split(name: str, size: int, per_class: int | None, counts: tuple[int, int, int]) -> ClassSplit:
    data = load(name, size=size, per_class=per_class)
    data = data.take(np.flatnonzero(data.roles != "reserve"))
    if name in DARK_INK:
        data = replace(data, images=255 - data.images)
    if sum(counts) > data.class_count:
        raise InputError(f"{name} has {data.class_count} classes, and {' + '.join(map(str, counts))} are asked for")
    # From both ends, so that the unseen classes stay the same whatever is taken to train on.
    order = (Key("class split") / name).numpy_generator().permutation(data.class_count)
    source, validation, unseen = counts
    from_the_end = order[::-1]
    return ClassSplit(
        source=of_classes(data.part("train"), order[:source]),
        validation=of_classes(data, from_the_end[unseen : unseen + validation]),
        unseen=of_classes(data, from_the_end[:unseen]),
    )


def of_classes(data: ImageDataset, classes: Sequence[int] | npt.NDArray[np.int64]) -> ImageDataset:
    """The images of these classes alone, which become the classes 0, 1, 2, ..."""
    place = np.full(data.class_count, -1, dtype=np.int64)
    place[classes] = np.arange(len(classes))
    part = data.take(np.flatnonzero(place[data.labels] >= 0))
    return replace(part, labels=place[part.labels], class_names=tuple(data.class_names[k] for k in classes))


def samples_and_sealed(unseen: ImageDataset, samples: int, key: Key) -> tuple[ImageDataset, ImageDataset]:
    """So many training images of each class, and the images that serve for accuracy alone.

    Those are the set's own test images where it has some, and all that were not chosen where it has none. The
    samples of a key are among its samples of any larger number.

    Raises:
        InputError: a class has no images left to test with.
    """
    order = key.numpy_generator().permutation(len(unseen))
    chosen: list[int] = []
    for label in range(unseen.class_count):
        members = order[(unseen.labels[order] == label) & (unseen.roles[order] == "train")]
        chosen += members[:samples].tolist()
    own = np.flatnonzero(unseen.roles == "test")
    sealed = own if len(own) else np.setdiff1d(np.arange(len(unseen)), chosen)
    if (
        len(chosen) < samples * unseen.class_count
        or (np.bincount(unseen.labels[sealed]) == 0).any()
        or not len(sealed)
    ):
        raise InputError(f"{unseen.name} has too few images a class for {samples} samples and some to test with")
    return unseen.take(np.sort(chosen)), unseen.take(sealed)
