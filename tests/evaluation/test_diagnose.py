import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.evaluation.fidelity import diagnose, diversity, kid, prdc

ALL = {
    "kid",
    "precision",
    "recall",
    "density",
    "coverage",
    "diversity",
    "near_copies",
    "heldout_near_copies",
    "distance_ratio",
}


def dataset(name, n, classes=2, low=0, high=256):
    images = Key(f"diagnose/{name}").numpy_generator().integers(low, high, (n, 1, 4, 4)).astype(np.uint8)
    labels = np.arange(n) % classes
    names = tuple("abcdefgh"[:classes])
    return ImageDataset(name, images, labels, names, np.arange(n), ("",) * n, np.full(n, "train"))


def features(images):
    return images.reshape(len(images), 16).astype(np.float32) / 255


def first_pixels(images):
    return features(images)[:, :3]


def test_every_figure_is_there_and_is_that_of_its_own_function():
    generated, train, heldout = dataset("g", 60), dataset("t", 40), dataset("h", 20)
    found = diagnose(generated, train, heldout, features, first_pixels)
    real, made = np.concatenate([train.images, heldout.images]), features(generated.images)
    assert set(found) == ALL | {"kid_imagenet"}
    assert found["kid"] == pytest.approx(kid(features(real), made))
    assert found["kid_imagenet"] == pytest.approx(kid(first_pixels(real), first_pixels(generated.images)))
    expected = prdc(features(real), made)
    for name in ("precision", "recall", "density", "coverage"):
        assert found[name] == getattr(expected, name)
    ratios = diversity(features(train.images), train.labels, made, generated.labels)
    assert found["diversity"] == pytest.approx(np.mean([ratios[0], ratios[1]]))
    assert set(diagnose(generated, train, heldout, features)) == ALL


def test_copies_are_told_by_near_copies_and_not_by_precision():
    train, heldout = dataset("t", 60), dataset("h", 30)
    copies = diagnose(train, train, heldout, features)
    assert copies["near_copies"] == copies["precision"] == 1
    assert copies["distance_ratio"] == 0
    assert copies["diversity"] == pytest.approx(1)
    new = diagnose(dataset("g", 60), train, heldout, features)
    assert new["near_copies"] <= 0.1
    assert new["distance_ratio"] == pytest.approx(1, abs=0.1)


def test_images_of_another_kind_are_neither_real_nor_varied():
    found = diagnose(dataset("g", 60, low=20, high=30), dataset("t", 60), dataset("h", 30), features)
    assert found["kid"] > 10 * abs(diagnose(dataset("g", 60), dataset("t", 60), dataset("h", 30), features)["kid"])
    assert found["recall"] < 0.1
    assert found["diversity"] < 0.1


@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4))
def test_of_few_images_it_says_what_can_be_said(generated, train, heldout):
    found = diagnose(dataset("g", generated), dataset("t", train), dataset("h", heldout), features, first_pixels)
    assert all(math.isfinite(value) for value in found.values())
    assert ("kid" in found) == (generated > 1 and train + heldout > 1)
    assert ("near_copies" in found) == (generated > 0 and train > 0 and heldout > 0)
    assert ("diversity" in found) == (generated > 2 and train > 2)


def test_what_is_not_finite_is_left_out():
    some = dataset("g", 20)
    found = diagnose(some, some, some, lambda images: features(images) + np.inf)
    assert found == {}
    equal = diagnose(some, some, some, features)
    assert "distance_ratio" not in equal
    assert set(equal) == ALL - {"distance_ratio"}
