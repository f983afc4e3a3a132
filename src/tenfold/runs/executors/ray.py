"""Jobs as Ray tasks: a processor core each, and of a GPU the share that the first of its kind has taken.

Tasks map images from the run's directory, as worker processes do. On a machine that does not see the directory they
get sets from Ray's object store, into which each is put once, and the machine keeps one copy; what a job leaves
comes back the same way.
"""

from __future__ import annotations

import getpass
import logging
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import ray
import torch
from ray.exceptions import RayError, RayTaskError

from tenfold.core.errors import InputError, TooLittleMemory
from tenfold.core.files import PARTIAL, write_text
from tenfold.core.progress import note
from tenfold.runs import Finished, Job
from tenfold.runs.directory import RunDirectory
from tenfold.runs.executors import Task
from tenfold.runs.executors.elsewhere import (
    Files,
    contents_of,
    files_of_set,
    keep_files,
    keep_set,
    perform_in_copy,
    perform_there,
)
from tenfold.training.device import CONTEXT_BYTES, Device

UNSEEN = "the run's directory cannot be reached"
"""What a task gives in place of a result."""
Parcel = Mapping[str, Mapping[str, Any]]
"""`sets`: fingerprint -> reference to its files; `needed`: name -> reference to the files of a job."""


def connect(address: str | None) -> None:
    """Be a client of that Ray, of the one that RAY_ADDRESS names or that runs here, or of one that is started.

    It is left running until this process ends, as starting one takes seconds.

    Raises:
        InputError: nothing answers there.
    """
    if ray.is_initialized():
        return
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"no Ray answers at {address or 'its usual address'}: {error}") from error


def cores(address: str | None) -> int:
    """Processor cores of all machines of that Ray, at this time."""
    connect(address)
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


class Ray:
    """Ray's workers, on one machine or many. A job that is lost with its worker is done again, alone on a machine."""

    def __init__(self, device: Device, workers: int | None = None, address: str | None = None) -> None:
        """
        Args:
            workers: jobs at a time; unless given as many as there are cores. More make a cluster grow that can.
            address: as `ray.init` takes it.
        """
        self._device = device
        self._wished = workers
        self._cores = cores(address)
        self._running: dict[Any, Task] = {}
        self._shares: dict[str, float] = {}
        """Kind of job -> GPUs that one takes."""
        self._marks: dict[Path, str] = {}
        """Run's directory -> name of a file by which a task sees that it is the same there."""
        self._stored: dict[str, Any] = {}
        """Fingerprint or hash -> reference to files in the object store; empty while all see the directory."""
        self._copies = False

    def accepts(self, job: Job) -> bool:
        lost = any(task.tries for task in self._running.values())
        return not lost and len(self._running) < (self._wished or self._cores)

    def submit(self, job: Job, run: RunDirectory, deadline: float | None = None) -> None:
        self._begin(Task(job, run, deadline))

    def completed(self, timeout: float | None = None) -> list[Finished]:
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if until is None else max(0.0, until - time.monotonic())
            done, _ = ray.wait(list(self._running), timeout=left)
            tasks = {reference: self._running.pop(reference) for reference in done}
            ended = [self._ended(task, reference) for reference, task in tasks.items()]
            finished = [one for one in ended if one is not None]
            if finished or not done or any(task.late for task in tasks.values()):
                return finished

    def stop(self) -> None:
        for reference in self._running:
            with suppress(RayError):
                ray.cancel(reference, force=True)
        self._running.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.stop()
        for directory, mark in self._marks.items():
            (directory / mark).unlink(missing_ok=True)

    def _begin(self, task: Task) -> None:
        resources: dict[str, float] = {"num_cpus": _most_cores() if task.tries else 1}
        if self._device.kind == "cuda":
            resources["num_gpus"] = 1 if task.tries else self._shares.get(task.job.alike, 1)
        parcel = self._parcel(task) if self._copies else None
        remote = ray.remote(_do).options(max_retries=0, name=task.job.label or task.job.hash, **resources)
        job = (task.job, task.run.absolute(), self._mark(task.run), self._device, task.deadline)
        self._running[remote.remote(*job, parcel)] = task

    def _ended(self, task: Task, reference: Any) -> Finished | None:
        """What came of a task; None where it has begun again, or its time was up."""
        job = task.job
        try:
            answer = ray.get(reference)
        except RayTaskError as error:
            raise error.cause from error  # what was wrong in the job
        except RayError:
            note(f"the worker that did {job.label or job.hash} is lost; it is done again")
            return self._again(task, None)
        if answer == UNSEEN:
            self._copies = True
            self._begin(task)
            return None
        finished, files, gpu_bytes = answer
        if finished is None:
            task.late = True
            return None
        if isinstance(finished.failure, TooLittleMemory):
            return self._again(task, finished.failure)
        if gpu_bytes and finished.peak_bytes:
            self._shares.setdefault(job.alike, 1 / max(1, gpu_bytes // (finished.peak_bytes + CONTEXT_BYTES)))
        if files is not None:
            keep_files(task.run.of(job), files)
        return Finished(job, finished.result, finished.seconds, finished.peak_bytes, failure=finished.failure)

    def _again(self, task: Task, failure: TooLittleMemory | None) -> Finished | None:
        failed = task.lost(failure)
        if failed is None:
            self._begin(task)
        return failed

    def _mark(self, run: RunDirectory) -> str:
        if run.path not in self._marks:
            self._marks[run.path] = f".seen-{uuid.uuid4().hex}{PARTIAL}"  # what a kill leaves goes at the next start
            write_text(run.path / self._marks[run.path], "")
        return self._marks[run.path]

    def _parcel(self, task: Task) -> Parcel:
        """References to all that the job reads; each is put into the store when it is first asked for."""
        sets = {task.job.reads[name]: path for name, path in task.run.sets(task.job).items()}
        return {
            "sets": {print_: (self._put(print_, files_of_set, path), path.name) for print_, path in sets.items()},
            "needed": {name: self._put(of.hash, contents_of, task.run.of(of)) for name, of in task.job.needs.items()},
        }

    def _put(self, name: str, read: Callable[[Path], Files], path: Path) -> Any:
        if name not in self._stored:
            self._stored[name] = ray.put(read(path))
        return self._stored[name]


def _do(job: Job, run: RunDirectory, mark: str, device: Device, deadline: float | None, parcel: Parcel | None) -> Any:
    """In a worker of Ray: the job as finished, its files if the run's directory has not got them, a GPU's memory."""
    files = None
    if (run.path / mark).exists():
        finished = perform_there(job, run, device, deadline)
    elif parcel is None:
        return UNSEEN
    else:
        sets = {print_: _kept(print_, *stored) for print_, stored in parcel["sets"].items()}
        needed = {name: ray.get(reference) for name, reference in parcel["needed"].items()}
        finished, files = perform_in_copy(job, sets, needed, device, deadline)
    on_gpu = device.kind == "cuda"
    return finished, files, torch.cuda.get_device_properties(0).total_memory if on_gpu else None


def _kept(fingerprint: str, reference: Any, name: str) -> Path:
    """Where this machine has its one copy of a set; it is written unless it is there."""
    place = Path(tempfile.gettempdir()) / f"tenfold-{getpass.getuser()}" / fingerprint
    if not place.is_dir():
        keep_set(place, ray.get(reference))
    return place / name


def _most_cores() -> int:
    """Of one machine."""
    return int(max((node["Resources"].get("CPU", 1) for node in ray.nodes() if node["Alive"]), default=1))
