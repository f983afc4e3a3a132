from __future__ import annotations

import pickle
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_up_sets import easy_set, easy_vectors
from tenfold.core.rows import ImageRows
from tenfold.core.types import ImageDataset

lengths = st.lists(st.integers(0, 4), min_size=1, max_size=3)
places = st.lists(st.integers(0, 100), max_size=8)


def some_rows(lengths: Sequence[int], first: int = 0) -> ImageRows:
    return ImageRows(tuple(np.full((count, 1, 2, 2), first + i, np.uint8) for i, count in enumerate(lengths)))


def moved(places: Sequence[int], count: int) -> np.ndarray:
    return np.array([place % count for place in places] if count else [], dtype=np.int64)


@given(lengths, lengths, places, places)
def test_rows_are_those_of_the_arrays_put_together(
    own: list[int], others: list[int], first: list[int], second: list[int]
) -> None:
    one, other = some_rows(own), some_rows(others, 100)
    whole = np.concatenate([*one.parts, *other.parts])
    rows = one.joined(other)
    for chosen in (first, second):  # twice: places compose
        indices = moved(chosen, len(rows))
        rows, whole = rows.take(indices), whole[indices]
        assert rows.shape == whole.shape
        assert np.array_equal(rows[:], whole)
    indices = moved(places_of := list(range(len(rows)))[::-1], len(rows))
    assert np.array_equal(rows[indices], whole[places_of])
    assert np.array_equal(rows[whole[:, 0, 0, 0] > 1], whole[whole[:, 0, 0, 0] > 1])
    assert np.array_equal(rows[1:-1], whole[1:-1])
    for i in range(-len(rows), len(rows)):
        assert np.array_equal(rows[i], whole[i])


def test_rows_that_lie_together_are_shown_where_they_are() -> None:
    rows = some_rows([3, 4])
    assert np.shares_memory(rows.take(np.arange(4, 7))[:], rows.parts[1])
    assert not np.shares_memory(rows.take(np.array([4, 4]))[:], rows.parts[1])


def test_joined_parts_of_one_array_stay_one_part() -> None:
    rows = some_rows([3, 4])
    joined = rows.take(np.array([5, 1])).joined(rows.take(np.array([6, 0])))
    assert len(joined.parts) == 2
    assert joined.numbers.tolist() == [5, 1, 6, 0]


@pytest.mark.parametrize("data", [easy_set([5, 7]), easy_vectors([5, 7])], ids=["images", "vectors"])
def test_a_part_of_a_part_copies_no_image_before_it_is_asked_for(data: ImageDataset) -> None:
    part = data.take([7, 3, 11, 0]).joined(data.take([2, 2])).take([5, 1, 2])
    assert [id(array) for array in part.rows.parts] == [id(data.images)]
    assert np.array_equal(part.images, data.images[[2, 3, 11]])
    assert part.images is part.images, "made once"
    assert part.labels.tolist() == data.labels[[2, 3, 11]].tolist()


def test_other_columns_leave_the_images_where_they_are() -> None:
    data = easy_set([5, 7])
    part = data.take([3, 9]).with_columns(name="other")
    assert part.name == "other"
    assert part.rows.parts[0] is data.images


def test_a_fingerprint_is_of_what_is_there_and_not_of_how_it_is_held() -> None:
    data = easy_set([5, 7])
    part = data.take([1, 8, 4])
    copied = ImageDataset(
        part.name, part.images, part.labels, part.class_names, part.groups, part.sources, part.roles
    )
    assert part.fingerprint() == copied.fingerprint() == data.take([8, 1, 4]).take([1, 0, 2]).fingerprint()
    assert part.fingerprint() != data.take([1, 4, 8]).fingerprint()
    assert data.fingerprint() == "8ba22443659a6c09", "which finished runs are told by"


def test_a_part_that_is_sent_leaves_the_rest_behind() -> None:
    data = easy_set([50, 50])
    sent = pickle.dumps(data.take([3, 9]))
    assert len(sent) < data.images.nbytes / 2
    assert pickle.loads(sent).fingerprint() == data.take([3, 9]).fingerprint()
