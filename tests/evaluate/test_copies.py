import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.core.keys import Key
from tenfold.evaluate.copies import near_copies, nearest


def pictures(name, n, shape=(1, 5, 4)):
    return Key(f"copies/{name}").numpy_generator().integers(0, 256, (n, *shape)).astype(np.uint8)


@given(st.integers(1, 20), st.integers(1, 30), st.integers(1, 9), st.sampled_from([(1, 5, 4), (3, 2, 3)]))
def test_nearest_is_that_of_brute_force(m, n, chunk, shape):
    images, real = pictures(f"a{m}", m, shape), pictures(f"b{n}", n, shape)
    indices, distances = nearest(images, real, chunk=chunk)
    for i, image in enumerate(images):
        expected = [np.sqrt(np.mean((image.astype(float) - other) ** 2)) for other in real]
        assert distances[i] == pytest.approx(min(expected), rel=1e-5)
        assert indices[i] == np.argmin(expected)


def test_a_perfect_copy_is_at_distance_zero_among_large_bright_pictures():
    real = np.full((40, 3, 96, 96), 255, dtype=np.uint8) - pictures("large", 40, (3, 96, 96)) // 64
    indices, distances = nearest(real[::-1], real)
    np.testing.assert_array_equal(indices, np.arange(40)[::-1])
    assert not distances.any()


def test_copies_are_told_from_new_images():
    train, heldout, new = pictures("train", 200), pictures("heldout", 200), pictures("new", 100)
    assert near_copies(new, train, heldout).share <= 0.05
    noisy = np.clip(train[:50].astype(int) + pictures("noise", 50) % 5 - 2, 0, 255).astype(np.uint8)
    found = near_copies(np.concatenate([new[:50], noisy]), train, heldout)
    assert 0.5 <= found.share <= 0.55
    np.testing.assert_array_equal(found.nearest[50:], np.arange(50))
    assert (found.distances[50:] < found.threshold).all()


def test_what_has_no_neighbours_is_refused():
    some, none = pictures("some", 3), pictures("none", 0)
    with pytest.raises(ValueError, match="cannot look for neighbours"):
        nearest(some, none)
    with pytest.raises(ValueError, match="cannot look for neighbours"):
        nearest(some, pictures("other", 3, (3, 5, 4)))
    with pytest.raises(ValueError, match="held-out"):
        near_copies(some, some, none)
