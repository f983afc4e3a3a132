"""How much memory there is, asked before something is made that would not fit: the kernel kills without a word."""

from __future__ import annotations

import ctypes
import math
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tenfold.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

GIB = 2**30
MAPPED_SHARE = 4


def require_memory(count: int, bytes_each: int, what: str, remedy: str) -> None:
    """See that so many of something fit into the memory.

    Raises:
        InputError: they do not; the message has the figures and what mends it.
    """
    needed, free = count * bytes_each, free_memory()
    if free is not None and needed > free:
        raise InputError(
            f"{count:,} {what} take {needed / GIB:,.1f} GiB of memory, and {free / GIB:,.1f} GiB are free; {remedy}"
        )


def give_back_freed() -> None:
    """Let the system have what this process has freed and keeps; where the C library is another one, nothing."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def held_bytes() -> tuple[int, int] | None:
    """What this process holds of the computer's memory now, and the most that it has held; None outside Linux.

    What was freed is given back first: it would be taken again without being counted.
    """
    give_back_freed()
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text("ascii").splitlines())
        now, most = (1024 * int(lines[name].split()[0]) for name in ("VmRSS", "VmHWM"))
    except (OSError, KeyError, ValueError):
        return None
    return now, most


def large_array(shape: tuple[int, ...], held: int = 0) -> npt.NDArray[np.uint8]:
    """Bytes to be filled; of more than a quarter of the free memory in a file, whose pages the system can put back.

    The file has no name and is gone with the array.

    Args:
        held: bytes of others like it that are held already.
    """
    import numpy as np

    size, free = math.prod(shape), free_memory()
    if free is None or not size or size + held <= free // MAPPED_SHARE:
        return np.empty(shape, np.uint8)
    try:
        with tempfile.TemporaryFile() as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)  # or else a disk that is full ends the process later
            return np.memmap(file, np.uint8, "w+", shape=shape).view(np.ndarray)
    except OSError:
        return np.empty(shape, np.uint8)


def free_memory() -> int | None:
    """Of the computer, or of the container that this process is confined to; None outside Linux."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        free = 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None
    if (left := _left_of_limit()) is not None:
        free = min(free, left)
    group = Path("/sys/fs/cgroup")
    try:
        most, taken = ((group / name).read_text("ascii") for name in ("memory.max", "memory.current"))
        return min(free, max(0, int(most) - int(taken)))
    except (OSError, ValueError):  # no second version of cgroups, or no limit
        return free


def _left_of_limit() -> int | None:
    """What `ulimit -v` leaves this process; None where it sets no limit."""
    import resource

    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    if most == resource.RLIM_INFINITY:
        return None
    taken = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    return max(0, most - taken)
