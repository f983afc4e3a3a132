"""Rows of numbers are learned as well as by the classical method that fits them, at the product's own settings."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold

from made_up_sets import easy_vectors
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.runs.plan import classifier_for
from tenfold.training.classifier import train_classifier
from tenfold.training.recipe import Recipe


def real_set(name: str) -> ImageDataset:
    bunch = {"wine": load_wine, "breast_cancer": load_breast_cancer}[name]()
    count = len(bunch.target)
    return ImageDataset(
        name=name,
        images=bunch.data.astype(np.float32)[:, :, np.newaxis, np.newaxis],
        labels=bunch.target.astype(np.int64),
        class_names=tuple(map(str, bunch.target_names)),
        groups=np.arange(count),
        sources=tuple(map(str, range(count))),
        roles=np.full(count, "train"),
    )


def test_few_rows_with_wild_units_are_told_apart_nearly_as_well_as_can_be() -> None:
    train, fresh = easy_vectors([12, 12, 12]), easy_vectors([1000, 1000, 1000], key="fresh")
    trained = train_classifier(train, None, Recipe(), Key("clouds"), classifier_for(train))
    units = 10.0 ** np.arange(6)
    reference = LinearDiscriminantAnalysis().fit(train.images[:, :, 0, 0] / units, train.labels)
    reached = (trained.probabilities(fresh.images).argmax(1) == fresh.labels).mean()
    assert reached > reference.score(fresh.images[:, :, 0, 0] / units, fresh.labels) - 0.02


@pytest.mark.parametrize("name", ["wine", "breast_cancer"])
def test_real_tables_are_learned(name: str) -> None:
    data = real_set(name)
    predicted = np.empty_like(data.labels)
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    for number, (train, test) in enumerate(folds.split(data.labels, data.labels)):
        studied = data.take(train)
        trained = train_classifier(studied, None, Recipe(), Key(f"fold-{number}"), classifier_for(studied))
        predicted[test] = trained.probabilities(data.images[test]).argmax(1)
    assert balanced_accuracy_score(data.labels, predicted) > 0.95
