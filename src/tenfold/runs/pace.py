"""How long the trials of each arm take, by its own trials as soon as there are any, and what is left of a study."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from tenfold.core.errors import TooLittleMemory
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset, Trial
from tenfold.methods import MethodFailed
from tenfold.runs.arms import Arm
from tenfold.runs.cost_probe import measure_costs
from tenfold.runs.forecast import trainings, trial_seconds
from tenfold.runs.plan import Plan, baseline_of
from tenfold.runs.step_times import StepTimes
from tenfold.training.classifier import train_classifier
from tenfold.training.deadline import TimeIsUp, ending_at
from tenfold.training.loop import TrainingLoop
from tenfold.training.recipe import Recipe
from tenfold.training.step import TrainingFailed

GENERATOR_TRAININGS = 6
"""A generator takes about as long as so many classifiers, as long as no trial of its arm has told better."""
LONG = 900.0
"""Seconds of a study from which a cost probe, which takes some, tells the time that is left."""
TIMED_STEPS = 8
SECONDS_TO_TIME = 3.0
"""In which at least two steps should be taken, whatever the images."""


@dataclass(frozen=True)
class Rest:
    """What is left of a study, and how long that would take."""

    trials: int
    seconds: float | None
    """On the clock; None where no pace is known."""


class Pace:
    """Seconds a trial, arm by arm. What an arm is not known for yet follows from those that are, as far as they took
    longer or less than was expected of them."""

    def __init__(
        self,
        plan: Plan,
        workers: int,
        training_seconds: float | None = None,
        trial_seconds: Mapping[tuple[str, int], float] | None = None,
    ) -> None:
        """
        Args:
            workers: trials at the same time.
            training_seconds: of one of the baseline's classifiers, by which trials are expected to be as long as
                their trainings are many.
            trial_seconds: (arm, repeat) -> what a cost probe expects of each instead.
        """
        self.plan = plan
        self._workers = workers
        self._training_seconds = training_seconds
        self._trial_seconds = trial_seconds
        self._seconds: dict[str, list[float]] = {}

    def add(self, trial: Trial) -> None:
        """A trial is known."""
        self._seconds.setdefault(trial.arm, []).append(trial.wall_seconds)

    def of(self, arm: Arm) -> float | None:
        """Seconds of one trial; None where nothing is known of any."""
        if own := self._seconds.get(arm.name):
            return float(np.mean(own))
        known = [(one, self._seconds[one.name]) for one in self.plan.arms if one.name in self._seconds]
        if known:
            return float(np.mean([np.mean(own) / self._expected(one) for one, own in known])) * self._expected(arm)
        return None if self._training_seconds is None and self._trial_seconds is None else self._expected(arm)

    @property
    def rest(self) -> Rest:
        """All trials that the plan asks for and that are not known."""
        left = {arm: self._each - len(self._seconds.get(arm.name, ())) for arm in self.plan.arms}
        paces = [(count, self.of(arm)) for arm, count in left.items()]
        seconds = sum(count * pace for count, pace in paces if pace is not None) / self._workers
        return Rest(sum(left.values()), None if any(pace is None for _, pace in paces) else seconds)

    @property
    def _each(self) -> int:
        return self.plan.repeats * self.plan.fold_plan.folds

    def _expected(self, arm: Arm) -> float:
        if self._trial_seconds is not None:
            return float(np.mean([self._trial_seconds[arm.name, repeat] for repeat in range(self.plan.repeats)]))
        classifiers = trainings(arm, self.plan, makes_images=arm.trains_generator)
        return (self._training_seconds or 1.0) * (classifiers + GENERATOR_TRAININGS * arm.trains_generator)


def expected_pace(data: ImageDataset, plan: Plan, workers: int) -> Pace:
    """By the baseline's first steps, and where these say that the study is long, by a cost probe."""
    pace = Pace(plan, workers, seconds_of_training(data.part("train"), plan))
    seconds = pace.rest.seconds
    if seconds is not None and seconds < LONG:
        return pace
    with suppress(TrainingFailed, MethodFailed, TooLittleMemory):  # which the trials will tell
        return Pace(plan, workers, trial_seconds=trial_seconds(data, plan, measure_costs(data, plan)))
    return pace


def seconds_of_training(study: ImageDataset, plan: Plan) -> float | None:
    """One of the baseline's classifiers, judged by its first steps; None where they take too long."""
    baseline = baseline_of(plan)
    times, key = StepTimes(time.perf_counter), Key("pace")
    with suppress(TimeIsUp, TrainingFailed, MethodFailed, TooLittleMemory), ending_at(time.time() + SECONDS_TO_TIME):
        recipe = Recipe()
        for component in baseline.components:
            recipe += component.make(component.make({}).default_options()).fit(study, None, key)
        short = replace(plan.classifier, steps=min(TIMED_STEPS, plan.classifier.steps))
        train_classifier(study, None, recipe, key, short, TrainingLoop(callbacks=[times]))
    return None if times.usual is None else plan.classifier.steps * times.usual
