"""Pairs that belong together, gathered into groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def join(count: int, pairs: Sequence[tuple[int, int]]) -> npt.NDArray[np.int64]:
    """A group number for each of `count` items, equal within every pair, numbered by first member."""
    if not count:
        return np.empty(0, np.int64)
    left, right = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    _, first, inverse = np.unique(component, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)
