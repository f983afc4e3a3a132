"""Jobs on a Slurm cluster, through submitit: what becomes ready at one time is one array of one core each.

What a job leaves lies in the run's directory, which all machines share. A listing of a folder there tells what has
ended; now and then the queue is asked, in one call, for jobs that have gone without an answer.
"""

from __future__ import annotations

import getpass
import math
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import submitit
from submitit.core.utils import DelayedSubmission, FailedJobError, FailedSubmissionError, pickle_load

from tenfold.core.configuration import Option, hash_of, read_strictly
from tenfold.core.errors import InputError, SystemFault, TooLittleMemory
from tenfold.core.files import PARTIAL
from tenfold.core.progress import note, parse_duration
from tenfold.runs import Finished, Job
from tenfold.runs.directory import RunDirectory
from tenfold.runs.executors import Task
from tenfold.runs.executors.elsewhere import perform_there
from tenfold.training.device import Device, available_cores

FOLDER = f".slurm{PARTIAL}"
"""In the run's directory: what submitit tells its jobs and they tell it; of no use once the run has ended."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0
"""Seconds between listings, which double while nothing ends."""
SECONDS_BETWEEN_QUESTIONS = 15.0
"""Put to the queue."""
MOST_AT_A_TIME = 256


@dataclass(frozen=True)
class SlurmOptions:
    """What `--on slurm:NAME=VALUE,...` asks for: each job's time and memory, and where it waits."""

    partition: str | None = None
    time: str = "1h"
    """After which a job is queued anew, three times at most; its trainings go on at their checkpoints."""
    memory: Annotated[float | None, Option("", min=0.1)] = None
    """GB a job; unless given what the cluster gives, which may be all of a machine."""
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    cluster: Literal["slurm", "local"] = "slurm"
    """local: processes of this computer, to try things out where there is no Slurm."""

    @classmethod
    def read(cls, text: str) -> SlurmOptions:
        """`partition=gpu,time=2h`; a first word without a name is the partition.

        Raises:
            InputError: there is no such option, a value cannot be used, or Slurm's commands are not there.
        """
        words = [word.strip() for word in text.split(",") if word.strip()]
        named = [word if "=" in word else f"partition={word}" for word in words]
        options = read_strictly(cls, dict(word.split("=", 1) for word in named), "slurm")
        _ = options.minutes
        if options.cluster == "slurm" and not shutil.which("sbatch"):
            raise InputError("--on slurm is for a computer with Slurm's commands; sbatch is not there")
        return options

    @property
    def minutes(self) -> int:
        """`time` as Slurm counts; a bare number is one of minutes, as in its own commands."""
        seconds = parse_duration(f"{self.time}m" if self.time.isdecimal() else self.time)
        return max(1, math.ceil(seconds / 60))

    def parameters(self, device: Device, workers: int) -> dict[str, Any]:
        """As submitit takes them."""
        plain = {
            "timeout_min": self.minutes,
            "nodes": 1,
            "tasks_per_node": 1,
            "cpus_per_task": 1,
            "mem_gb": self.memory,
        }
        named = {"partition": self.partition, "account": self.account, "qos": self.qos, "constraint": self.constraint}
        of_slurm = named | {"array_parallelism": workers, "signal_delay_s": min(90, 20 * self.minutes)}
        gpus = {"gpus_per_node": 1} if device.kind == "cuda" else {}
        asked = plain | gpus | {f"slurm_{name}": value for name, value in of_slurm.items()}
        return {name: value for name, value in asked.items() if value is not None}

    def cores(self) -> int:
        """Processor cores of the partition, as far as they are of use."""
        if self.cluster == "local":
            return available_cores()
        asked = ["sinfo", "--noheader", "--format=%C", *([f"--partition={self.partition}"] if self.partition else [])]
        totals = [int(line.rpartition("/")[2]) for line in _said(asked).split()]
        return max(1, min(sum(totals), MOST_AT_A_TIME))


@dataclass(frozen=True)
class Errand:
    """What a job of Slurm does: one of ours. It can be pickled, and be queued anew where it is broken off."""

    job: Job
    run: RunDirectory
    device: Device
    deadline: float | None

    def __call__(self) -> Finished | Exception | None:
        """As `perform_there`; what is wrong is given and not raised, as submitit would make it text."""
        try:
            return perform_there(self.job, self.run, self.device, self.deadline)
        except Exception as error:
            return error

    def checkpoint(self) -> DelayedSubmission:
        """Before its machine is taken away, or its time there is over."""
        return DelayedSubmission(self)


class Slurm:
    """Slurm's queue. A job that is killed, or lost with its machine, is done again."""

    def __init__(self, device: Device, workers: int | None, options: SlurmOptions) -> None:
        """
        Args:
            workers: jobs at a time; unless given as many as the partition has cores.
        """
        self._device = device
        self._workers = workers or options.cores()
        self._options = options
        self._waiting: deque[Task] = deque()
        self._running: dict[str, tuple[Task, Any]] = {}
        """Name of a job's answer -> the task, and submitit's job."""
        self._queue: Any = None
        self._folder, self._name = Path(), ""
        self._unheard: set[str] = set()
        """Answers that were missing when their jobs had left the queue."""
        self._asked = 0.0
        """When the queue was asked, on the monotonic clock."""

    def accepts(self, job: Job) -> bool:
        return len(self._running) + len(self._waiting) < self._workers

    def submit(self, job: Job, run: RunDirectory, deadline: float | None = None) -> None:
        self._waiting.append(Task(job, run, deadline))

    def completed(self, timeout: float | None = None) -> list[Finished]:
        until = math.inf if timeout is None else time.monotonic() + timeout
        pause = FIRST_PAUSE
        while True:
            self._send()
            ended = self._ended()
            finished = [one for one in map(self._outcome, ended) if one is not None]
            left = until - time.monotonic()
            if finished or left <= 0 or any(task.late for task, _ in ended):
                return finished
            time.sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_PAUSE)

    def stop(self) -> None:
        self._waiting.clear()
        jobs = [job for _, job in self._running.values()]
        self._running.clear()
        if self._options.cluster == "local":
            for job in jobs:
                job.cancel()
            while not all(job.done() for job in jobs):
                time.sleep(FIRST_PAUSE)
        elif jobs:
            _cancelled(sorted({job.job_id.partition("_")[0] for job in jobs}))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.stop()
        if self._queue is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _send(self) -> None:
        """All that wait, as one array."""
        if not self._waiting:
            return
        queue = self._queue or self._opened(self._waiting[0].run)
        jobs = []
        try:
            with queue.batch():
                for task in self._waiting:
                    errand = Errand(task.job, task.run.absolute(), self._device, task.deadline)
                    jobs.append(queue.submit(errand))
        except (FailedJobError, FailedSubmissionError) as error:
            raise InputError(f"Slurm takes no job: {_last_words(str(error))}") from error
        for task, job in zip(self._waiting, jobs, strict=True):
            self._running[job.paths.result_pickle.name] = task, job
        self._waiting.clear()
        self._asked = time.monotonic()

    def _opened(self, run: RunDirectory) -> Any:
        """The queue for jobs of this run; what a command that was killed has left in it is taken out."""
        self._folder = run.path.absolute() / FOLDER
        self._name = f"tenfold-{hash_of(str(self._folder))}"
        if self._options.cluster == "slurm":
            _cancelled([f"--name={self._name}", f"--user={getpass.getuser()}"])
        self._queue = submitit.AutoExecutor(self._folder, cluster=self._options.cluster)
        self._queue.update_parameters(name=self._name, **self._options.parameters(self._device, self._workers))
        return self._queue

    def _ended(self) -> list[tuple[Task, Any]]:
        """Those whose answer is there, and those of which none will come."""
        answers = {path.name for path in self._folder.iterdir()}
        if time.monotonic() - self._asked > (1.0 if self._options.cluster == "local" else SECONDS_BETWEEN_QUESTIONS):
            gone = self._gone() - answers
            answers |= gone & self._unheard  # twice, as a file may be late on a shared disk
            self._unheard = gone
            self._asked = time.monotonic()
        return [self._running.pop(name) for name in list(self._running) if name in answers]

    def _gone(self) -> set[str]:
        """Names of answers whose jobs are in the queue no more."""
        jobs = {name: job for name, (_, job) in self._running.items()}
        if self._options.cluster == "local":
            return {name for name, job in jobs.items() if job.done()}
        of_ours = [f"--user={getpass.getuser()}", f"--name={self._name}"]
        try:
            queued = set(_said(["squeue", "--noheader", "--array", "--format=%i", *of_ours]).split())
        except SystemFault:
            return set()  # it may be busy: nothing is known of any
        return {name for name, job in jobs.items() if job.job_id not in queued}

    def _outcome(self, ended: tuple[Task, Any]) -> Finished | None:
        """What came of a task; None where it is to be done again, or its time was up."""
        task, job = ended
        label = task.job.label or task.job.hash
        if not job.paths.result_pickle.exists():
            note(f"the Slurm job that did {label} was killed; it is done again")
            return self._again(task, None)
        kind, answer = pickle_load(job.paths.result_pickle)
        if kind == "error":  # it could not be loaded, or was queued anew too often
            raise SystemFault(f"Slurm could not do {label}: {_last_words(answer)}")
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            task.late = True
            return None
        if isinstance(answer.failure, TooLittleMemory):
            return self._again(task, answer.failure)
        return Finished(task.job, answer.result, answer.seconds, answer.peak_bytes, failure=answer.failure)

    def _again(self, task: Task, failure: TooLittleMemory | None) -> Finished | None:
        failed = task.lost(failure)
        if failed is None:
            self._waiting.append(task)
        return failed


def _said(command: Sequence[str]) -> str:
    """What a command of Slurm prints.

    Raises:
        SystemFault: it failed.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemFault(f"{command[0]} failed: {_last_words(done.stderr)}")
    return done.stdout


def _cancelled(words: Collection[str]) -> None:
    with suppress(SystemFault):  # they have ended
        _said(["scancel", *words])


def _last_words(text: str) -> str:
    """What went wrong, of all that a command or a traceback says."""
    return text.strip().rpartition("\n")[2].rpartition("error: ")[2]
