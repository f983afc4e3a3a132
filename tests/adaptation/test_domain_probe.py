from __future__ import annotations

import numpy as np
import pytest

from tenfold.adaptation.selection import embed
from tenfold.core.keys import Key


def rows(name: str, count: int, shift: float) -> np.ndarray:
    return (Key(f"tests/{name}").numpy_generator().normal(size=(count, 6)) + shift).astype(np.float32)


def test_domains_that_lie_apart_are_told_apart_and_others_are_not() -> None:
    apart = embed(rows("a", 60, 0), rows("b", 80, 4))
    assert apart.probe is not None
    assert apart.probe > 0.98
    assert (apart.source.shape, apart.target.shape) == ((60, 2), (80, 2))
    alike = embed(rows("a", 200, 0), rows("b", 200, 0))
    assert alike.probe == pytest.approx(0.5, abs=0.12)


def test_of_too_few_nothing_is_said() -> None:
    assert embed(rows("a", 60, 0), rows("b", 3, 4)).probe is None
    assert embed(rows("a", 60, 0), rows("b", 1, 4)).target.shape == (1, 2)
