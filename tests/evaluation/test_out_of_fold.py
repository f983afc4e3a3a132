"""Predictions of images that were not learned from: classes confused, and labels that look wrong."""

from __future__ import annotations

import numpy as np
import pytest

from tenfold.core.keys import Key
from tenfold.core.types import Trial
from tenfold.evaluation.out_of_fold import OutOfFold, calibrated, out_of_fold
from tenfold.training.calibration import fit_temperature


def trial(arm: str, repeat: int, fold: int, indices: list[int], rows: list[list[float]], failed: str = "") -> Trial:
    return Trial(arm, repeat, fold, 0.0, 0.0, indices, rows, [], 1.0, failed=failed or None)


def noisy(flips: int, skill: float, classes: int = 4, each: int = 50) -> tuple[OutOfFold, np.ndarray, np.ndarray]:
    """Predictions of a classifier that knows the true class so well, where a few labels are wrong."""
    random = Key("tests/out of fold").numpy_generator()
    true = np.repeat(np.arange(classes), each)
    labels, wrong = true.copy(), random.choice(len(true), flips, replace=False)
    labels[wrong] = (true[wrong] + random.integers(1, classes, flips)) % classes
    logits = random.normal(0, 1, (len(true), classes))
    logits[np.arange(len(true)), true] += skill
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return OutOfFold("raw", np.arange(len(true)), labels, probabilities), wrong, true


def test_the_mean_over_repeats_is_what_counts_and_a_confusion_has_all_tested_images() -> None:
    trials = [
        trial("raw", 0, 0, [0, 2], [[0.9, 0.1], [0.2, 0.8]]),
        trial("raw", 0, 1, [1], [[0.4, 0.6]]),
        trial("raw", 1, 0, [1, 0], [[0.8, 0.2], [0.7, 0.3]]),
        trial("raw", 1, 1, [2], [[0.9, 0.1]], failed="collapsed"),
    ]
    found = out_of_fold(trials, np.array([0, 0, 1, 1]), ["raw"])
    assert found is not None
    assert found.indices.tolist() == [0, 1, 2]
    assert found.probabilities == pytest.approx(np.array([[0.8, 0.2], [0.6, 0.4], [0.2, 0.8]]))
    assert found.confusion.tolist() == [[2, 0], [0, 1]]
    assert len(found.mistakes) == 0


def test_the_arm_with_the_least_loss_is_asked_and_one_that_saw_fewer_images_is_not() -> None:
    labels = np.array([0, 1])
    trials = [
        trial("raw", 0, 0, [0, 1], [[0.6, 0.4], [0.4, 0.6]]),
        trial("mixup", 0, 0, [0, 1], [[0.9, 0.1], [0.1, 0.9]]),
        trial("cgan", 0, 0, [0], [[1.0, 0.0]]),
    ]
    found = out_of_fold(trials, labels, ["raw", "mixup", "cgan"])
    assert found is not None
    assert found.arm == "mixup"
    assert out_of_fold(trials, labels, ["dagan"]) is None


def test_wrong_labels_are_found_and_hard_images_are_not_taken_for_them() -> None:
    found, wrong, _ = noisy(flips=10, skill=6.0)
    assert set(found.suspicious) <= set(wrong)
    assert len(found.suspicious) >= 9
    clean, _, _ = noisy(flips=0, skill=2.0)
    assert len(clean.mistakes) > 20
    assert len(clean.suspicious) < len(clean.mistakes) / 2


def test_a_class_that_is_never_recognised_is_no_list_of_wrong_labels() -> None:
    probabilities = np.tile([0.45, 0.30, 0.25], (30, 1))
    found = OutOfFold("raw", np.arange(30), np.repeat([0, 1, 2], 10), probabilities)
    assert len(found.mistakes) == 20
    assert len(found.suspicious) == 0


def test_json_names_files_and_classes() -> None:
    found = OutOfFold("raw", np.array([1, 3]), np.array([0, 1]), np.array([[0.1, 0.9], [0.2, 0.8]]))
    document = found.to_json(["w", "x", "y", "z"], ["cat", "dog"])
    assert document["confusion"] == [[0, 1], [0, 1]]
    (mistake,) = document["mistakes"]
    assert mistake == {
        "source": "x",
        "label": "cat",
        "predicted": "dog",
        "probability": 0.9,
        "probability_of_label": 0.1,
    }


def test_the_temperature_is_that_of_an_arms_own_sound_trials_one_by_one() -> None:
    found, _, _ = noisy(0, 1.5)
    sharp = found.probabilities**3 / (found.probabilities**3).sum(1, keepdims=True)
    trials = [
        trial("raw", repeat, fold, list(part), sharp[part].tolist())
        for repeat in range(2)
        for fold, part in enumerate(np.array_split(found.indices, 4))
    ]
    failed = trial("raw", 2, 0, [0], [[1.0, 0.0, 0.0, 0.0]], failed="collapsed")
    told = calibrated([*trials, failed, trial("mixup", 0, 0, [1], [[0.0, 1.0, 0.0, 0.0]])], found.labels, "raw")
    assert told["temperature_from_images"] == 200
    assert told["temperature"] == pytest.approx(fit_temperature(sharp, found.labels), abs=1e-3)
    assert told["temperature"] > 2
    assert calibrated(trials, found.labels, "mixup") == {"temperature": 1.0, "temperature_from_images": 0}
