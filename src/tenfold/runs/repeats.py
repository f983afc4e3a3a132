"""A study's trials as jobs, repeat by repeat: interim looks between them, within a time budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial

from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset, Trial
from tenfold.data.splits import make_splits
from tenfold.evaluation import Look
from tenfold.runs import Job
from tenfold.runs.arms import Arm
from tenfold.runs.directory import RunDirectory
from tenfold.runs.executors import Executor
from tenfold.runs.executors.processes import executor_for
from tenfold.runs.plan import Plan, Task, TrialConfig
from tenfold.runs.runner import run_jobs
from tenfold.training.device import available_cores, current_device

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
    """Of the primary comparison, for the interim looks."""


@dataclass(frozen=True)
class Done:
    """What was finished: every arm in it has all folds of all repeats in it."""

    trials: tuple[Trial, ...]
    """In the order of the plan's arms."""
    looks: tuple[Look, ...] = ()
    left_out: tuple[str, ...] = ()
    """Arms for which the budget did not last."""


def run_trials(
    plan: Plan, data: ImageDataset, run: RunDirectory, *, workers: int | None, limits: Limits, report: Report
) -> Done:
    """Do what the plan asks for, repeat by repeat, as far as the limits allow.

    A repeat is begun only if the budget lets it end, judged by the time that the trials so far have taken. Where
    the judgement was wrong the repeat is broken off and does not count; where that is the first one, the arms
    that were through are kept. After the interim looks the study ends early if the case is clear.

    Raises:
        SystemFault: a worker process was killed from outside.
    """
    clock = _Clock(limits, workers or available_cores())
    jobs = TrialJobs(plan, data, run)
    trials: list[Trial] = []
    looks: list[Look] = []
    left_out: tuple[str, ...] = ()
    with executor_for(workers) as executor:
        for repeat in range(plan.repeats):
            if repeat and not clock.allows_repeat(trials, repeat):
                break
            cheapest_first = repeat == 0 and limits.budget_seconds is not None
            tasks = jobs.of_repeat(repeat, cheapest_first=cheapest_first)
            time_left = partial(clock.left, list(trials))
            finished = _run_repeat(tasks, run, executor, time_left, report)
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

    def left(self, before: Sequence[Trial], finished: Sequence[Trial]) -> float | None:
        """Seconds until trials must end, with a little grace for a repeat that is nearly through."""
        if self.limits.budget_seconds is None:
            return None
        tail = self.limits.tail_seconds([*before, *finished])
        end = self.limits.started + GRACE * self.limits.budget_seconds - tail
        return max(0.0, end - time.monotonic())

    def _work(self, trials: Sequence[Trial]) -> float:
        return sum(trial.wall_seconds for trial in trials) / self.workers


def _run_repeat(
    jobs: Mapping[Task, Job],
    run: RunDirectory,
    executor: Executor,
    time_left: Callable[[Sequence[Trial]], float | None],
    report: Report,
) -> list[Trial]:
    """The trials of one repeat, fewer where the time was up."""
    finished: list[Trial] = []
    trials = {job.hash for job in jobs.values()}
    for one in run_jobs(list(jobs.values()), run, executor, time_left=lambda: time_left(finished)):
        if one.job.hash in trials:  # and no training that they share
            finished.append(Trial(**one.result))
            report(finished[-1], one.found)
    return finished


class TrialJobs:
    """The trials of a study as jobs, and in the run's directory what they read: the images and the splits, once."""

    def __init__(self, plan: Plan, data: ImageDataset, run: RunDirectory) -> None:
        self.plan = plan
        self._run = run
        self._images = run.keep(data)
        self._study = data.part("train")
        self._shape = data.image_shape
        self._device = current_device().kind
        self._baseline = next(arm for arm in plan.arms if arm.name == plan.baseline)

    def of_repeat(self, repeat: int, *, cheapest_first: bool = False) -> dict[Task, Job]:
        """In the order in which to do them; what awaits the baseline needs that of its own fold alone."""
        key = Key(f"seed-{self.plan.seed}")
        splits = [
            self._run.keep(split.arrays()) for split in make_splits(self._study, self.plan.fold_plan, repeat, key)
        ]
        jobs: dict[Task, Job] = {}
        for task in self.plan.tasks(repeat, cheapest_first=cheapest_first):
            needs: dict[str, Job] = self._shared(task.arm)
            if self.plan.awaits_baseline(task.arm):
                needs["baseline"] = jobs[Task(self._baseline, repeat, task.fold)]
            jobs[task] = self._job(task, {"images": self._images, "split": splits[task.fold]}, needs)
        return jobs

    def _job(self, task: Task, reads: dict[str, str], needs: dict[str, Job]) -> Job:
        config = TrialConfig(self.plan.training(task.arm), self.plan.seed, task.repeat, task.fold)
        return Job(
            "tenfold.runs.trial:run_trial",
            asdict(config),
            reads | self._outside(task.arm),
            needs,
            task.arm.modules,
            self._device,
            label=f"{task.arm.name}, repeat {task.repeat + 1}, fold {task.fold + 1}",
            kind=task.arm.name,
        )

    def _outside(self, arm: Arm) -> dict[str, str]:
        return {"outside": found} if (found := self.plan.outside.get(arm.name)) else {}

    def _shared(self, arm: Arm) -> dict[str, Job]:
        """By method: the training that is one for all trials, such as a source network's."""
        jobs = {}
        for component in arm.components:
            if shared := component.make({}).shared_training(self._shape):
                function, config = shared
                jobs[component.method] = Job(
                    function, config, self._outside(arm), device=self._device, label=f"shared by {component.method}"
                )
        return jobs
