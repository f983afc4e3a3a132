"""A job is the unit of work: a function, what it is to do as JSON, and fingerprints of what it reads.

Everything that takes long is a list of jobs and a summary of their results: trials of a study, arms of an adaptation,
trainings of a claim. A finished job is found again by its hash, which covers what decides the result and nothing
else.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file

from tenfold.core.errors import InputError, TenfoldError
from tenfold.core.files import read_json
from tenfold.core.types import ImageDataset
from tenfold.data.cache import ImageCache
from tenfold.runs.code import code_of

if TYPE_CHECKING:
    from tenfold.training.callbacks import Callback
    from tenfold.training.device import Device
    from tenfold.training.loop import TrainingLoop

Arrays = Mapping[str, npt.NDArray[Any]]
Function = Callable[[Mapping[str, Any], "Context"], Any]

KEPT = frozenset(("files", "result", "seconds", "peak_bytes"))
"""In result.json, at the least."""
CHECKPOINT = ".checkpoint.safetensors"
"""Of a training in a job that is not finished."""


@dataclass(frozen=True, eq=False)
class Job:
    """One piece of work, done in any process; two jobs of the same hash give the same result."""

    function: str
    """`module:name` of a function of (config, context) that returns JSON and may leave files in its directory."""
    config: Mapping[str, Any]
    """Plain JSON values: all that the function is told."""
    reads: Mapping[str, str] = field(default_factory=dict)
    """Name -> fingerprint of a set or of arrays that the run keeps, or of anything else outside the configuration."""
    needs: Mapping[str, Job] = field(default_factory=dict)
    """Name -> a job whose result or files it reads, and which is done before it."""
    modules: tuple[str, ...] = ()
    """Code that only the configuration names, such as `tenfold.methods.mixup`."""
    device: str = "cpu"
    """The kind of device (cpu, cuda, mps), of which the last digits of a result depend."""
    label: str = ""
    """For people: what it is."""
    kind: str = ""
    """Jobs of one kind take about as long and as much memory; those of the same function unless given."""
    cost: float = 1.0
    """About how long it takes, next to other jobs; only for telling the time left."""

    @cached_property
    def hash(self) -> str:
        """16 hex digits over all that decides the result; the name of the job's directory."""
        outline = {
            "function": self.function,
            "config": self.config,
            "reads": self.reads,
            "needs": {name: job.hash for name, job in self.needs.items()},
            "code": code_of(self.function, self.modules),
            "device": self.device,
        }
        return hashlib.sha256(json.dumps(outline, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def alike(self) -> str:
        """What jobs of this kind have in common."""
        return self.kind or self.function

    def load(self) -> Function:
        """The function itself."""
        module, _, name = self.function.partition(":")
        function: Function = getattr(importlib.import_module(module), name)
        return function


@dataclass(frozen=True, eq=False)
class Finished:
    """A job that is done."""

    job: Job
    result: Any
    """As JSON gives it back: lists for tuples, text for the keys of objects."""
    seconds: float
    peak_bytes: int | None = None
    """The most memory that its process held meanwhile; on a GPU, the GPU's."""
    found: bool = False
    """An earlier run had done it."""
    failure: TenfoldError | None = None
    """Why there is no result. That is not kept: the same command tries again, which more memory may mend."""


def _no_steps(count: int = 1, note: str = "") -> None:
    """In a worker process, whose parent hears of whole jobs alone."""


@dataclass(frozen=True, eq=False)
class Context:
    """What a job is given beside its configuration."""

    device: Device
    directory: Path
    """Its own, for files that belong to its result and for checkpoints, which a job done again finds there."""
    sets: Mapping[str, Path] = field(default_factory=dict)
    """By the names of what it reads: where that lies."""
    results: Mapping[str, tuple[Any, Path]] = field(default_factory=dict)
    """By the names of what it needs: the result, None where that has failed, and the directory."""
    deadline: float | None = None
    """On the clock of `time.time`: what it does later is of no use."""
    advance: Callable[..., None] = _no_steps
    """Tell that (1) so many steps are done, with a note; heard where jobs are done one after the other."""

    def data(self, name: str) -> ImageDataset:
        """A set that it reads; the images are mapped from disk, and every process has the same copy."""
        return _set_at(self.sets[name])

    def arrays(self, name: str) -> Arrays:
        """Arrays that it reads, by their names."""
        return _arrays_at(self.sets[name])

    def loop(self, name: str = "", callbacks: Sequence[Callback] = ()) -> TrainingLoop:
        """For a training of the job, named where there are several: one that was killed goes on at its checkpoint."""
        from tenfold.training.loop import TrainingLoop

        return TrainingLoop(self.device, callbacks, self.directory / name / CHECKPOINT)

    def needed(self, name: str) -> tuple[Any, Path]:
        """The result of a job that it needs, None where that has failed, and where that one's files are."""
        return self.results[name]


@functools.lru_cache(maxsize=8)
def _set_at(path: Path) -> ImageDataset:
    return ImageCache(path.parent).open(path)


@functools.lru_cache(maxsize=64)
def _arrays_at(path: Path) -> Arrays:
    return load_file(path)


def kept_record(path: Path) -> dict[str, Any]:
    """What a finished job has left in its result.json.

    Raises:
        InputError: it holds something else, which was put there.
    """
    record = read_json(path)
    names = record.get("files") if isinstance(record, dict) else None
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names) and set(record) >= KEPT):
        raise InputError(f"{path} is not what a job leaves; remove it, and the same command makes it again")
    return dict(record)


def fingerprint_of(arrays: Arrays) -> str:
    """16 hex digits over the names, shapes, types and values of arrays."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]
