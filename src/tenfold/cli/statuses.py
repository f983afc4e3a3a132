"""Whatever ends the work early becomes one line on stderr and an exit status.

0 done · 1 a bug in tenfold · 2 the input is at fault · 3 the system is (disk, permissions) · 130 interrupted.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from tenfold.core import crash
from tenfold.core.errors import Interrupted, SystemFault, TenfoldError
from tenfold.core.progress import note

SYSTEM_REFUSALS = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ENOMEM,
}  # fmt: skip


@contextmanager
def exit_statuses() -> Iterator[None]:
    """Turn whatever ends the work early into one line on stderr and an exit status."""
    try:
        yield
    except KeyboardInterrupt:
        _leave(Interrupted.exit_status, "stopped; the same command continues where it was")
    except Interrupted as stop:
        _leave(stop.exit_status, str(stop))
    except TenfoldError as error:
        _leave(error.exit_status, f"error: {error}")
    except MemoryError:
        _leave(SystemFault.exit_status, "error: out of memory; try a smaller --size or fewer --workers")
    except Exception as error:  # The one place that may: here a bug becomes an exit status and a kept traceback.
        if isinstance(error, OSError) and error.errno in SYSTEM_REFUSALS:
            where = f"{error.filename}: " if error.filename else ""
            _leave(SystemFault.exit_status, f"error: {where}{error.strerror}")
        kept = crash.save(error)
        _leave(1, f"error: a bug in tenfold ({type(error).__name__}: {error}); please report it with {kept}")


def say(text: str) -> None:
    """Write a result to stdout; leave quietly if its reader has seen enough (`| head`)."""
    try:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout once more on exit and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _leave(status: int, message: str) -> NoReturn:
    note(message)
    sys.exit(status)
