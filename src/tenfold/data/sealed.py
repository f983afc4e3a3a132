"""A fold as a trial gets it: images to train on, images to choose by, and test images under seal.

A method takes an ImageDataset, and a sealed fold is none: handing test images to a method is a type error, not
a matter of care.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, final

import numpy as np
import numpy.typing as npt

from tenfold.core.keys import Key
from tenfold.core.rows import ImageRows
from tenfold.core.types import ImageDataset, Split

T = TypeVar("T")
Images = npt.NDArray[np.uint8]


@final
class SealedFold:
    """Test images without their labels: readable one call at a time, by what judges and by nothing else."""

    __slots__ = ("__images", "groups", "indices")

    def __init__(self, images: ImageRows, indices: npt.NDArray[np.int64], groups: npt.NDArray[np.int64]) -> None:
        self.__images = images
        self.indices = indices
        """Of the test images among those studied; their labels are looked up after all trials are done."""
        self.groups = groups

    def __len__(self) -> int:
        return len(self.indices)

    def shown_to(self, reader: Callable[[Images], T]) -> T:
        """What `reader` makes of a copy of the test images, N x C x H x W."""
        images = self.__images[:]
        return reader(images if images.base is None else images.copy())


@dataclass(frozen=True, eq=False)
class Fold:
    """One split of the study with its images; the three parts are disjoint by group."""

    train: ImageDataset
    validation: ImageDataset
    test: SealedFold


def open_fold(data: ImageDataset, split: Split) -> Fold:
    """The images of one split of those that are studied; grown images are trained on beside their parents."""
    study = data.part("train")
    test = study.take(split.test)
    return Fold(
        with_grown(study.take(split.train), data),
        study.take(split.validation),
        SealedFold(test.rows, split.test, test.groups),
    )


def with_grown(train: ImageDataset, data: ImageDataset) -> ImageDataset:
    """The images and, of the set's grown ones, those that were made from them."""
    grown = data.part("grown")
    return train.joined(grown.take(np.flatnonzero(np.isin(grown.groups, train.groups)))) if len(grown) else train


def part_of(train: ImageDataset, percent: float, key: Key) -> ImageDataset:
    """About `percent` of the images of each class by whole groups, at least one group each.

    With the same key a smaller part lies within a larger one, so that a learning curve compares like with like.
    """
    if percent >= 100:
        return train
    chosen: set[int] = set()
    for label in np.unique(train.labels):
        groups = np.unique(train.groups[train.labels == label])
        wanted = max(1, round(len(groups) * percent / 100))
        chosen.update((key / int(label)).numpy_generator().permutation(groups)[:wanted].tolist())
    return train.take(np.flatnonzero(np.isin(train.groups, list(chosen))))
