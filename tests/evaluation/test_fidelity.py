from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.neighbors import NearestNeighbors

from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.evaluation import fidelity
from tenfold.evaluation.fidelity import diagnose, diversity, kid, memorisation, prdc


def vectors(name, n, size=8, shift=0.0):
    return Key(f"fidelity/{name}").numpy_generator().normal(shift, 1, (n, size)).astype(np.float32)


def slow_kid(real, generated):
    def kernel(x, y):
        return polynomial_kernel(x.astype(float), y.astype(float), degree=3, gamma=None, coef0=1)

    def within(x):
        return (kernel(x, x).sum() - np.trace(kernel(x, x))) / (len(x) * (len(x) - 1))

    return within(real) + within(generated) - 2 * kernel(real, generated).mean()


def slow_prdc(real, generated, k):
    def reach(x):
        return NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(x).kneighbors(x)[0][:, k]

    apart = np.linalg.norm(real[:, None].astype(float) - generated[None], axis=2)
    in_real, in_generated = apart <= reach(real)[:, None], apart <= reach(generated)[None]
    return (
        np.mean([column.any() for column in in_real.T]),
        np.mean([row.any() for row in in_generated]),
        in_real.sum() / (k * len(generated)),
        np.mean([row.min() <= r for row, r in zip(apart, reach(real), strict=True)]),
    )


@given(st.integers(2, 40), st.integers(2, 40), st.floats(-1, 1))
def test_kid_is_that_of_scikit_learns_kernel(m, n, shift):
    real, generated = vectors(f"r{m}", m), vectors(f"g{n}", n, shift=shift)
    assert kid(real, generated) == pytest.approx(slow_kid(real, generated), rel=1e-6, abs=1e-6)


def test_kid_goes_through_many_rows_in_chunks(monkeypatch):
    real, generated = vectors("r", 50), vectors("g", 31, shift=0.5)
    whole = kid(real, generated), prdc(real, generated)
    monkeypatch.setattr(fidelity, "CHUNK_ROWS", 7)
    assert kid(real, generated) == pytest.approx(whole[0], rel=1e-9)
    assert prdc(real, generated) == whole[1]


def test_kid_is_0_on_average_for_equal_laws_even_of_few_images():
    draws = [kid(vectors(f"a{i}", 6), vectors(f"b{i}", 9)) for i in range(2000)]
    assert abs(np.mean(draws)) < 4 * np.std(draws) / np.sqrt(2000)
    assert np.mean(np.array(draws) < 0) > 0.3
    shifted = [kid(vectors(f"a{i}", 6), vectors(f"b{i}", 9, shift=0.7)) for i in range(200)]
    assert np.mean(shifted) > 10 * np.std(draws) / np.sqrt(200)


def test_stored_values():
    real, generated = vectors("stored real", 30), vectors("stored generated", 20, shift=0.3)
    assert kid(real, generated) == pytest.approx(1.454944535, abs=1e-6)
    figures = prdc(real, generated)
    assert (figures.precision, figures.recall, figures.density, figures.coverage) == pytest.approx(
        (1.0, 26 / 30, 0.74, 25 / 30)
    )
    assert figures.neighbours == 5


@given(st.integers(2, 25), st.integers(2, 25), st.integers(1, 7), st.floats(0, 3))
def test_prdc_is_that_of_loops_over_nearest_neighbours(m, n, k, shift):
    real, generated = vectors(f"r{m}", m, size=3), vectors(f"g{n}", n, size=3, shift=shift)
    figures = prdc(real, generated, neighbours=k)
    k = min(k, m - 1, n - 1)
    assert figures.neighbours == k
    values = (figures.precision, figures.recall, figures.density, figures.coverage)
    assert values == pytest.approx(slow_prdc(real, generated, k))
    assert all(0 <= value <= 1 for value in (figures.precision, figures.recall, figures.coverage))
    assert 0 <= figures.density <= m / k


@given(st.integers(2, 40), st.sampled_from([1, 10]))
def test_identical_sets_reach_each_other(n, times):
    real = vectors(f"r{n}", n) + np.float32(3)
    # A network's features of one image differ in the last digits from batch to batch.
    generated = np.repeat(real, times, axis=0) * np.float32(1 + 1e-7)
    figures = prdc(real, generated)
    assert figures.precision == figures.recall == figures.coverage == 1


def test_far_sets_do_not_reach_each_other_and_collapse_costs_recall_alone():
    real = vectors("r", 60)
    assert prdc(real, real + 50) == fidelity.Fidelity(0, 0, 0, 0, 5)
    collapsed = prdc(real, np.repeat(real[:1], 60, axis=0) + vectors("tiny", 60) / 100)
    assert collapsed.precision == 1
    assert collapsed.recall < 0.05
    assert collapsed.coverage < 0.5


def test_two_images_on_each_side_at_least():
    for figure in (kid, prdc):
        with pytest.raises(ValueError, match="two real and two generated"):
            figure(vectors("a", 1), vectors("b", 5))
        with pytest.raises(ValueError, match="two real and two generated"):
            figure(vectors("a", 5), vectors("b", 1))


def test_diversity_is_a_ratio_of_spreads_for_each_class_that_has_one():
    real, made = vectors("r", 12), vectors("g", 11)
    real_labels, labels = np.array([0] * 5 + [1] * 5 + [2] + [4]), np.array([0] * 4 + [1] + [2] * 5 + [3])
    ratios = diversity(real, real_labels, made, labels)
    assert list(ratios) == [0]

    def spread(rows):
        centre = sum(rows.astype(float)) / len(rows)
        return np.mean([np.linalg.norm(row - centre) for row in rows]) * np.sqrt(len(rows) / (len(rows) - 1))

    assert ratios[0] == pytest.approx(spread(made[:4]) / spread(real[:5]))
    assert diversity(real * 0, real_labels, made, labels) == {}
    assert diversity(real[:, :, None, None], real_labels, made[:, :, None, None], labels) == pytest.approx(ratios)


@given(st.integers(1, 10))
def test_diversity_is_1_for_equal_laws_whatever_the_numbers_and_0_after_collapse(few):
    real, made = vectors("many", 400, size=200), vectors(f"few{few}", few + 1, size=200)
    labels = np.zeros(few + 1, dtype=int)
    assert diversity(real, np.zeros(400, dtype=int), made, labels)[0] == pytest.approx(1, abs=0.12)
    assert diversity(real, np.zeros(400, dtype=int), made * 0, labels) == {0: 0}


def test_memorised_and_new_images():
    train, heldout = vectors("train", 200), vectors("heldout", 200)
    copied = memorisation(np.repeat(train, 2, axis=0) + vectors("jitter", 400) / 100, train, heldout)
    assert copied.near_copies == 1
    assert copied.distance_ratio < 0.1
    new = memorisation(vectors("new", 300), train, heldout)
    assert new.near_copies < 0.06
    assert new.distance_ratio == pytest.approx(1, abs=0.1)
    assert new.heldout_near_copies == copied.heldout_near_copies == 0.01


def test_where_held_out_images_are_copies_no_ratio_can_be_told():
    train = vectors("train", 20)
    figures = memorisation(train, train, train[:5])
    assert figures.distance_ratio is None
    assert figures.heldout_near_copies == 1


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
    figures = diagnose(generated, train, heldout, features, first_pixels)
    real, made = np.concatenate([train.images, heldout.images]), features(generated.images)
    assert set(figures) == ALL | {"kid_imagenet"}
    assert figures["kid"] == pytest.approx(kid(features(real), made))
    assert figures["kid_imagenet"] == pytest.approx(kid(first_pixels(real), first_pixels(generated.images)))
    expected = prdc(features(real), made)
    for name in ("precision", "recall", "density", "coverage"):
        assert figures[name] == getattr(expected, name)
    ratios = diversity(features(train.images), train.labels, made, generated.labels)
    assert figures["diversity"] == pytest.approx(np.mean([ratios[0], ratios[1]]))
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
    figures = diagnose(dataset("g", 60, low=20, high=30), dataset("t", 60), dataset("h", 30), features)
    assert figures["kid"] > 10 * abs(diagnose(dataset("g", 60), dataset("t", 60), dataset("h", 30), features)["kid"])
    assert figures["recall"] < 0.1
    assert figures["diversity"] < 0.1


@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4))
def test_of_few_images_it_says_what_can_be_said(generated, train, heldout):
    figures = diagnose(dataset("g", generated), dataset("t", train), dataset("h", heldout), features, first_pixels)
    assert all(math.isfinite(value) for value in figures.values())
    assert ("kid" in figures) == (generated > 1 and train + heldout > 1)
    assert ("near_copies" in figures) == (generated > 0 and train > 0 and heldout > 0)
    assert ("diversity" in figures) == (generated > 2 and train > 2)


def test_what_is_not_finite_is_left_out():
    some = dataset("g", 20)
    figures = diagnose(some, some, some, lambda images: features(images) + np.inf)
    assert figures == {}
    equal = diagnose(some, some, some, features)
    assert "distance_ratio" not in equal
    assert set(equal) == ALL - {"distance_ratio"}
