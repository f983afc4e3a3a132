"""A few of the damaged inputs of benchmarks/fuzz.py: each is read or refused, and by its number made again."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def fuzz(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    return importlib.import_module("fuzz")


@pytest.mark.parametrize("kind", ["metadata", "labels", "npz", "models", "configuration", "runs", "images"])
def test_each_is_read_or_refused(kind: str, fuzz: Any, tmp_path: Path) -> None:
    became = [fuzz.outcome(kind, place) for _, place in fuzz.damaged(kind, 0, range(150), tmp_path)]
    assert set(became) == {"read", "refused"}


def test_a_number_makes_the_same_input_again(fuzz: Any, tmp_path: Path) -> None:
    made = [
        [fuzz.contents(place) for _, place in fuzz.damaged("npz", 1, numbers, tmp_path)]
        for numbers in (range(5, 9), range(5, 9), range(7, 8))
    ]
    assert made[0] == made[1]
    assert made[2] == made[0][2:3]
