"""`tenfold.Classifier` is a scikit-learn estimator: its own checks, and the same of images."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

import tenfold
from made_up_sets import easy_set
from tenfold.core.errors import InputError

SMALL = {"steps": 30, "random_state": 0}


def digits(count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    pixels, labels = load_digits(return_X_y=True)
    return (pixels.reshape(-1, 8, 8) * 15.9).astype(np.uint8)[:count], labels[:count]


@parametrize_with_checks([tenfold.Classifier(steps=60)])
def test_scikit_learns_own_checks_hold_for_rows_of_numbers(estimator: Any, check: Any) -> None:
    global_state = np.random.get_state()  # noqa: NPY002  # the checks themselves draw from it
    try:
        check(estimator)
    finally:
        np.random.set_state(global_state)  # noqa: NPY002


def test_digits_are_recognised_and_the_probabilities_are_rows_of_the_classes() -> None:
    images, labels = digits(500)
    names = np.array([f"digit {label}" for label in range(10)])[labels]
    fitted = tenfold.Classifier(steps=100).fit(images[:350], names[:350])
    assert fitted.score(images[350:], names[350:]) > 0.85
    told = fitted.predict_proba(images[350:])
    assert told.shape == (150, 10)
    assert told.sum(1) == pytest.approx(1, abs=1e-5)
    assert fitted.classes_.tolist() == sorted(set(names))
    assert (fitted.classes_[told.argmax(1)] == fitted.predict(images[350:])).all()


def test_every_layout_of_the_same_images_gives_the_same_classifier() -> None:
    images, labels = digits(120)
    expected = tenfold.Classifier(**SMALL).fit(images, labels).predict_proba(images)
    for layout in (images[..., None], images[:, None]):
        fitted = tenfold.Classifier(**SMALL).fit(layout, labels)
        assert np.array_equal(fitted.predict_proba(layout), expected)
    colour = np.repeat(images[..., None], 3, axis=3)
    colour[..., 0] //= 2
    last = tenfold.Classifier(**SMALL).fit(colour, labels).predict_proba(colour)
    first = (
        tenfold.Classifier(**SMALL).fit(np.moveaxis(colour, 3, 1), labels).predict_proba(np.moveaxis(colour, 3, 1))
    )
    assert np.array_equal(last, first)


def test_it_can_be_cloned_searched_crossed_and_pickled() -> None:
    images, labels = digits(150)
    assert cross_val_score(tenfold.Classifier(**SMALL), images, labels, cv=3).mean() > 0.3
    search = GridSearchCV(tenfold.Classifier(**SMALL), {"arm": ["raw", "classical+mixup"]}, cv=2).fit(images, labels)
    assert set(search.cv_results_["param_arm"]) == {"raw", "classical+mixup"}
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    assert np.array_equal(again.predict_proba(images), search.predict_proba(images))
    assert clone(again).get_params() == again.get_params()


def test_the_seed_names_the_result() -> None:
    images, labels = digits(100)
    one, same, other = (
        tenfold.Classifier(steps=20, random_state=seed).fit(images, labels).predict_proba(images)
        for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_images_that_are_not_square_are_read_at_the_side_that_is_asked_for() -> None:
    data = easy_set([12, 12, 12], (1, 12, 12))
    wide = np.repeat(data.images[:, 0], 2, axis=2)
    fitted = tenfold.Classifier(steps=30, size=16).fit(wide, data.labels)
    assert fitted.classifier_.image_shape == (1, 16, 16)
    assert fitted.score(wide, data.labels) > 0.6


def test_a_pre_trained_network_reads_the_pixels_that_there_are(tmp_path: Path) -> None:
    library = pytest.importorskip("transformers")
    config = library.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    with torch.random.fork_rng():
        library.AutoModel.from_config(config).save_pretrained(tmp_path / "hub")
    data = easy_set([10, 10], (3, 80, 80))
    images = np.moveaxis(data.images, 1, 3)
    fitted = tenfold.Classifier(f"probe(backbone={tmp_path / 'hub'},side=80)", steps=5).fit(images, data.labels)
    assert fitted.classifier_.image_shape == (3, 80, 80)
    assert tenfold.Classifier(steps=5).fit(images, data.labels).classifier_.image_shape == (3, 64, 64)
    assert fitted.score(images, data.labels) > 0.6


def test_an_arm_that_makes_images_and_a_class_of_one_image_are_trained_on() -> None:
    data = easy_set([6, 6, 1])
    fitted = tenfold.Classifier("classical+placebo", steps=20).fit(data.images, data.labels)
    assert fitted.predict_proba(data.images).shape == (13, 3)


def test_what_it_cannot_read_is_refused_in_words() -> None:
    images, labels = digits(40)
    with pytest.raises(ValueError, match="images are uint8"):
        tenfold.Classifier(**SMALL).fit(images / 255, labels)
    with pytest.raises(ValueError, match="1 or 3 channels"):
        tenfold.Classifier(**SMALL).fit(np.zeros((4, 8, 8, 8), np.uint8), [0, 1, 0, 1])
    with pytest.raises(ValueError, match="names one class"):
        tenfold.Classifier(**SMALL).fit(images, np.zeros(40))
    with pytest.raises(InputError, match="blur"):
        tenfold.Classifier("blur", **SMALL).fit(images, labels)
    fitted = tenfold.Classifier(**SMALL).fit(images, labels)
    with pytest.raises(ValueError, match="unlike the X that was learned from"):
        fitted.predict(images[:, :, 0])
