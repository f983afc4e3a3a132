"""How long a training takes, told by few of its steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
from torch import Tensor

from tenfold.training.callbacks import Callback, telling

T = TypeVar("T")

FEWEST_STEPS = 4


class StepTimes(Callback):
    """How long the steps of a training take, between the first and the last."""

    def __init__(self, clock: Callable[[], float] = time.process_time) -> None:
        self.clock, self.times = clock, list[float]()

    def step(self, number: int, steps: int, losses: Mapping[str, Tensor]) -> None:
        self.times.append(self.clock())

    @property
    def usual(self) -> float | None:
        """Seconds a step in the middle of all: some are followed by a look. None where fewer than two were taken."""
        return float(np.median(np.diff(self.times))) if len(self.times) > 1 else None


def in_full(train: Callable[[int], T], steps: int, seconds: float) -> tuple[float, T]:
    """How long a training of so many steps takes, and what the longest one gave that was timed.

    It is timed with few steps, and then with as many as the seconds allow. What does not grow with the steps, such as
    drawing the images, is counted once.
    """
    end, count = time.process_time() + seconds, min(steps, FEWEST_STEPS)
    spent, a_step, result = _of_steps(train, count)  # the first of its kind pays for what torch prepares once
    left = end - time.process_time()
    if left > spent:
        count = min(steps, max(count, int((left - spent) / max(a_step, 1e-6))))
        spent, a_step, result = _of_steps(train, count)
    return spent + a_step * (steps - count), result


def _of_steps(train: Callable[[int], T], count: int) -> tuple[float, float, T]:
    """Seconds in all, seconds a step, and the result."""
    times = StepTimes()
    with telling(times):
        seconds, result = timed(lambda: train(count))
    return seconds, seconds / count if times.usual is None else times.usual, result


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds of the processor's work, and the result."""
    before = time.process_time()
    result = work()
    return time.process_time() - before, result
