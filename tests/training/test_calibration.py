"""Probabilities at their word: what a temperature mends, and where there is nothing to mend."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold

from made_up_sets import easy_set
from tenfold.augment.mixing import MixUp
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.training.calibration import at_temperature, fit_temperature
from tenfold.training.classifier import ClassifierConfig, train_classifier
from tenfold.training.recipe import Recipe

RNG = Key("tests/calibration").numpy_generator()
LOGITS = RNG.normal(size=(500, 4)) * 2
LABELS = np.array([RNG.choice(4, p=row) for row in softmax(LOGITS, axis=1)])
"""Drawn from the probabilities themselves: at 1 they can be taken at their word."""


def rows(sureness: float) -> np.ndarray:
    return softmax(sureness * LOGITS, axis=1).astype(np.float32)


@pytest.mark.parametrize("sureness", [0.4, 2.0, 5.0])
def test_the_temperature_undoes_what_made_a_classifier_too_sure_or_too_timid(sureness: float) -> None:
    temperature = fit_temperature(rows(sureness), LABELS)
    assert temperature == pytest.approx(sureness, rel=0.15)
    assert at_temperature(rows(sureness), temperature).argmax(1).tolist() == rows(1).argmax(1).tolist()
    assert np.allclose(
        at_temperature(rows(sureness), temperature), softmax(LOGITS * sureness / temperature, 1), atol=1e-5
    )


def test_what_a_few_images_cannot_tell_from_1_is_left_at_1() -> None:
    assert fit_temperature(rows(1.1)[:40], LABELS[:40]) == 1.0
    repeated = np.repeat(rows(1.1)[:40], 50, axis=0), np.repeat(LABELS[:40], 50)
    assert fit_temperature(*repeated) != 1.0
    assert fit_temperature(*repeated, images=40) == 1.0, "the same images again are no more evidence"
    assert fit_temperature(rows(1)[:0], LABELS[:0]) == 1.0


def test_without_a_mistake_nobody_is_taken_for_infallible() -> None:
    sure = np.full((20, 2), [0.9, 0.1], np.float32)
    few, many = (
        at_temperature(sure, fit_temperature(np.repeat(sure, times, axis=0), np.zeros(20 * times, np.int64)))[0, 0]
        for times in (1, 50)
    )
    assert 0.9 < few < 0.99, "after 20 images that were recognised"
    assert few < many < 0.9999


def test_one_of_many_sure_images_is_not_taken_for_a_mistake() -> None:
    """200 images of which 195 were recognised with certainty, as of digits: their confidence is their accuracy."""
    rows = np.full((200, 2), [0.9999, 0.0001])
    rows[:10] = [0.5, 0.5]
    labels = np.repeat([1, 0], [5, 195])
    assert fit_temperature(rows, labels) == pytest.approx(1, abs=0.1)


def test_a_probability_of_0_stays_finite() -> None:
    certain = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], np.float32)
    assert np.array_equal(at_temperature(certain, 1.0), certain)
    assert at_temperature(certain, 3.0).sum(1) == pytest.approx(1.0)
    assert at_temperature(certain[:0], 3.0).shape == (0, 3)


def calibration_error(told: np.ndarray, labels: np.ndarray) -> float:
    """The mean distance between confidence and accuracy, over 15 bins of confidence (Guo et al. 2017, equation 3)."""
    confidence, right = told.max(1).astype(np.float64), told.argmax(1) == labels
    bins = np.minimum((confidence * 15).astype(int), 14)
    return float(np.abs(np.bincount(bins, weights=confidence - right)).sum() / len(labels))


def digits(indices: np.ndarray) -> ImageDataset:
    pixels, labels = load_digits(return_X_y=True)
    images = (pixels.reshape(-1, 1, 8, 8) * 15.9).astype(np.uint8)[indices]
    n = len(indices)
    return replace(
        easy_set([1] * 10), images=images, labels=labels[indices].astype(np.int64), groups=np.arange(n),
        sources=tuple(map(str, indices)), roles=np.full(n, "train"),
    )  # fmt: skip


@pytest.mark.parametrize("transforms", [(), (MixUp(),)], ids=["raw", "mixup"])
def test_new_digits_are_told_no_worse_and_after_mixing_far_better(transforms: tuple[MixUp, ...]) -> None:
    """As in a run: fitted on out-of-fold predictions, used by a classifier of all images, judged on others."""
    before, after, errors = [], [], []
    config, recipe = ClassifierConfig(steps=60 if transforms else 120), Recipe(transforms=transforms)
    for seed in range(3):
        order = Key(f"tests/digits/{seed}").numpy_generator().permutation(1797)
        train, rest = digits(order[:150]), digits(order[150:])
        held = np.zeros((150, 10), np.float32)
        folds = StratifiedKFold(3, shuffle=True, random_state=seed).split(train.labels, train.labels)
        for fold, (inside, outside) in enumerate(folds):
            key = Key(f"calibration/{seed}/{fold}")
            classifier = train_classifier(train.take(inside), None, recipe, key, config)
            held[outside] = classifier.probabilities(train.images[outside])
        classifier = train_classifier(train, None, recipe, Key(f"calibration/{seed}"), config)
        calibrated = replace(classifier, temperature=fit_temperature(held, train.labels))
        told = [one.probabilities(rest.images) for one in (classifier, calibrated)]
        before.append(log_loss(rest.labels, told[0]))
        after.append(log_loss(rest.labels, told[1]))
        errors.append([calibration_error(one, rest.labels) for one in told])
    assert np.mean(after) <= np.mean(before)
    if transforms:
        assert np.mean(after) < 0.9 * np.mean(before)
        assert np.mean(errors, axis=0)[1] < 0.75 * np.mean(errors, axis=0)[0]
