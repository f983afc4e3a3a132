"""Whether confidence can be believed: a classifier that says 80 % should be right 80 % of the time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtrit

from tenfold.core.keys import Key
from tenfold.core.types import class_weights
from tenfold.evaluation import Calibration, Interval
from tenfold.evaluation.crossed import CONFIDENCE, Indices, Table, group_folds, group_table, standard_error

Labels = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OneVersusRest:
    """How well each class is told from all others together; K shares each, NaN where nothing defines one."""

    sensitivity: Shares
    """Of the images of the class, the share recognised; the same thing as recall."""
    specificity: Shares
    """Of the images of all other classes, the share not taken for this one."""


def one_versus_rest(labels: Labels, predictions: Labels, class_count: int) -> OneVersusRest:
    """Sensitivity and specificity a class, of N labels and N predicted classes."""
    confusion = np.zeros((class_count, class_count))
    np.add.at(confusion, (labels, predictions), 1)
    hits = confusion.diagonal()
    members, taken = confusion.sum(axis=1), confusion.sum(axis=0)
    others = len(labels) - members
    with np.errstate(invalid="ignore"):
        return OneVersusRest(sensitivity=hits / members, specificity=(others - (taken - hits)) / others)


def recalls(labels: Labels, predictions: Labels, class_count: int) -> Shares:
    """K shares recognised; NaN for a class without images."""
    return one_versus_rest(labels, predictions, class_count).sensitivity


def balanced_accuracy(labels: Labels, predictions: Labels) -> float:
    """The mean recall of the classes that occur in `labels`.

    Raises:
        ValueError: there are no labels, or not one prediction for each.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if len(labels) == 0 or labels.shape != predictions.shape:
        raise ValueError(f"{len(predictions)} predictions for {len(labels)} labels")
    _, members = np.unique(labels, return_inverse=True)
    right = np.bincount(members, weights=labels == predictions)
    return float(np.mean(right / np.bincount(members)))


def wilson_interval(share: float, count: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval for a share of `count` draws: stays within 0..1 and has width at 0 and at 1.

    `count` may be fractional: an effective number of draws. Source: Wilson 1927, no continuity correction.
    """
    z_squared = float(ndtri(0.5 + confidence / 2)) ** 2
    centre = share + z_squared / (2 * count)
    half = np.sqrt(z_squared * (share * (1 - share) / count + z_squared / (4 * count**2)))
    scale = 1 + z_squared / count
    low, high = (centre - half) / scale, (centre + half) / scale
    return min(max(0.0, float(low)), share), max(min(1.0, float(high)), share)


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


def accuracy_interval(correct: Table, groups: Indices, folds: Indices | None = None) -> Interval:
    """Plain accuracy, every image counting the same, with its 95 % interval; `correct` is N x R, 1 where recognised.

    One stratum: nobody fixed how many images of each class there were to be.
    """
    return share_interval(correct, np.zeros_like(groups), groups, np.ones(len(groups)), folds)


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


Probabilities = npt.NDArray[np.float64]

BINS = 15
DRAWS = 200


def calibration(probabilities: Sequence[Probabilities], labels: Sequence[Labels], key: Key) -> Calibration:
    """Expected calibration error of the predicted class, mean over repeats, and what chance alone would show.

    One N x K array of probabilities and one of N labels a repeat. Images count equally, whatever their class:
    confidence is said of an image, not of a class. The error is never 0 on finitely many images, so it is
    told beside its mean over draws in which each image is right with exactly the probability stated.

    Raises:
        ValueError: there are no repeats, a repeat has no images, or not one label for each.
    Source: Guo et al. 2017, equation 3, with bins of equal width.
    """
    _check(probabilities, labels)
    confidence = np.concatenate([rows.max(axis=1) for rows in probabilities])
    predictions = np.concatenate([rows.argmax(axis=1) for rows in probabilities])
    sizes = np.array([len(rows) for rows in probabilities])
    shares = np.repeat(1 / (len(sizes) * sizes), sizes)
    # One cell for each bin of each repeat: a bin's surplus must not make up for another repeat's lack.
    cells = BINS * np.repeat(np.arange(len(sizes)), sizes) + _bins(confidence)

    def error(right: npt.NDArray[np.bool_]) -> float:
        return float(np.abs(np.bincount(cells, weights=shares * (right - confidence))).sum())

    draw = key.numpy_generator()
    by_chance = [error(draw.random(len(confidence)) < confidence) for _ in range(DRAWS)]
    return Calibration(error(predictions == np.concatenate(labels)), float(np.mean(by_chance)))


def _check(probabilities: Sequence[Probabilities], labels: Sequence[Labels]) -> None:
    images, labelled = [len(rows) for rows in probabilities], [len(column) for column in labels]
    if images != labelled or 0 in images or not images:
        raise ValueError(f"{images} rows of probabilities for {labelled} labels, one number a repeat")


def _bins(confidence: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The bin of each confidence; an edge belongs to the bin below it."""
    inner_edges = np.arange(1, BINS) / BINS
    return np.searchsorted(inner_edges, confidence, side="left").astype(np.int64)
