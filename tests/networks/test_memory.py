from __future__ import annotations

import ctypes

import pytest

from tenfold.networks import memory


def test_it_can_be_asked_for_everywhere() -> None:
    memory.keep_large_blocks.cache_clear()
    assert memory.keep_large_blocks() is hasattr(ctypes.CDLL(None), "mallopt")


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    memory.keep_large_blocks.cache_clear()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not memory.keep_large_blocks()
    memory.keep_large_blocks.cache_clear()
