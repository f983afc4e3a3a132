"""What an arm's gain was worth in real images: the exchange rate, from the baseline's own learning curve.

The baseline's balanced error falls with the number m of real training images as a power of it,
log error = a - b log m. An arm that gains as much over the baseline as m' - m more real images would, by this
curve, was worth those images.
Sources: Cortes et al. 1993 and Hestness et al. 2017 (power laws of learning curves).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tenfold.evaluation import CurvePoint, ImagesFor, Interval, Worth
from tenfold.evaluation.crossed import (
    CONFIDENCE,
    Indices,
    Table,
    crossed_interval,
    crossed_test,
    crossed_variance,
    standard_error,
)

REACH = 10.0
"""The curve is believed up to so many times its largest number of images, and down to that part of its smallest."""
MOST_TIMES = 100.0
"""As many images as are at hand: what more would do is not asked."""
BEND = 0.25
"""Standard deviation of the slope beyond the curve, as a share of it: no real curve is a power law for long. With it
the interval held the truth in 90 % of studies and more, at 2 to 16 times the images, but for a linear model that had
learned nearly all it could (83 %): benchmarks/results/images-needed.md. Without it, in 83 % for an SVM too."""
FLATTEST = 1e-6
"""A slope below this is rounding."""
STEPS = 40
"""Of the search for the interval's ends, before they are refined."""


@dataclass(frozen=True, eq=False)
class PowerLaw:
    """The fitted curve at the baseline's number of images, and how far each group and repeat moves it."""

    error: float
    slope: float
    moves_log_error: Table
    """n x R, mean 0: the linear part of how the fitted log error depends on the tables."""
    moves_slope: Table


def learning_curve(
    points: Sequence[tuple[str, float, Table]], *, folds: Indices | None = None, perfect: Table | None = None
) -> tuple[CurvePoint, ...]:
    """The balanced accuracy of arms on so many real images, n x R tables of correctness each, fewest images first.

    `folds` and `perfect` as for `worth`.
    """

    def point(name: str, images: float, table: Table) -> CurvePoint:
        # The errors' interval: groups that weigh more are no uncertainty, and no error at all still is one.
        wrong = crossed_interval(_errors(table, perfect), folds)
        low, high = max(0.0, 1 - wrong.high), min(1.0, 1 - wrong.low)
        return CurvePoint(name, images, Interval(1 - wrong.estimate, low, high, wrong.standard_error))

    return tuple(point(*each) for each in sorted(points, key=lambda each: each[1]))


def worth(
    curve: Sequence[tuple[float, Table]],
    baseline: Table,
    baseline_images: float,
    arm: Table,
    *,
    folds: Indices | None = None,
    choice: float = 0.0,
    perfect: Table | None = None,
) -> Worth | None:
    """The real images beside `baseline_images` that would have moved the baseline as far as the arm did.

    `curve` holds real training images, with the baseline's table for so many, the baseline's own point among
    them. All tables are of correctness, n groups x R repeats with the balanced accuracy as their mean, and their
    rows and columns are the same groups and repeats. `folds` and `choice` are those of `crossed_variance`.
    `perfect`, n x 1, is the table of an arm that is always right; without it, all groups weigh the same.

    None where the curve does not rise by one standard error of its slope: without a rise there is no rate of
    exchange. A stricter rule would keep the steep curves among those of equal slope, and so make arms look poor;
    where the rise is just visible, the interval says so by its width.

    The arm's error is the fitted one less the paired gain, which is far more precise than either accuracy.
    The interval holds each number of images whose gain by the curve does not differ (p >= .05) from the arm's.
    That is the test of the verdict itself: 0 lies in this interval exactly where no difference lies in that one,
    and an arm that never differed from the baseline gets the images that the rule of three allows. The
    curve is taken to rise, so that an arm with a proven gain is worth more than 0. Numbers beyond `REACH` are
    infinite, or all of the baseline's images below 0. Nothing is drawn: the same tables, the same answer.
    Sources: Fieller 1954 (the interval of a ratio by inverting a test); benchmarks/results/exchange.md
    (coverage, why one standard error, and why not the pigeonhole bootstrap).
    """
    sizes = np.array([images for images, _ in curve], dtype=np.float64)
    if len(np.unique(sizes)) < 2:
        return None
    law = _fit(sizes / baseline_images, [_errors(table, perfect) for _, table in curve])
    if law.slope <= max(standard_error(law.moves_slope, folds), FLATTEST):
        return None

    difference = arm - baseline
    gained = crossed_interval(difference, folds, choice)
    # What the test allows for groups that never differed must not vanish beside the curve's own noise.
    choice += max(gained.standard_error**2 - crossed_variance(difference, folds, choice).total, 0.0)
    # Logarithms of the images that one would have, in units of those at hand.
    beneath = math.log(sizes.min() / REACH / baseline_images)
    beyond = math.log(sizes.max() * REACH / baseline_images)
    left = law.error - gained.estimate
    estimate = math.log(law.error / left) / law.slope if left > 0 else math.inf

    def possible(more: float) -> bool:
        table, shrunk = _unexplained(law, difference, more)
        return crossed_test(table, folds, choice * shrunk**2).p_value >= 1 - CONFIDENCE

    fewest, most = beneath if gained.low <= 0 else 0.0, beyond if gained.high >= 0 else 0.0
    low, high = _ends(possible, fewest, most, estimate)

    def images(more: float) -> float:
        if more >= beyond:
            return math.inf
        return -baseline_images if more <= beneath else baseline_images * math.expm1(more)

    return Worth(images(estimate), images(low), images(high))


def images_for(
    curve: Sequence[tuple[float, Table]],
    baseline_images: float,
    accuracies: Sequence[float],
    *,
    folds: Indices | None = None,
    perfect: Table | None = None,
) -> tuple[ImagesFor, ...]:
    """How many times `baseline_images` the baseline would need for each balanced accuracy, above the one it has.

    `curve`, `folds` and `perfect` as for `worth`. The interval holds each number of images at which the fitted error
    does not differ (p >= .05) from the wanted one, with an allowance for curves that bend. Where the curve does not
    rise by one standard error of its slope nothing can be told.

    Source: as `worth`; Figueroa et al. 2012 (the same question, by the same law).
    """
    sizes = np.array([images for images, _ in curve], dtype=np.float64)
    law = _fit(sizes / baseline_images, [_errors(table, perfect) for _, table in curve])
    beyond = math.log(MOST_TIMES)
    told = law.slope > max(standard_error(law.moves_slope, folds), FLATTEST)

    def needed(accuracy: float) -> ImagesFor:
        if not told or len(np.unique(sizes)) < 2:
            return ImagesFor(accuracy, math.nan, math.nan, math.nan)
        above = math.log(law.error / (1 - accuracy))

        def possible(more: float) -> bool:
            table = above - law.slope * more + law.moves_log_error - more * law.moves_slope
            return crossed_test(table, folds, (BEND * law.slope * more) ** 2).p_value >= 1 - CONFIDENCE

        estimate = above / law.slope
        low, high = _ends(possible, 0.0, beyond, min(max(estimate, 0.0), beyond))
        times = [math.inf if more >= beyond else math.exp(max(more, 0.0)) for more in (estimate, low, high)]
        return ImagesFor(accuracy, *times)

    return tuple(needed(accuracy) for accuracy in accuracies)


def _errors(table: Table, perfect: Table | None) -> Table:
    return (1.0 if perfect is None else perfect) - table


def _fit(sizes: npt.NDArray[np.float64], errors: Sequence[Table]) -> PowerLaw:
    """Least squares of the log errors on the log sizes; `sizes` in units of the baseline's images.

    An error of less than half a group counts as half a group: none among n is not an infinite logarithm.
    """
    n = len(errors[0])
    shares = [max(float(table.mean()), 0.5 / n) for table in errors]
    weights = np.linalg.pinv(np.column_stack([np.ones(len(sizes)), np.log(sizes)]))
    level, steepness = weights @ np.log(shares)
    moves = np.stack([(table - table.mean()) / share for table, share in zip(errors, shares, strict=True)], axis=-1)
    return PowerLaw(float(np.exp(level)), -float(steepness), moves @ weights[0], -(moves @ weights[1]))


def _unexplained(law: PowerLaw, difference: Table, more: float) -> tuple[Table, float]:
    """The arm's gain less the curve's for `more` (log) images, n x R, and by what the gain was multiplied.

    The mean is exact, the spread its linear part. Above 0 the curve takes the baseline's error down to meet
    the arm's, below 0 it takes the arm's down to meet the baseline's: so no power grows without bound.
    """
    falls = math.exp(-law.slope * abs(more))
    moves_error = law.error * law.moves_log_error
    if more >= 0:
        mean = float(difference.mean()) - law.error * (1 - falls)
        spread = -(1 - falls) * moves_error - law.error * falls * more * law.moves_slope
        return mean + (difference - difference.mean()) + spread, 1.0
    left = law.error - float(difference.mean())
    spread = (1 - falls) * moves_error - left * falls * more * law.moves_slope
    return law.error - falls * left + falls * (difference - difference.mean()) + spread, falls


def _ends(possible: Callable[[float], bool], fewest: float, most: float, estimate: float) -> tuple[float, float]:
    """The lowest and the highest possible number in `fewest`..`most`; the estimate is always possible."""
    grid = [float(step) for step in np.linspace(fewest, most, STEPS)]
    held = [step for step in grid if possible(step)]
    low, high = min([*held, estimate]), max([*held, estimate])
    below = max((step for step in grid if step < low), default=low)
    above = min((step for step in grid if step > high), default=high)
    return _edge(possible, low, below), _edge(possible, high, above)


def _edge(possible: Callable[[float], bool], inside: float, outside: float) -> float:
    """Where `possible` ends between the two; `inside` where there is nothing between."""
    if not math.isfinite(inside):
        return inside
    while abs(outside - inside) > 1e-4:
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if possible(middle) else (inside, middle)
    return inside
