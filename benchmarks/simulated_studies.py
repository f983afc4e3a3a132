"""Studies that take no training: images of differing difficulty, arms with opinions, trainings with luck.

An image is recognised where difficulty + the arm's opinion of it + the training's luck + noise is above 0, all of
them normal. Difficulty makes most images nearly always right and some nearly always wrong. An arm's opinion of an
image stays the same over repeats: it is what more images would average out. Luck belongs to one training and is
shared by all it judges; part of it is common to all arms, which share splits and initialisation, and so is half of
the noise. How far above 0 an image is, is how surely it is recognised, and the log loss follows from that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, ndtri

from tenfold.core.types import Trial
from tenfold.evaluation.log_loss import MOST_LOSS, TEMPERATURES

Floats = npt.NDArray[Any]
Whole = npt.NDArray[np.int64]

VALIDATION_PARTS = 5
CONFIDENCE = 3.0
"""The logit of the truth, for an image one standard deviation above 0."""


@dataclass(frozen=True)
class Process:
    """How studies come about; accuracies are shares, spreads are in units of the noise."""

    accuracy: float
    """Of the baseline."""
    gains: tuple[float, ...]
    """Of each other arm over the baseline."""
    luck: float
    """Standard deviation of one training's accuracy by an arm's own luck; the arms' common luck has the same."""
    images: int = 200
    difficulty: float = 4.0
    opinion: float = 0.6
    classes: int = 2
    imbalance: float = 1.0
    """Images of the first class for each one of another."""
    folds: int = 5
    groups: int | None = None
    """Patients of lognormal numbers of images, which fare alike; each image is its own unless given."""
    alike: float = 0.5
    """Share of the variance of difficulty and opinion that the images of a patient have in common."""
    collapsed: float = 0.0
    """Share of trainings that learned little."""
    vague: tuple[float, ...] = ()
    """By how much each arm, the baseline first, is sure of the wrong images: the standard deviation of the logarithm
    by which its confidence varies, accuracy being the same."""

    @property
    def spread(self) -> float:
        """Standard deviation of all that decides on one image, luck apart."""
        return float(np.sqrt(self.difficulty**2 + self.opinion**2 + 1))

    @property
    def latent_luck(self) -> float:
        """Luck in units of the noise: by the slope of the normal curve at the accuracy."""
        threshold = float(ndtri(self.accuracy))
        return self.luck * self.spread / float(np.exp(-(threshold**2) / 2) / np.sqrt(2 * np.pi))


@dataclass(frozen=True, eq=False)
class Studies:
    """S studies of N images in n groups x R repeats of K folds; the first arm is the baseline."""

    logits: Floats
    """A x S x N x R: of the truth; above 0 where the image is recognised."""
    validation_scores: Floats
    """A x S x R x K."""
    labels: Whole
    groups: Whole
    """Of images in order of their groups."""
    weights: Floats
    image_folds: Whole
    """N x R."""
    gains: tuple[float, ...]
    """True ones of all arms, the baseline's 0."""

    @property
    def folds(self) -> Whole:
        """n x R."""
        return self.image_folds[np.unique(self.groups, return_index=True)[1]]

    def first(self, repeats: int) -> Studies:
        """The same studies, ended earlier."""
        parts = (self.logits[..., :repeats], self.validation_scores[:, :, :repeats], self.labels, self.groups)
        return Studies(*parts, self.weights, self.image_folds[:, :repeats], self.gains)

    def accuracy_gains(self) -> Floats:
        """A - 1 x S x n x R: each arm - the baseline, its mean the difference in balanced accuracy."""
        right = self.tables((self.logits > 0).astype(np.float64))
        return right[1:] - right[:1]

    def loss_gains(self) -> Floats:
        """A - 1 x S x n x R: by how much each arm's log loss is below the baseline's, as `log_loss.losses` has it."""
        at = np.stack([np.minimum(np.logaddexp(0, -self.logits / t), MOST_LOSS) for t in TEMPERATURES])
        total, losses = np.einsum("tasnr,n->tas", at, self.weights), np.empty(self.logits.shape)
        for repeat, fold in np.ndindex(self.validation_scores.shape[2:]):
            inside = self.image_folds[:, repeat] == fold
            outside = total - np.einsum("tasnr,n->tas", at[:, :, :, inside], self.weights[inside])
            best = outside.argmin(axis=0)[None, :, :, None]
            losses[:, :, inside, repeat] = np.take_along_axis(at[:, :, :, inside, repeat], best, 0)[0]
        of_groups = self.tables(losses)
        return of_groups[:1] - of_groups[1:]

    def tables(self, values: Floats) -> Floats:
        """A x S x N x R of images -> A x S x n x R of groups, with the weighted sum of images as the mean."""
        starts = np.unique(self.groups, return_index=True)[1]
        table: Floats = np.add.reduceat(values * (self.weights * len(starts))[:, None], starts, axis=2)
        return table


def simulate(process: Process, repeats: int, studies: int, draw: np.random.Generator) -> Studies:
    """Draw `studies` studies; they share their splits, which images know nothing of."""
    groups, group_labels = _groups(process, draw)
    labels, shape = group_labels[groups], (studies, len(groups))
    weights = 1 / (process.classes * np.bincount(labels)[labels])

    def normal(*size: int) -> Floats:
        return draw.standard_normal(size, dtype=np.float32)

    def of_images(deviation: float) -> Floats:
        own = normal(*shape)
        if process.groups is None:
            return np.float32(deviation) * own
        common = normal(studies, len(group_labels))[:, groups]
        return np.float32(deviation) * (
            np.float32(np.sqrt(1 - process.alike)) * own + np.float32(np.sqrt(process.alike)) * common
        )

    def split(parts: int) -> Whole:
        """N: parts of equal size, the same share of each class in all of them."""
        order = np.argsort(group_labels + draw.random(len(group_labels)))
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        return (rank % parts)[groups]

    arms, trainings = 1 + len(process.gains), (studies, repeats, process.folds)
    total = np.sqrt(process.spread**2 + 2 * process.latent_luck**2)
    means = (ndtri(process.accuracy + np.array([0.0, *process.gains])) * total).astype(np.float32)
    fixed = of_images(process.difficulty), [of_images(process.opinion) for _ in range(arms)]
    luck = np.float32(process.latent_luck) * (normal(arms, *trainings) + normal(*trainings))
    collapsed = draw.random((arms, *trainings)) < process.collapsed
    noise = np.float32(np.sqrt(0.5))

    def above(repeat: int, trained: Whole) -> Floats:
        """A x S x N: how far above 0 each image is by the training of fold `trained`, N."""
        common, result = fixed[0] + noise * normal(*shape), np.empty((arms, *shape), np.float32)
        for arm in range(arms):
            result[arm] = common + fixed[1][arm] + noise * normal(*shape) + luck[arm][:, repeat][:, trained]
            weak = collapsed[arm][:, repeat][:, trained]
            learned = np.float32(0.3) * result[arm] + np.float32(0.7 * process.spread) * normal(*shape)
            result[arm] = np.where(weak, learned + np.float32(0.7) * means[arm], result[arm] + means[arm])
        return result

    logits = np.empty((arms, *shape, repeats), np.float32)
    validation = np.empty((arms, *trainings), np.float32)
    folds = np.stack([split(process.folds) for _ in range(repeats)], axis=1)
    for repeat in range(repeats):
        logits[..., repeat] = above(repeat, folds[:, repeat]) * np.float32(CONFIDENCE / process.spread)
        # A fifth of the images for each of the folds' validation splits, without those that the fold tests.
        part = split(max(VALIDATION_PARTS, process.folds))
        shares = _validation_weights(labels, part, part != folds[:, repeat], process)
        validation[:, :, repeat] = (above(repeat, np.minimum(part, process.folds - 1)) > 0).astype(
            np.float32
        ) @ shares
    for arm, deviation in enumerate(process.vague):
        logits[arm] *= np.exp(np.float32(deviation) * normal(*logits[arm].shape))
    validation += np.float32(1e-4) * draw.random(validation.shape, dtype=np.float32)  # the loss breaks ties
    return Studies(logits, validation, labels, groups, weights, folds, (0.0, *process.gains))


def _groups(process: Process, draw: np.random.Generator) -> tuple[Whole, Whole]:
    """The group of each image, and the class of each group."""
    if process.groups is None:
        sizes = np.ones(process.images, dtype=np.int64)
        share = np.cumsum([process.imbalance, *[1.0] * (process.classes - 1)])
        labels = np.searchsorted(share / share[-1], (np.arange(process.images) + 0.5) / process.images)
    else:
        drawn = draw.lognormal(-0.5, 1.0, process.groups) * process.images / process.groups
        sizes, labels = np.maximum(1, np.rint(drawn)).astype(np.int64), np.arange(process.groups) % process.classes
    return np.repeat(np.arange(len(sizes)), sizes), labels


def _validation_weights(labels: Whole, part: Whole, usable: npt.NDArray[np.bool_], process: Process) -> Floats:
    """N x K: the balanced accuracy of each fold's validation images is the weighted sum of what is right."""
    member = (part[:, None] == np.arange(process.folds)) & usable[:, None]
    weights = np.zeros(member.shape, dtype=np.float32)
    for label in range(process.classes):
        of_class = member & (labels == label)[:, None]
        weights += of_class / np.maximum(of_class.sum(0), 1) / process.classes
    return weights


def trials(studies: Studies, study: int) -> list[Trial]:
    """One study as the product's own trials: arm-0 is the baseline; what the truth lacks, the next class gets."""
    labels, classes, done = studies.labels, int(studies.labels.max()) + 1, []
    for arm, scores in enumerate(studies.validation_scores[:, study]):
        of_truth = expit(studies.logits[arm, study].astype(np.float64))
        for repeat, fold in np.ndindex(*scores.shape):
            members = np.flatnonzero(studies.image_folds[:, repeat] == fold)
            rows, at = np.zeros((len(members), classes)), np.arange(len(members))
            rows[at, labels[members]] = of_truth[members, repeat]
            rows[at, (labels[members] + 1) % classes] = 1 - of_truth[members, repeat]
            score = float(scores[repeat, fold])
            done.append(
                Trial(f"arm-{arm}", repeat, fold, score, 1.0, members.tolist(), rows.tolist(), [], wall_seconds=1.0)
            )
    return done
