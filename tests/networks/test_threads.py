from __future__ import annotations

import os

import pytest
import torch

from tenfold.networks.threads import one_thread, threads


@pytest.mark.parametrize("count", [1, 2, 3])
def test_so_many_threads_work_inside_and_as_many_as_before_after(count: int) -> None:
    before = torch.get_num_threads()
    with threads(count):
        assert torch.get_num_threads() == count
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == count
    assert torch.get_num_threads() == before


def test_nought_is_all_cores_that_this_process_may_use() -> None:
    with threads(0):
        assert torch.get_num_threads() == len(os.sched_getaffinity(0))


def test_an_error_inside_changes_nothing_outside() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), threads(before + 1):
        raise ZeroDivisionError
    assert torch.get_num_threads() == before


def test_a_function_can_be_decorated() -> None:
    @one_thread()
    def inside() -> int:
        return torch.get_num_threads()

    with threads(2):
        assert inside() == 1
        assert torch.get_num_threads() == 2
