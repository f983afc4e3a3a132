"""Intervals when every group of images is judged once in every repeat.

Two things vary: which images happen to be in the set, and how each training happens to end. A table of
n groups x R repeats separates the two, and its standard error counts both (crossed variance, as in
multi-reader multi-case studies). Treating the n x R cells, or the folds, as independent would give intervals
that are too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from tenfold.core.types import ImageDataset, class_weights
from tenfold.evaluation import Interval
from tenfold.evaluation.strata import Strata

Table = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

CONFIDENCE = 0.95
POWER = 0.8
"""Share of studies that are to find an effect of the smallest detectable size."""
FEW_TRAININGS = 6
FEW_UNLIKE = 6
MUCH_LUCK = 0.5
MANY_REPEATS = 10
TELL_NOTHING = 2
"""Up to as many unlike groups bound the share of such groups no better than none at all."""


@dataclass(frozen=True)
class MeanSquares:
    """The two-way mean squares of a table of groups x repeats."""

    groups: float
    repeats: float
    rest: float


@dataclass(frozen=True)
class CrossedVariance:
    """The parts of the variance of a table's mean, and the degrees of freedom of their sum."""

    images: float
    """Between groups; holds the trainings' noise on single groups too."""
    luck: float
    """Of the trainings, each with its own seed and its own share of the images."""
    choice: float
    rest: float
    """The noise on single groups: part of `images`, and what more repeats shrink beside `luck`."""
    degrees: float

    @property
    def total(self) -> float:
        return self.images + self.luck + self.choice


def group_table(values: Table, weights: npt.NDArray[np.float64], groups: Indices) -> Table:
    """Sum N x R values of images into n x R values of groups, whose mean is the weighted sum of the images.

    Images of weight 0 take no part, and neither does a group that has no others.
    """
    counted = weights > 0
    names, rows = np.unique(groups[counted], return_inverse=True)
    table = np.zeros((len(names), values.shape[1]))
    np.add.at(table, rows, weights[counted, None] * values[counted])
    return table * len(names)


def independent_images(data: ImageDataset, evaluated: tuple[int, ...]) -> float:
    """As many equally weighted images as the class weights and the groups of these amount to.

    Source: Kish 1965, the effective sample size 1 / sum of squared shares.
    """
    present = tuple(label for label in evaluated if (data.labels == label).any())
    if not present:
        return 0.0
    table = group_table(np.ones((len(data), 1)), class_weights(data.labels, present), data.groups)
    return float(1 / np.sum((table / len(table)) ** 2))


def group_folds(folds: Indices, weights: npt.NDArray[np.float64], groups: Indices) -> Indices:
    """The folds of the rows of `group_table`, n x R, from those of the images, N x R."""
    _, first = np.unique(groups[weights > 0], return_index=True)
    return folds[weights > 0][first]


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


def crossed_variance(
    table: Table, folds: Indices | None = None, choice: float = 0.0, strata: Strata | None = None
) -> CrossedVariance:
    """The variance of the mean of an n x R table, n >= 2, as an estimate for other images and other trainings.

    `folds`, n x R, tells which of a repeat's classifiers judged the group; without it, a repeat counts as one
    training. `choice` is what `choice_variance` gives where the arm differs from training to training. `strata` are
    the classes of the groups, where these are weighed by class.

    Sum of the variance between groups, MS_g / (nR), and of that of the trainings' luck, (MS_t - MS_0) / (nR)
    where that is positive: MS_t is the mean square of trainings, MS_0 what it would be without luck. Trainings
    rather than repeats, since two repeats are one degree of freedom, with which t covers 75 to 90 % or is six
    times as wide, while two repeats of five folds are nine. Each training has a seed of its own, so their luck is
    independent. Degrees of freedom are Satterthwaite's, those of MS_g from the spread of the groups' squares:
    with four groups that differ among hundreds of zeros, or with one rare class that weighs most, n - 1 would
    promise too much.
    Sources: Hillis 2007 (crossed variance with Satterthwaite's degrees of freedom); Henderson 1953, method 1;
    Pan and Wall 2002 (degrees of freedom of a sandwich variance). Coverage: benchmarks/results/simulated-gates.md.
    """
    n = len(table)
    parts = _squares(table) if strata is None else strata.squares(table)
    table = table if strata is None else strata.residuals(table)
    squares = mean_squares(table)
    # A table of equal numbers can miss its own mean by a rounding error: that is no variance.
    images = float(parts.sum()) if parts.sum() > 1e-24 else 0.0
    parts = parts / max(images, 1e-24)
    unevenness = float(np.mean(parts**2) - np.mean(parts) ** 2)
    degrees = float(n - 1)
    if images > 0 and unevenness > 0:
        degrees = min(degrees, 2 * n * float(np.mean(parts)) ** 2 / unevenness)

    of_trainings, without_luck, trainings = _trainings(table, folds, squares.rest)
    luck = max(of_trainings - without_luck, 0.0) / table.size
    # A difference of equal squares is a rounding error away from 0, where the degrees of freedom jump.
    luck = luck if luck > max(1e-24, 1e-9 * of_trainings / table.size) else 0.0
    if luck > 0:
        of_all = (images + choice) ** 2 / degrees + (of_trainings / table.size) ** 2 / (trainings - 1)
        degrees = max((images + luck + choice) ** 2 / of_all, min(degrees, trainings - 1))
    return CrossedVariance(images, luck, choice, squares.rest / table.size, degrees)


def _squares(table: Table) -> Table:
    """n: the parts of the variance of the mean of groups that count the same."""
    n = len(table)
    squares: Table = (table.mean(axis=1) - table.mean()) ** 2 / (n * (n - 1))
    return squares


def _trainings(table: Table, folds: Indices | None, rest: float) -> tuple[float, float, int]:
    """The mean square of trainings, what it would be without luck, and the number of trainings."""
    repeats = table.shape[1]
    inside = np.zeros(table.shape, dtype=np.int64) if folds is None else folds
    training = (inside * repeats + np.arange(repeats)).ravel()
    sizes = np.bincount(training)
    sums = np.bincount(training, weights=table.ravel())[sizes > 0]
    sizes = sizes[sizes > 0]
    if len(sizes) == table.size and folds is not None:  # one group a fold: its luck and its training's are one
        return _trainings(table, None, rest)
    if len(sizes) == 1:
        return 0.0, 0.0, 1
    between = float(np.sum(sizes * (sums / sizes - table.mean()) ** 2))
    within = (float(np.sum((table - table.mean()) ** 2)) - between) / (table.size - len(sizes))
    # Repeats judge the same images, so that between them there is the rest alone; folds judge different ones.
    without_luck = ((repeats - 1) * rest + (len(sizes) - repeats) * within) / (len(sizes) - 1)
    return between / (len(sizes) - 1), without_luck, len(sizes)


def choice_variance(gains: Table) -> float:
    """The variance that the choice between arms adds to the mean squares of the chosen arm's table, which count none.

    `gains` is R repeats x K folds: how much the arm chosen there gains over all images and repeats. All choices rest
    on the same images, so that K are independent at most and not R x K; those of different folds overlap too, so
    K / 2 are counted, with which intervals hold the truth in 92 % of studies or more.
    """
    repeats, folds = gains.shape
    return 2 * float(np.var(gains, ddof=1)) / folds if repeats > 1 else 0.0


def standard_error(table: Table, folds: Indices | None = None) -> float:
    """The standard error of the table's mean, as an estimate for other images and other trainings."""
    return float(np.sqrt(crossed_variance(table, folds).total))


def repeats_share(table: Table, folds: Indices | None = None) -> float:
    """The share of the variance that more repeats would shrink; the rest takes more images."""
    variance = crossed_variance(table, folds)
    return min(1.0, (variance.luck + variance.rest) / variance.total) if variance.total > 0 else 0.0


@dataclass(frozen=True)
class CrossedTest:
    """The mean of a table, and what can be said of its true value."""

    interval: Interval
    p_value: float
    """Two-sided, of the true value being 0: below .05 exactly where the interval leaves out 0."""
    degrees: float
    """Of freedom, of Student's distribution."""

    def probability_above(self, threshold: float) -> float:
        """The probability that the true value is above the threshold, by these data alone (a flat prior).

        Source: Benavoli et al. 2017, where the correlated t test is read as a posterior.
        """
        return float(stdtr(self.degrees, (self.interval.estimate - threshold) / self.interval.standard_error))

    def smallest_detectable(self, margin: float) -> float:
        """The true value with which four such studies of five are significant with an estimate above the margin."""
        half = (self.interval.high - self.interval.low) / 2
        return max(half, margin) + float(stdtrit(self.degrees, POWER)) * self.interval.standard_error


def crossed_test(
    table: Table, folds: Indices | None = None, choice: float = 0.0, strata: Strata | None = None
) -> CrossedTest:
    """The mean of an n x R table, n >= 2, with its 95 % interval, tested against 0.

    Arguments are those of `crossed_variance`.
    A table of equal numbers, such as the zeros of two classifiers that never differed, shows no variance in n
    groups. That bounds the share of groups that would show some by 3 / n and no lower (rule of three, Hanley and
    Lippman-Hand 1983), and one or two unlike groups tell no more than none: the interval is not narrower then.
    """
    estimate, variance = float(table.mean()), crossed_variance(table, folds, choice, strata)
    error, degrees = float(np.sqrt(variance.total)), variance.degrees
    student = float(stdtrit(degrees, 0.5 + CONFIDENCE / 2))
    unlike = np.count_nonzero((table != np.median(table)).any(axis=1))
    if error == 0 or (unlike <= TELL_NOTHING and student * error < 3 / len(table)):
        degrees = float(len(table) - 1)
        student = float(stdtrit(degrees, 0.5 + CONFIDENCE / 2))
        error = 3 / len(table) / student
    interval = Interval(estimate, estimate - student * error, estimate + student * error, error)
    return CrossedTest(interval, float(2 * stdtr(degrees, -abs(estimate) / error)), degrees)


def coverage_note(table: Table, folds: Indices | None = None) -> str | None:
    """Where such an interval was seen to hold the truth in fewer than 92 or more than 98 % of simulated studies.

    None elsewhere. Source: benchmarks/results/simulated-gates.md.
    """
    repeats = table.shape[1]
    trainings = repeats if folds is None else len(np.unique(folds * repeats + np.arange(repeats)))
    if trainings < FEW_TRAININGS:
        return (
            f"Only {trainings} training(s) of each arm: too few to tell luck from effect, so that such intervals "
            "may miss the truth in more than 8 % of studies. More repeats help."
        )
    variance = crossed_variance(table, folds)
    if variance.luck > MUCH_LUCK * variance.images and repeats < MANY_REPEATS:
        return (
            "How a training happens to end matters about as much as the images do: with so few repeats such "
            "intervals were seen to miss the truth in up to 9 % of studies instead of 5. More repeats help."
        )
    unlike = np.count_nonzero((table != np.median(table)).any(axis=1))
    if unlike < FEW_UNLIKE:
        return (
            f"Only {unlike} independent image(s) were ever judged differently: the interval is wider than 95 % would "
            "take, and small effects cannot be shown."
        )
    return None


def crossed_interval(
    table: Table, folds: Indices | None = None, choice: float = 0.0, strata: Strata | None = None
) -> Interval:
    """The interval of `crossed_test`."""
    return crossed_test(table, folds, choice, strata).interval


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment, in the order given: keeps the chance of any false alarm at its level."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(np.asarray(p_values)[order] * np.arange(len(order), 0, -1))
    return [float(p) for p in np.minimum(adjusted, 1.0)]
