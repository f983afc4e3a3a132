"""Where the traceback of a bug is kept: beside the run that it spoiled, or else in the working directory."""

from __future__ import annotations

import tempfile
import traceback
from pathlib import Path

from tenfold.core import files
from tenfold.core.errors import SystemFault

_run_directory: Path | None = None


def keep_in(directory: Path) -> None:
    """From now on a crash is written into this run's directory."""
    global _run_directory
    _run_directory = directory


def save(error: BaseException) -> Path:
    """Write the traceback to a new file and return its path.

    Raises:
        SystemFault: not even the temporary directory can be written.
    """
    report = "".join(traceback.format_exception(error))
    run = _run_directory if _run_directory and _run_directory.is_dir() else None
    for directory in filter(None, (run, Path.cwd(), Path(tempfile.gettempdir()))):
        path = _unused(directory / "tenfold-crash.txt")
        try:
            files.write_text(path, report)
        except SystemFault as fault:
            refusal = fault
        else:
            return path
    raise refusal


def _unused(path: Path) -> Path:
    number = 1
    while path.exists():
        number += 1
        path = path.with_name(f"tenfold-crash-{number}.txt")
    return path
