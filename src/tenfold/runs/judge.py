"""How many steps a study's classifiers are trained for: as many as pay, measured once, before its own trainings.

Too few steps make a baseline that any growth beats, or one that has no use for augmentation. So the usual number is
doubled as long as that lowers the loss of the usual baseline by `GAIN`, on folds under a seed that no study has. The
number is the same for all arms; the trainings that chose it do not count, and sealed test images are not read.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from tenfold.core.progress import note
from tenfold.core.types import ImageDataset
from tenfold.runs import Job
from tenfold.runs.arms import Arm
from tenfold.runs.directory import RunDirectory
from tenfold.runs.executors import Executor
from tenfold.runs.executors.processes import executor_for
from tenfold.runs.plan import Plan
from tenfold.runs.preparation import Prepared, frozen
from tenfold.runs.repeats import trial_of
from tenfold.runs.runner import run_jobs
from tenfold.runs.trial_jobs import TrialJobs
from tenfold.training.device import available_cores
from tenfold.training.validation import validation_loss

GAIN = 0.02
"""By which share of the loss twice the steps must lower it."""
FEWEST_IMAGES = 500
"""Of fewer the usual steps are many passes, and too few are left to tell a gain of `GAIN` from luck."""
MOST_PASSES, MOST_STEPS = 200, 3200
"""Over the images, and in all."""
FOLDS = 2
"""Trained with each number of steps, one a core."""
SHARE = 0.1
"""Of a budget, which the search may take."""


def most_steps(plan: Plan, study: ImageDataset) -> int:
    """Up to which the plan's steps may be doubled; below twice as many, nothing is measured."""
    usual = plan.classifier
    most = min(MOST_PASSES * len(study) // usual.batch_size, MOST_STEPS)
    return most if len(study) >= FEWEST_IMAGES and not _measured(plan).start else usual.steps


def with_most_steps(prepared: Prepared) -> tuple[Prepared, float]:
    """With the most steps that the search may choose, and the search in trainings of so many steps, on the clock."""
    plan, usual = prepared.plan, prepared.plan.classifier.steps
    most = usual if prepared.options.steps is not None else most_steps(plan, prepared.data.part("train"))
    steps = usual * 2 ** int(np.log2(max(1.0, most / usual)))
    if steps == usual:
        return prepared, 0.0
    searched = (2 * steps - usual) / steps * FOLDS
    return replace(prepared, plan=_with_steps(plan, steps)), searched


def with_measured_steps(prepared: Prepared, run: RunDirectory, workers: int | None) -> Prepared:
    """With the number of steps that pays in the plan and in the run's config.json; as it is where `--steps` says it.

    Raises:
        Interrupted: Ctrl-C; the finished trainings are kept.
    """
    plan, study, options = prepared.plan, prepared.data.part("train"), prepared.options
    most = most_steps(plan, study)
    if options.steps is not None or 2 * plan.classifier.steps > most:
        return prepared
    choice = _choice(plan, most)
    found: Mapping[str, Any] | None = run.result(choice)
    if found is None:  # what was chosen once stays, though another budget would have let it choose otherwise
        name = _measured(plan).name
        note(f"trials of {name} under another seed tell how many training steps pay")
        end = None if options.budget is None else prepared.started + SHARE * options.budget
        with executor_for(workers) as executor:
            search = _Search(plan, prepared.data, run, executor, (workers or available_cores(), end))
            found = {"losses": search.losses_up_to(most)}
        run.store(choice, found)
    losses = {int(steps): loss for steps, loss in found["losses"].items()}
    plans = [_with_steps(one, chosen_steps(losses, plan.classifier.steps)) for one in (plan, *prepared.rivals)]
    remark = _words(losses, plans[0])
    note(remark)
    prepared = replace(prepared, plan=plans[0], rivals=tuple(plans[1:]), remarks=(*prepared.remarks, remark))
    run.freeze(frozen(prepared.plan, prepared.rivals))
    return prepared


def chosen_steps(losses: Mapping[int, float], usual: int) -> int:
    """The largest number of steps each doubling up to which has lowered the loss by `GAIN`."""
    steps = usual
    while losses.get(2 * steps, np.inf) <= (1 - GAIN) * losses.get(steps, 0.0):
        steps *= 2
    return steps


class _Search:
    """Trials of the usual baseline with more and more steps, until time, steps or gain are up."""

    def __init__(
        self, plan: Plan, data: ImageDataset, run: RunDirectory, executor: Executor, limits: tuple[int, float | None]
    ) -> None:
        """
        Args:
            limits: trials at the same time, and when to end on the monotonic clock; None is never.
        """
        # The seed of the pilot that chooses a start, in a repeat that it does not have.
        self._plan = replace(plan, arms=(_measured(plan),), baseline=_measured(plan).name, seed=-1 - plan.seed)
        self._data, self._labels, self._run, self._executor = data, data.part("train").labels, run, executor
        self._workers, self._end = limits
        self._seconds = 0.0

    def losses_up_to(self, most: int) -> dict[int, float]:
        """Mean loss on the images outside each fold, by the number of steps; of those that were finished in time."""
        usual = steps = self._plan.classifier.steps
        losses: dict[int, float] = {}
        while steps <= most and self._left() > self._seconds:
            if (loss := self._loss(steps)) is None:
                break
            losses[steps] = loss
            if chosen_steps(losses, usual) < steps:
                break
            steps *= 2
        return losses

    def _left(self) -> float:
        return np.inf if self._end is None else self._end - time.monotonic()

    def _loss(self, steps: int) -> float | None:
        """None where the time was up or a trial failed."""
        jobs = TrialJobs(_with_steps(self._plan, steps), self._data, self._run).of_repeat(1)
        asked = [job for task, job in jobs.items() if task.fold < FOLDS]
        time_left = None if self._end is None else self._left
        done = [one for one in run_jobs(asked, self._run, self._executor, time_left=time_left) if not one.failure]
        trials = [trial_of(one) for one in done]
        if len(trials) < len(asked) or any(trial.failed for trial in trials):
            return None
        self._seconds = 2 * sum(trial.wall_seconds for trial in trials) / min(self._workers, FOLDS)
        return float(
            np.mean(
                [
                    validation_loss(np.array(trial.test_probabilities, np.float32), self._labels[trial.test_indices])
                    for trial in trials
                ]
            )
        )


def _measured(plan: Plan) -> Arm:
    """The arm that is tried: the usual baseline, whatever the study grows on."""
    return next(arm for arm in plan.arms if arm.name == plan.reference)


def _with_steps(plan: Plan, steps: int) -> Plan:
    return replace(plan, classifier=replace(plan.classifier, steps=steps))


def _choice(plan: Plan, most: int) -> Job:
    """What is kept of the search, so that a run that is taken up goes on with the same steps."""
    config = {"arm": _measured(plan).name, "classifier": asdict(plan.classifier), "most": most, "seed": plan.seed}
    return Job(
        f"{__name__}:{with_measured_steps.__name__}",
        config,
        {"images": plan.data_fingerprint},
        label="training steps",
    )


def _words(losses: Mapping[int, float], plan: Plan) -> str:
    """`Every classifier took 1,600 steps: the loss of classical was 1.27 after 400, 1.13 after 800 ...`."""
    tried = ", ".join(f"{loss:.3f} after {steps:,}" for steps, loss in losses.items()) or "not measured in the time"
    return (
        f"Every classifier that begins with fresh weights is trained for {plan.classifier.steps:,} steps: the loss "
        f"of {_measured(plan).name} was {tried}, in {FOLDS} folds under a seed of their own."
    )
