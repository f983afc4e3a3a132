from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tenfold.core import memory
from tenfold.core.memory import large_array
from tenfold.data import decoded_images
from tenfold.data.load import load

Folders = Callable[..., Path]


def is_mapped(array: object) -> bool:
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap.mmap)


@pytest.mark.parametrize(
    ("size", "held", "mapped"), [(100, 0, False), (101, 0, True), (60, 50, True), (0, 500, False)]
)
def test_what_takes_more_than_a_quarter_of_the_memory_lies_in_a_file(
    size: int, held: int, mapped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 400)
    array = large_array((size,), held)
    array[...] = 7
    assert (is_mapped(array), type(array), array.tolist()) == (mapped, np.ndarray, [7] * size)


def test_a_full_disk_leaves_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(memory, "free_memory", lambda: 400)
    monkeypatch.setattr(memory.tempfile, "TemporaryFile", full)
    assert large_array((3, 100)).shape == (3, 100)


def test_a_set_is_the_same_wherever_its_images_lie(class_folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    root = class_folders({"a": 20, "b": 20})
    before = load(root)
    monkeypatch.setattr(memory, "free_memory", lambda: 64 * 40 * 2)
    monkeypatch.setattr(decoded_images, "BLOCK_BYTES", 500)
    mapped = load(root)
    assert not is_mapped(before.images)
    assert is_mapped(mapped.images)
    assert mapped.fingerprint() == before.fingerprint()
