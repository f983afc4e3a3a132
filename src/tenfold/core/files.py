"""The only place that writes: a file is there whole, or it is not there.

Each write goes to a temporary file in the same directory, is flushed to the disk and then renamed, so that a
kill or a full disk at any moment leaves the earlier file intact.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from tenfold.core.errors import InputError, SystemFault
from tenfold.core.parallel import in_threads

PARTIAL = ".partial"
"""Ends the hidden name of what is being written."""

FLUSHED_AT_ONCE = 16

Record = Callable[[Mapping[Path, str | None]], None]
"""Told of files about to appear, each with the SHA-256 of its content; None where more is added to it."""

_record: ContextVar[Record | None] = ContextVar("record", default=None)


@contextmanager
def recording(record: Record) -> Iterator[None]:
    """Inside, every file that is written is told first."""
    token = _record.set(record)
    try:
        yield
    finally:
        _record.reset(token)


def _told(written: Mapping[Path, str | None]) -> None:
    if record := _record.get():
        record(written)


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
    write_parts(path, [content])


def write_parts(path: Path, parts: Iterable[bytes]) -> str:
    """The same of content that comes in parts, which may be more than the memory holds; gives its SHA-256."""
    with _writing(path):
        handle, temporary = tempfile.mkstemp(PARTIAL, f".{path.name[:40]}.", path.parent)
        try:
            digest = hashlib.sha256()
            with os.fdopen(handle, "wb") as file:
                for part in parts:
                    digest.update(part)
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            _told({path: digest.hexdigest()})
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        flush_directory(path.parent)
    return digest.hexdigest()


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text atomically; names that are not valid UTF-8 survive the round trip."""
    write_bytes(path, content.encode("utf-8", "surrogateescape"))


def append_text(path: Path, content: str) -> None:
    """Add to the end of a file of records; a kill may leave its last line cut short, for the reader to drop.

    Raises:
        SystemFault: the disk is full or the directory cannot be written.
    """
    with _writing(path):
        _told({path: None})
        with open(path, "a", encoding="utf-8") as file:
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
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise InputError(f"{directory} is not empty and nothing is overwritten; choose another directory")
    with _writing(directory):
        temporary = Path(tempfile.mkdtemp(PARTIAL, f".{directory.name[:40]}.", directory.parent))
        try:
            written: dict[Path, str | None] = {}
            for name, content in files:
                path, digest = temporary / name, hashlib.sha256()
                path.parent.mkdir(parents=True, exist_ok=True)
                with open(path, "wb") as file:
                    for part in [content] if isinstance(content, bytes) else content:
                        digest.update(part)
                        file.write(part)
                written[directory / name] = digest.hexdigest()
            _told(written)
            _flush_tree(temporary)
            os.chmod(temporary, 0o755)
            if sys.platform == "win32" and directory.exists():
                directory.rmdir()  # there a rename replaces no directory, not even an empty one
            os.replace(temporary, directory)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        flush_directory(directory.parent)


def _flush_tree(root: Path) -> None:
    """Several files at a time: the disk then makes them last together."""
    folders = [(Path(folder), names) for folder, _, names in os.walk(root)]
    for _ in in_threads(_flush, (folder / name for folder, names in folders for name in names), FLUSHED_AT_ONCE):
        pass
    for folder, _ in folders:
        flush_directory(folder)


def _flush(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def flush_directory(directory: Path) -> None:
    """Make the names in a directory last; Windows keeps them by itself and opens no directory."""
    if sys.platform == "win32":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_json(path: Path) -> Any:
    """Read JSON that tenfold wrote, or that somebody made in its place.

    Raises:
        InputError: it is no JSON, is nested beyond all use, holds halves of letters that cannot be written again, or
            is no regular file: a pipe would be waited for without end.
        OSError: it cannot be read.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is no regular file")
    return parse_json(path.read_bytes(), str(path))


def parse_json(content: str | bytes, name: str) -> Any:
    """The value of a JSON document; `name` says in messages what it is.

    Raises:
        InputError: as `read_json`.
    """
    try:
        text = content if isinstance(content, str) else content.decode("utf-8", "surrogateescape")
        value = json.loads(text)
        if "\\u" in text:  # written out, half a letter passes every reader and no writer
            json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogateescape")
    except (ValueError, RecursionError) as error:
        reason = "too deeply nested" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"{name} is damaged or no JSON: {reason}") from error
    return value
