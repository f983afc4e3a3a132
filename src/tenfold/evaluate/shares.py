"""Shares of images that went right, each with its interval: balanced accuracy, sensitivity, specificity."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtrit

from tenfold.core.types import class_weights
from tenfold.core.verdicts import Interval
from tenfold.evaluate.crossed import CONFIDENCE, Indices, Table, group_folds, group_table, standard_error
from tenfold.evaluate.scores import wilson_interval

Weights = npt.NDArray[np.float64]


def share_interval(
    correct: Table, strata: Indices, groups: Indices, weights: Weights, folds: Indices | None = None
) -> Interval:
    """The weighted share of `correct`, N images x R repeats of 0..1, with its 95 % interval.

    `strata` and `groups` name for each image its cell and its group; `weights` are taken in proportion, and
    images of weight 0 take no part; `folds`, N x R, tells which of a repeat's classifiers judged an image. The
    standard error is that of the crossed table, taken of each image's distance from the mean of its stratum: how
    many images a stratum has is fixed, and must not pass for uncertainty. The interval is Wilson's for the number
    of draws that would have this standard error, so it stays within 0..1, and at most for the number that the
    groups' weights amount to: twenty images tested four times are twenty images, above all where nearly every
    one was right.

    Raises:
        ValueError: no image has a weight.
    Source: Korn and Graubard 1998, with Wilson's in place of Clopper and Pearson's interval.
    """
    counted = weights > 0
    if not counted.any():
        raise ValueError("no image has a weight: there is nothing to take a share of")
    correct, groups, weights = correct[counted], groups[counted], weights[counted] / weights[counted].sum()
    _, cells = np.unique(strata[counted], return_inverse=True)
    sizes = np.bincount(cells, weights=weights)
    means = np.bincount(cells, weights=weights * correct.mean(axis=1)) / sizes
    # A mean of ones may miss 1 by a rounding error, and Wilson's interval wants a share.
    estimate = float(np.clip(np.average(means, weights=sizes), 0.0, 1.0))

    table = group_table(correct - means[cells, None], weights, groups)
    inside = None if folds is None else group_folds(folds[counted], weights, groups)
    error = standard_error(table, inside) if len(table) > 1 else 0.0
    parts = group_table(np.ones((len(groups), 1)), weights, groups) / len(table)
    draws = 1 / float(np.sum(parts**2))
    if error > 0:
        student = float(stdtrit(len(table) - 1, 0.5 + CONFIDENCE / 2))
        normal = float(ndtri(0.5 + CONFIDENCE / 2))
        draws = min(draws, estimate * (1 - estimate) / error**2 * (normal / student) ** 2)
    low, high = wilson_interval(estimate, draws, CONFIDENCE)
    return Interval(estimate, low, high, error)


def balanced_accuracy_interval(
    correct: Table, labels: Indices, groups: Indices, classes: Sequence[int], folds: Indices | None = None
) -> Interval:
    """Balanced accuracy over `classes` with its 95 % interval; `correct` is N x R, 1 where recognised.

    Raises:
        ValueError: `classes` is empty.
    """
    return share_interval(correct, labels, groups, class_weights(labels, classes), folds)


def sensitivities(
    predictions: Indices,
    labels: Indices,
    groups: Indices,
    evaluated: Collection[int],
    class_count: int,
    folds: Indices | None = None,
) -> tuple[Interval | None, ...]:
    """For each class the share of its images recognised, its recall; None for a class not evaluated.

    `predictions` is N x R; images count equally.
    """
    correct = (predictions == labels[:, None]).astype(np.float64)
    return tuple(
        share_interval(correct, labels, groups, (labels == label).astype(np.float64), folds)
        if label in evaluated
        else None
        for label in range(class_count)
    )


def specificities(
    predictions: Indices,
    labels: Indices,
    groups: Indices,
    evaluated: Collection[int],
    class_count: int,
    folds: Indices | None = None,
) -> tuple[Interval | None, ...]:
    """For each class, of the images of all other evaluated classes, the share not taken for this one.

    `predictions` is N x R; images count equally, so a large class weighs more than a small one. None for a
    class not evaluated, and for the only one that is.
    """
    tested = np.isin(labels, list(evaluated))

    def specificity(label: int) -> Interval | None:
        others = tested & (labels != label)
        if label not in evaluated or not others.any():
            return None
        spared = (predictions != label).astype(np.float64)
        # Strata by label: some classes are mistaken for this one more often, and their sizes are fixed.
        return share_interval(spared, labels, groups, others.astype(np.float64), folds)

    return tuple(specificity(label) for label in range(class_count))
