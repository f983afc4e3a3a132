import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from tenfold.core.keys import Key
from tenfold.data.duplicates import component_numbers, copies_among, near_copies, nearest


def random_images(name, n, shape=(1, 5, 4)):
    return Key(f"copies/{name}").numpy_generator().integers(0, 256, (n, *shape)).astype(np.uint8)


@given(st.integers(1, 20), st.integers(1, 30), st.integers(1, 9), st.sampled_from([(1, 5, 4), (3, 2, 3)]))
def test_nearest_is_that_of_brute_force(m, n, chunk, shape):
    images, real = random_images(f"a{m}", m, shape), random_images(f"b{n}", n, shape)
    indices, distances = nearest(images, real, chunk=chunk)
    for i, image in enumerate(images):
        expected = [np.sqrt(np.mean((image.astype(float) - other) ** 2)) for other in real]
        assert distances[i] == pytest.approx(min(expected), rel=1e-5)
        assert indices[i] == np.argmin(expected)


def test_copies_are_told_from_new_images():
    train, heldout, new = random_images("train", 200), random_images("heldout", 200), random_images("new", 100)
    assert near_copies(new, train, heldout).share <= 0.05
    noisy = np.clip(train[:50].astype(int) + random_images("noise", 50) % 5 - 2, 0, 255).astype(np.uint8)
    copies = near_copies(np.concatenate([new[:50], noisy]), train, heldout)
    assert 0.5 <= copies.share <= 0.55
    np.testing.assert_array_equal(copies.nearest[50:], np.arange(50))
    assert (copies.distances[50:] < copies.threshold).all()
    np.testing.assert_array_equal(copies.heldout_distances, nearest(heldout, train)[1])


def test_what_has_no_neighbours_is_refused():
    some, none = random_images("some", 3), random_images("none", 0)
    with pytest.raises(ValueError, match="cannot look for neighbours"):
        nearest(some, none)
    with pytest.raises(ValueError, match="cannot look for neighbours"):
        nearest(some, random_images("other", 3, (3, 5, 4)))
    with pytest.raises(ValueError, match="held-out"):
        near_copies(some, some, none)


def vectors(name, n, size=6):
    return Key(f"copies/{name}").numpy_generator().normal(3, 1, (n, size)).astype(np.float32)


@given(st.integers(1, 20), st.integers(1, 30), st.integers(1, 9))
def test_the_nearest_vector_is_that_of_scikit_learn(m, n, chunk):
    some, real = vectors(f"a{m}", m), vectors(f"b{n}", n)
    indices, distances = nearest(some, real, chunk=chunk)
    expected_distances, expected = NearestNeighbors(n_neighbors=1).fit(real).kneighbors(some)
    np.testing.assert_array_equal(indices, expected[:, 0])
    np.testing.assert_allclose(distances, expected_distances[:, 0] / np.sqrt(6), rtol=1e-4)


@pytest.mark.parametrize(
    "real",
    [
        np.full((40, 3, 96, 96), 255, dtype=np.uint8) - random_images("large", 40, (3, 96, 96)) // 64,
        vectors("far", 40) / 1000 + np.float32(100),
    ],
    ids=["large bright images", "vectors far from zero"],
)
def test_a_perfect_copy_is_at_distance_zero(real):
    indices, distances = nearest(real[::-1], real)
    np.testing.assert_array_equal(indices, np.arange(40)[::-1])
    assert not distances.any()


@given(st.integers(2, 30), st.integers(2, 6), st.booleans())
def test_without_held_out_images_other_groups_stand_in(n, group_count, as_vectors):
    train = vectors(f"t{n}", n) if as_vectors else random_images(f"t{n}", n)
    groups = np.arange(n) % group_count
    flat = train.reshape(n, -1).astype(float)
    apart = np.sqrt(np.mean((flat[:, None] - flat[None]) ** 2, axis=2))
    alone = [apart[i][groups != groups[i]].min() for i in range(n)]
    copies, threshold = copies_among(train, train, groups)
    assert threshold == pytest.approx(np.quantile(alone, 0.01), rel=1e-4)
    assert copies.all()


def test_new_images_are_no_copies_and_copies_are_even_where_groups_hold_many():
    originals = random_images("originals", 30)
    train, groups = np.concatenate([originals, originals ^ 1]), np.tile(np.arange(30), 2)
    generated = np.concatenate([random_images("new", 40), originals ^ 2])
    copies, threshold = copies_among(generated, train, groups)
    assert threshold > 10  # and not 1, the distance within a group
    assert copies[:40].mean() <= 0.1
    assert copies[40:].all()


def test_a_single_group_leaves_only_equal_images_to_be_called_copies():
    train = random_images("train", 5)
    copies, threshold = copies_among(np.concatenate([train[:2], train ^ 1]), train, np.zeros(5, dtype=np.int64))
    assert threshold == 0
    np.testing.assert_array_equal(copies, [True] * 2 + [False] * 5)


def test_groups_are_looked_at_chunk_by_chunk():
    train, groups = random_images("many", 1200, (1, 3, 3)), np.arange(1200) // 40
    flat = train.reshape(1200, -1).astype(float)
    alone = [
        np.min(np.mean((flat[groups != g][:, None] - flat[groups == g][None]) ** 2, axis=2), axis=0)
        for g in range(30)
    ]
    _, threshold = copies_among(train[:1], train, groups)
    assert threshold == pytest.approx(np.quantile(np.sqrt(np.concatenate(alone)), 0.01), rel=1e-4)


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=12))
def test_what_is_joined_by_pairs_has_one_number_and_numbers_rise_by_first_member(pairs):
    expected = np.arange(12)
    for _ in range(12):
        for one, other in pairs:
            expected[[one, other]] = expected[[one, other]].min()
    expected = np.unique(expected, return_inverse=True)[1]
    np.testing.assert_array_equal(component_numbers(12, pairs), expected)
    assert len(component_numbers(0, [])) == 0
