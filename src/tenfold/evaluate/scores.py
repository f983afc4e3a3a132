"""Scores of one set of predictions: shares in 0..1, from labels and predicted classes alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

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
