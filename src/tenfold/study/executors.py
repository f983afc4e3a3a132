"""Running trials: in worker processes of one thread each, the finished ones skipped, within a time budget.

Two threads in one small network are slower than one, so the way to use two cores is two trials.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

import torch

from tenfold.core.errors import SystemFault
from tenfold.core.types import ImageDataset, Trial
from tenfold.nets.threads import one_thread
from tenfold.study.plan import Plan, Task
from tenfold.study.trial import load_trial, run_trial, save_trial

Report = Callable[[Trial, bool], None]
"""Called for each trial as it becomes known: (trial, whether it was found finished)."""


def run_trials(
    plan: Plan, data: ImageDataset, directory: Path, *, workers: int, budget_seconds: float | None, report: Report
) -> list[Trial]:
    """Do what the plan asks for, repeat by repeat, and return all trials in the order of the plan's arms.

    A repeat is begun only if the budget lets it end, judged by the time that the trials so far have taken; the
    first is always done. Trial times come from the trials' own records, so that a study which is killed and
    started again decides as an undisturbed one does.

    Raises:
        SystemFault: a worker process was killed from outside.
    """
    trials: list[Trial] = []
    with _pool(plan, data, workers) as run:
        for repeat in range(plan.repeats):
            spent = sum(trial.wall_seconds for trial in trials) / workers
            if budget_seconds is not None and repeat and spent * (repeat + 1) / repeat > budget_seconds:
                break
            trials += _run_repeat(plan, repeat, directory / "trials", run, report)
    order = [arm.name for arm in plan.arms]
    return sorted(trials, key=lambda trial: (order.index(trial.arm), trial.repeat, trial.fold))


Run = Callable[[list[Task]], Iterator[tuple[Task, Trial]]]


def _run_repeat(plan: Plan, repeat: int, directory: Path, run: Run, report: Report) -> list[Trial]:
    tasks = list(plan.tasks(repeat))
    done = {task: load_trial(directory / plan.trial_hash(task)) for task in tasks}
    finished = {task: trial for task, trial in done.items() if trial is not None}
    for trial in finished.values():
        report(trial, True)
    for task, trial in run([task for task in tasks if task not in finished]):
        save_trial(directory / plan.trial_hash(task), trial)
        finished[task] = trial
        report(trial, False)
    return [finished[task] for task in tasks]


@contextmanager
def _pool(plan: Plan, data: ImageDataset, workers: int) -> Iterator[Run]:
    if workers == 1:
        with one_thread():
            yield lambda tasks: ((task, run_trial(data, plan, task)) for task in tasks)
        return
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    with ProcessPoolExecutor(workers, context, _start_worker, (data, plan, stop, os.getpid())) as executor:
        try:
            yield lambda tasks: _as_completed(executor, tasks)
        except BrokenProcessPool as error:
            raise SystemFault(
                "a worker process ended before its time. Either the memory was short: start the same command again "
                "with --workers 1, the finished trials are kept. Or tenfold was called from a script without "
                "`if __name__ == '__main__':`, which worker processes need"
            ) from error
        except BaseException:
            stop.set()  # workers leave at once; otherwise the pool would wait for trials nobody wants
            raise


def _as_completed(executor: ProcessPoolExecutor, tasks: list[Task]) -> Iterator[tuple[Task, Trial]]:
    waiting: dict[Future[Trial], Task]
    with _deaf_to_interrupts():  # workers start as tasks are submitted, and inherit it
        waiting = {executor.submit(_run_in_worker, task): task for task in tasks}
    while waiting:
        for future in wait(waiting, return_when=FIRST_COMPLETED).done:
            yield waiting.pop(future), future.result()


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Ctrl-C reaches every process of a terminal; only the parent is to decide what follows from it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers, and only it is interrupted
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


_worker: tuple[ImageDataset, Plan]


def _start_worker(data: ImageDataset, plan: Plan, stop: Event, parent: int) -> None:
    global _worker
    _worker = (data, plan)
    torch.set_num_threads(1)

    def leave_with_parent() -> None:
        while not stop.wait(0.5) and os.getppid() == parent:
            pass
        os._exit(130)

    threading.Thread(target=leave_with_parent, daemon=True).start()


def _run_in_worker(task: Task) -> Trial:
    return run_trial(*_worker, task)
