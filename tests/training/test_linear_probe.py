from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifier

from tenfold.core.keys import Key
from tenfold.training import linear_probe as module
from tenfold.training.linear_probe import fit_head

KEY = Key("heads")


def clouds(counts: list[int], features: int = 20, noise: float = 1.0, key: str = "train"):
    random = Key(f"heads/{key}").numpy_generator()
    centres = Key("heads/centres").numpy_generator().normal(0, 1, (len(counts), features))
    labels = np.repeat(np.arange(len(counts)), counts)
    return (centres[labels] + noise * random.normal(size=(len(labels), features))).astype(np.float32), labels


def head_of(features, labels, validation=None, classes: int | None = None, groups=None):
    groups = np.arange(len(labels)) if groups is None else groups
    return fit_head(features, labels, validation, classes or int(labels.max()) + 1, groups, KEY)


@pytest.mark.parametrize("counts", [[20, 20], [20, 20, 20]])
@pytest.mark.parametrize("kind", ["logistic", "ridge"])
def test_it_is_scikit_learns(counts: list[int], kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = clouds(counts, noise=3)
    fresh, _ = clouds([30] * len(counts), noise=3, key="fresh")
    if kind == "logistic":
        reference = LogisticRegression(C=0.01, class_weight="balanced", tol=1e-8, max_iter=1000)
        penalty = 0.01
    else:
        reference, penalty = RidgeClassifier(alpha=10, class_weight="balanced"), 10
    monkeypatch.setattr(module, "CANDIDATES", ((kind, penalty),))
    head = head_of(features, labels)
    assert np.array_equal(head.logits(fresh).argmax(1), reference.fit(features, labels).predict(fresh))
    if kind == "logistic":
        logits = head.logits(fresh).astype(np.float64)
        rows = np.exp(logits - logits.max(1, keepdims=True))
        np.testing.assert_allclose(rows / rows.sum(1, keepdims=True), reference.predict_proba(fresh), atol=2e-3)


def test_the_validation_images_choose() -> None:
    features, labels = clouds([30, 30, 30], noise=2)
    validation = clouds([40, 40, 40], noise=2, key="inner")
    head = head_of(features, labels, validation)
    assert set(head.losses) == {module._words(*candidate) for candidate in module.CANDIDATES}
    assert head.kind == min(head.losses, key=lambda name: head.losses[name])
    wrong = head_of(features, labels, (validation[0], (validation[1] + 1) % 3))
    assert wrong.losses != head.losses


def test_without_validation_images_those_left_out_choose() -> None:
    """On noise everything fitted to looks well; only what is left out tells."""
    features, labels = clouds([20, 20], features=100, noise=1)
    random = KEY.numpy_generator().permutation(labels)
    honest = min(head_of(features, random).losses.values())
    assert honest > 0.9 * np.log(2), "coin tosses are not estimated"
    mirrored = np.concatenate([features, features]), np.tile(random, 2)
    with_groups = head_of(*mirrored, groups=np.tile(np.arange(40), 2))
    assert min(with_groups.losses.values()) > 0.9 * np.log(2), "a copy of a row left out is left out too"
    assert min(head_of(*mirrored).losses.values()) < 0.5


def test_a_class_without_images_is_never_named_and_a_rare_one_counts() -> None:
    features, labels = clouds([40, 0, 2], noise=0.5)
    head = head_of(features, labels, classes=3)
    fresh, truth = clouds([30, 0, 30], noise=0.5, key="fresh")
    named = head.logits(fresh).argmax(1)
    assert 1 not in named
    assert (named == truth).mean() > 0.9
    (alone,) = np.unique(head_of(features[labels == 2], labels[labels == 2], classes=3).logits(fresh).argmax(1))
    assert alone == 2


def test_one_image_a_class_is_enough() -> None:
    features, labels = clouds([1, 1, 1], noise=0.2)
    fresh, truth = clouds([20, 20, 20], noise=0.2, key="fresh")
    assert (head_of(features, labels).logits(fresh).argmax(1) == truth).mean() > 0.9


def test_fewer_images_than_features_are_fitted_in_the_directions_that_they_span(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draws = Key("axes").numpy_generator()
    labels = np.tile(np.arange(3), 8)
    features = draws.normal(size=(24, 200)).astype(np.float32) + 0.5 * labels[:, None]
    held = draws.normal(size=(9, 200)).astype(np.float32), np.tile(np.arange(3), 3)
    few = fit_head(features, labels, held, 3, np.arange(24), Key("head"))
    monkeypatch.setattr(module, "_axes", lambda features: None)
    all_directions = fit_head(features, labels, held, 3, np.arange(24), Key("head"))
    assert few.kind == all_directions.kind
    np.testing.assert_allclose(few.logits(held[0]), all_directions.logits(held[0]), atol=0.05)
