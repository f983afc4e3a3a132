"""Whatever ends the work early becomes one line on stderr and an exit status; a bug also leaves its traceback."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from tenfold.core import files, output
from tenfold.core.errors import LESS_MEMORY, InputError, Interrupted, SystemFault, TenfoldError, is_out_of_memory
from tenfold.core.progress import note, tells

SYSTEM_REFUSALS = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EIO", "EMFILE")
    if hasattr(errno, name)
}

INPUT_REFUSALS = {getattr(errno, name) for name in ("ENAMETOOLONG", "ELOOP", "EINVAL") if hasattr(errno, name)}

_run_directory: Path | None = None


def keep_in(directory: Path) -> None:
    """From now on a crash is written into this run's directory."""
    global _run_directory
    _run_directory = directory


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn whatever ends the work early into one line on stderr and an exit status."""
    try:
        yield
    except KeyboardInterrupt:
        _leave(Interrupted.exit_status, "stopped; the same command continues where it was")
    except Interrupted as stop:
        _leave(stop.exit_status, str(stop))
    except TenfoldError as error:
        _leave(error.exit_status, f"error: {error}")
    except Exception as error:  # Here a bug becomes an exit status and a kept traceback.
        if is_out_of_memory(error):
            _leave(SystemFault.exit_status, f"error: out of memory; {LESS_MEMORY}")
        if isinstance(error, OSError) and error.errno in SYSTEM_REFUSALS | INPUT_REFUSALS:
            where = f"{error.filename}: " if error.filename else ""
            status = SystemFault if error.errno in SYSTEM_REFUSALS else InputError
            _leave(status.exit_status, f"error: {where}{error.strerror}")
        kept = save_traceback(error)
        _leave(1, f"error: a bug in tenfold ({type(error).__name__}: {error}); please report it with {kept}")


def save_traceback(error: BaseException) -> Path:
    """Write the traceback to a new file, beside the run that it spoiled or in the working directory.

    Raises:
        SystemFault: not even the temporary directory can be written.
    """
    report = "".join(traceback.format_exception(error))
    run = _run_directory if _run_directory and _run_directory.is_dir() else None
    for directory in filter(None, (run, Path.cwd(), Path(tempfile.gettempdir()))):
        path = output.unused(directory / "tenfold-crash.txt")
        try:
            files.write_text(path, report)
        except SystemFault as fault:
            refusal = fault
        else:
            return path
    raise refusal


def say(text: str) -> None:
    """Write a result to stdout; leave quietly if its reader has seen enough (`| head`)."""
    if not tells():
        return
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
