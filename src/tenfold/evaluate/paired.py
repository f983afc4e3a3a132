"""Intervals for a handful of differences, each from one pair of trainings that share their seed and their data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from tenfold.core.verdicts import Interval
from tenfold.evaluate.crossed import CONFIDENCE


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
