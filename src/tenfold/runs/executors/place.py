"""Where jobs are done: on this computer, unless `--on` names a cluster. Chosen once, for all that a verb does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.util import find_spec
from types import ModuleType

from tenfold.core.errors import InputError, did_you_mean
from tenfold.core.options import PROCESSES
from tenfold.runs.executors import Executor, Serial
from tenfold.runs.executors.processes import Processes
from tenfold.training.device import Device, available_cores, current_device

NEEDS = {PROCESSES: None, "ray": "ray", "slurm": "submitit"}
"""Place -> the package that it takes, which the extra of the place's name installs."""


@dataclass(frozen=True)
class Place:
    """What `--on` names."""

    kind: str = PROCESSES
    detail: str = ""
    """What follows the colon: an address, or options."""

    @classmethod
    def chosen(cls, text: str) -> Place:
        """The place of `processes`, `ray`, `ray://ADDRESS`, `slurm` or `slurm:partition=NAME,time=2h`.

        Raises:
            InputError: there is no such place, its extra is not installed, or an option cannot be used.
        """
        kind, _, detail = text.partition(":")
        if kind not in NEEDS or (kind == PROCESSES and detail):
            raise InputError(f"jobs cannot be done on '{text}'.{did_you_mean(kind, NEEDS)}")
        package = NEEDS[kind]
        if package and not find_spec(package):
            raise InputError(f"--on {kind} needs the extra: pip install 'tenfold[{kind}]'")
        if kind == "slurm":
            from tenfold.runs.executors.slurm import SlurmOptions

            SlurmOptions.read(detail)
        return cls(kind, text if detail.startswith("//") else detail)

    def executor(self, device: Device, workers: int | None) -> Executor:
        """What does the jobs there, so many at a time; unless given as many as the place bears."""
        if self.kind == "ray":
            executor: Executor = _ray().Ray(device, workers, self.detail or None)
            return executor
        if self.kind == "slurm":
            from tenfold.runs.executors.slurm import Slurm, SlurmOptions

            return Slurm(device, workers, SlurmOptions.read(self.detail))
        return Serial(device) if (workers or available_cores()) == 1 else Processes(device, workers)

    def cores(self) -> int:
        """Processor cores that its jobs share."""
        if self.kind == "ray":
            return int(_ray().cores(self.detail or None))
        if self.kind == "slurm":
            from tenfold.runs.executors.slurm import SlurmOptions

            return SlurmOptions.read(self.detail).cores()
        return available_cores()


def _ray() -> ModuleType:
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")  # it would print of lost workers among our results
    from tenfold.runs.executors import ray

    return ray


_place: ContextVar[Place | None] = ContextVar("place", default=None)


@contextmanager
def working_on(text: str) -> Iterator[None]:
    """Do the jobs of all that is called inside there.

    Raises:
        InputError: there is no such place, or its extra is not installed.
    """
    token = _place.set(Place.chosen(text))
    try:
        yield
    finally:
        _place.reset(token)


def executor_for(workers: int | None = None, device: Device | None = None) -> Executor:
    """As many jobs at a time as wished, or else as the place bears; a single one here is done in this process."""
    return (_place.get() or Place()).executor(device or current_device(), workers)


def cores_for_jobs() -> int:
    """Processor cores of the place where jobs are done: as many are done at a time unless fewer are wished."""
    return (_place.get() or Place()).cores()
