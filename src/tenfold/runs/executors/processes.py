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
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Self

import torch

from tenfold.core.errors import SystemFault
from tenfold.runs import Finished, Job
from tenfold.runs.directory import RunDirectory
from tenfold.runs.executors import Executor, Serial, perform
from tenfold.training.deadline import TimeIsUp
from tenfold.training.device import Device, available_cores, current_device


def executor_for(workers: int | None = None, device: Device | None = None) -> Executor:
    """As many jobs at a time as wished, or else as the device bears; a single one is done in this process."""
    device = device or current_device()
    return Serial(device) if (workers or available_cores()) == 1 else Processes(device, workers)


class Processes:
    """Worker processes on one device. They map what a job reads from the run's directory, and are sent none of it."""

    def __init__(self, device: Device, workers: int | None = None) -> None:
        """
        Args:
            workers: at a time; unless given as many as the device bears, which the first jobs of a kind tell.
        """
        self._device = device
        self._wished = workers
        self._bears: dict[str, int] = {}
        """Kind of job -> how many at a time."""
        self._running: dict[Future[Finished], Job] = {}
        self._workers: set[BaseProcess] = set()
        context = _context(device)
        self._pool = ProcessPoolExecutor(workers or available_cores(), context, start_worker, (dict(os.environ),))

    def accepts(self, job: Job) -> bool:
        return len(self._running) < (self._wished or self._bears.get(job.alike) or self._device.workers())

    def submit(self, job: Job, run: RunDirectory, deadline: float | None = None) -> None:
        others = set(multiprocessing.active_children())
        with _broken_pool_told(), deaf_to_interrupts():  # workers start as work is submitted, and inherit it
            self._running[self._pool.submit(perform, job, run, self._device, deadline)] = job
        self._workers |= set(multiprocessing.active_children()) - others

    def completed(self, timeout: float | None = None) -> list[Finished]:
        done = wait(self._running, timeout, FIRST_COMPLETED).done
        finished = []
        for future in done:
            job = self._running.pop(future)
            if isinstance(future.exception(), TimeIsUp):
                continue
            with _broken_pool_told():
                finished.append(replace(future.result(), job=job))
            if job.alike not in self._bears:
                self._bears[job.alike] = self._device.workers(finished[-1].peak_bytes)
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


@contextmanager
def _broken_pool_told() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise SystemFault(
            "a worker process ended before its time. Either the memory was short: start the same command again with "
            "--workers 1, what is finished is kept. Or tenfold was called from a script without "
            "`if __name__ == '__main__':`, which worker processes need"
        ) from error


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
