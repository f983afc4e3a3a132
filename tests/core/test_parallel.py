from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tenfold.core.parallel import in_threads


def test_results_come_in_order_from_several_threads_and_little_is_taken_ahead() -> None:
    taken: list[int] = []
    together = threading.Barrier(3)

    def numbers() -> Iterator[int]:
        for number in range(30):
            taken.append(number)
            yield number

    def square(number: int) -> int:
        together.wait(20)  # never over with fewer threads
        return number**2

    results = in_threads(square, numbers(), 3)
    assert next(results) == 0
    assert len(taken) <= 5
    assert list(results) == [number**2 for number in range(1, 30)]


def test_what_fails_in_a_thread_fails_here() -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda number: 1 // number, [1, 0, 1]))
