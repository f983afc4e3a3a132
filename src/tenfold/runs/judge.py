"""How long a study's classifiers are trained: what pays, measured once, before the study.

Too few steps make a baseline that any growth beats, or one that has no use for augmentation. So the usual number is
doubled as long as that lowers the loss of the usual baseline by `GAIN`, on folds under a seed that no study has. What
is chosen is the same for all arms; the trainings that chose it do not count, and sealed test images are not read.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from tenfold.core.progress import note
from tenfold.core.types import ImageDataset, Trial
from tenfold.runs import Job
from tenfold.runs.arms import Arm
from tenfold.runs.directory import RunDirectory
from tenfold.runs.executors import Executor
from tenfold.runs.executors.place import cores_for_jobs, executor_for
from tenfold.runs.plan import MEASURED, Plan
from tenfold.runs.preparation import Prepared, frozen
from tenfold.runs.repeats import trial_of
from tenfold.runs.runner import run_jobs
from tenfold.runs.study import going_on_later
from tenfold.runs.trial_jobs import TrialJobs
from tenfold.training.validation import validation_loss

GAIN = 0.02
"""By which share of the loss twice the steps must lower it."""
MOST_PASSES, MOST_STEPS = 200, 3200
"""Over the images, and in all."""
FOLDS = 2
"""Trained with each number of steps, one a core."""
SHARE = 0.1
"""Of a budget, which the search may take."""


@dataclass(frozen=True)
class Tried:
    """A number of steps that was tried, and the mean loss on the images outside the folds."""

    steps: int
    loss: float


def most_steps(plan: Plan, study: ImageDataset) -> int:
    """Up to which the plan's steps may be doubled; below twice as many, nothing is measured."""
    usual = plan.classifier
    most = min(MOST_PASSES * len(study) // usual.batch_size, MOST_STEPS)
    return most if len(study) >= MEASURED and not _measured(plan).start else usual.steps


def with_longest_training(prepared: Prepared) -> tuple[Prepared, float]:
    """With the most steps that the search may choose, and the search in trainings of that, on the clock."""
    plan, usual = prepared.plan, prepared.plan.classifier.steps
    most = usual if prepared.options.steps is not None else most_steps(plan, prepared.data.part("train"))
    steps = usual * 2 ** int(np.log2(max(1.0, most / usual)))
    if steps == usual:
        return prepared, 0.0
    searched = (2 * steps - usual) / steps * FOLDS
    return replace(prepared, plan=_trained_for(plan, steps)), searched


def with_measured_classifier(prepared: Prepared, run: RunDirectory, workers: int | None) -> Prepared:
    """With the steps that pay in the plan and in the run's config.json; as it is where `--steps` says them.

    Raises:
        Interrupted: Ctrl-C; the finished trainings are kept.
    """
    plan, study, options = prepared.plan, prepared.data.part("train"), prepared.options
    most = most_steps(plan, study)
    if options.steps is not None or 2 * plan.classifier.steps > most:
        return prepared
    choice = _choice(plan, most)
    found = run.result(choice)  # stays, though another budget would have let it choose otherwise
    if found is None:
        name = _measured(plan).name
        note(f"trials of {name} under another seed tell how much training pays")
        end = None if options.budget is None else prepared.started + SHARE * options.budget
        with going_on_later(run), executor_for(workers) as executor:
            search = _Search(plan, prepared.data, run, executor, (workers or cores_for_jobs(), end))
            found = run.store(choice, [asdict(one) for one in search.tried_up_to(most)]).result
    tried = [Tried(**one) for one in found]
    best = preferred(tried)
    plans = [_trained_for(one, best.steps) if best else one for one in (plan, *prepared.rivals)]
    remark = _words(tried, plans[0])
    note(remark)
    prepared = replace(prepared, plan=plans[0], rivals=tuple(plans[1:]), remarks=(*prepared.remarks, remark))
    run.freeze(frozen(prepared.plan, prepared.rivals))
    return prepared


def preferred(tried: Sequence[Tried]) -> Tried | None:
    """The last that lowered the loss of the best before it by `GAIN`; None where nothing was tried."""
    best = None
    for one in tried:
        if best is None or one.loss <= (1 - GAIN) * best.loss:
            best = one
    return best


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

    def tried_up_to(self, most: int) -> list[Tried]:
        """The usual number of steps, twice as many ... until one does not pay; those that were finished in time."""
        tried, steps = list[Tried](), self._plan.classifier.steps
        while steps <= most and self._left() > self._seconds and (loss := self._loss(steps)) is not None:
            tried.append(Tried(steps, loss))
            if preferred(tried) is not tried[-1]:
                break
            steps *= 2
        return tried

    def _left(self) -> float:
        return np.inf if self._end is None else self._end - time.monotonic()

    def _loss(self, steps: int) -> float | None:
        """None where the time was up or a trial failed."""
        jobs = TrialJobs(_trained_for(self._plan, steps), self._data, self._run).of_repeat(1)
        asked = [job for task, job in jobs.items() if task.fold < FOLDS]
        time_left = None if self._end is None else self._left
        done = [one for one in run_jobs(asked, self._run, self._executor, time_left=time_left) if not one.failure]
        trials = [trial_of(one) for one in done]
        if len(trials) < len(asked) or any(trial.failed for trial in trials):
            return None
        self._seconds = 2 * sum(trial.wall_seconds for trial in trials) / min(self._workers, FOLDS)
        return float(np.mean([self._loss_of(trial) for trial in trials]))

    def _loss_of(self, trial: Trial) -> float:
        return validation_loss(np.array(trial.test_probabilities, np.float32), self._labels[trial.test_indices])


def _measured(plan: Plan) -> Arm:
    """The arm that is tried: the usual baseline, whatever the study grows on."""
    return next(arm for arm in plan.arms if arm.name == plan.reference)


def _trained_for(plan: Plan, steps: int) -> Plan:
    return replace(plan, classifier=replace(plan.classifier, steps=steps))


def _choice(plan: Plan, most: int) -> Job:
    """What is kept of the search, so that a run that is taken up goes on with the same steps."""
    config = {"arm": _measured(plan).name, "classifier": asdict(plan.classifier), "most": most, "seed": plan.seed}
    return Job(
        f"{__name__}:{with_measured_classifier.__name__}",
        config,
        {"images": plan.data_fingerprint},
        label="training steps",
    )


def _words(tried: Sequence[Tried], plan: Plan) -> str:
    """`Every classifier ... is trained for 800 steps: the loss of classical was 1.271 after 400, 1.132 ...`."""
    told = ", ".join(f"{one.loss:.3f} after {one.steps:,}" for one in tried)
    return (
        f"Every classifier that begins with fresh weights is trained for {plan.classifier.steps:,} steps: "
        f"the loss of {_measured(plan).name} was {told or 'not measured in the time'}, in {FOLDS} folds under a seed "
        "of their own."
    )
