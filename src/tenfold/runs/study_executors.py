"""Running trials: in worker processes of one thread each, the finished ones skipped, within a time budget.

Two threads in one small network are slower than one, so the way to use two cores is two trials.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from pathlib import Path

from tenfold.core.errors import SystemFault
from tenfold.core.types import ImageDataset, Trial
from tenfold.evaluation import Look
from tenfold.runs.plan import Plan, Settled, Task
from tenfold.runs.trial import load_trial, run_trial, save_trial
from tenfold.runs.workers import deaf_to_interrupts, start_worker
from tenfold.training.device import one_thread

Report = Callable[[Trial, bool], None]
"""Called for each trial as it becomes known: (trial, whether it was found finished)."""

GRACE = 1.05
"""Of the budget: a repeat that is nearly through is not broken off for a few seconds."""


@dataclass(frozen=True)
class Limits:
    """When to stop before all repeats are done."""

    budget_seconds: float | None = None
    started: float = field(default_factory=time.monotonic)
    """The monotonic clock when the command began: what came before the trials is part of the budget."""
    tail_seconds: Callable[[Sequence[Trial]], float] = lambda trials: 0.0
    """What the command still has to do once the trials are done, judged by the trials so far."""
    p_value: Callable[[Sequence[Trial]], float] | None = None
    """Of the primary comparison, for the planned looks."""


@dataclass(frozen=True)
class Done:
    """What was finished: every arm in it has all folds of all repeats in it."""

    trials: tuple[Trial, ...]
    """In the order of the plan's arms."""
    looks: tuple[Look, ...] = ()
    left_out: tuple[str, ...] = ()
    """Arms for which the budget did not last."""


def run_trials(
    plan: Plan, data: ImageDataset, directory: Path, *, workers: int, limits: Limits, report: Report
) -> Done:
    """Do what the plan asks for, repeat by repeat, as far as the limits allow.

    A repeat is begun only if the budget lets it end, judged by the time that the trials so far have taken. Where
    the judgement was wrong the repeat is broken off and does not count; where that is the first one, the arms
    that were through are kept. After the planned looks the study ends early if the case is clear.

    Raises:
        SystemFault: a worker process was killed from outside.
    """
    clock = _Clock(limits, workers)
    trials: list[Trial] = []
    looks: list[Look] = []
    left_out: tuple[str, ...] = ()
    with _pool(plan, data, workers) as pool:
        for repeat in range(plan.repeats):
            if repeat and not clock.allows_repeat(trials, repeat):
                break
            finished = _run_repeat(plan, repeat, directory / "trials", pool, clock, trials, report)
            whole = {arm.name for arm in plan.arms if _count(finished, arm.name) == plan.fold_plan.folds}
            left_out = tuple(arm.name for arm in plan.arms if arm.name not in whole)
            if left_out and repeat:
                left_out = ()
                break
            trials += [trial for trial in finished if trial.arm in whole]
            if left_out:
                break
            if limits.p_value is not None and repeat + 1 < plan.repeats and repeat + 1 in plan.looks:
                p_value = limits.p_value(trials)
                looks.append(Look(repeat + 1, p_value, stopped=p_value < plan.stop_below))
                if looks[-1].stopped:
                    break
    order = [arm.name for arm in plan.arms]
    ordered = sorted(trials, key=lambda trial: (order.index(trial.arm), trial.repeat, trial.fold))
    return Done(tuple(ordered), tuple(looks), left_out)


def _count(trials: Sequence[Trial], arm: str) -> int:
    return sum(trial.arm == arm for trial in trials)


class _TimeIsUp(Exception):
    pass


class _Clock:
    """What is left of the budget. Found trials count with the time that they took when they were made."""

    def __init__(self, limits: Limits, workers: int) -> None:
        self.limits = limits
        self.workers = workers

    def allows_repeat(self, trials: Sequence[Trial], repeats: int) -> bool:
        """Whether one more repeat, as long as those before, would end in time."""
        if self.limits.budget_seconds is None:
            return True
        spent = self._work(trials)
        used = max(spent, time.monotonic() - self.limits.started)
        return used + spent / repeats + self.limits.tail_seconds(trials) <= self.limits.budget_seconds

    def left(self, trials: Sequence[Trial]) -> float | None:
        """Seconds until trials must end, with a little grace for a repeat that is nearly through."""
        if self.limits.budget_seconds is None:
            return None
        end = self.limits.started + GRACE * self.limits.budget_seconds - self.limits.tail_seconds(trials)
        return max(0.0, end - time.monotonic())

    def _work(self, trials: Sequence[Trial]) -> float:
        return sum(trial.wall_seconds for trial in trials) / self.workers


def _run_repeat(
    plan: Plan, repeat: int, directory: Path, pool: _Pool, clock: _Clock, before: list[Trial], report: Report
) -> list[Trial]:
    """The trials of one repeat, fewer where the time was up."""
    tasks = list(plan.tasks(repeat, cheapest_first=repeat == 0 and clock.limits.budget_seconds is not None))
    awaits = {arm.name: arm.awaits_baseline for arm in plan.arms}
    found = {task: load_trial(directory / plan.trial_hash(task)) for task in tasks}
    finished = [trial for trial in found.values() if trial is not None]
    for trial in finished:
        report(trial, True)
    missing = [task for task in tasks if found[task] is None]
    first = [task for task in missing if task.arm.name == plan.baseline]
    first += [task for task in missing if task not in first and not awaits[task.arm.name]]
    try:
        for part in (first, [task for task in missing if task not in first]):
            jobs = [(task, _settled(finished, plan.baseline, task.fold)) for task in part]
            for task, trial in pool(jobs, lambda: clock.left([*before, *finished])):
                save_trial(directory / plan.trial_hash(task), trial)
                finished.append(trial)
                report(trial, False)
    except _TimeIsUp:
        pass
    return finished


def _settled(trials: Sequence[Trial], baseline: str, fold: int) -> Settled | None:
    """What the baseline has chosen in this fold; None as long as it has not, or where it failed."""
    chosen = (trial.details.get("settled") for trial in trials if trial.arm == baseline and trial.fold == fold)
    return next(chosen, None)


TimeLeft = Callable[[], float | None]
Job = tuple[Task, Settled | None]
_Pool = Callable[[list[Job], TimeLeft], Iterator[tuple[Task, Trial]]]
"""Does jobs and yields each as it is finished. Raises _TimeIsUp, and is then of no further use."""


@contextmanager
def _pool(plan: Plan, data: ImageDataset, workers: int) -> Iterator[_Pool]:
    if workers == 1:
        with one_thread():
            yield lambda jobs, left: _one_after_another(plan, data, jobs, left)
        return
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    with ProcessPoolExecutor(workers, context, _start_worker, (data, plan, stop, os.getpid())) as executor:
        try:
            yield lambda jobs, left: _as_completed(executor, stop, jobs, left)
        except BrokenProcessPool as error:
            raise SystemFault(
                "a worker process ended before its time. Either the memory was short: start the same command again "
                "with --workers 1, the finished trials are kept. Or tenfold was called from a script without "
                "`if __name__ == '__main__':`, which worker processes need"
            ) from error
        except BaseException:
            stop.set()  # workers leave at once; otherwise the pool would wait for trials nobody wants
            raise


def _one_after_another(
    plan: Plan, data: ImageDataset, jobs: list[Job], left: TimeLeft
) -> Iterator[tuple[Task, Trial]]:
    seconds_of: dict[str, float] = {}
    for task, settled in jobs:
        # A trial in this process cannot be broken off: begin none that would not end in time.
        remaining = left()
        if remaining is not None and remaining <= seconds_of.get(task.arm.name, 0.0):
            raise _TimeIsUp
        trial = run_trial(data, plan, task, settled)
        seconds_of[task.arm.name] = trial.wall_seconds
        yield task, trial


def _as_completed(
    executor: ProcessPoolExecutor, stop: Event, jobs: list[Job], left: TimeLeft
) -> Iterator[tuple[Task, Trial]]:
    waiting: dict[Future[Trial], Task]
    with deaf_to_interrupts():  # workers start as tasks are submitted, and inherit it
        waiting = {executor.submit(_run_in_worker, *job): job[0] for job in jobs}
    while waiting:
        done = wait(waiting, timeout=left(), return_when=FIRST_COMPLETED).done
        if not done:
            stop.set()
            raise _TimeIsUp
        for future in done:
            yield waiting.pop(future), future.result()


_worker: tuple[ImageDataset, Plan]


def _start_worker(data: ImageDataset, plan: Plan, stop: Event, parent: int) -> None:
    global _worker
    _worker = (data, plan)
    start_worker(stop, parent)


def _run_in_worker(task: Task, settled: Settled | None) -> Trial:
    return run_trial(*_worker, task, settled)
