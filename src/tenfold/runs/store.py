"""Files at a URL of any kind that fsspec knows, by their names below it."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

from tenfold.core.errors import InputError, SystemFault, TenfoldError
from tenfold.core.files import json_bytes, write_parts

IN_USE = ".in-use.json"
"""There while a command is at work."""
BEAT, FRESH = 60.0, 300.0
"""Seconds between two signs of life of a command, and after its last one until it counts as dead."""
CHUNK = 2**22
"""Bytes that are read at once."""


class Store:
    """What lies at a URL. All methods raise SystemFault where it, or the way to it, refuses."""

    def __init__(self, url: str) -> None:
        """
        Raises:
            InputError: fsspec does not know the URL, or lacks a package for it.
        """
        self.url = url
        self._files, self._root = _filesystem(url)

    def names(self) -> set[str]:
        with _reaching(self.url), suppress(FileNotFoundError):
            self._files.invalidate_cache()
            return {path[len(self._root) + 1 :] for path in self._files.find(self._root)} - {IN_USE}
        return set()

    def read(self, name: str) -> bytes:
        with _reaching(self.url):
            return bytes(self._files.cat_file(self._at(name)))

    def fetch(self, name: str, path: Path) -> str:
        """Write a file here; gives its SHA-256."""
        with _reaching(self.url), self._files.open(self._at(name), "rb") as file:
            return write_parts(path, iter(partial(file.read, CHUNK), b""))

    def put(self, name: str, content: Path | bytes) -> None:
        with _reaching(self.url):
            if not getattr(self._files, "async_impl", False):  # others are object stores, without directories
                self._files.makedirs(self._at(name).rpartition("/")[0], exist_ok=True)
            if isinstance(content, bytes):
                self._files.pipe_file(self._at(name), content)
            else:
                self._files.put_file(str(content), self._at(name))

    def remove(self, name: str) -> None:
        with _reaching(self.url), suppress(FileNotFoundError):
            self._files.rm_file(self._at(name))

    @contextmanager
    def held(self, owner: str) -> Iterator[None]:
        """Keep others away by a sign of life. Few stores have locks: two that look at one moment both go on.

        Args:
            owner: of this computer; a sign of the same one is of a process that is dead.

        Raises:
            InputError: another command is at work there.
        """
        sign = {"host": socket.gethostname(), "owner": owner, "process": os.getpid()}
        with _reaching(self.url), suppress(FileNotFoundError, ValueError, KeyError):
            other = json.loads(self._files.cat_file(self._at(IN_USE)))
            ours = (other["host"], other["owner"]) == (sign["host"], owner)
            if not ours and time.time() - other["time"] < FRESH:
                by = f"process {other['process']} of {other['host']}"
                raise InputError(f"{self.url} is in use by {by}; wait for it or choose another --out")
        ended = Event()

        def live() -> None:
            while not ended.wait(BEAT):
                with suppress(SystemFault):  # the work itself does not need it
                    self.put(IN_USE, json_bytes(sign | {"time": time.time()}))

        self.put(IN_USE, json_bytes(sign | {"time": time.time()}))
        thread = Thread(target=live, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            with suppress(SystemFault):  # it counts as dead in a while
                self.remove(IN_USE)

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"


def _filesystem(url: str) -> tuple[Any, str]:
    """What reads and writes there, and the path that it gives the URL."""
    try:
        import fsspec
    except ImportError:
        raise InputError(f"{url} needs the extra: pip install 'tenfold[remote]'") from None
    try:
        with _reaching(url, ImportError, ValueError):
            files, root = fsspec.core.url_to_fs(url)
            return files, str(root).rstrip("/")
    except ImportError as error:
        package = getattr(error.__cause__, "name", None)
        raise InputError(f"{url} needs a package: {f'pip install {package}' if package else error}") from error
    except ValueError as error:
        raise InputError(f"{url} cannot be used: {error}") from error


@contextmanager
def _reaching(url: str, *passed: type[Exception]) -> Iterator[None]:
    """Each store has errors of its own."""
    try:
        yield
    except Exception as error:
        if isinstance(error, (TenfoldError, *passed)):
            raise
        raise SystemFault(f"{url} cannot be read or written: {type(error).__name__}: {error}") from error
