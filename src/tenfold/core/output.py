"""Where a command may write, and for how long it alone does: asked before anything is read or trained.

A new set is filled in a hidden folder inside its directory and moves out of it when all is there, so that a mount
point, a link and a directory in a folder that cannot be written serve as well as any other.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from tenfold.core.errors import InputError
from tenfold.core.files import PARTIAL, flush_directory, write_bytes

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK = ".lock"
UNFINISHED = ".unfinished"
"""In the directory of a new set, until all of it is there: what a command that was killed goes on from."""
PUBLISHED = "published.json"
"""In there, once all is ready: the names of what is moved out."""
OURS = (LOCK, UNFINISHED)
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
"""As a path it may have lost a slash; one letter is a drive of Windows."""
BUSY = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)


def unused(path: Path) -> Path:
    """The path, with a number before its suffix if something is there already: crash.txt, crash-2.txt, ..."""
    free, number = path, 1
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free


def require_apart(out: Path, *data: object) -> None:
    """Refuse to write among the files that are read: the next reading would take what is written for images.

    Args:
        data: sets as they were named; those that are no folders are passed over.

    Raises:
        InputError: `out` is one of these folders, or lies in one.
    """
    for folder in data:
        if isinstance(folder, str | Path) and os.path.isdir(folder):
            inner, outer = Path(os.path.realpath(out)), Path(os.path.realpath(folder))
            if outer in (inner, *inner.parents):
                raise InputError(
                    f"{out} lies in {folder}, which is read, and would be read with it the next time; name a "
                    "directory outside of it with --out"
                )


def require_empty(directory: Path) -> None:
    """
    Raises:
        InputError: it is a file, or holds anything but what a command leaves that was killed.
    """
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory} is a file; choose another --out directory")
    ours = {*OURS, *_published(directory / UNFINISHED)}
    if directory.exists() and any(path.name not in ours for path in directory.iterdir()):
        raise InputError(f"{directory} is not empty and nothing is overwritten; choose another directory")


def require_writable(directory: Path) -> None:
    """Try it out, and leave nothing.

    Raises:
        InputError: nothing can be written there, or another process is at work there.
    """
    with locked(directory):
        pass


@contextmanager
def new_directory(directory: Path) -> Iterator[Path]:
    """A hidden folder to fill; what is in it when the block ends appears in `directory`, all or nothing.

    Beside it, under `UNFINISHED`, the block may keep what a command that is given again goes on from. Where the block
    fails that stays, and nothing else. The block itself is to see that the directory is empty: what a killed command
    had begun to move there is there by then.

    Raises:
        InputError: the directory cannot be written, or another process is at work there.
    """
    with locked(directory):
        hidden = directory / UNFINISHED
        _move(hidden, directory)
        clear_partial(hidden)
        new = hidden / "new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        try:
            yield new
            if names := sorted(path.name for path in new.iterdir()):
                write_bytes(hidden / PUBLISHED, json.dumps(names).encode())
                _move(hidden, directory)
        finally:
            if not (hidden / PUBLISHED).exists():
                shutil.rmtree(new, ignore_errors=True)
            with suppress(OSError):  # it holds what a command goes on from, or is gone
                hidden.rmdir()


def _published(hidden: Path) -> list[str]:
    """What is to be moved, and may have been in part; nothing until all of it is ready."""
    path = hidden / PUBLISHED
    return list(json.loads(path.read_text("utf-8", "surrogateescape"))) if path.exists() else []


def _move(hidden: Path, directory: Path) -> None:
    """Move what is ready, and forget what it was made from; the list goes last, so that any kill is made good."""
    if not (names := _published(hidden)):
        return
    left = [name for name in names if os.path.lexists(hidden / "new" / name)]
    for name in left:
        if os.path.lexists(directory / name):
            raise InputError(f"{directory / name} has come there meanwhile; choose another directory")
    for name in sorted(left, key=lambda name: not name.startswith("metadata.")):
        os.replace(hidden / "new" / name, directory / name)  # the table first: without its files it is refused
    flush_directory(directory)
    for path in hidden.iterdir():
        if path.name != PUBLISHED:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(hidden)


@contextmanager
def new_file(path: Path) -> Iterator[None]:
    """Hold the name of a file that is to be written inside; what is written beside it does not matter.

    Raises:
        InputError: it is there already, cannot be written, or another process is about to write it.
    """
    with locked(path.parent, f".{path.name}{LOCK}"):
        if os.path.lexists(path):
            raise InputError(f"{path} exists and nothing is overwritten; choose another --out")
        yield


def clear_partial(directory: Path) -> None:
    """Remove what a kill has left of files that were being written; for the one that holds the lock."""
    for path in list(directory.rglob(f".*{PARTIAL}")):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


@contextmanager
def locked(directory: Path, name: str = LOCK) -> Iterator[None]:
    """Hold `directory` for this process, and make it, unless it is there; one that is empty at the end goes again.

    The kernel drops the lock when the process dies, so none goes stale.

    Raises:
        InputError: it cannot be written, or another process is at work there.
    """
    if URL.match(str(directory)):
        raise InputError(f"{directory} is a URL, to which run and prove alone can write; choose another --out")
    made = [path for path in (directory, *directory.parents) if not os.path.lexists(path)]
    with _opened_lock(directory, directory / name) as file:
        try:
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield
        finally:
            if sys.platform != "win32":  # which removes no file that is open
                with suppress(OSError):
                    os.unlink(directory / name)
            for path in made:
                with suppress(OSError):  # it holds something
                    path.rmdir()


def _opened_lock(directory: Path, path: Path) -> IO[str]:
    while True:
        try:
            for _ in range(20):
                # Whoever held it takes the empty directory away: before the file is opened, or within `mkdir`.
                with suppress(FileNotFoundError, *(() if directory.is_file() else (FileExistsError,))):
                    directory.mkdir(parents=True, exist_ok=True)
                    file = open(path, "a+")  # noqa: SIM115  # closed where the lock ends
                    break
            else:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        except OSError as error:
            raise InputError(f"cannot write to {directory}: {error.strerror}; choose another --out") from error
        try:
            _lock(file)
        except OSError as error:
            with file:
                if error.errno not in BUSY:
                    raise InputError(f"cannot lock {path}: {error.strerror}; choose another --out") from error
                raise InputError(
                    f"{directory} is in use by process {_owner(file)}; wait for it or choose another --out"
                ) from error
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        file.close()  # its owner removed it while this one waited


def _owner(file: IO[str]) -> str:
    for _ in range(20):  # it is written a moment after the lock is taken
        file.seek(0)
        if number := file.read().strip():
            return number
        time.sleep(0.01)
    return "unknown"


def _lock(file: IO[str]) -> None:
    """Lock an open file until it is closed, or raise OSError where another process has it."""
    if sys.platform == "win32":
        # Windows keeps others from reading what is locked: a byte far behind the owner's number stands for the file.
        file.seek(1 << 30)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
