"""A study's trials, repeat by repeat: interim looks between them, within a time budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tenfold.core.errors import InputError
from tenfold.core.types import ImageDataset, Trial
from tenfold.evaluation import Look
from tenfold.runs import Finished, Job
from tenfold.runs.directory import RunDirectory
from tenfold.runs.executors import Executor
from tenfold.runs.executors.place import cores_for_jobs, executor_for
from tenfold.runs.plan import Plan, Task
from tenfold.runs.runner import run_jobs
from tenfold.runs.trial_jobs import TrialJobs

Report = Callable[[Trial, bool], None]
"""Called for each trial as it becomes known: (trial, whether it was found finished)."""

GRACE = 1.05
"""Of the budget: a later repeat, which counts as a whole or not at all, is not broken off for a few seconds."""


@dataclass(frozen=True)
class Limits:
    """When to stop before all repeats are done."""

    budget_seconds: float | None = None
    started: float = field(default_factory=time.monotonic)
    """The monotonic clock when the command began: what came before the trials is part of the budget."""
    tail_seconds: Callable[[Sequence[Trial], int], float] = lambda trials, repeats: 0.0
    """What the command still has to do once so many repeats are done or begun, judged by the trials so far."""
    p_value: Callable[[Sequence[Trial]], float] | None = None
    """Of the primary comparison, for the interim looks."""

    def seconds_left(self, trials: Sequence[Trial], repeat: int = 0) -> float | None:
        """Until the trials of a repeat must end, judged by all trials so far; None is no limit."""
        if self.budget_seconds is None:
            return None
        budget = self.budget_seconds * (GRACE if repeat else 1.0)
        return max(0.0, self.started + budget - self.tail_seconds(trials, repeat + 1) - time.monotonic())


@dataclass(frozen=True)
class Done:
    """What was finished: whole repeats, or a part of the first one."""

    trials: tuple[Trial, ...]
    """In the order of the plan's arms."""
    looks: tuple[Look, ...] = ()
    broken_off: bool = False
    """Whether the time was up in the first repeat, so that arms lack folds of it."""
    classifiers: Mapping[int, Path] = field(default_factory=dict)
    """Fold -> where the classifier lies that the baseline's trial of the first repeat has trained."""


def run_trials(
    plan: Plan, data: ImageDataset, run: RunDirectory, *, workers: int | None, limits: Limits, report: Report
) -> Done:
    """Do what the plan asks for, repeat by repeat, as far as the limits allow.

    Of the first repeat counts what was finished. A later one is begun only if the budget lets it end, judged by the
    time that the trials so far have taken; where the judgement was wrong it is broken off and does not count. After
    the interim looks the study ends early if the case is clear.

    Raises:
        SystemFault: a worker process was killed from outside.
    """
    at_a_time = workers or cores_for_jobs()
    jobs = TrialJobs(plan, data, run)
    trials: list[Trial] = []
    looks: list[Look] = []
    classifiers: dict[int, Path] = {}
    broken_off = False
    with executor_for(workers) as executor:
        for repeat in range(plan.repeats):
            if repeat and not _allows_repeat(limits, trials, repeat, at_a_time):
                break
            tasks = jobs.of_repeat(repeat, cheapest_first=repeat == 0 and limits.budget_seconds is not None)
            time_left = partial(_time_left, limits, tuple(trials), repeat)
            finished = _run_repeat(tasks, run, executor, time_left, report)
            if repeat == 0:
                classifiers = jobs.kept_classifiers(tasks)
            broken_off = len(finished) < len(tasks)
            if broken_off and repeat:
                broken_off = False
                break
            trials += finished
            if broken_off:
                break
            if limits.p_value is not None and repeat + 1 < plan.repeats and repeat + 1 in plan.looks:
                p_value = limits.p_value(trials)
                looks.append(Look(repeat + 1, p_value, stopped=p_value < plan.stop_below))
                if looks[-1].stopped:
                    break
    order = [arm.name for arm in plan.arms]
    ordered = sorted(trials, key=lambda trial: (order.index(trial.arm), trial.repeat, trial.fold))
    return Done(tuple(ordered), tuple(looks), broken_off, classifiers)


def _allows_repeat(limits: Limits, trials: Sequence[Trial], repeats: int, at_a_time: int) -> bool:
    """Whether one more repeat, as long as those before, would end in time.

    Found trials count with the time that they took when they were made.
    """
    if limits.budget_seconds is None:
        return True
    spent = sum(trial.wall_seconds for trial in trials) / at_a_time
    used = max(spent, time.monotonic() - limits.started)
    return used + spent / repeats + limits.tail_seconds(trials, repeats + 1) <= limits.budget_seconds


def _time_left(limits: Limits, before: Sequence[Trial], repeat: int, finished: Sequence[Trial]) -> float | None:
    return limits.seconds_left([*before, *finished], repeat)


def _run_repeat(
    jobs: Mapping[Task, Job],
    run: RunDirectory,
    executor: Executor,
    time_left: Callable[[Sequence[Trial]], float | None],
    report: Report,
) -> list[Trial]:
    """The trials of one repeat, fewer where the time was up."""
    finished: list[Trial] = []
    tasks = {job.hash: task for task, job in jobs.items()}
    for one in run_jobs(list(jobs.values()), run, executor, time_left=lambda: time_left(finished)):
        if (task := tasks.get(one.job.hash)) is not None:  # and no training that they share
            reason = one.failure and str(one.failure)
            failed = reason and Trial.of_failure(task.arm.name, task.repeat, task.fold, reason, one.seconds)
            finished.append(failed or trial_of(one))
            report(finished[-1], one.found)
    return finished


def trial_of(finished: Finished) -> Trial:
    """What a trial's job gave.

    Raises:
        InputError: the run's directory holds something else in its place.
    """
    import pydantic

    try:
        return pydantic.TypeAdapter(Trial).validate_python(finished.result)
    except pydantic.ValidationError as error:
        raise InputError(
            f"the result of {finished.job.label or finished.job.hash} is not that of a trial; choose another --out"
        ) from error
