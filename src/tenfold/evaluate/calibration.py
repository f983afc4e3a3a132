"""Whether confidence can be believed: a classifier that says 80 % should be right 80 % of the time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tenfold.core.keys import Key
from tenfold.core.verdicts import Calibration

Probabilities = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

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
