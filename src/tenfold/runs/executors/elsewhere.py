"""A job that is done on another machine: by the same code, on one thread, in a copy if no directory is shared."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import InputError, SystemFault
from tenfold.core.files import write_bytes, write_many
from tenfold.runs import Finished, Job
from tenfold.runs.directory import RunDirectory
from tenfold.runs.executors import perform
from tenfold.training.deadline import TimeIsUp
from tenfold.training.device import Device, one_thread

Files = Mapping[str, npt.NDArray[np.uint8]]
"""Relative path -> the bytes of a file, which need no copy where memory is shared."""

CHUNK = 2**24
"""Bytes that are written at once."""


def perform_there(job: Job, run: RunDirectory, device: Device, deadline: float | None) -> Finished | None:
    """`perform` on a machine that was given the job; None where its time was up.

    Raises:
        SystemFault: another version of tenfold is installed there, whose results may be others.
    """
    if replace(job).hash != job.hash:  # the new one is not told its hash
        raise SystemFault("another version of tenfold is installed where jobs are done; install the same one there")
    if device.kind == "cuda":
        device = replace(device, name="cuda:0")  # the only one that a job is shown
    with one_thread(), suppress(TimeIsUp):
        return perform(job, run, device, deadline, machine=socket.gethostname())
    return None


def perform_in_copy(
    job: Job, sets: Mapping[str, Path], needed: Mapping[str, Files], device: Device, deadline: float | None
) -> tuple[Finished | None, Files]:
    """The same where the run's directory cannot be reached; also the files of the job's directory.

    Args:
        sets: fingerprint of what it reads -> where that lies on this machine.
        needed: name of a job that it needs -> the files of that one's directory.
    """
    with tempfile.TemporaryDirectory(prefix="tenfold-") as folder:
        run = RunDirectory(Path(folder), dict(sets))
        for name, files in needed.items():
            keep_files(run.of(job.needs[name]), files)
        finished = perform_there(job, run, device, deadline)
        return finished, contents_of(run.of(job))


def contents_of(directory: Path) -> Files:
    """All files of a job's directory."""
    found = sorted(path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): np.fromfile(path, np.uint8) for path in found}


def files_of_set(path: Path) -> Files:
    """What a run keeps of a set, a folder or a file, under its name."""
    if path.is_file():
        return {path.name: np.fromfile(path, np.uint8)}
    return {f"{path.name}/{name}": content for name, content in contents_of(path).items()}


def keep_files(place: Path, files: Files) -> None:
    """Write the files of a job's directory, the result last: with it the job counts as done."""
    for name in sorted(files, key=lambda name: name == "result.json"):
        write_bytes(place / name, files[name].tobytes())


def keep_set(place: Path, files: Files) -> None:
    """Write a set that jobs on this machine read, whole or not at all; nothing where another process has done so."""
    try:
        write_many(place, ((name, _chunks(content)) for name, content in files.items()))
    except (InputError, SystemFault):
        if not place.is_dir() or not any(place.iterdir()):
            raise


def _chunks(content: npt.NDArray[np.uint8]) -> Iterator[bytes]:
    for start in range(0, len(content), CHUNK):
        yield content[start : start + CHUNK].tobytes()
