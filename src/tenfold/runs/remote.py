"""A run whose directory lies at a URL: done in a copy here, which is made the same as what is there.

What is there is taken before the work. Every job that is finished is uploaded at once, after lines of a manifest for
its files, and its result last; the rest when the command ends. What is there counts only as a manifest there has it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from hashlib import sha256
from pathlib import Path

import pooch

from tenfold.core.errors import InputError, SystemFault, TenfoldError
from tenfold.core.files import write_text
from tenfold.core.manifest import MANIFEST, MANIFEST_OF, OF_MACHINES, files_in, sha256_of
from tenfold.core.output import locked
from tenfold.core.parallel import in_threads
from tenfold.core.progress import note, warn
from tenfold.runs.directory import DATA, LAST_FILE
from tenfold.runs.store import Store

CONFIG, RESULT = "config.json", "result.json"
CONNECTIONS = 16


def is_url(out: object) -> bool:
    """Whether `out` is no path here."""
    return "://" in str(out)


@contextmanager
def working_copy(url: str) -> Iterator[Path]:
    """The directory to work in; however this ends, all that is there is at the URL then.

    Raises:
        InputError: a package is missing, another command is at work there, or something else is there.
        SystemFault: the URL cannot be read or written.
    """
    url = url.rstrip("/")
    cache = Path(os.environ.get("TENFOLD_CACHE") or pooch.os_cache("tenfold"))
    home = cache / "runs" / sha256(url.encode()).hexdigest()[:16]
    try:
        with locked(home):
            store = Store(url)
            with store.held(str(home)):
                copy = _Copy(home, store)
                note(f"{url} is worked on in {copy.path}")
                copy.take()
                yield from _uploaded(copy)
    except TenfoldError as error:  # who named a URL knows no other path
        error.args = (str(error).replace(str(home / "run"), url).replace(str(home), url),)
        raise
    note(f"all files of the run are at {url}")


def _uploaded(copy: _Copy) -> Iterator[Path]:
    """The copy's path; afterwards all of it is uploaded."""
    token = _copy.set(copy)
    try:
        with copy.uploads:
            yield copy.path
    except BaseException:
        try:
            copy.upload_all()
        except SystemFault as fault:
            warn(f"{fault}; the same command on this computer goes on from its own copy")
        raise
    finally:
        _copy.reset(token)
    copy.upload_all()


def job_is_finished(directory: Path) -> None:
    """Have a job's directory uploaded, if its run lies at a URL, without waiting for it."""
    copy = _copy.get()
    if copy is not None and copy.path in directory.parents:
        copy.uploads.submit(copy.upload_job, directory)


def named(text: str) -> str:
    """The text with the URL in place of the copy's path, if the run lies at one."""
    copy = _copy.get()
    return text if copy is None else text.replace(str(copy.path), copy.url)


class _Copy:
    """The copy here of what lies at a URL."""

    def __init__(self, home: Path, store: Store) -> None:
        self.path, self.url = home / "run", store.url
        self.uploads = ThreadPoolExecutor(1)
        self._store = store
        self._complete = home / "complete"
        """There once all of the copy has been uploaded."""
        self._there: dict[str, tuple[int, int] | None] = {}
        """Each file of the run at the URL -> size and time of the same one here, if it is the same."""

    def take(self) -> None:
        """Make the copy what is there, but for files of jobs, of which those here stay.

        Raises:
            InputError: there is something else than a run.
        """
        there = self._store.names()
        manifests = {name for name in there if name == MANIFEST or Path(name).match(OF_MACHINES)}
        if there == manifests:
            if self._complete.exists():
                shutil.rmtree(self.path, ignore_errors=True)  # it was removed there
            return
        if CONFIG not in there:
            raise InputError(f"{self.url} is not empty and nothing is overwritten; choose another directory")
        self._there = dict.fromkeys(there)
        names = sorted(there - manifests)
        taken = in_threads(partial(self._take, listed=self._listed(manifests)), names, CONNECTIONS)
        for name in [name for name, good in zip(names, taken, strict=True) if not good]:
            warn(f"{self.url}/{name} is not as a run has written it, and is left out")
            del self._there[name]

    def _listed(self, manifests: Iterable[str]) -> Mapping[str, Set[str | None]]:
        """Name -> hashes that it may have; the lines stay here, as another machine's."""
        texts = [self._store.read(name).decode() for name in manifests]
        lines = sorted({line for text in texts for line in text.split("\n")[:-1]})
        write_text(self.path / MANIFEST_OF.format("url"), "".join(f"{line}\n" for line in lines))
        listed: dict[str, set[str | None]] = {}
        for entry in map(json.loads, lines):
            listed.setdefault(entry["file"], set()).add(entry["sha256"])
        return listed

    def _take(self, name: str, listed: Mapping[str, Set[str | None]]) -> bool:
        """Whether the file there is as a run has written it."""
        path, digests = self.path / name, listed.get(name, set())
        same = path.is_file() and digests == {sha256_of(path)}
        if not same and path.is_file() and name.startswith("jobs/"):
            return True
        if not same and not digests & {self._store.fetch(name, path), None}:
            path.unlink()
            return False
        self._there[name] = _stamp(path)
        return True

    def upload_job(self, directory: Path) -> None:
        """Without what the run's own manifest says of other jobs, which may be long."""
        job = directory.relative_to(self.path).as_posix()
        names = [CONFIG, *(f"{job}/{name}" for name in files_in(directory))]
        lines = [json.dumps({"file": name, "sha256": sha256_of(self.path / name)}) + "\n" for name in names]
        manifest = MANIFEST_OF.format(directory.name)
        try:
            self._store.put(manifest, "".join(lines).encode())
            self._there[manifest] = None
            self._upload(names)
        except SystemFault as fault:
            warn(f"{fault}; it is tried again at the end")

    def upload_all(self) -> None:
        """Everything that differs; what is gone here goes there too.

        Raises:
            SystemFault: it cannot be written.
        """
        if not (self.path / CONFIG).exists():
            return
        manifests = [path.name for path in (self.path / MANIFEST, *self.path.glob(OF_MACHINES)) if path.exists()]
        names = [name for name in files_in(self.path) if not name.startswith(f"{DATA}/")]
        self._upload(manifests)
        self._upload(names)
        for name in self._there.keys() - {*manifests, *names}:
            self._store.remove(name)
            del self._there[name]
        write_text(self._complete, "")

    def _upload(self, names: Iterable[str]) -> None:
        changed = [name for name in names if self._there.get(name) != _stamp(self.path / name)]
        for together in _in_order(changed):
            for _ in in_threads(self._put, together, CONNECTIONS):
                pass

    def _put(self, name: str) -> None:
        stamp = _stamp(self.path / name)
        self._store.put(name, self.path / name)
        self._there[name] = stamp


_copy: ContextVar[_Copy | None] = ContextVar("copy", default=None)


def _in_order(names: Iterable[str]) -> list[list[str]]:
    """In three groups: those of the last two say that what is before them is there."""
    groups: list[list[str]] = [[], [], []]
    for name in sorted(names):
        groups[2 if name == LAST_FILE else name.endswith(f"/{RESULT}")].append(name)
    return groups


def _stamp(path: Path) -> tuple[int, int]:
    return path.stat().st_size, path.stat().st_mtime_ns
