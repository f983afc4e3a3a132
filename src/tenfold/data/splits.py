"""Stratified group k-fold with a validation split: who trains, who chooses, who judges.

A fold as a trial gets it has images to train on, images to choose by, and test images under seal. A method takes an
ImageDataset, and a sealed fold is none: handing test images to a method is a type error, not a matter of care.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, final

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold

from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.core.rows import ImageRows
from tenfold.core.types import ImageDataset, Split

T = TypeVar("T")
Images = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FoldPlan:
    """How many folds the data carries, and which classes can be judged."""

    folds: int
    evaluated: tuple[int, ...]
    """Classes with at least two groups: one to train on, one to test."""
    warnings: tuple[str, ...] = ()


def plan_folds(data: ImageDataset, wanted: int = 5) -> FoldPlan:
    """Lower the number of folds to what the smallest class can fill.

    Raises:
        InputError: fewer than two classes could be judged.
    """
    groups_of = _testable_groups(data)
    evaluated = tuple(int(label) for label in np.flatnonzero(groups_of))
    if len(evaluated) < 2:
        raise InputError(
            f"{data.name}: fewer than two classes have two or more independent images, so no verdict is possible; "
            "add images (growing without a verdict works: tenfold grow)"
        )
    folds = min(wanted, *(int(groups_of[label]) for label in evaluated))
    if folds == wanted:
        return FoldPlan(folds, evaluated)
    smallest = data.class_names[min(evaluated, key=lambda label: groups_of[label])]
    few = f"class '{smallest}' has only {folds} images (or groups): {folds} folds instead of {wanted}"
    return FoldPlan(folds, evaluated, (few,))


def make_splits(data: ImageDataset, plan: FoldPlan, repeat: int, key: Key) -> list[Split]:
    """The folds of one repeat. Classes that cannot be evaluated always train."""
    judged = np.flatnonzero(np.isin(data.labels, plan.evaluated))
    # A group that also holds an image of a class that is never tested must never be tested either.
    always = np.unique(data.groups[~np.isin(data.labels, plan.evaluated)])
    judged = judged[~np.isin(data.groups[judged], always)]
    splits = []
    key = key / f"repeat-{repeat}"
    folds = StratifiedGroupKFold(plan.folds, shuffle=True, random_state=(key / "folds").seed % 2**32)
    for fold, (_, places) in enumerate(folds.split(judged, data.labels[judged], data.groups[judged])):
        test = judged[places]
        rest = np.setdiff1d(np.arange(len(data)), test)
        validation = _validation_images(data, rest, plan, key / f"fold-{fold}" / "inner")
        splits.append(Split(repeat, fold, np.setdiff1d(rest, validation), validation, test))
    return splits


@final
class SealedFold:
    """Test images without their labels: readable one call at a time, by what judges and by nothing else."""

    __slots__ = ("__images", "groups", "indices")

    def __init__(self, images: ImageRows, indices: Indices, groups: Indices) -> None:
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
    kept = in_drawn_groups(train, lambda groups: max(1, round(groups * percent / 100)), key)
    return train.take(np.flatnonzero(kept))


def in_drawn_groups(data: ImageDataset, wanted: Callable[[int], int], key: Key) -> npt.NDArray[np.bool_]:
    """N marks of the images whose group is drawn: of each class as many as `wanted` makes of its number of groups."""
    drawn: set[int] = set()
    for label in np.unique(data.labels):
        groups = np.unique(data.groups[data.labels == label])
        drawn.update((key / int(label)).numpy_generator().permutation(groups)[: wanted(len(groups))].tolist())
    return np.isin(data.groups, list(drawn))


def _testable_groups(data: ImageDataset) -> Indices:
    """How many groups of each class can be tested: K numbers, none of them 1.

    A class with a single group has to train, always, and with it whatever other class that group holds images of,
    which may leave that one with a single group to test.
    """
    names, position = np.unique(data.groups, return_inverse=True)
    holds = np.zeros((data.class_count, len(names)), dtype=bool)
    holds[data.labels, position] = True
    while (single := np.count_nonzero(holds, axis=1) == 1).any():
        holds[:, holds[single].any(axis=0)] = False
    counts: Indices = np.count_nonzero(holds, axis=1)
    return counts


def _validation_images(data: ImageDataset, rest: Indices, plan: FoldPlan, key: Key) -> Indices:
    """About a fifth of the training fold by whole groups; every class keeps at least one group to train on."""
    random = key.numpy_generator()
    labels, groups = data.labels[rest], data.groups[rest]
    classes_of = {int(group): np.unique(labels[groups == group]) for group in np.unique(groups)}
    left = np.bincount(np.concatenate(list(classes_of.values())), minlength=data.class_count)
    chosen: set[int] = set()
    for label in plan.evaluated:
        members = random.permutation(np.unique(groups[labels == label])).tolist()
        missing = max(1, round(len(members) / 5)) - len(chosen.intersection(members))
        for group in members:
            if missing > 0 and group not in chosen and (left[classes_of[group]] > 1).all():
                chosen.add(group)
                left[classes_of[group]] -= 1
                missing -= 1
    return rest[np.isin(groups, list(chosen))]
