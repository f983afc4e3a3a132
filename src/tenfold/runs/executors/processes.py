"""Jobs in worker processes of this machine: one thread each, and an end when their parent wants or has one.

Two threads in one small network are slower than one, so the way to use two cores is two jobs.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Self

import torch

from tenfold.core.errors import LESS_MEMORY, SystemFault, TooLittleMemory
from tenfold.core.progress import note
from tenfold.runs import Finished, Job
from tenfold.runs.directory import RunDirectory
from tenfold.runs.executors import Task, perform
from tenfold.training.deadline import TimeIsUp
from tenfold.training.device import Device, available_cores


class Processes:
    """Worker processes on one device. They map what a job reads from the run's directory, and are sent none of it.

    A job that finds too little memory, or whose process is killed, is done once more, alone, and of its kind fewer
    are done at a time from there on. Where it ends so again it has failed, and the others go on.
    """

    def __init__(self, device: Device, workers: int | None = None) -> None:
        """
        Args:
            workers: at a time; unless given as many as the device bears, which the first jobs of a kind tell.
        """
        self._device = device
        self._wished = workers
        self._bears: dict[str, int] = {}
        """Kind of job -> how many at a time."""
        self._running: dict[Future[Finished], Task] = {}
        self._again: deque[Task] = deque()
        self._workers: set[BaseProcess] = set()
        self._pool = self._new_pool()

    def accepts(self, job: Job) -> bool:
        alone = self._again or any(task.tries for task in self._running.values())
        return not alone and len(self._running) < self._most(job)

    def submit(self, job: Job, run: RunDirectory, deadline: float | None = None) -> None:
        self._begin(Task(job, run, deadline))

    def completed(self, timeout: float | None = None) -> list[Finished]:
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            if self._again and not self._running:
                self._begin(self._again.popleft())
            done = wait(self._running, until and max(0.0, until - time.monotonic()), FIRST_COMPLETED).done
            if any(isinstance(future.exception(), BrokenProcessPool) for future in done):
                self._replace_pool()
                done = set(self._running)  # none of them runs any more
            late = any(isinstance(future.exception(), TimeIsUp) for future in done)
            ended = [self._ended(self._running.pop(future), future) for future in done]
            finished = [one for one in ended if one is not None]
            if finished or late or not done:
                return finished

    def stop(self) -> None:
        """Workers are killed: one that is still loading torch, or is killed from outside, heeds no signal."""
        for worker in self._workers:
            worker.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is not None or self._running:
            self.stop()
        self._pool.shutdown(cancel_futures=True)

    def _most(self, job: Job) -> int:
        return self._bears.get(job.alike) or self._wished or self._device.workers()

    def _begin(self, task: Task) -> None:
        others = set(multiprocessing.active_children())
        try:
            with deaf_to_interrupts():  # workers start as work is submitted, and inherit it
                future = self._pool.submit(perform, task.job, task.run, self._device, task.deadline)
        except BrokenProcessPool:
            if self._running:
                self._again.append(task)  # what has ended meanwhile comes first
                return
            self._replace_pool()
            self._begin(task)
            return
        self._running[future] = task
        self._workers |= set(multiprocessing.active_children()) - others

    def _ended(self, task: Task, future: Future[Finished]) -> Finished | None:
        """What came of a task; None where it is to be done again, or its time was up."""
        job, error = task.job, future.exception()
        if isinstance(error, TimeIsUp):
            return None
        if isinstance(error, BrokenProcessPool):
            killed = TooLittleMemory(f"its process was killed twice, as where memory is short; {LESS_MEMORY}")
            finished = Finished(job, None, 0.0, failure=killed)
        else:
            finished = replace(future.result(), job=job)
        if isinstance(finished.failure, TooLittleMemory):
            self._bears[job.alike] = max(1, self._most(job) // 2)
            task.tries += 1
            if task.tries == 1:
                self._again.append(task)
                return None
        elif job.alike not in self._bears and not self._wished:
            self._bears[job.alike] = self._device.workers(finished.peak_bytes)
        return finished

    def _new_pool(self) -> ProcessPoolExecutor:
        most = self._wished or available_cores()
        return ProcessPoolExecutor(most, _context(self._device), start_worker, (dict(os.environ),))

    def _replace_pool(self) -> None:
        """After a worker was killed, which ends the others of its pool.

        Raises:
            SystemFault: it ended by itself instead, as all that come after it would.
        """
        self._pool.shutdown()
        if all(worker.exitcode in (None, 0, 1, -signal.SIGTERM) for worker in self._workers):
            raise SystemFault(
                "a worker process ended before its time. Either the memory was short: start the same command again "
                "with --workers 1, what is finished is kept. Or tenfold was called from a script without "
                "`if __name__ == '__main__':`, which worker processes need"
            )
        note(
            "a worker process was killed, as happens where memory is short; what was being done is done again, one "
            "at a time"
        )
        self._workers, self._pool = set(), self._new_pool()


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Workers that are started inside inherit it: Ctrl-C reaches every process of a terminal, and only the parent is
    to decide what follows from it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers, and only it is interrupted
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _context(device: Device) -> BaseContext:
    """How workers begin.

    On Linux they are forked from a process that has done nothing but import: its pages are shared (18 MB of a worker
    are its own then, not 212) and a worker is there at once. With a GPU, and elsewhere, each imports for itself.
    """
    if sys.platform != "linux" or device.kind != "cpu":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tenfold.runs.trial"])
    return context


def start_worker(environment: dict[str, str]) -> None:
    """Called in a new worker: it trains on one thread, and leaves when it is left alone.

    Args:
        environment: of its parent, which may have changed since the process that it is forked from has begun.
    """
    gc.freeze()  # the collector would write to every object that is shared with the others, and make it a copy
    os.environ.clear()
    os.environ.update(environment)
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def leave_with_parent() -> None:
        parent.join()
        os._exit(130)

    threading.Thread(target=leave_with_parent, daemon=True).start()
