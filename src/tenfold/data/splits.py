"""Stratified group k-fold with an inner split: who trains, who chooses, who judges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold

from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset, Split


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
    for fold, (_, test) in enumerate(_group_folds(data, judged, plan.folds, key / f"repeat-{repeat}" / "folds")):
        rest = np.setdiff1d(np.arange(len(data)), test)
        validation = _inner(data, rest, plan, key / f"repeat-{repeat}" / f"fold-{fold}" / "inner")
        splits.append(Split(repeat, fold, np.setdiff1d(rest, validation), validation, test))
    return splits


Indices = npt.NDArray[np.int64]


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


def _group_folds(data: ImageDataset, members: Indices, folds: int, key: Key) -> list[tuple[Indices, Indices]]:
    seed = key.seed % 2**32
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    pairs = splitter.split(members, data.labels[members], data.groups[members])
    return [(members[rest], members[test]) for rest, test in pairs]


def _inner(data: ImageDataset, rest: Indices, plan: FoldPlan, key: Key) -> Indices:
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
