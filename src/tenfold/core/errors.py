"""Errors that a person can act on, each with the exit status that the command line gives it.

0 done · 1 a bug in tenfold · 2 the input is at fault · 3 the system is (disk, permissions) · 130 interrupted.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class TenfoldError(Exception):
    """A failure that is understood: one line says what is wrong and what mends it."""

    exit_status = 1


class InputError(TenfoldError):
    """The data, an option or a name given by the user cannot be used."""

    exit_status = 2


class MethodFailed(TenfoldError):
    """A method could not do its work on these images (a collapsed generator, say): its arm is FAILED."""

    exit_status = 2


class SystemFault(TenfoldError):
    """The machine refused: disk full, no permission, a worker killed from outside."""

    exit_status = 3


class Interrupted(TenfoldError):
    """Ctrl-C: what was finished is kept, and the message says how to go on."""

    exit_status = 130


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
