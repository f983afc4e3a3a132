"""What classifiers say of images that they did not learn from: classes that are confused, labels that look wrong.

Every image of a study is predicted once a repeat by a classifier of the folds that it is not in. The mean of these
predictions is a second opinion on each label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.core.types import Trial
from tenfold.training.calibration import fit_temperature

Indices = npt.NDArray[np.int64]

LEAST_CONFIDENCE = 0.5
"""Of the class that a suspicious label should perhaps have been."""
MOST_MISTAKES = 50
"""Told in verdict.json; suspicious labels are all told."""
LEAST_PROBABILITY = 1e-4
"""Where the log loss is cut off: one mislabelled image is not to decide which arm is asked."""


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """The predictions of one arm, of the images that it was tested on."""

    arm: str
    indices: Indices
    """M, into the study's images."""
    labels: Indices
    """M."""
    probabilities: npt.NDArray[np.float64]
    """M x K, the mean over the repeats."""

    @cached_property
    def predicted(self) -> Indices:
        """M, the most probable class."""
        classes: Indices = self.probabilities.argmax(1)
        return classes

    @property
    def confusion(self) -> Indices:
        """K x K, images of each class (rows) by what they were taken for (columns)."""
        classes = self.probabilities.shape[1]
        pairs = classes * self.labels + self.predicted
        counts: Indices = np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
        return counts

    @property
    def mistakes(self) -> Indices:
        """Positions in 0..M-1 of images that were taken for another class, the surest of their error first."""
        wrong = np.flatnonzero(self.predicted != self.labels)
        surest: Indices = wrong[np.argsort(-self._margins[wrong], kind="stable")]
        return surest

    @property
    def suspicious(self) -> Indices:
        """Positions in 0..M-1 of images whose label is probably wrong, the clearest first.

        An image is counted as of another class where that class is as probable as it is for the images that bear its
        label on the average, and more probable than all others together; its own label has to be less probable than
        is usual too. So a class that is hard throughout is not taken for one that is labelled badly.

        Source: Northcutt, Jiang, Chuang 2021 (confident learning). Deviation: the two bounds just named, since
        classifiers of a few hundred images err more often than those who labelled them.
        """
        usual = np.full(self.probabilities.shape[1], np.inf)
        for label in np.unique(self.labels):
            usual[label] = self.probabilities[self.labels == label, label].mean()
        other = self.probabilities[np.arange(len(self.labels)), self.predicted]
        confident = (
            (other >= usual[self.predicted]) & (other > LEAST_CONFIDENCE) & (self._of_label < usual[self.labels])
        )
        return np.array([position for position in self.mistakes if confident[position]], np.int64)

    def surest(self, label: int) -> Indices:
        """Indices of the study's images of a class that were recognised, those recognised most surely first."""
        right = np.flatnonzero((self.labels == label) & (self.predicted == label))
        return self.indices[right[np.argsort(-self.probabilities[right, label], kind="stable")]]

    def to_json(self, sources: Sequence[str], class_names: Sequence[str]) -> dict[str, Any]:
        """What verdict.json tells: the confusion as a class by class table, and images by their files."""

        def told(position: int) -> dict[str, Any]:
            label, predicted = self.labels[position], self.predicted[position]
            return {
                "source": sources[self.indices[position]],
                "label": class_names[label],
                "predicted": class_names[predicted],
                "probability": round(float(self.probabilities[position, predicted]), 4),
                "probability_of_label": round(float(self.probabilities[position, label]), 4),
            }

        return {
            "arm": self.arm,
            "images": len(self.labels),
            "classes": list(class_names),
            "confusion": self.confusion.tolist(),
            "mistakes": [told(position) for position in self.mistakes[:MOST_MISTAKES]],
            "suspicious_labels": [told(position) for position in self.suspicious],
        }

    @cached_property
    def _margins(self) -> npt.NDArray[np.float64]:
        """M: by how much the most probable class exceeds the label."""
        margins: npt.NDArray[np.float64] = self.probabilities.max(1) - self._of_label
        return margins

    @cached_property
    def _of_label(self) -> npt.NDArray[np.float64]:
        """M: the probability of the label."""
        own: npt.NDArray[np.float64] = self.probabilities[np.arange(len(self.labels)), self.labels]
        return own


def out_of_fold(trials: Sequence[Trial], labels: Indices, arms: Sequence[str]) -> OutOfFold | None:
    """The predictions of that one of the arms whose log loss is least; None where none has finished a trial.

    Args:
        labels: N, of the study's images, which the trials' test indices point into.
    """
    found = [one for arm in arms if (one := _of_arm(trials, labels, arm)) is not None]
    most = max((len(one.indices) for one in found), default=0)
    return min((one for one in found if len(one.indices) == most), key=_log_loss, default=None)


def calibrated(trials: Sequence[Trial], labels: Indices, arm: str) -> dict[str, Any]:
    """The temperature that suits an arm's predictions of images it did not learn from, and how many these are.

    Each training's predictions count by themselves: their mean is less sure than any one of them.

    Args:
        labels: N, of the study's images, which the trials' test indices point into.
    """
    indices, rows = _tested(trials, arm)
    if not len(indices):
        return {"temperature": 1.0, "temperature_from_images": 0}
    images = len(np.unique(indices))
    temperature = fit_temperature(rows, labels[indices], images)
    return {"temperature": round(temperature, 4), "temperature_from_images": images}


def _tested(trials: Sequence[Trial], arm: str) -> tuple[Indices, npt.NDArray[np.float64]]:
    """Every prediction of an arm, an image once a repeat: T indices, T x K."""
    sound = [trial for trial in trials if trial.arm == arm and not trial.failed]
    indices = [index for trial in sound for index in trial.test_indices]
    return np.array(indices, np.int64), np.array([row for trial in sound for row in trial.test_probabilities])


def _of_arm(trials: Sequence[Trial], labels: Indices, arm: str) -> OutOfFold | None:
    indices, rows = _tested(trials, arm)
    if not len(indices):
        return None
    tested, where, times = np.unique(indices, return_inverse=True, return_counts=True)
    sums = np.zeros((len(tested), rows.shape[1]))
    np.add.at(sums, where, rows)
    return OutOfFold(arm, tested, labels[tested], sums / times[:, None])


def _log_loss(one: OutOfFold) -> float:
    return float(-np.log(np.maximum(one._of_label, LEAST_PROBABILITY)).mean())
