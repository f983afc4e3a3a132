"""The chosen arm against the baseline on a sealed external test: the classifiers of an arm vote on each image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, ndtri, stdtrit

from tenfold.evaluation import ExternalComparison, Interval
from tenfold.evaluation.crossed import CONFIDENCE, Indices, crossed_test, group_table
from tenfold.evaluation.scores import share_interval, wilson_interval


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


Hits = npt.NDArray[np.bool_]


def compare_external(
    pick: Indices, baseline: Indices, labels: Indices, groups: Indices, class_count: int
) -> ExternalComparison:
    """Compare two arms by the share of N external images that the vote of each arm's classifiers recognises.

    `pick` and `baseline` hold one row of N predicted classes a classifier; the arms may differ in rows.
    Images count equally. Where every image is a group of its own, the test is McNemar's exact one and the
    interval that of Bonett and Price. Otherwise both follow from the groups' sums: McNemar's test would
    count the images of one patient as so many patients.

    Raises:
        ValueError: there are no images or no classifiers, or not one prediction, label and group an image.
    """
    for predictions in (pick, baseline):
        if 0 in predictions.shape or predictions.shape[1:] != labels.shape or groups.shape != labels.shape:
            raise ValueError(f"predictions {predictions.shape} for {len(labels)} labels and {len(groups)} groups")
    picked, base = vote(pick, class_count) == labels, vote(baseline, class_count) == labels
    only_pick, only_baseline = int(np.sum(picked & ~base)), int(np.sum(base & ~picked))
    group_count = len(np.unique(groups))
    if group_count == len(labels):
        difference = paired_interval(only_pick, only_baseline, len(labels))
        p_value = mcnemar(only_pick, only_baseline)
    else:
        difference, p_value = _clustered_test(picked, base, groups)
    return ExternalComparison(
        images=len(labels),
        groups=group_count,
        pick_accuracy=_accuracy(picked, groups),
        baseline_accuracy=_accuracy(base, groups),
        difference=difference,
        only_pick=only_pick,
        only_baseline=only_baseline,
        p_value=p_value,
    )


def vote(predictions: Indices, class_count: int) -> Indices:
    """The class that most of V classifiers predict, N of V x N; of several, the one of the lowest index."""
    votes = np.zeros((predictions.shape[1], class_count), dtype=np.int64)
    for row in predictions:
        votes[np.arange(len(row)), row] += 1
    winners: Indices = votes.argmax(axis=1)
    return winners


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


def _clustered_test(picked: Hits, base: Hits, groups: Indices) -> tuple[Interval, float]:
    change = picked.astype(np.float64) - base
    estimate = float(change.mean())
    table = group_table(change[:, None], np.full(len(change), 1 / len(change)), groups)
    if len(table) == 1:
        # One patient's images say nothing about other patients.
        return Interval(estimate, -1.0, 1.0, np.inf), 1.0
    interval, p_value = crossed_test(table)
    # The weighted table may miss the plain mean by a rounding error, and the interval must hold it.
    low, high = min(max(-1.0, interval.low), estimate), max(min(1.0, interval.high), estimate)
    return Interval(estimate, low, high, interval.standard_error), p_value


def _accuracy(hits: Hits, groups: Indices) -> Interval:
    count = len(hits)
    if len(np.unique(groups)) < count:
        # One stratum: nobody fixed how many external images each class was to have.
        return share_interval(hits[:, None].astype(np.float64), np.zeros_like(groups), groups, np.ones(count))
    share = float(hits.mean())
    low, high = wilson_interval(share, count, CONFIDENCE)
    return Interval(share, low, high, float(np.sqrt(share * (1 - share) / count)))
