"""How many processor threads a network is trained on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Work on `count` processor threads inside this block, or in the function that this decorates; 0 is all cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or len(os.sched_getaffinity(0)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def one_thread() -> Iterator[None]:
    """Train on one processor thread inside this block, or in the function that this decorates.

    Two threads in a network as small as ours are slower than one, and many times slower while a neighbour runs;
    other cores are used by other trials. One thread also makes the sums, and so the weights, the same everywhere.
    """
    with threads(1):
        yield
