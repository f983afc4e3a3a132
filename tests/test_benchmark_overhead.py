"""The benchmark of what is not training, at its smallest."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
linux = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")


@pytest.fixture(scope="module")
def benchmark() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module("overhead")


@linux
def test_choices_of_a_trial_are_training_too(benchmark: ModuleType) -> None:
    parts = benchmark.parts_of_a_trial(benchmark.made_up(60, 1, 12), "classical", 20)
    inside = sum(seconds for name, seconds in parts.items() if name != "whole")
    assert 0 < parts[benchmark.CORE] < inside < parts["whole"]
    again = benchmark.parts_of_a_trial(benchmark.made_up(60, 1, 12), "raw", 20)
    assert again[benchmark.CORE] < parts[benchmark.CORE], "raw has no options to choose"


@linux
def test_two_workers_map_one_copy_of_the_images(benchmark: ModuleType) -> None:
    rows, ratio = benchmark.side_by_side(benchmark.made_up(400, 1, 12), rounds=1, trials=2, steps=10)
    assert [row[0] for row in rows] == [1, 2]
    assert all(float(row[3]) < 1.5 for row in rows)
    assert ratio > 0
