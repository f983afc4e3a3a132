"""Sensitivity and specificity of the same images judged in several seeds, with intervals over images and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tenfold.claims.base import Figure, Finished
from tenfold.evaluation import Interval
from tenfold.evaluation.crossed import crossed_interval

Labels = npt.NDArray[np.int64]
Parts = npt.NDArray[np.float64]
"""K classes x N images x R seeds: what each image adds to a class's share; the sum over images is the share."""


@dataclass(frozen=True, eq=False)
class Judged:
    """What one arm said of every image in every seed."""

    labels: Labels
    """N."""
    predicted: Labels
    """N x R."""
    folds: Labels
    """N x R: in which fold the image was tested."""
    class_count: int

    def sensitivity(self) -> Parts:
        """Of the images of each class, the share recognised."""
        parts = [self._part(label, self.labels == label, self.predicted == label) for label in self._classes]
        return np.stack(parts)

    def specificity(self) -> Parts:
        """Of the images of all other classes, the share not taken for this one."""
        parts = [self._part(label, self.labels != label, self.predicted != label) for label in self._classes]
        return np.stack(parts)

    @property
    def _classes(self) -> range:
        return range(self.class_count)

    def _part(self, label: int, counted: npt.NDArray[np.bool_], right: npt.NDArray[np.bool_]) -> Parts:
        if not counted.any():
            raise ValueError(f"class {label} has no images to tell its share by")
        return (counted[:, None] & right).astype(np.float64) / int(counted.sum())


def assemble(finished: Sequence[Finished], amounts: Mapping[tuple[int, int], object], class_count: int) -> Judged:
    """The trainings of one arm as one table: for each (seed, fold) the one with the amount named there.

    Results hold `rows` (numbers of the test images), `labels` and `predicted`.
    """
    seeds = sorted({seed for seed, _ in amounts})
    chosen = {
        (one.settings["seed"], one.settings["fold"]): one.result
        for one in finished
        if one.settings["amount"] == amounts[one.settings["seed"], one.settings["fold"]]
    }
    count = 1 + max(max(result["rows"]) for result in chosen.values())
    labels = np.full(count, -1, np.int64)
    predicted, folds = (np.full((count, len(seeds)), -1, np.int64) for _ in range(2))
    for (seed, fold), result in chosen.items():
        column = seeds.index(seed)
        labels[result["rows"]] = result["labels"]
        predicted[result["rows"], column] = result["predicted"]
        folds[result["rows"], column] = fold
    if min(labels.min(), predicted.min()) < 0:
        raise ValueError("some images were judged in no fold")
    return Judged(labels, predicted, folds, class_count)


def interval_of(parts: npt.NDArray[np.float64], judged: Judged) -> Interval:
    """The 95 % interval, over images and trainings, of a share or of a difference of shares.

    `parts` is N x R, summing over images to each seed's value. The numbers of images a class are fixed by design, so
    that images vary around the mean of their own class alone.
    """
    value = float(parts.sum(axis=0).mean())
    table = np.full(parts.shape, value)
    for label in np.unique(judged.labels):
        members = judged.labels == label
        table[members] += len(parts) * (parts[members] - parts[members].mean())
    return crossed_interval(table, judged.folds)


def share_figure(parts: npt.NDArray[np.float64], judged: Judged) -> Figure:
    """A share with its interval, cut off at 0 and 1."""
    interval = interval_of(parts, judged)
    return Figure(interval.estimate, max(0.0, interval.low), min(1.0, interval.high), _each(parts))


def difference_figure(parts: npt.NDArray[np.float64], judged: Judged) -> Figure:
    """A difference of two arms' parts with its interval."""
    interval = interval_of(parts, judged)
    return Figure(interval.estimate, interval.low, interval.high, _each(parts))


def _each(parts: npt.NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(map(float, parts.sum(axis=0)))
