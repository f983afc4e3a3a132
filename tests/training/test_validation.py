from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.metrics import balanced_accuracy_score

from tenfold.core.keys import Key
from tenfold.training.validation import validation_loss, validation_score

RNG = Key("tests/inner").numpy_generator()
LABELS = RNG.integers(0, 3, 60)
LOGITS = RNG.normal(size=(60, 3)) + 1.5 * np.eye(3)[LABELS]


def probabilities(sureness: float) -> np.ndarray:
    scaled = np.exp(sureness * LOGITS)
    return (scaled / scaled.sum(1, keepdims=True)).astype(np.float32)


def test_the_score_is_the_balanced_accuracy_over_the_classes_that_are_present() -> None:
    rows = probabilities(1.0)
    some = LABELS != 1
    assert validation_score(rows, LABELS) == pytest.approx(balanced_accuracy_score(LABELS, rows.argmax(1)))
    classes = [np.mean(rows[label == LABELS].argmax(1) == label) for label in (0, 2)]
    assert validation_score(rows[some], LABELS[some]) == pytest.approx(np.mean(classes))


def test_the_loss_is_the_least_over_all_temperatures() -> None:
    """A slow reference: scipy's search over a continuum, on plain sums."""

    def loss(temperature: float) -> float:
        rows = np.exp(LOGITS / temperature)
        surprise = -np.log(rows[np.arange(60), LABELS] / rows.sum(1))
        return float(np.mean([surprise[label == LABELS].mean() for label in range(3)]))

    best = minimize_scalar(loss, bounds=(0.25, 16), method="bounded").fun
    assert validation_loss(probabilities(1.0), LABELS) == pytest.approx(best, rel=1e-3)
    assert best < loss(2.0)


def test_how_sure_a_classifier_is_counts_for_nothing() -> None:
    plain = validation_loss(probabilities(1.0), LABELS)
    assert validation_loss(probabilities(3.0), LABELS) == pytest.approx(plain, rel=1e-3)
    assert validation_loss(probabilities(0.4), LABELS) == pytest.approx(plain, rel=1e-3)


def test_what_a_classifier_keeps_apart_counts() -> None:
    shuffled = probabilities(1.0)[RNG.permutation(60)]
    assert validation_loss(shuffled, LABELS) > validation_loss(probabilities(1.0), LABELS)
    assert validation_loss(np.eye(3, dtype=np.float32)[LABELS], LABELS) < 0.01
    assert np.isfinite(
        validation_loss(np.eye(3, dtype=np.float32)[(LABELS + 1) % 3], LABELS)
    )  # sure, and always wrong
