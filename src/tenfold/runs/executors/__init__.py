"""Executors do jobs: one after the other, in worker processes, or on other machines.

A new one is one file with a class of `Executor`'s methods. It calls `perform` wherever it likes, as long as the run's
directory can be reached from there; the images lie in it, once.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from tenfold.core.errors import LESS_MEMORY, MethodFailed, TooLittleMemory
from tenfold.core.manifest import recorded
from tenfold.core.memory import give_back_freed
from tenfold.runs import CHECKPOINT, Context, Finished, Job
from tenfold.runs.directory import RunDirectory
from tenfold.training.checkpoint import checkpoints_in
from tenfold.training.deadline import TimeIsUp, ending_at
from tenfold.training.device import Device, one_thread, using
from tenfold.training.step import TrainingFailed, failing_for_memory

TRIES = 3
"""Of a job whose process or machine was lost, or that found too little memory."""


@dataclass
class Task:
    """A job that was handed over."""

    job: Job
    run: RunDirectory
    deadline: float | None
    tries: int = 0
    """That were lost."""
    late: bool = False
    """Its time was up."""

    def lost(self, failure: TooLittleMemory | None = None) -> Finished | None:
        """Count a try; None where it is to be done again, else how it has failed."""
        self.tries += 1
        if self.tries < TRIES:
            return None
        killed = f"its process was killed or its machine lost {TRIES} times, as where memory is short; {LESS_MEMORY}"
        return Finished(self.job, None, 0.0, failure=failure or TooLittleMemory(killed))


class Executor(Protocol):
    """Does jobs, in any order and as many at a time as it likes; inside `with` it holds what it takes for that."""

    def accepts(self, job: Job) -> bool:
        """Whether it would begin this job at once."""

    def submit(self, job: Job, run: RunDirectory, deadline: float | None = None) -> None:
        """Take a job on, all of whose needs are finished.

        Args:
            deadline: on the clock of `time.time`: what the job does later is of no use.
        """

    def completed(self, timeout: float | None = None) -> list[Finished]:
        """Wait for at least one job and give those that are finished; none where the seconds have passed.

        Raises:
            SystemFault: what did the jobs has failed.
        """

    def stop(self) -> None:
        """Break off whatever runs, at once where that can be done; nothing more is submitted."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: object, error: object, trace: object) -> None: ...


class Serial:
    """One job after the other, in this process and on one thread."""

    def __init__(self, device: Device, advance: Callable[..., None] | None = None) -> None:
        """
        Args:
            advance: told of the steps of the job that is being done, as `Context.advance`.
        """
        self._device = device
        self._advance = advance
        self._waiting: deque[tuple[Job, RunDirectory, float | None]] = deque()

    def accepts(self, job: Job) -> bool:
        return not self._waiting

    def submit(self, job: Job, run: RunDirectory, deadline: float | None = None) -> None:
        self._waiting.append((job, run, deadline))

    def completed(self, timeout: float | None = None) -> list[Finished]:
        """The next job's result; the timeout is not heard, but a job's trainings are broken off at its deadline."""
        job, run, deadline = self._waiting.popleft()
        with one_thread(), suppress(TimeIsUp):
            return [perform(job, run, self._device, deadline, self._advance)]
        return []

    def stop(self) -> None:
        self._waiting.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.stop()


def perform(
    job: Job,
    run: RunDirectory,
    device: Device,
    deadline: float | None = None,
    advance: Callable[..., None] | None = None,
    machine: str = "",
) -> Finished:
    """Do a job and keep its result, in whatever process this is; one that fails leaves none, and says why.

    Args:
        machine: the name of this one, unless it is that of the command.

    Raises:
        TimeIsUp: the deadline, on the clock of `time.time`, came in the middle of a training.
    """
    needed = {name: (run.result(of), run.of(of)) for name, of in job.needs.items()}
    steps = {} if advance is None else {"advance": advance}
    context = Context(device, run.of(job), run.sets(job), needed, deadline, **steps)
    start = time.monotonic()
    failure: TooLittleMemory | TrainingFailed | MethodFailed | None = None
    with recorded(run.path, machine):
        try:
            with using(device), checkpoints_in(run.of(job)), ending_at(deadline), failing_for_memory(device):
                result = job.load()(job.config, context)
                device.synchronise()
        except (TooLittleMemory, TrainingFailed, MethodFailed) as error:
            failure = error.with_traceback(None)
            failure.__cause__ = failure.__context__ = None  # their frames hold tensors
        _forget_checkpoints(run.of(job))  # before the result is there, after which nobody looks for them
        if failure is not None:
            give_back_freed()
            return Finished(job, None, round(time.monotonic() - start, 3), failure=failure)
        return run.store(job, result, round(time.monotonic() - start, 3), device.peak_bytes())


def _forget_checkpoints(place: Path) -> None:
    """And what a kill has left of one."""
    for checkpoint in list(place.rglob(f"*{CHECKPOINT}*")):
        checkpoint.unlink()
        with suppress(OSError):  # it holds something else
            checkpoint.parent.rmdir()
