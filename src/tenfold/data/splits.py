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
    groups_of = [len(np.unique(data.groups[data.labels == label])) for label in range(data.class_count)]
    evaluated = tuple(label for label, count in enumerate(groups_of) if count >= 2)
    if len(evaluated) < 2:
        raise InputError(
            f"{data.name}: fewer than two classes have two or more independent images, so no verdict is possible; "
            "add images (growing without a verdict works: tenfold grow)"
        )
    warnings = [
        f"class '{data.class_names[label]}' has a single image (or group): it is trained on, but cannot be evaluated"
        for label, count in enumerate(groups_of)
        if count == 1
    ]
    folds = min(wanted, *(groups_of[label] for label in evaluated))
    if folds < wanted:
        smallest = min(evaluated, key=lambda label: groups_of[label])
        warnings.append(
            f"class '{data.class_names[smallest]}' has only {folds} images (or groups): "
            f"{folds} folds instead of {wanted}"
        )
    return FoldPlan(folds, evaluated, tuple(warnings))


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


def _group_folds(data: ImageDataset, members: Indices, folds: int, key: Key) -> list[tuple[Indices, Indices]]:
    seed = key.seed % 2**32
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    pairs = splitter.split(members, data.labels[members], data.groups[members])
    return [(members[rest], members[test]) for rest, test in pairs]


def _inner(data: ImageDataset, rest: Indices, plan: FoldPlan, key: Key) -> Indices:
    """About a fifth of the training fold by whole groups; every class keeps at least one group to train on."""
    random = key.numpy_generator()
    chosen: list[int] = []
    taken: set[int] = set()
    kept: set[int] = set()
    for label in range(data.class_count):
        groups = random.permutation(np.unique(data.groups[rest[data.labels[rest] == label]]))
        free = [int(group) for group in groups if group not in taken and group not in kept]
        wanted = max(1, round(len(groups) / 5)) if len(groups) >= 2 and label in plan.evaluated else 0
        wanted = min(wanted, len(groups) - 1)
        picked = free[:wanted]
        taken.update(picked)
        kept.update(int(group) for group in groups if group not in taken)
        chosen += picked
    return rest[np.isin(data.groups[rest], chosen)]
