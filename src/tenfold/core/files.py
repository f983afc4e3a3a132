"""The only place that writes: a file is there whole, or it is not there.

Each write goes to a temporary file in the same directory, is flushed to the disk and then renamed, so that a
kill or a full disk at any moment leaves the earlier file intact.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tenfold.core.errors import InputError, SystemFault

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Make the parent directories of what is written inside, and a fault of whatever the machine refuses."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise SystemFault(f"cannot write {path}: {error.strerror or error}") from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically, making parent directories.

    Raises:
        SystemFault: the disk is full or the directory cannot be written.
    """
    with _writing(path):
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
        _flush_directory(path.parent)


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text atomically; names that are not valid UTF-8 survive the round trip."""
    write_bytes(path, content.encode("utf-8", "surrogateescape"))


def append_text(path: Path, content: str) -> None:
    """Add to the end of a file of records; a kill may leave its last line cut short, for the reader to drop.

    Raises:
        SystemFault: the disk is full or the directory cannot be written.
    """
    with _writing(path), open(path, "a", encoding="utf-8") as file:
        file.write(content)


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys, so that equal values give equal bytes."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """What `write_json` writes."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "surrogateescape")


def write_many(directory: Path, files: Iterable[tuple[str, bytes | Iterable[bytes]]]) -> None:
    """Write (relative path, content) pairs as a new directory that appears whole or not at all.

    The files go to a hidden neighbour, are flushed once all are written (2,000 small ones take 0.3 s; one at a time
    between writes takes minutes on a rotating disk), and the neighbour is renamed. A content may come in parts, so
    that a file larger than the memory can be written.

    Raises:
        InputError: `directory` exists and is not empty.
        SystemFault: the disk is full or the parent directory cannot be written.
    """
    _require_empty(directory)
    with _writing(directory):
        temporary = Path(tempfile.mkdtemp(dir=directory.parent, prefix=f".{directory.name[:40]}."))
        try:
            for name, content in files:
                path = temporary / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with open(path, "wb") as file:
                    file.writelines([content] if isinstance(content, bytes) else content)
            _flush_tree(temporary)
            os.chmod(temporary, 0o755)
            if sys.platform == "win32" and directory.exists():
                directory.rmdir()  # there a rename replaces no directory, not even an empty one
            os.replace(temporary, directory)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        _flush_directory(directory.parent)


def _require_empty(directory: Path) -> None:
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory} is a file; choose another --out directory")
    if directory.exists() and any(directory.iterdir()):
        raise InputError(f"{directory} is not empty and nothing is overwritten; choose another directory")


def _flush_tree(root: Path) -> None:
    for folder, _, names in os.walk(root):
        for name in names:
            with open(os.path.join(folder, name), "rb+") as file:
                os.fsync(file.fileno())
        _flush_directory(Path(folder))


def _flush_directory(directory: Path) -> None:
    """Make the names in a directory last; Windows keeps them by itself and opens no directory."""
    if sys.platform == "win32":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_json(path: Path) -> Any:
    """Read what `write_json` wrote.

    Raises:
        ValueError: it is no JSON, or no regular file: a pipe would be waited for without end.
    """
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is no regular file")
    return json.loads(path.read_text("utf-8", "surrogateescape"))


def prepare_output(path: Path) -> None:
    """Make an empty output directory, refusing to mix with what is there already.

    Raises:
        InputError: `path` is a file, cannot be written, or holds something already.
    """
    _require_empty(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {path}: {error.strerror}; choose another directory") from error
    if not os.access(path, os.W_OK):
        raise InputError(f"{path} is read-only; choose another directory")


def unused(path: Path) -> Path:
    """The path, with a number before its suffix if something is there already: crash.txt, crash-2.txt, ..."""
    free, number = path, 1
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free


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
            _lock(file)
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


def _lock(file: IO[str]) -> None:
    """Lock an open file until it is closed, or raise OSError where another process has it."""
    if sys.platform == "win32":
        # Windows keeps others from reading what is locked: a byte far behind the owner's number stands for the file.
        file.seek(1 << 30)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
