"""The generators' benchmark at its smallest: contestants in processes of their own, turns, and the same networks."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        patch.setenv("PYTHONPATH", str(BENCHMARKS.parent / "src"), prepend=":")
        yield importlib.import_module("generators")


def test_a_race_of_ours_and_the_eager_peer(benchmark: ModuleType, tmp_path: Path) -> None:
    pixels = tmp_path / "pixels.npy"
    benchmark.write_pixels(pixels, 16, 8)
    result = benchmark.setting(16, 4, 1, pixels)
    missing = benchmark.Contestant("a peer that is not installed", "generators_eager.py", interpreter="/no/python")
    broken = benchmark.Contestant("a peer that breaks", "no_such_program.py")
    ours, _, eager, _ = benchmark.contestants("python")
    figures, left_out = benchmark.race([ours, eager, missing, broken], result, rounds=2, steps=1, drawn=3, warm_up=1)
    assert list(figures) == [ours.name, eager.name]
    for each in figures.values():
        assert each.step.shape == each.drawing.shape == (2,)
        assert (each.step > 0).all()
        assert (each.drawing > 0).all()
        assert (each.processor > 0).all()
        assert 2**26 < each.memory < 2**34
    assert len(left_out) == 2
    assert "no_such_program" in left_out[1]
    rows = benchmark.table(figures, result)
    assert any(row.startswith(f"| {eager.name} |") and row.count("x (") == 3 for row in rows)


def test_networks_of_different_sizes_do_not_race(benchmark: ModuleType) -> None:
    race = importlib.import_module("generators_race")
    with pytest.raises(ValueError, match="parameters"):
        race._same_size({"a": (3, 4), "b": (3, 5)})


def test_goals_compare_within_the_rounds(benchmark: ModuleType) -> None:
    slow = np.array([1.0, 10.0, 1.0, 10.0])

    def figures(factor: float) -> object:
        return importlib.import_module("generators_race").Figures(factor * slow, slow, slow)

    raced = {benchmark.OURS: figures(0.5), benchmark.EAGER: figures(1.0), benchmark.KERAS: figures(0.7)}
    lines = benchmark.verdicts(raced, 2)
    assert [line.endswith(": met") for line in lines] == [False, True]
    assert "1.40x (1.40..1.40)" in lines[0]
    assert "2.00x (2.00..2.00)" in lines[1]
