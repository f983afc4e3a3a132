"""When a command began, and how much longer than its computing it takes where other programs compute too."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

MOST_SLOWDOWN = 8.0
"""More than that is waiting for something else, such as a slow disk."""


@dataclass(frozen=True)
class Beginning:
    """A moment, by the time of day and by the process's computing."""

    at: float = field(default_factory=lambda: time.monotonic())
    worked: float = field(default_factory=lambda: time.process_time())

    @property
    def slowdown(self) -> float:
        """Seconds that have passed since then for each of computing; from 1 to 8."""
        work = time.process_time() - self.worked
        return min(max((time.monotonic() - self.at) / work, 1.0), MOST_SLOWDOWN) if work > 0 else 1.0


_command: ContextVar[Beginning | None] = ContextVar("command", default=None)


@contextmanager
def command() -> Iterator[None]:
    """What runs inside began here, with all that has to be loaded for it."""
    token = _command.set(Beginning())
    try:
        yield
    finally:
        _command.reset(token)


def beginning() -> Beginning:
    """Of the `command` around this call; outside of any, now."""
    return _command.get() or Beginning()
