"""The time at which trainings must end: beyond it they are broken off, or end with what they have learned."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


class TimeIsUp(Exception):
    """A training was broken off. It has not failed: given more time it goes on."""


@dataclass(frozen=True)
class Deadline:
    """On the clock of `time.time`."""

    at: float
    shortens: bool
    """Whether a training takes as few steps as fit, and is not broken off."""

    @property
    def seconds_left(self) -> float:
        return self.at - time.time()


_deadline: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


@contextmanager
def ending_at(deadline: float | None, *, shortens: bool = False) -> Iterator[None]:
    """Trainings inside end by then (`time.time`); None is no limit.

    Raises:
        TimeIsUp: from within, as a training takes its next step after that; not where it `shortens`.
    """
    token = _deadline.set(None if deadline is None else Deadline(deadline, shortens))
    try:
        yield
    finally:
        _deadline.reset(token)


def current_deadline() -> Deadline | None:
    """That of the block of `ending_at` around this call."""
    return _deadline.get()
