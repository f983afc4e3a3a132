"""The hashes of all files of a run: what was changed, cut, forged or laid beside them is found before a resume.

`manifest.jsonl` has a line for each file that is about to be written, before it is: a kill may leave a line without
its file, never a file without its line. Of a name that was written several times any line is right. Worker processes
add theirs; a line is one write, which the system keeps whole. Other machines, to which a shared disk does not promise
that, write a manifest each beside it. A run that has ended has one, with one line a file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from tenfold.core.errors import InputError, SystemFault
from tenfold.core.files import PARTIAL, parse_json, recording, write_bytes
from tenfold.core.output import UNFINISHED

MANIFEST = "manifest.jsonl"
MANIFEST_OF, OF_MACHINES = "manifest-{}.jsonl", "manifest-*.jsonl"
CHUNK = 2**20
PASSED_OVER = ("tensorboard", "Thumbs.db", "desktop.ini")
"""What other programs write among the files of a run."""


@contextmanager
def recorded(directory: Path, machine: str = "") -> Iterator[None]:
    """Inside, what is written under `directory` gets its line, in the manifest of another machine if one is named."""
    manifest = directory / (MANIFEST_OF.format(machine) if machine else MANIFEST)
    root = Path(os.path.realpath(directory))

    def record(written: Mapping[Path, str | None]) -> None:
        names = {Path(os.path.realpath(path)): digest for path, digest in written.items()}
        lines = [
            json.dumps({"file": path.relative_to(root).as_posix(), "sha256": digest}) + "\n"
            for path, digest in names.items()
            if root in path.parents
        ]
        if lines:
            _append(manifest, "".join(lines).encode())

    with recording(record):
        yield


def write_manifest(directory: Path) -> None:
    """The manifest of files that were written without one; they are all there is."""
    lines = [json.dumps({"file": file, "sha256": sha256_of(directory / file)}) + "\n" for file in files_in(directory)]
    write_bytes(directory / MANIFEST, "".join(lines).encode())


def verify(directory: Path, *, whole: bool = False) -> None:
    """See that every file is as it was written. One that is gone is no fault, unless `whole`: it is made again.

    Raises:
        InputError: a file is changed, or none of the run's; the message names it.
    """
    listed = _listed(directory)
    if whole and (gone := [file for file in listed if not (directory / file).is_file()]):
        raise InputError(f"{directory / gone[0]} is gone: put it back, or choose another --out")
    remedy = "choose another --out" if whole else "remove it, and the same command makes it again"
    for file in files_in(directory):
        path = directory / file
        if file not in listed:
            raise InputError(f"{path} is no file of the run in {directory}; move it away, or choose another --out")
        changed = None not in listed[file] and sha256_of(path) not in listed[file]
        if changed or path.is_symlink():
            raise InputError(
                f"{path} is not as the run has written it: it was changed or damaged. Put it back as "
                f"it was, or {remedy}"
            )


def tidy(directory: Path) -> None:
    """A line for each file that is there, in order: a run that was killed ends with the bytes of one that was not."""
    listed = _listed(directory)
    lines = []
    for file in sorted(file for file in listed if (directory / file).is_file()):
        digest = listed[file][-1]
        if len(set(listed[file])) > 1 and None not in listed[file]:
            digest = sha256_of(directory / file)  # the last line may be of one that a kill kept from coming
        lines.append(json.dumps({"file": file, "sha256": digest}) + "\n")
    write_bytes(directory / MANIFEST, "".join(lines).encode())
    for path in directory.glob(OF_MACHINES):
        path.unlink()


def verify_file(path: Path) -> None:
    """The same of one file that is about to be used, where a manifest lies beside it.

    Raises:
        InputError: it is changed.
    """
    if (path.parent / MANIFEST).is_file():
        digests = _listed(path.parent).get(path.name)
        if digests and None not in digests and sha256_of(path) not in digests:
            raise InputError(f"{path} is not as it was written: it was changed or damaged")


def files_in(directory: Path) -> Iterator[str]:
    """What a manifest of the directory lists, as it does; not what others put there."""
    for folder, folders, names in os.walk(directory):
        folders[:] = sorted(n for n in folders if n not in (*PASSED_OVER, UNFINISHED) and not n.endswith(PARTIAL))
        for path in (Path(folder, name) for name in sorted(names) if not _passed_over(name)):
            file = path.relative_to(directory).as_posix()
            if file != MANIFEST and not fnmatch(file, OF_MACHINES):
                yield file


def _listed(directory: Path) -> dict[str, list[str | None]]:
    """Relative path -> the hashes that the file may have, the newest last."""
    listed: dict[str, list[str | None]] = {}
    for path in (directory / MANIFEST, *sorted(directory.glob(OF_MACHINES))):
        if path.exists():
            _read(path, listed)
    return listed


def _read(path: Path, listed: dict[str, list[str | None]]) -> None:
    """Add the lines of one manifest to what others list."""
    *lines, cut = path.read_bytes().split(b"\n")
    if cut:  # by a full disk
        os.truncate(path, path.stat().st_size - len(cut))
    for line in lines:
        entry = parse_json(line, str(path))
        if not isinstance(entry, dict) or not isinstance(entry.get("file"), str):
            raise InputError(f"{path} is damaged; choose another --out")
        listed.setdefault(entry["file"], []).append(entry.get("sha256"))


def _passed_over(name: str) -> bool:
    """Hidden files of others, and of ours those that are nothing without the rest."""
    ours = name.endswith("checkpoint.safetensors")
    return (name.startswith(".") and not ours) or name in PASSED_OVER or name.startswith("tenfold-crash")


def sha256_of(path: Path) -> str:
    """The hash of a file, which is read a part at a time."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _append(path: Path, lines: bytes) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, lines)
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise SystemFault(f"cannot write {path}: {error.strerror or error}") from error
