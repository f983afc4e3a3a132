from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from made_up_sets import SHORT, easy_set
from tenfold.core.keys import Key
from tenfold.networks import pretrained
from tenfold.runs.diagnostics import diagnostics_of, features_of, samples, unpacked
from tenfold.training.classifier import train_classifier
from tenfold.training.recipe import Recipe

TRAIN, VALIDATION = easy_set([12, 12], key="train"), easy_set([6, 6], key="validation")
KEY = Key("tests/inspection")


def test_images_of_another_kind_look_worse_than_real_ones() -> None:
    real = diagnostics_of(Recipe(extra=easy_set([12, 12], key="more")), TRAIN, VALIDATION, KEY, SHORT)
    noise = easy_set([12, 12], key="noise", noise=250)
    other = diagnostics_of(Recipe(extra=noise), TRAIN, VALIDATION, KEY, SHORT)
    assert real["kid"] < other["kid"]
    assert real["precision"] > other["precision"]
    assert real["generated_alone"] == real["real_alone"] == 1.0


def test_what_is_wrongly_labelled_teaches_nothing() -> None:
    more = easy_set([12, 12], key="more")
    swapped = diagnostics_of(Recipe(extra=replace(more, labels=1 - more.labels)), TRAIN, VALIDATION, KEY, SHORT)
    assert swapped["generated_alone"] == 0.0
    assert swapped["real_alone"] == 1.0


def test_copies_are_told_from_new_images() -> None:
    copies = diagnostics_of(Recipe(extra=TRAIN), TRAIN, VALIDATION, KEY, SHORT)
    assert copies["near_copies"] == 1.0
    assert copies["distance_ratio"] == pytest.approx(0, abs=1e-6)


def test_nothing_new_or_nothing_unseen_is_not_diagnosed() -> None:
    assert diagnostics_of(Recipe(), TRAIN, VALIDATION, KEY, SHORT) == {}
    assert diagnostics_of(Recipe(extra=TRAIN), TRAIN, VALIDATION.take([]), KEY, SHORT) == {}


@pytest.mark.skipif(not pretrained.available(), reason="needs the extra `weights`")
def test_imagenet_features_join_where_there_are_weights() -> None:
    small = TRAIN.take(np.arange(0, 24, 4)), VALIDATION.take(np.arange(0, 12, 4))
    figures = diagnostics_of(Recipe(extra=easy_set([3, 3], key="more")), *small, KEY, SHORT)
    assert np.isfinite(figures["kid_imagenet"])


def test_features_are_those_that_the_classifier_reads() -> None:
    classifier = train_classifier(TRAIN, None, Recipe(), KEY, SHORT)
    features = features_of(classifier)(TRAIN.images)
    assert features.shape == (24, classifier.network.feature_count)
    head = classifier.network.head
    logits = features @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    assert (logits.argmax(1) == classifier.probabilities(TRAIN.images).argmax(1)).all()


def test_samples_come_back_as_they_were() -> None:
    images, labels = unpacked(samples(TRAIN))
    assert labels.tolist() == [0] * 4 + [1] * 4
    assert np.array_equal(images, TRAIN.images[[0, 1, 2, 3, 12, 13, 14, 15]])
