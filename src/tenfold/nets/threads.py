"""One thread for one small network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Train on one processor thread inside this block, or in the function that this decorates.

    Two threads in a network as small as ours are slower than one, and many times slower while a neighbour runs;
    other cores are used by other trials. One thread also makes the sums, and so the weights, the same everywhere.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
