"""The benchmark of graphics cards, at its smallest and on the processor."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module("gpu")


@pytest.mark.parametrize("method", ["classifier", "cgan", "dagan", "dcgan"])
def test_settings_race_and_one_that_fails_says_so(
    method: str, benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise RuntimeError("no compiler\nmore")

    monkeypatch.setattr("torch.nn.Module.compile", refuses)
    data = benchmark.made_up(40, 1, 12)
    settings = ["plain", "bfloat16", "contiguous", "compile"]
    rows = benchmark.raced(method, settings, data, benchmark.Device("cpu"), steps=1, rounds=1)
    assert [row[:2] for row in rows] == [[method, setting] for setting in settings]
    assert rows[0][3] == "1.00"
    assert rows[3][2:] == ["failed", "RuntimeError: no compiler"]
    assert all(float(row[2]) > 0 for row in rows[:3])


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_trials_are_packed(benchmark: ModuleType) -> None:
    data = benchmark.made_up(60, 1, 12)
    rows = benchmark.packed(data, [1, 2], benchmark.Device("cpu"), steps=5, rounds=1)
    assert [row[0] for row in rows] == [1, 2]
    assert rows[0][2] == "1.00"
