"""Stratified group k-fold with a validation split: who trains, who chooses, who judges.

A fold as a trial gets it has images to train on, images to choose by, and test images under seal. A method takes an
ImageDataset, and a sealed fold is none: handing test images to a method is a type error, not a matter of care.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, final

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold

from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.core.rows import ImageRows
from tenfold.core.types import ImageDataset, Split
from tenfold.data.audit import RARE
from tenfold.data.group_folds import Counts, assign_folds, planned_folds, untrained

T = TypeVar("T")
Images = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]

MOST_NAMED = 10
"""Classes in one warning."""


@dataclass(frozen=True)
class FoldPlan:
    """How many folds the data carries, and which classes can be judged."""

    folds: int
    evaluated: tuple[int, ...]
    """Classes that count in the metric, the same each: two groups or more, one to train on and one to test."""
    rare: tuple[int, ...] = ()
    """Classes of few groups that are trained on and tested, so that their recall is known, but do not count."""
    warnings: tuple[str, ...] = ()


def plan_folds(data: ImageDataset, wanted: int = 5, *, judge_rare: bool = False) -> FoldPlan:
    """Which classes count, and as many folds, up to `wanted`, as the smallest of these can fill.

    A class of three images would leave three folds to all others, and each of its images would move the balanced
    accuracy by a third of the class's share in it. So classes of fewer than `RARE` groups do not count. Where that
    leaves fewer than two, those count that can fill the wanted folds; where these are fewer than two as well, all
    that can be tested do, and the smallest of them sets the number of folds. With `judge_rare` that is so from the
    start. What is given up for it stands in the warnings.

    Raises:
        InputError: fewer than two classes could be judged.
    """
    counts, _ = _group_counts(data)
    groups_of = np.count_nonzero(counts[~_always_train(counts)], axis=0)
    for least in (2,) if judge_rare else (RARE, wanted, 2):
        evaluated = tuple(int(label) for label in np.flatnonzero(groups_of >= least))
        if len(evaluated) > 1:
            break
    else:
        raise InputError(
            f"{data.name}: fewer than two classes have two or more independent images, so no verdict is possible; "
            "add images (growing without a verdict works: tenfold grow)"
        )
    rare = tuple(int(label) for label in np.flatnonzero(groups_of) if label not in evaluated)
    plan = FoldPlan(min(wanted, *(int(groups_of[label]) for label in evaluated)), evaluated, rare)
    return replace(plan, warnings=tuple(_given_up(data, plan, wanted)))


def is_tested(data: ImageDataset) -> npt.NDArray[np.bool_]:
    """N; all images but those of a group without which a class would have nothing to train on."""
    counts, group = _group_counts(data)
    return np.asarray(~_always_train(counts)[group])


def make_splits(data: ImageDataset, plan: FoldPlan, repeat: int, key: Key) -> list[Split]:
    """The folds of one repeat: each image that `is_tested` is so in one of them, the others always train."""
    fold_of = _folds_of_images(data, plan, key / f"repeat-{repeat}" / "folds")
    splits = []
    for fold in range(plan.folds):
        test, rest = np.flatnonzero(fold_of == fold), np.flatnonzero(fold_of != fold)
        validation = _validation_images(data, rest, plan, key / f"repeat-{repeat}" / f"fold-{fold}" / "inner")
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

    def shown_to(self, reader: Callable[[ImageRows], T]) -> T:
        """What `reader` makes of a copy of the test images, N x C x H x W."""
        return reader(self.__images.copied())


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


def _group_counts(data: ImageDataset) -> tuple[Counts, Indices]:
    """How many images of each class each group holds, G x C, and the row of each image's group, N."""
    names, group = np.unique(data.groups, return_inverse=True)
    counts = np.zeros((len(names), data.class_count), dtype=np.int64)
    np.add.at(counts, (group, data.labels), 1)
    return counts, group


def _always_train(counts: Counts) -> npt.NDArray[np.bool_]:
    """G; the groups that are the only one of some class."""
    single = np.count_nonzero(counts, axis=0) == 1
    return np.asarray((counts[:, single] > 0).any(axis=1))


def _stakes(counts: Counts, plan: FoldPlan) -> npt.NDArray[np.float64]:
    """C; that one class which counts is not trained on in a fold is worse than all others together."""
    stakes = np.ones(counts.shape[1])
    stakes[list(plan.evaluated)] = 1 + len(stakes)
    stakes[counts[_always_train(counts)].any(axis=0)] = 0
    return stakes


def _folds_of_images(data: ImageDataset, plan: FoldPlan, key: Key) -> Indices:
    """N; the fold in which an image is tested, -1 of those that always train.

    Where every group is one image scikit-learn deals as well, and such sets keep the folds that they always had.
    """
    counts, group = _group_counts(data)
    tested = ~_always_train(counts)
    images = np.flatnonzero(tested[group])
    dealt = counts[tested]
    members = dealt.sum(axis=0)
    if len(images) == len(dealt) and (members[members > 0] >= plan.folds).all():
        fold_of = np.full(len(data), -1)
        splitter = StratifiedGroupKFold(plan.folds, shuffle=True, random_state=key.seed % 2**32)
        for fold, (_, test) in enumerate(splitter.split(images, data.labels[images], data.groups[images])):
            fold_of[images[test]] = fold
        return fold_of
    of_groups = np.full(len(counts), -1)
    of_groups[tested] = assign_folds(dealt, _stakes(counts, plan), plan.folds, key)
    return of_groups[group]


def _given_up(data: ImageDataset, plan: FoldPlan, wanted: int) -> Iterator[str]:
    """What the data cannot have, a sentence each."""
    counts, _ = _group_counts(data)
    always = _always_train(counts)
    dealt = counts[~always]
    groups_of = np.count_nonzero(dealt, axis=0)

    def named(labels: Sequence[int]) -> str:
        listed = [f"'{data.class_names[label]}' ({groups_of[label]})" for label in labels[:MOST_NAMED]]
        return ", ".join([*listed, *([f"{len(labels) - MOST_NAMED} more"] if len(labels) > MOST_NAMED else [])])

    few = [label for label in plan.evaluated if groups_of[label] < RARE]
    if plan.rare:
        yield (
            f"too few independent images (or groups), under {RARE}, to count in the balanced accuracy: "
            f"{named(plan.rare)}; trained on and tested all the same (--judge-rare lets them count)"
        )
    if few:
        yield f"few independent images (or groups), under {RARE}: {named(few)}; each weighs much in the verdict"
    if plan.folds < wanted:
        smallest = data.class_names[min(plan.evaluated, key=lambda label: groups_of[label])]
        yield f"class '{smallest}' has only {plan.folds} images (or groups): {plan.folds} folds instead of {wanted}"
    if beside := int(counts[always][:, list(plan.evaluated)].sum()):
        yield f"{beside} image(s) of other classes are never tested: their groups hold all that there is of a class"
    if (np.count_nonzero(dealt, axis=1) >= plan.folds).any():
        stakes = _stakes(counts, plan)
        if (lost := untrained(dealt, stakes, planned_folds(dealt, stakes, plan.folds))).any():
            yield (
                f"in some folds nothing is trained on of {named(np.flatnonzero(lost).tolist())}: their groups hold "
                "too many classes each; more groups help"
            )


def _validation_images(data: ImageDataset, rest: Indices, plan: FoldPlan, key: Key) -> Indices:
    """About a fifth of the training fold by whole groups; every class keeps at least one group to train on."""
    random = key.numpy_generator()
    part = data.take(rest)
    counts, group = _group_counts(part)
    holds, left = counts > 0, np.count_nonzero(counts, axis=0)
    chosen = np.zeros(len(counts), dtype=bool)
    for label in plan.evaluated:
        members = random.permutation(np.flatnonzero(holds[:, label]))
        missing = max(1, round(len(members) / 5)) - np.count_nonzero(chosen[members])
        for row in members:
            if missing > 0 and not chosen[row] and (left[holds[row]] > 1).all():
                chosen[row] = True
                left[holds[row]] -= 1
                missing -= 1
    return rest[chosen[group]]
