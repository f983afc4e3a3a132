"""Two arms against each other on the same images, over images, by their groups, and over trainings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from tenfold.evaluation import ExternalComparison, Interval
from tenfold.evaluation.crossed import CONFIDENCE, Indices, Table, crossed_test, group_folds, group_table
from tenfold.evaluation.scores import accuracy_interval


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean of n >= 2 independent values with Student's 95 % interval.

    Of differences between paired trainings it speaks of other trainings judged by the same test images, and of no
    others.

    Raises:
        ValueError: fewer than two values.
    """
    mean, deviation, student = _parts(values)
    error = deviation / np.sqrt(len(values))
    return Interval(mean, float(mean - student * error), float(mean + student * error), float(error))


def next_value_interval(values: Sequence[float]) -> Interval:
    """Where one more such value would fall in 95 of 100 cases, around the mean of n >= 2 values.

    A single published pair of runs is to be compared with this, since it holds the luck of one pair. Its
    `standard_error` is that of the prediction.

    Raises:
        ValueError: fewer than two values.
    """
    mean, deviation, student = _parts(values)
    error = deviation * np.sqrt(1 + 1 / len(values))
    return Interval(mean, float(mean - student * error), float(mean + student * error), float(error))


def _parts(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean, standard deviation and Student's quantile."""
    if len(values) < 2:
        raise ValueError(f"an interval takes two values at least, not {len(values)}")
    student = float(stdtrit(len(values) - 1, 0.5 + CONFIDENCE / 2))
    return float(np.mean(values)), float(np.std(values, ddof=1)), student


def compare_external(pick: Indices, baseline: Indices, labels: Indices, groups: Indices) -> ExternalComparison:
    """Compare two arms by the shares of N external images that their T trainings recognise.

    Images count equally. The test is over images, by their groups, and over trainings: McNemar's test on one vote of
    all trainings takes the luck of these trainings for the arm's merit, and calls equal arms different in 48 % of
    studies with 10,000 images. With one training of each arm the interval is about other images alone.

    Args:
        pick: T x N predicted classes, a row a training.
        baseline: the same of the baseline's trainings, row by row on the same folds.

    Raises:
        ValueError: there are no images or no trainings, or not one prediction, label and group an image.
    """
    if pick.shape != baseline.shape or 0 in pick.shape or not pick.shape[1:] == labels.shape == groups.shape:
        raise ValueError(
            f"predictions {pick.shape} and {baseline.shape} for {len(labels)} labels and {len(groups)} groups"
        )
    picked, base = ((predicted == labels).T.astype(np.float64) for predicted in (pick, baseline))
    difference, p_value = paired_difference(picked - base, groups)
    return ExternalComparison(
        images=len(labels),
        groups=len(np.unique(groups)),
        trainings=len(pick),
        pick_accuracy=accuracy_interval(picked, groups),
        baseline_accuracy=accuracy_interval(base, groups),
        difference=difference,
        only_pick=float((picked > base).sum(axis=0).mean()),
        only_baseline=float((base > picked).sum(axis=0).mean()),
        p_value=p_value,
    )


def paired_difference(
    change: Table, groups: Indices, weights: npt.NDArray[np.float64] | None = None, folds: Indices | None = None
) -> tuple[Interval, float]:
    """The mean of a difference on N images x T trainings, its interval over groups and trainings, and its p-value.

    Args:
        change: N x T of -1..1: by how much one arm does better on an image than the other.
        weights: one an image, of sum 1; equal unless given.
        folds: N x T, where a column holds several trainings, each of which judged the images of one fold.
    """
    estimate = float(np.average(change.mean(axis=1), weights=weights))
    weights = np.full(len(change), 1 / len(change)) if weights is None else weights
    table = group_table(change, weights, groups)
    if len(table) == 1:
        # One patient's images say nothing about other patients.
        return Interval(estimate, -1.0, 1.0, np.inf), 1.0
    test = crossed_test(table, None if folds is None else group_folds(folds, weights, groups))
    interval = test.interval
    # The weighted table may miss the weighted mean by a rounding error, and the interval must hold it.
    low, high = min(max(-1.0, interval.low), estimate), max(min(1.0, interval.high), estimate)
    return Interval(estimate, low, high, interval.standard_error), test.p_value
