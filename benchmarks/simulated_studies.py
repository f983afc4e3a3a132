"""Studies that take no training: images of differing difficulty, arms with opinions, trainings with luck.

An image is recognised where difficulty + the arm's opinion of it + the training's luck + noise is above 0, all of
them normal. Difficulty makes most images nearly always right and some nearly always wrong. An arm's opinion of
an image stays the same over repeats: it is what more images would average out. Luck belongs to one training and is
shared by all it judges; part of it is common to all arms, which share splits and initialisation, and so is half of
the noise. The validation images that the chosen arm chooses by are other images of the same study, judged by the same
trainings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from tenfold.core.types import Trial
from tenfold.evaluation.crossed import choice_variance, retrained_picks

Floats = npt.NDArray[Any]
Whole = npt.NDArray[np.int64]

INNER_PARTS = 5


@dataclass(frozen=True)
class Process:
    """How studies come about; accuracies are shares, spreads are in units of the noise."""

    accuracy: float
    """Of the baseline."""
    gains: tuple[float, ...]
    """Of each other arm over the baseline."""
    luck: float
    """Standard deviation of one training's accuracy by an arm's own luck; the arms' common luck has the same."""
    difficulty: float = 5.0
    opinion: float = 0.6
    group_size: int = 1
    classes: int = 2
    imbalance: float = 1.0
    """Images of the first class for each one of another."""
    folds: int = 5

    @property
    def spread(self) -> float:
        """Standard deviation of all that decides on one image, luck apart."""
        return float(np.sqrt(self.difficulty**2 + self.opinion**2 + 1))

    @property
    def latent_luck(self) -> float:
        """Luck in units of the noise: by the slope of the normal curve at the accuracy."""
        threshold = float(ndtri(self.accuracy))
        return self.luck * self.spread / float(np.exp(-(threshold**2) / 2) / np.sqrt(2 * np.pi))


EQUAL = (0.0, 0.0, 0.0, 0.0)

PROCESSES = {
    "98 %, small luck": Process(0.98, (0.0, 0.005), 0.002, difficulty=6),
    "98 %, large luck": Process(0.98, (0.005, 0.0), 0.006, difficulty=6),
    "97 %, four arms": Process(0.97, (0.0, 0.005, 0.01, -0.01), 0.005),
    "95.5 %, 10 classes": Process(0.955, (0.005, 0.01), 0.006, difficulty=4, classes=10),
    "92.5 %": Process(0.925, (0.01,), 0.004, difficulty=6, opinion=0.5),
    "90 %, large luck": Process(0.90, (0.02, 0.01), 0.015, difficulty=4, opinion=0.7),
    "90 %, groups of 4": Process(0.90, (0.01,), 0.008, difficulty=4, opinion=1.0, group_size=4),
    "90 %, 2 folds": Process(0.90, (0.01,), 0.008, difficulty=4, folds=2),
    "90 %, same arm again": Process(0.90, (0.0, 0.0, 0.0), 0.008, difficulty=4, opinion=0.0),
    "89 %, classes 5 : 1": Process(0.89, (0.01, 0.02), 0.008, imbalance=5),
    "70 %, small luck": Process(0.70, (0.03,), 0.010, difficulty=3, opinion=0.5),
    "70 %, large luck": Process(0.70, (0.02,), 0.030, difficulty=3, opinion=0.5),
}
"""By the baseline's accuracy. Luck is the standard deviation of a training's accuracy."""

NULL_PROCESSES = {
    "95.5 %, luck 0.6, same arm again": Process(0.955, EQUAL, 0.006, difficulty=4, opinion=0.0, classes=10),
    "95.5 %, luck 0.6": Process(0.955, EQUAL, 0.006, difficulty=4, classes=10),
    "98 %, luck 0.4": Process(0.98, EQUAL, 0.004, difficulty=6),
    "92.5 %, luck 0.4": Process(0.925, EQUAL, 0.004, difficulty=6, opinion=0.5),
    "89 %, luck 0.8, classes 5 : 1": Process(0.89, EQUAL, 0.008, imbalance=5),
    "90 %, luck 0.8": Process(0.90, EQUAL, 0.008, difficulty=4),
    "90 %, luck 0.8, groups of 4": Process(0.90, EQUAL, 0.008, difficulty=4, opinion=1.0, group_size=4),
    "90 %, luck 1.5": Process(0.90, EQUAL, 0.015, difficulty=4),
    "70 %, luck 3.0": Process(0.70, EQUAL, 0.030, difficulty=3, opinion=0.5),
}
"""The baseline and four arms that are as good; luck in points."""


@dataclass(frozen=True, eq=False)
class Studies:
    """S studies of n groups x R repeats."""

    correct: npt.NDArray[np.bool_]
    """Arms x S x N images x R; the first arm is the baseline."""
    inner_scores: Floats
    """Arms x S x R x K folds."""
    labels: Whole
    groups: Whole
    weights: Floats
    image_folds: Whole
    """N x R."""

    @property
    def folds(self) -> Whole:
        """Groups x R."""
        return self.image_folds[np.unique(self.groups, return_index=True)[1]]

    def tables(self, arm: int) -> Floats:
        """S x n x R: an arm minus the baseline, its mean the difference in balanced accuracy."""
        return self._tables(self.correct[arm])

    def chosen(self) -> Whole:
        """S x N x R: the arm that the validation images of the image's fold preferred."""
        best = self.inner_scores.argmax(0)
        return np.stack([best[:, r][:, folds] for r, folds in enumerate(self.image_folds.T)], axis=2)

    def picked(self) -> Floats:
        """S x n x R: the chosen arm minus the baseline."""
        return self._tables(np.take_along_axis(self.correct, self.chosen()[None], 0)[0])

    def retrained(self, repeats: int) -> Floats:
        """S x n x R, from the first `repeats`: the same choices, judged by other trainings of the chosen arms."""
        group_size = len(self.labels) // (int(self.groups[-1]) + 1)
        chosen = self.chosen()[:, ::group_size, :repeats]
        chosen = chosen == np.arange(1, len(self.correct))[:, None, None, None]
        differences = np.stack([self.tables(arm)[:, :, :repeats] for arm in range(1, len(self.correct))])
        return np.stack([retrained_picks(differences[:, s], chosen[:, s]) for s in range(len(differences[0]))])

    def choice_variances(self, repeats: int, *, retrained: bool = False) -> Floats:
        """S: what the choice adds to the variance of the chosen arm, from the first `repeats`."""
        arms = len(self.correct)
        gains = np.stack([self.tables(arm)[:, :, :repeats].mean((1, 2)) for arm in range(arms)], axis=1)
        best = self.inner_scores[:, :, :repeats].argmax(0)
        chosen = [gain[arm] for gain, arm in zip(gains, best, strict=True)]
        if retrained:
            return np.array([choice_variance(gain) for gain in chosen])
        # What the chosen arm's own mean squares do not count: K choices are independent, and they count R x K.
        return np.array([np.var(gain, ddof=1) * (1 / gain.shape[1] - 1 / gain.size) for gain in chosen])

    def _tables(self, correct: npt.NDArray[np.bool_]) -> Floats:
        groups = int(self.groups[-1]) + 1
        difference = correct.astype(np.float32) - self.correct[0]
        weighted = difference * (self.weights * groups).astype(np.float32)[:, None]
        studies, images, repeats = weighted.shape
        table: Floats = weighted.reshape(studies, groups, images // groups, repeats).sum(2)
        return table


def simulate(process: Process, images: int, repeats: int, studies: int, draw: np.random.Generator) -> Studies:
    """Draw `studies` studies; they share their splits, which images know nothing of."""
    groups = images // process.group_size
    sizes = np.cumsum([process.imbalance, *[1.0] * (process.classes - 1)])
    group_labels = np.searchsorted(sizes / sizes[-1], (np.arange(groups) + 0.5) / groups)
    labels = np.repeat(group_labels, process.group_size)
    weights = 1 / (process.classes * np.bincount(labels)[labels])
    shape = (studies, len(labels))

    def of_images(deviation: float) -> Floats:
        """Normal, half of its variance common to an image's group."""
        own = draw.standard_normal(shape, dtype=np.float32)
        if process.group_size == 1:
            return np.float32(deviation) * own
        common = draw.standard_normal((studies, groups), dtype=np.float32).repeat(process.group_size, axis=1)
        return np.float32(deviation * np.sqrt(0.5)) * (own + common)

    def split(parts: int) -> Whole:
        """N: parts of equal size, the same share of each class in all of them."""
        order = np.argsort(group_labels + draw.random(groups))
        rank = np.empty(groups, dtype=np.int64)
        rank[order] = np.arange(groups)
        return np.repeat(rank % parts, process.group_size)

    def luck(*lead: int) -> Floats:
        size = (*lead, studies, repeats, process.folds)
        return np.float32(process.latent_luck) * draw.standard_normal(size, dtype=np.float32)

    arms = 1 + len(process.gains)
    total = np.sqrt(process.spread**2 + 2 * process.latent_luck**2)
    means = (ndtri(process.accuracy + np.array([0.0, *process.gains])) * total).astype(np.float32)
    difficulty, opinions = of_images(process.difficulty), [of_images(process.opinion) for _ in range(arms)]
    training_luck = luck(arms) + luck()
    noise = np.float32(np.sqrt(0.5))

    def recognised(repeat: int, trained: Whole) -> list[npt.NDArray[np.bool_]]:
        """For each arm S x N, judged by the training of fold `trained`, N."""
        common = difficulty + noise * draw.standard_normal(shape, dtype=np.float32)
        return [
            common
            + opinions[arm]
            + noise * draw.standard_normal(shape, dtype=np.float32)
            + training_luck[arm][:, repeat][:, trained]
            > -means[arm]
            for arm in range(arms)
        ]

    correct = np.empty((arms, *shape, repeats), dtype=bool)
    inner_scores = np.empty((arms, studies, repeats, process.folds), dtype=np.float32)
    folds = np.stack([split(process.folds) for _ in range(repeats)], axis=1)
    for repeat in range(repeats):
        correct[..., repeat] = recognised(repeat, folds[:, repeat])
        # A fifth of the images for each of the folds' validation splits, without those that the fold tests.
        part = split(max(INNER_PARTS, process.folds))
        shares = _inner_weights(labels, part, part != folds[:, repeat], process)
        for arm, right in enumerate(recognised(repeat, np.minimum(part, process.folds - 1))):
            inner_scores[arm, :, repeat] = right.astype(np.float32) @ shares
    # The loss breaks ties.
    inner_scores += np.float32(1e-4) * draw.random(inner_scores.shape, dtype=np.float32)
    return Studies(correct, inner_scores, labels, np.repeat(np.arange(groups), process.group_size), weights, folds)


def _inner_weights(labels: Whole, part: Whole, usable: npt.NDArray[np.bool_], process: Process) -> Floats:
    """N x K: the balanced accuracy of each fold's validation images is the weighted sum of what is right."""
    member = (part[:, None] == np.arange(process.folds)) & usable[:, None]
    weights = np.zeros(member.shape, dtype=np.float32)
    for label in range(process.classes):
        of_class = member & (labels == label)[:, None]
        weights += of_class / np.maximum(of_class.sum(0), 1) / process.classes
    return weights


def trials(studies: Studies, study: int) -> list[Trial]:
    """One study as the product's own trials: arm-0 is the baseline; the wrong ones get the next class."""
    labels, classes = studies.labels, int(studies.labels.max()) + 1
    one_hot = np.eye(classes).tolist()
    done = []
    for arm, inner_scores in enumerate(studies.inner_scores[:, study]):
        predicted = np.where(studies.correct[arm, study].T, labels, (labels + 1) % classes)
        for repeat, fold in np.ndindex(*inner_scores.shape):
            members = np.flatnonzero(studies.image_folds[:, repeat] == fold)
            done.append(
                Trial(
                    arm=f"arm-{arm}",
                    repeat=repeat,
                    fold=fold,
                    inner_score=float(inner_scores[repeat, fold]),
                    inner_loss=1.0,
                    test_indices=members.tolist(),
                    test_probabilities=[one_hot[label] for label in predicted[repeat, members]],
                    external_predictions=[],
                    wall_seconds=1.0,
                )
            )
    return done
