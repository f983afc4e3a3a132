"""The only place that writes: a file is there whole, or it is not there.

Each write goes to a temporary file in the same directory, is flushed to the disk and then renamed, so that a
kill or a full disk at any moment leaves the earlier file intact.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tenfold.core.errors import InputError, SystemFault


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically, making parent directories.

    Raises:
        SystemFault: the disk is full or the directory cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise SystemFault(f"cannot write {path}: {error.strerror or error}") from error


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text atomically; names that are not valid UTF-8 survive the round trip."""
    write_bytes(path, content.encode("utf-8", "surrogateescape"))


def append_text(path: Path, content: str) -> None:
    """Add to the end of a file of records; a kill may leave its last line cut short, for the reader to drop.

    Raises:
        SystemFault: the disk is full or the directory cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8") as file:
            file.write(content)
    except OSError as error:
        raise SystemFault(f"cannot write {path}: {error.strerror or error}") from error


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys, so that equal values give equal bytes."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def write_many(directory: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write (relative path, content) pairs as a new directory that appears whole or not at all.

    The files go to a hidden neighbour that is renamed once: flushing each of thousands would take minutes.

    Raises:
        InputError: `directory` exists and is not empty.
        SystemFault: the disk is full or the parent directory cannot be written.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise InputError(f"{directory} is not empty and nothing is overwritten; choose another directory")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=directory.parent, prefix=f".{directory.name[:40]}."))
        try:
            for name, content in files:
                path = temporary / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            os.sync()
            os.chmod(temporary, 0o755)
            os.replace(temporary, directory)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    except OSError as error:
        raise SystemFault(f"cannot write {directory}: {error.strerror or error}") from error


def read_json(path: Path) -> Any:
    """Read what `write_json` wrote."""
    return json.loads(path.read_text("utf-8", "surrogateescape"))


def prepare_output(path: Path) -> None:
    """Make an empty output directory, refusing to mix with what is there already.

    Raises:
        InputError: `path` is a file, cannot be written, or holds something already.
    """
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is a file; choose another --out directory")
    if path.is_dir() and any(path.iterdir()):
        raise InputError(f"{path} is not empty and nothing is overwritten; choose another directory")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {path}: {error.strerror}; choose another directory") from error
    if not os.access(path, os.W_OK):
        raise InputError(f"{path} is read-only; choose another directory")


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold `directory` for this process. The kernel drops the lock when the process dies, so none goes stale.

    Raises:
        InputError: another process is at work on the same run.
    """
    path = directory / ".lock"
    try:
        file = open(path, "a+")  # noqa: SIM115  # closed below, where the lock ends
    except OSError as error:
        raise InputError(f"cannot write to {directory}: {error.strerror}; choose another --out") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise InputError(
                f"{directory} is in use by process {owner}; wait for it or choose another --out"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
