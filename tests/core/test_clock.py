from __future__ import annotations

import time

import pytest

from tenfold.core import clock
from tenfold.core.clock import MOST_SLOWDOWN, Beginning, beginning, command


def test_what_runs_inside_a_command_began_with_it() -> None:
    with command():
        first = beginning()
        time.sleep(0.01)
        assert beginning() is first
    assert beginning() is not first
    assert beginning().at > first.at


@pytest.mark.parametrize(("passed", "worked", "slowdown"), [(4, 4, 1), (9, 3, 3), (4, 8, 1), (99, 1, MOST_SLOWDOWN)])
def test_the_slowdown_is_time_passed_to_computing(
    monkeypatch: pytest.MonkeyPatch, passed: float, worked: float, slowdown: float
) -> None:
    began = Beginning(100.0, 7.0)
    monkeypatch.setattr(clock.time, "monotonic", lambda: 100.0 + passed)
    monkeypatch.setattr(clock.time, "process_time", lambda: 7.0 + worked)
    assert began.slowdown == slowdown


def test_nothing_computed_yet_is_no_slowdown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock.time, "process_time", lambda: 7.0)
    assert Beginning(0.0, 7.0).slowdown == 1
