from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from threadpoolctl import threadpool_info

from tenfold.core.errors import InputError, is_out_of_memory
from tenfold.training import device as device_module
from tenfold.training.device import (
    CONTEXT_BYTES,
    VARIABLE,
    Device,
    available_cores,
    current_device,
    one_thread,
    threads,
    using,
)

GB = 2**30


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of them, as far as torch says."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.usefixtures("gpus")
@pytest.mark.parametrize(
    ("name", "chosen"),
    [("auto", "cuda:0"), (None, "cuda:0"), ("cuda", "cuda:0"), ("cuda:1", "cuda:1"), ("cpu", "cpu")],
)
def test_auto_takes_a_gpu_that_is_there(name: str | None, chosen: str) -> None:
    assert Device.chosen(name) == Device(chosen)
    assert Device.chosen(name).kind == chosen.partition(":")[0]


def test_auto_takes_the_processor_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert Device.chosen("auto") == Device("cpu")


@pytest.mark.usefixtures("gpus")
@pytest.mark.parametrize("name", ["cuda:2", "cuda:x", "cuda:-1", "cpu:0", "gpu", "mps:1", "meta"])
def test_a_device_that_is_not_there_or_unknown_is_refused_in_words(name: str) -> None:
    with pytest.raises(InputError, match="device"):
        Device.chosen(name)


@pytest.mark.usefixtures("gpus")
def test_the_environment_names_the_device_where_no_option_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "cuda:1")
    assert Device.chosen() == current_device() == Device("cuda:1")
    assert Device.chosen("cpu") == Device("cpu")


def test_the_current_device_is_handed_down_by_a_block() -> None:
    before = current_device()
    meta = Device("meta")
    with using(meta):
        assert current_device() is meta
        with using(Device("cpu")):
            assert current_device() == Device("cpu")
        assert current_device() is meta
    assert current_device() == before
    with pytest.raises(ZeroDivisionError), using(meta):
        raise ZeroDivisionError
    assert current_device() == before


def test_a_worker_inherits_no_block_but_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "cpu")
    assert current_device() == Device("cpu")


@pytest.mark.parametrize(
    ("peak", "free", "workers"),
    [(None, 0, 8), (GB, 100 * GB, 8), (GB, 3 * GB, 3), (4 * GB, 3 * GB, 1), (GB, None, 8)],
)
def test_workers_on_a_processor(
    monkeypatch: pytest.MonkeyPatch, peak: int | None, free: int | None, workers: int
) -> None:
    monkeypatch.setattr(device_module, "available_cores", lambda: 8)
    monkeypatch.setattr(device_module, "free_memory", lambda: free)
    assert Device("cpu").workers(peak) == workers


@pytest.mark.parametrize(
    ("peak", "free", "workers"), [(None, 80 * GB, 1), (GB, 80 * GB, 8), (GB, 3 * (GB + CONTEXT_BYTES), 3), (GB, 1, 1)]
)
def test_workers_on_a_gpu(monkeypatch: pytest.MonkeyPatch, peak: int | None, free: int, workers: int) -> None:
    monkeypatch.setattr(device_module, "available_cores", lambda: 8)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 80 * GB))
    assert Device("cuda:0").workers(peak) == workers


def test_memory_of_this_process_and_of_this_computer() -> None:
    peak, free = Device("cpu").peak_bytes(), Device("cpu").free_bytes()
    assert peak is None or 50 * 2**20 < peak < 1000 * GB
    assert free is None or 0 <= free < 100_000 * GB


@pytest.mark.parametrize(
    ("precision", "asked", "enabled", "dtype"),
    [
        ("float32", None, True, torch.float32),
        ("float32", "bfloat16", True, torch.bfloat16),
        ("bfloat16", None, True, torch.bfloat16),
        ("bfloat16", "float32", True, torch.float32),
        ("bfloat16", None, False, torch.float32),
    ],
)
def test_the_precision_of_a_forward_pass(precision: Any, asked: Any, enabled: bool, dtype: torch.dtype) -> None:
    with Device("cpu", precision).autocast(asked, enabled):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_on_a_gpu_float32_is_full_float32_and_convolutions_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic)
    try:
        with using(Device("cuda:0")):
            assert not torch.backends.cudnn.allow_tf32
            assert not torch.backends.cuda.matmul.allow_tf32
            assert torch.backends.cudnn.deterministic
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = kept


def test_what_is_out_of_memory() -> None:
    with pytest.raises(RuntimeError) as failure:
        torch.empty(10**15)
    assert is_out_of_memory(failure.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("std::bad_alloc"))
    assert is_out_of_memory(OSError(errno.ENOMEM, "Cannot allocate memory"))
    assert not is_out_of_memory(ValueError("the class 'out of memory'"))
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_so_many_threads_work_inside_and_as_many_as_before_after(count: int) -> None:
    before = torch.get_num_threads()
    with threads(count):
        assert torch.get_num_threads() == count
        with one_thread():
            assert torch.get_num_threads() == 1
            assert {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"} <= {1}
        assert torch.get_num_threads() == count
    assert torch.get_num_threads() == before


def test_nought_is_all_cores_that_this_process_may_use() -> None:
    with threads(0):
        assert torch.get_num_threads() == available_cores()


def test_where_no_process_is_bound_to_cores_all_of_them_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert available_cores() == 6


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


def test_a_container_has_its_own_bound_on_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/proc/meminfo": "MemTotal: 9 kB\nMemAvailable: 5000000 kB\n",
        "/sys/fs/cgroup/memory.max": "3000",
        "/sys/fs/cgroup/memory.current": "1000",
    }

    def read(path: Path, encoding: str) -> str:
        if str(path) not in files:
            raise FileNotFoundError(path)
        return files[str(path)]

    monkeypatch.setattr(Path, "read_text", read)
    assert Device("cpu").free_bytes() == 2000
    files["/sys/fs/cgroup/memory.max"] = "max\n"
    assert Device("cpu").free_bytes() == 5_000_000 * 1024
    files.clear()
    assert Device("cpu").free_bytes() is None


def test_it_can_be_asked_for_everywhere() -> None:
    device_module.keep_large_blocks.cache_clear()
    assert device_module.keep_large_blocks() is hasattr(ctypes.CDLL(None), "mallopt")


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    device_module.keep_large_blocks.cache_clear()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not device_module.keep_large_blocks()
    device_module.keep_large_blocks.cache_clear()
