"""Rows of several arrays, and rows that are made when they are asked for."""

from __future__ import annotations

import numpy as np
import pytest

from tenfold.core import rows as rows_module
from tenfold.core.rows import ImageRows, MadeRows

WHOLE = np.arange(23 * 3, dtype=np.uint8).reshape(23, 3)


@pytest.fixture
def made() -> tuple[MadeRows, list[int]]:
    calls: list[int] = []

    def make(start: int) -> np.ndarray:
        calls.append(start)
        return WHOLE[start : start + 5]

    return MadeRows(make, WHOLE.shape, np.uint8, 5), calls


@pytest.mark.parametrize("index", [slice(None), slice(3, 12), [22, 0, 7, 7], slice(0, 0)], ids=str)
def test_made_rows_are_those_of_an_array(made: tuple[MadeRows, list[int]], index: slice | list[int]) -> None:
    rows = ImageRows((made[0],)).take(np.arange(23))
    places = np.arange(23)[index]
    assert np.array_equal(rows[places], WHOLE[places])


def test_what_is_read_in_order_is_made_once(made: tuple[MadeRows, list[int]]) -> None:
    rows = ImageRows((WHOLE,)).joined(ImageRows((made[0],)))
    assert np.array_equal(np.stack([rows[i] for i in range(len(rows))]), np.concatenate([WHOLE, WHOLE]))
    assert made[1] == [0, 5, 10, 15, 20]


def test_mirrored_rows_are_made_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.arange(7 * 2 * 3 * 4, dtype=np.uint8).reshape(7, 2, 3, 4)
    monkeypatch.setattr(rows_module, "CHUNK_BYTES", 2 * 2 * 3 * 4)
    mirrored = ImageRows((images[:3], images[3:])).mirrored()
    assert mirrored.shape == images.shape
    assert np.array_equal(mirrored[:], images[..., ::-1])
    assert np.array_equal(mirrored[[6, 0]], images[[6, 0], ..., ::-1])
    assert np.array_equal(mirrored.mirrored()[:], images)
