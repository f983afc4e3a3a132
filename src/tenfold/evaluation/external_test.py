"""The chosen arm against the baseline on a sealed external test, over images and trainings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, ndtri, stdtrit

from tenfold.evaluation import ExternalComparison, Interval
from tenfold.evaluation.crossed import CONFIDENCE, Indices, Table, crossed_test, group_table
from tenfold.evaluation.scores import share_interval


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
    studies with 10,000 images.

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
    picked, base = (pick == labels).T, (baseline == labels).T
    difference, p_value = _tested(picked.astype(np.float64) - base, groups)
    return ExternalComparison(
        images=len(labels),
        groups=len(np.unique(groups)),
        trainings=len(pick),
        pick_accuracy=_accuracy(picked, groups),
        baseline_accuracy=_accuracy(base, groups),
        difference=difference,
        only_pick=float((picked & ~base).sum(axis=0).mean()),
        only_baseline=float((base & ~picked).sum(axis=0).mean()),
        p_value=p_value,
    )


def _tested(change: Table, groups: Indices) -> tuple[Interval, float]:
    """The mean of N images x T trainings with its interval over groups and trainings, and its p-value."""
    estimate = float(change.mean())
    table = group_table(change, np.full(len(change), 1 / len(change)), groups)
    if len(table) == 1:
        # One patient's images say nothing about other patients.
        return Interval(estimate, -1.0, 1.0, np.inf), 1.0
    test = crossed_test(table)
    interval = test.interval
    # The weighted table may miss the plain mean by a rounding error, and the interval must hold it.
    low, high = min(max(-1.0, interval.low), estimate), max(min(1.0, interval.high), estimate)
    return Interval(estimate, low, high, interval.standard_error), test.p_value


def _accuracy(hits: npt.NDArray[np.bool_], groups: Indices) -> Interval:
    """Of N x T hits; one stratum, since nobody fixed how many external images each class was to have."""
    return share_interval(hits.astype(np.float64), np.zeros_like(groups), groups, np.ones(len(hits)))


def mcnemar(only_one: int, only_other: int) -> float:
    """Two-sided probability of discordant pairs this uneven if both were equally good; exact, 1 without any.

    Source: McNemar 1947; exact by the binomial distribution.
    """
    return min(1.0, 2 * float(bdtr(min(only_one, only_other), only_one + only_other, 0.5)))


def paired_interval(only_one: int, only_other: int, pairs: int) -> Interval:
    """The difference of two shares of the same independent images, with its 95 % interval.

    The estimate is the plain difference; interval and standard error count one more discordant pair each
    way, so that two classifiers that never differed are not called equal for certain.
    Source: Bonett and Price 2012, adjusted Wald interval.
    """
    one, other = (only_one + 1) / (pairs + 2), (only_other + 1) / (pairs + 2)
    error = float(np.sqrt((one + other - (one - other) ** 2) / (pairs + 2)))
    half = float(ndtri(0.5 + CONFIDENCE / 2)) * error
    low, high = one - other - half, one - other + half
    return Interval((only_one - only_other) / pairs, max(-1.0, low), min(1.0, high), error)
