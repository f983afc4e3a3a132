"""What a study will cost and what it could show, estimated from a cost probe before anything is spent on it."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from scipy.special import stdtrit

from tenfold.core.types import ImageDataset
from tenfold.evaluation import Outcome
from tenfold.evaluation.crossed import CONFIDENCE, POWER, independent_images
from tenfold.runs.arms import Arm
from tenfold.runs.cost_probe import CostProbe
from tenfold.runs.plan import Plan, Task
from tenfold.runs.tries import SHARE, tries_to_select

LASTING, PASSING = 0.08, 0.40
"""Share of the variance of one classifier's errors in which two arms differ: LASTING + PASSING / repeats.

PASSING is the luck of single trainings, which repeats average out. Calibrated on the chosen arm, mixup and cgan
against the
baseline: 0.05 to 0.49, 0.18 in the middle, in 4 repeats of digits, wbc and pneumoniamnist
(benchmarks/results/first-studies.md); 0.2 to 1.0, 0.5 in the middle, in 1 repeat of digits and pneumoniamnist.
"""
SPREAD = 0.7
"""Standard deviation of the logarithm of that share between these comparisons."""
FOUR_OF_FIVE = 1.28
"""Standard deviations to either side that hold 80 % of a normal law."""
ONLY_LARGE = 0.05
"""A set that cannot show less than this is told so in plain words."""
SECONDS_TO_START_WORKERS = 4.0
WORKERS_PARENT, WORKER = 180 * 2**20, 110 * 2**20
"""Bytes of the process that workers are forked from and of each before it trains, beside what they share."""
DIAGNOSTIC_TRAININGS = 2
"""Classifiers trained to diagnose the new images of one trial."""


@dataclass(frozen=True)
class ArmWork:
    """What one arm asks for in all its trials."""

    name: str
    trials: int
    classifiers: int
    """Trained in full: one a trial, and those that diagnose."""
    tries: int
    """Short trainings, by which options and numbers of new images are chosen."""
    generators: int
    seconds: float
    """Of one core."""


@dataclass(frozen=True)
class Detectable:
    """The smallest true effect that 80 % of such studies would show, as shares of balanced accuracy."""

    low: float
    middle: float
    high: float
    """From `low` to `high`: where it would lie for four of five sets with such a cost probe."""
    images_for_twice_margin: int
    """Images, of the same mix, with which an effect of twice the margin could be shown. One as large as the margin
    never is in 80 % of studies, since the estimate has to pass the margin too."""
    outcomes: tuple[Outcome, ...]
    """The verdicts that are within reach, whatever the truth may be."""

    @property
    def only_large(self) -> bool:
        """Whether even the best case leaves small effects unseen."""
        return self.low > ONLY_LARGE


@dataclass(frozen=True)
class Fits:
    """What a budget allows."""

    repeats: int
    """Whole ones."""
    folds: Mapping[str, int]
    """Arm -> folds of the first repeat that are finished, where that one is not whole."""


@dataclass(frozen=True)
class Estimate:
    """The whole forecast of a plan."""

    arms: tuple[ArmWork, ...]
    workers: int
    seconds: float
    """For all trials, on the clock."""
    looks: Mapping[int, float]
    """Repeats after which the study may end early -> seconds until then."""
    detectable: Detectable
    fits: Fits | None = None
    """Where there is a budget."""
    memory_bytes: int = 0
    """Of the process and its workers; 0 where nobody counts it."""


def estimate(
    data: ImageDataset,
    plan: Plan,
    cost_probe: CostProbe,
    *,
    workers: int,
    cores: int,
    budget_seconds: float | None = None,
) -> Estimate:
    """Scale a cost probe up to the whole plan.

    Args:
        workers: trials at the same time.
        cores: what they share; more workers than cores gain nothing.
        budget_seconds: for the trials.
    """
    start = SECONDS_TO_START_WORKERS if workers > 1 else 0.0
    times = trial_seconds(data, plan, cost_probe)

    def on_the_clock(repeats: int) -> float:
        return start + wall_seconds(plan, times, repeats, min(workers, cores))

    def work(arm: Arm) -> ArmWork:
        folds, cost = plan.fold_plan.folds, cost_probe.costs[arm.components]
        trials = folds * plan.repeats
        diagnosing = DIAGNOSTIC_TRAININGS * folds if _has_diagnostics(arm, 0) else 0
        short = trials * tries(arm, plan, makes_images=cost.makes_images)
        spent = folds * sum(times[arm.name, repeat] for repeat in range(plan.repeats))
        return ArmWork(arm.name, trials, trials + diagnosing, short, trials if arm.trains_generator else 0, spent)

    return Estimate(
        tuple(work(arm) for arm in plan.arms),
        workers,
        on_the_clock(plan.repeats),
        {look: on_the_clock(look) for look in plan.looks if look < plan.repeats},
        detectable(data.part("train"), plan, cost_probe),
        None if budget_seconds is None else fitting(plan, times, budget_seconds - start, min(workers, cores)),
        memory_of(cost_probe, workers),
    )


def memory_of(cost_probe: CostProbe, workers: int) -> int:
    """Bytes of the process and its workers; 0 where nobody counts them."""
    if not cost_probe.held_bytes:
        return 0
    if workers == 1:
        return cost_probe.held_bytes + cost_probe.trial_bytes
    return cost_probe.held_bytes + WORKERS_PARENT + workers * (WORKER + cost_probe.trial_bytes)


def trial_seconds(data: ImageDataset, plan: Plan, cost_probe: CostProbe) -> dict[tuple[str, int], float]:
    """(arm, repeat) -> seconds of one trial on one core."""
    study, external, folds = data.part("train"), data.part("test"), plan.fold_plan.folds
    predicted = len(study) / folds + len(external)
    reading = next((arm.name for arm in plan.arms if cost_probe.costs[arm.components].reading), None)

    def seconds(arm: Arm, repeat: int) -> float:
        cost = cost_probe.costs[arm.components]
        diagnosing = DIAGNOSTIC_TRAININGS * cost.training + cost.inspection if _has_diagnostics(arm, repeat) else 0.0
        classifiers = trainings(arm, plan, makes_images=cost.makes_images) * cost.training
        prediction = cost_probe.prediction if cost.prediction is None else cost.prediction
        total = cost.methods + classifiers + diagnosing + cost.leak_check + predicted * prediction
        if arm.name == reading and repeat == 0:  # later trials find the features
            # Each try reads the images otherwise, and the folds come to about as many choices.
            ways = max(1, tries(arm, plan, makes_images=False))
            total += ways * (len(study) + len(external)) * cost.reading / folds
        return total

    return {(arm.name, repeat): seconds(arm, repeat) for arm in plan.arms for repeat in range(plan.repeats)}


def tries(arm: Arm, plan: Plan, *, makes_images: bool) -> int:
    """Short trainings in one trial: one for each number of new images that is to be chosen between, and one for
    each value that is tried of an option which is left open and which the baseline does not select."""
    open_ = [component for component in arm.components if component.method not in plan.takes_over(arm)]
    for_options = sum(tries_to_select(component.make({})) for component in open_)
    return for_options + (len(plan.training(arm).ratios) if makes_images and not arm.fixes_ratio else 0)


def trainings(arm: Arm, plan: Plan, *, makes_images: bool) -> float:
    """What a trial trains, its tries among it, in whole classifiers."""
    return 1 + SHARE * tries(arm, plan, makes_images=makes_images)


def _has_diagnostics(arm: Arm, repeat: int) -> bool:
    return repeat == 0 and arm.trains_generator


def wall_seconds(plan: Plan, seconds: Mapping[tuple[str, int], float], repeats: int, workers: int) -> float:
    """How long the workers need; all wait at a repeat's end.

    Args:
        seconds: of one trial, by arm and repeat.
    """
    return sum(_finished(plan, seconds, repeat, workers)[-1][0] for repeat in range(repeats))


def fitting(plan: Plan, seconds: Mapping[tuple[str, int], float], available: float, workers: int) -> Fits:
    """What of the plan is finished in so many seconds, in the order of a study that has a budget."""
    first = _finished(plan, seconds, 0, workers, cheapest_first=True)
    in_time = Counter(task.arm.name for at, task in first if at <= available)
    folds = {arm.name: in_time[arm.name] for arm in plan.arms}
    if in_time.total() < len(first):
        return Fits(0, folds)
    repeats, used = 1, first[-1][0]
    while repeats < plan.repeats and (used := used + _finished(plan, seconds, repeats, workers)[-1][0]) <= available:
        repeats += 1
    return Fits(repeats, folds)


def _finished(
    plan: Plan, seconds: Mapping[tuple[str, int], float], repeat: int, workers: int, *, cheapest_first: bool = False
) -> list[tuple[float, Task]]:
    """When each trial of a repeat ends: workers take the next as they are free, arms wait for the baseline of their
    fold."""
    awaiting = {arm.name for arm in plan.arms if plan.awaits_baseline(arm)}
    waiting, running = list(plan.tasks(repeat, cheapest_first=cheapest_first)), list[tuple[float, int, Task]]()
    selected, finished, now = set[int](), list[tuple[float, Task]](), 0.0
    while waiting or running:
        ready = (task for task in waiting if task.fold in selected or task.arm.name not in awaiting)
        if len(running) < workers and (task := next(ready, None)):
            waiting.remove(task)
            heapq.heappush(running, (now + seconds[task.arm.name, repeat], len(waiting), task))
            continue
        now, _, task = heapq.heappop(running)
        finished.append((now, task))
        if task.arm.name == plan.baseline:
            selected.add(task.fold)
    return finished


def detectable(study: ImageDataset, plan: Plan, cost_probe: CostProbe) -> Detectable:
    """The smallest effect that a study of these images could show in 80 % of cases.

    The squared standard error is taken as share x error x (1 - error) / images: of the variance that one
    classifier's accuracy has, the share in which two arms differ (`LASTING`, `PASSING`). Student's t has one
    degree of freedom less than there are trainings of an arm, as where luck is most of it.
    """
    counted = cost_probe.validation_images + 1
    error = (
        cost_probe.validation_error * cost_probe.validation_images + 0.5
    ) / counted  # none in 30 is not never: half a one is added
    differing = LASTING + PASSING / plan.repeats
    images = independent_images(study, plan.fold_plan.evaluated)
    trainings = plan.fold_plan.folds * plan.repeats
    student, beyond = (float(stdtrit(trainings - 1, share)) for share in (0.5 + CONFIDENCE / 2, POWER))
    standard_error = math.sqrt(differing * error * (1 - error) / images)
    middle = max(student * standard_error, plan.margin) + beyond * standard_error
    # Errors in so few validation images are counted as a Poisson number: its logarithm varies by 1 / count.
    spread = FOUR_OF_FIVE * 0.5 * math.hypot(SPREAD, math.sqrt((1 - error) / (counted * error)))
    low, middle, high = (min(1.0, middle * math.exp(sign * spread)) for sign in (-1, 0, 1))
    reach: list[Outcome] = ["helped", "hurt"] if plan.repeats > 1 else ["promising"]
    if student * standard_error * math.exp(-spread) <= plan.margin:  # half an interval fits into the margin
        reach.append("no_practical_difference")
    needed = len(study) * (standard_error * (student + beyond) / (2 * plan.margin)) ** 2
    return Detectable(low, middle, high, math.ceil(needed), (*reach, "nothing_preferred", "not_proven"))
