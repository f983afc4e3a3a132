"""Intervals when every group of images is judged once in every repeat.

Two things vary: which images happen to be in the set, and how each repeat's training happens to end. A table
of n groups x R repeats separates the two, and its standard error counts both (crossed variance, as in
multi-reader multi-case studies). Treating the n x R cells, or the folds, as independent would give intervals
that are too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtr, stdtrit

from tenfold.core.types import Interval, class_weights
from tenfold.evaluate.scores import wilson_interval

Table = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

CONFIDENCE = 0.95


@dataclass(frozen=True)
class MeanSquares:
    """The two-way mean squares of a table of groups x repeats."""

    groups: float
    repeats: float
    rest: float


def group_table(values: Table, weights: npt.NDArray[np.float64], groups: Indices) -> Table:
    """Sum N x R values of images into n x R values of groups, whose mean is the weighted sum of the images.

    Images of weight 0 take no part, and neither does a group that has no others.
    """
    counted = weights > 0
    names, rows = np.unique(groups[counted], return_inverse=True)
    table = np.zeros((len(names), values.shape[1]))
    np.add.at(table, rows, weights[counted, None] * values[counted])
    return table * len(names)


def mean_squares(table: Table) -> MeanSquares:
    """The mean squares of groups, of repeats and of the rest; with one repeat the latter two are 0."""
    n, repeats = table.shape
    mean = table.mean()
    of_groups = table.mean(axis=1) - mean
    groups = repeats * float(of_groups @ of_groups) / (n - 1)
    if repeats == 1:
        return MeanSquares(groups, 0.0, 0.0)
    of_repeats = table.mean(axis=0) - mean
    rest = table - mean - of_groups[:, None] - of_repeats
    return MeanSquares(
        groups,
        n * float(of_repeats @ of_repeats) / (repeats - 1),
        float(np.sum(rest**2)) / ((n - 1) * (repeats - 1)),
    )


def standard_error(table: Table) -> float:
    """The standard error of the table's mean, as an estimate for other images and other repeats."""
    squares = mean_squares(table)
    variance = max(squares.groups + squares.repeats - squares.rest, squares.groups) / table.size
    # A table of equal numbers can miss its own mean by a rounding error: that is no variance.
    return float(np.sqrt(variance)) if variance > 1e-24 else 0.0


def repeats_share(table: Table) -> float:
    """The share of the variance that more repeats would shrink; the rest takes more images."""
    variance = standard_error(table) ** 2
    return min(1.0, mean_squares(table).repeats / table.size / variance) if variance > 0 else 0.0


def crossed_interval(table: Table) -> Interval:
    """The mean of an n x R table with its 95 % interval: Student's t, n - 1 degrees of freedom, n >= 2.

    A table of zeros is two classifiers that never differed in n groups. That bounds the share of groups in
    which they would differ by 3 / n and no lower (rule of three, Hanley and Lippman-Hand 1983).
    """
    estimate, student = float(table.mean()), float(stdtrit(len(table) - 1, 0.5 + CONFIDENCE / 2))
    error = standard_error(table) if table.any() else 3 / len(table) / student
    return Interval(estimate, estimate - student * error, estimate + student * error, error)


def p_value(interval: Interval, groups: int) -> float:
    """Two-sided probability of an estimate this far from 0 if there were no effect."""
    if interval.standard_error == 0:
        return 1.0 if abs(interval.estimate) < 1e-12 else 0.0
    return float(2 * stdtr(groups - 1, -abs(interval.estimate) / interval.standard_error))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment, in the order given: keeps the chance of any false alarm at its level."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(np.asarray(p_values)[order] * np.arange(len(order), 0, -1))
    return [float(p) for p in np.minimum(adjusted, 1.0)]


def accuracy_interval(correct: Table, labels: Indices, groups: Indices, classes: Sequence[int]) -> Interval:
    """Balanced accuracy over `classes` with its 95 % interval; over a single class that is its recall.

    `correct` is N x R, 1 where an image was recognised. The standard error is that of the crossed table,
    taken of each image's distance from the mean of its class: how many images a class has is fixed, and
    must not pass for uncertainty. The interval is Wilson's for the number of draws that would have this
    standard error, so it stays within 0..1, and at most for the number that the groups' weights amount to:
    twenty images tested four times are twenty images, above all where nearly every one was right.
    Source: Korn and Graubard 1998, with Wilson's in place of Clopper and Pearson's interval.
    """
    weights = class_weights(labels, classes)
    means = np.zeros(int(labels.max()) + 1)
    for label in classes:
        means[label] = correct[labels == label].mean()
    estimate = float(np.mean(means[list(classes)]))
    table = group_table(correct - means[labels, None], weights, groups)
    error = standard_error(table) if len(table) > 1 else 0.0
    shares = group_table(np.ones((len(labels), 1)), weights, groups) / len(table)
    draws = 1 / float(np.sum(shares**2))
    if error > 0:
        student = float(stdtrit(len(table) - 1, 0.5 + CONFIDENCE / 2))
        normal = float(ndtri(0.5 + CONFIDENCE / 2))
        draws = min(draws, estimate * (1 - estimate) / error**2 * (normal / student) ** 2)
    low, high = wilson_interval(estimate, draws, CONFIDENCE)
    return Interval(estimate, low, high, error)
