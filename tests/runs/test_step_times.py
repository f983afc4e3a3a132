from __future__ import annotations

from collections.abc import Callable

import pytest

from tenfold.runs import step_times
from tenfold.runs.step_times import FEWEST_STEPS, StepTimes, in_full
from tenfold.training.callbacks import listeners


class Clock:
    """Stands for `time.process_time`."""

    def __init__(self) -> None:
        self.now = 0.0

    def process_time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    one = Clock()
    monkeypatch.setattr(step_times, "time", one)
    monkeypatch.setattr(StepTimes.__init__, "__defaults__", (one.process_time,))
    return one


def training(clock: Clock, before: float, a_step: float, once: float = 0.0) -> Callable[[int], int]:
    """Takes `before` and so much for each step; the first time `once` more."""
    calls: list[int] = []

    def train(count: int) -> int:
        clock.now += before + (0 if calls else once)
        calls.append(count)
        for number in range(1, count + 1):
            clock.now += a_step
            for one in listeners():
                one.step(number, count, {})
        return count

    return train


@pytest.mark.parametrize(("before", "a_step"), [(0.0, 0.1), (3.0, 0.01), (30.0, 0.2), (0.5, 4.0)])
def test_what_does_not_grow_with_the_steps_is_counted_once(clock: Clock, before: float, a_step: float) -> None:
    seconds, _ = in_full(training(clock, before, a_step), 1000, 10.0)
    assert seconds == pytest.approx(before + 1000 * a_step)


def test_what_the_first_training_pays_for_is_not_counted(clock: Clock) -> None:
    seconds, longest = in_full(training(clock, 0.5, 0.1, once=2.0), 1000, 10.0)
    assert seconds == pytest.approx(0.5 + 100)
    assert FEWEST_STEPS < longest < 100


def test_a_short_training_is_done_in_full(clock: Clock) -> None:
    seconds, longest = in_full(training(clock, 0.5, 0.01), 30, 10.0)
    assert (seconds, longest) == (pytest.approx(0.8), 30)


def test_it_keeps_to_the_time_where_the_steps_let_it(clock: Clock) -> None:
    in_full(training(clock, 0.5, 0.1), 100_000, 10.0)
    assert clock.now <= 10.0
