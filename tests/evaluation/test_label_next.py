"""Which images to label next: unsure ones, no two alike, and worth more than images at random."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.datasets import load_digits

from made_up_sets import easy_set
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.evaluation.label_next import label_next
from tenfold.training.classifier import ClassifierConfig, TrainedClassifier, train_classifier
from tenfold.training.recipe import Recipe


def two_classes(confidences: list[float]) -> np.ndarray:
    return np.array([[share, 1 - share] for share in confidences], np.float32)


def test_the_least_sure_is_first_and_its_copies_are_last() -> None:
    rows = two_classes([0.99, 0.51, 0.52, 0.53, 0.6, 0.9])
    features = np.array([[9.0, 9], [0, 0], [0, 0], [0, 0.01], [3, 0], [0, 2]], np.float32)
    assert label_next(rows, features, 3).tolist() == [1, 4, 5], "copies of the first teach nothing more"
    assert sorted(label_next(rows, features, 100).tolist()) == list(range(6)), "all, where there are no more"
    assert label_next(rows[:0], features[:0], 3).tolist() == []


def test_none_is_told_twice_where_all_are_alike() -> None:
    assert sorted(label_next(two_classes([0.7] * 5), np.zeros((5, 2), np.float32), 4).tolist()) == [0, 1, 2, 3]


def test_what_the_classifier_is_sure_of_is_not_chosen_for_being_far_away() -> None:
    rows = two_classes([0.5 + place / 1000 for place in range(20)] + [1.0])
    features = np.arange(21, dtype=np.float32)[:, None] * [1.0]
    features[20] = 1e6
    assert 20 not in label_next(rows, features.astype(np.float32), 2)


def test_fifty_digits_chosen_so_teach_more_than_fifty_at_random() -> None:
    pixels, labels = load_digits(return_X_y=True)
    images = (pixels.reshape(-1, 1, 8, 8) * 15.9).astype(np.uint8)

    def digits(chosen: np.ndarray) -> ImageDataset:
        n = len(chosen)
        return replace(
            easy_set([1] * 10), images=images[chosen], labels=labels[chosen].astype(np.int64), groups=np.arange(n),
            sources=tuple(map(str, range(n))), roles=np.full(n, "train"),
        )  # fmt: skip

    def trained(chosen: np.ndarray, key: str) -> TrainedClassifier:
        return train_classifier(digits(chosen), None, Recipe(), Key(key), ClassifierConfig(steps=80))

    gains = []
    for seed in range(3):
        random = Key(f"tests/next/{seed}").numpy_generator()
        first, unlabelled, test = np.split(random.permutation(1797), [50, 900])
        unlabelled = np.concatenate([unlabelled, np.repeat(unlabelled[:150], 3)])  # many were taken in a burst
        start = trained(first, f"{seed}/start")
        of_pool = images[unlabelled]
        chosen = label_next(start.probabilities(of_pool), start.features(of_pool), 50)
        assert len(set(unlabelled[chosen])) == 50
        reached = [
            (trained(np.concatenate([first, more]), f"{seed}").probabilities(images[test]).argmax(1) == labels[test])
            for more in (unlabelled[chosen], random.choice(unlabelled, 50, replace=False))
        ]
        gains.append(reached[0].mean() - reached[1].mean())
    assert np.mean(gains) > 0.01
