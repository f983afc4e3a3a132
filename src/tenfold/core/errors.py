"""Errors that a person can act on, each with the exit status that the command line gives it.

0 done · 1 a bug in tenfold · 2 the input is at fault · 3 the system is (disk, memory) · 130 interrupted.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Sequence


class TenfoldError(Exception):
    """A failure that is understood, and so no bug: one line says what is wrong and what mends it."""

    exit_status = 2


class InputError(TenfoldError):
    """The data, an option or a name given by the user cannot be used."""


class MethodFailed(TenfoldError):
    """A method could not do its work on these images (a collapsed generator, say): its arm is FAILED."""


class SystemFault(TenfoldError):
    """The machine refused: disk full, no permission, a worker killed from outside."""

    exit_status = 3


class TooLittleMemory(SystemFault):
    """The memory was short, and smaller parts of a batch did not mend it: an arm that it ends is FAILED."""


class Interrupted(TenfoldError):
    """Ctrl-C: what was finished is kept, and the message says how to go on."""

    exit_status = 130


LESS_MEMORY = "try a smaller --size or fewer --workers"
SHORT_OF_MEMORY = (
    "out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory", "bad_alloc",
    "alloc_failed", "could not create a primitive", "could not create a memory",
    "can't start new thread", "failed to map segment", "without exception set",
)  # fmt: skip
"""What torch, its GPU libraries, threads, the loader of libraries and Python itself say then, in small letters."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device, or this computer, had too little memory."""
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    said = isinstance(error, RuntimeError | OSError | ImportError | SystemError) and str(error).lower()
    return isinstance(error, MemoryError) or bool(said and any(words in said for words in SHORT_OF_MEMORY))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'mnist'?` for a near miss, the list of what is known otherwise."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean '{close[0]}'?" if close else f" Known: {', '.join(known)}."


def first_line(error: BaseException) -> str:
    """What an error of another library says, without what it adds on further lines."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def listed(names: Sequence[str], most: int = 20) -> str:
    """The first of the names in quotes, and how many more there are."""
    more = len(names) - most
    return ", ".join(map(repr, names[:most])) + (f" and {more} more" if more > 0 else "")
