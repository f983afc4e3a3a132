"""Worker processes: one thread each, and an end when their parent wants or has one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from typing import Any, TypeVar

import torch

from tenfold.core.errors import SystemFault
from tenfold.training.device import one_thread

Result = TypeVar("Result")


def available_cores() -> int:
    """The cores that this process may use, which in a container may be fewer than the machine's."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def done_by_workers(
    function: Callable[..., Result], jobs: Sequence[tuple[Any, ...]], workers: int
) -> Iterator[tuple[int, Result]]:
    """Call the function with each job's arguments, and yield the job's number and what came of it as they end.

    With one worker they are done in this process, one after the other.

    Args:
        function: of a module, as worker processes import it.

    Raises:
        SystemFault: a worker process was killed from outside.
    """
    workers = min(workers, len(jobs))
    if workers <= 1:
        with one_thread():
            for number, job in enumerate(jobs):
                yield number, function(*job)
        return
    context = multiprocessing.get_context("spawn")
    stop, others = context.Event(), set(multiprocessing.active_children())
    with ProcessPoolExecutor(workers, context, start_worker, (stop, os.getpid())) as executor:
        try:
            with deaf_to_interrupts():  # workers start as work is submitted, and inherit it
                waiting: dict[Future[Result], int] = {
                    executor.submit(function, *job): number for number, job in enumerate(jobs)
                }
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BrokenProcessPool as error:
            raise SystemFault(
                "a worker process ended before its time; if the memory was short, start the same command again with "
                "--workers 1: what is finished is kept. A script that calls tenfold needs "
                "`if __name__ == '__main__':`"
            ) from error
        except BaseException:
            # Otherwise the pool would wait for work nobody wants; a worker that is still loading torch is deaf.
            stop.set()
            for worker in set(multiprocessing.active_children()) - others:
                worker.kill()
            raise


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


def start_worker(stop: Event, parent: int) -> None:
    """Called in a new worker: it trains on one thread, and leaves at once when told to or left alone."""
    torch.set_num_threads(1)

    def leave_with_parent() -> None:
        while not stop.wait(0.5) and os.getppid() == parent:
            pass
        os._exit(130)

    threading.Thread(target=leave_with_parent, daemon=True).start()
