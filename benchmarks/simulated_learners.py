"""Studies of real learners on real images, each on a fresh draw: a second check that shares nothing with the first.

A learner is ridge regression on random features of the pixels, new ones in each training, so that trainings have luck
and the training set itself varies. Arms that are as good as the baseline are the same learner again; a better one has
more features. What is true is what the trainings of all studies reach on images that none of them has.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from simulated_studies import Floats, Studies, Whole

from tenfold.core.keys import Key
from tenfold.data.load import load

RIDGE = 3.0
RESERVE = 1000
"""Images beside a study's own, on which the true gains are measured."""
FOLDS = 5


@dataclass(frozen=True)
class Learners:
    """A set, the images of one study, and the random features of each arm, the baseline's first."""

    data: str
    images: int
    features: tuple[int, ...]


@cache
def _pixels(data: str) -> tuple[Floats, Whole]:
    """Images as rows in -1..1, of mnist at half its side, and their labels."""
    loaded = load(data, **({"size": 14} if data == "mnist" else {}))
    return (loaded.images.reshape(len(loaded), -1) / np.float32(127.5) - 1).astype(np.float32), loaded.labels


def learn(learners: Learners, repeats: int, studies: int, key: Key) -> Studies:
    """Draw and train `studies` studies; `Studies.gains` are those of these, by their trainings on other images."""
    pixels, labels = _pixels(learners.data)
    classes, arms = int(labels.max()) + 1, len(learners.features)
    study_labels = np.sort(np.arange(learners.images) % classes)
    shape = (arms, studies, learners.images, repeats)
    logits, validation = np.empty(shape, np.float32), np.empty((arms, studies, repeats, FOLDS), np.float32)
    reached = np.zeros(arms)
    folds = np.stack([_split(study_labels, (key / "folds" / r).numpy_generator()) for r in range(repeats)], axis=1)
    for study in range(studies):
        draw = (key / study).numpy_generator()
        order = draw.permutation(len(labels))
        own = np.concatenate(
            [order[labels[order] == k][: np.count_nonzero(study_labels == k)] for k in range(classes)]
        )
        reserve = np.setdiff1d(order, own, assume_unique=True)[:RESERVE]
        for repeat, fold in np.ndindex(repeats, FOLDS):
            test = np.flatnonzero(folds[:, repeat] == fold)
            rest = draw.permutation(np.flatnonzero(folds[:, repeat] != fold))
            kept, train = rest[: len(rest) // 5], rest[len(rest) // 5 :]
            for arm, width in enumerate(learners.features):
                asked = np.concatenate([own[test], own[kept], reserve])
                scores = _ridge(pixels[own[train]], study_labels[train], pixels[asked], width, classes, draw)
                of_test, of_kept, of_reserve = np.split(scores, [len(test), len(test) + len(kept)])
                logits[arm, study, test, repeat] = _logit_of_truth(of_test, study_labels[test])
                validation[arm, study, repeat, fold] = np.mean(of_kept.argmax(1) == study_labels[kept])
                reached[arm] += np.mean(of_reserve.argmax(1) == labels[reserve])
    reached /= studies * repeats * FOLDS
    weights = 1 / (classes * np.bincount(study_labels)[study_labels])
    gains = tuple(float(share - reached[0]) for share in reached)
    return Studies(logits, validation, study_labels, np.arange(learners.images), weights, folds, gains)


def _split(labels: Whole, draw: np.random.Generator) -> Whole:
    order = np.argsort(labels + draw.random(len(labels)))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank % FOLDS


def _ridge(
    train: Floats, labels: Whole, asked: Floats, width: int, classes: int, draw: np.random.Generator
) -> Floats:
    """Scores of the images that are asked about, M x K."""
    weights = draw.standard_normal((train.shape[1], width), dtype=np.float32) / np.float32(np.sqrt(train.shape[1]))
    offsets = draw.standard_normal(width, dtype=np.float32)
    known, unknown = (np.maximum(0, images @ weights + offsets) for images in (train, asked))
    targets = np.eye(classes, dtype=np.float32)[labels] - np.float32(1 / classes)
    if width > len(known):  # the same solution by the smaller of the two systems
        return (unknown @ known.T) @ np.linalg.solve(known @ known.T + RIDGE * np.eye(len(known)), targets)
    return unknown @ np.linalg.solve(known.T @ known + RIDGE * np.eye(width), known.T @ targets)


def _logit_of_truth(scores: Floats, labels: Whole) -> Floats:
    """How far the truth is above the best other class: above 0 exactly where it is recognised."""
    at = np.arange(len(labels))
    truth, others = scores[at, labels], scores.copy()
    others[at, labels] = -np.inf
    return 8 * (truth - others.max(axis=1))
