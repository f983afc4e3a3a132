"""Memory for large tensors, which the C library would give back to the system after each and fetch again."""

from __future__ import annotations

import ctypes
from functools import cache

LARGE = 2**20
"""Values in a batch of pictures from which its maps are larger than what the C library keeps by itself (32 MiB)."""

TRIM_THRESHOLD, MMAP_MAX = -1, -4
"""Of glibc's mallopt."""


@cache
def keep_large_blocks() -> bool:
    """From here on this process keeps freed memory for its next tensors; False where the C library is another one.

    Clearing fetched pages took a sixth of a training step at 128 x 128 x 3.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(MMAP_MAX, 0)) and bool(mallopt(TRIM_THRESHOLD, 2**31 - 1))
