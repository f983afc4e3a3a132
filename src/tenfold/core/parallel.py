"""Work on several threads, of functions that let others run meanwhile: encoders, and whatever waits for the disk."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
MOST_CORES = 8


def available_cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS and Windows bind no process to cores


def in_threads(function: Callable[[T], R], items: Iterable[T], threads: int | None = None) -> Iterator[R]:
    """The function's results in the order of the items; on as many threads as there are cores, at most `MOST_CORES`.

    No more items are taken ahead than there are threads: they may be photographs.
    """
    threads = threads or min(MOST_CORES, available_cores())
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[R]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
