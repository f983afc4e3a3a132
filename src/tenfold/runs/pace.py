"""How long the trials of each arm take, by its own trials as soon as there are any, and what is left of a study."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from tenfold.core.errors import TooLittleMemory
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset, Trial
from tenfold.methods import MethodFailed
from tenfold.runs.arms import Arm
from tenfold.runs.forecast import trainings
from tenfold.runs.plan import Plan, baseline_of
from tenfold.training.callbacks import Callback
from tenfold.training.classifier import train_classifier
from tenfold.training.deadline import TimeIsUp, ending_at
from tenfold.training.loop import TrainingLoop
from tenfold.training.recipe import Recipe
from tenfold.training.step import TrainingFailed

GENERATOR_TRAININGS = 6
"""A generator takes about as long as so many classifiers, as long as no trial of its arm has told better."""
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
    """Seconds a trial, arm by arm. What an arm is not known for yet follows from those that are, by their work."""

    def __init__(self, plan: Plan, workers: int, training_seconds: float | None = None) -> None:
        """
        Args:
            workers: trials at the same time.
            training_seconds: of one of the baseline's classifiers, until a trial is known.
        """
        self.plan = plan
        self._workers = workers
        self._training_seconds = training_seconds
        self._seconds: dict[str, list[float]] = {}

    def add(self, trial: Trial) -> None:
        """A trial is known."""
        self._seconds.setdefault(trial.arm, []).append(trial.wall_seconds)

    def of(self, arm: Arm) -> float | None:
        """Seconds of one trial; None where nothing is known of any."""
        if own := self._seconds.get(arm.name):
            return float(np.mean(own))
        by_work = [np.mean(own) / self._work(one) for one in self.plan.arms if (own := self._seconds.get(one.name))]
        a_training = float(np.mean(by_work)) if by_work else self._training_seconds
        return None if a_training is None else a_training * self._work(arm)

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

    def _work(self, arm: Arm) -> float:
        """A trial in trainings of a classifier."""
        classifiers = trainings(arm, self.plan, makes_images=arm.trains_generator)
        return classifiers + GENERATOR_TRAININGS * arm.trains_generator


class _Ticks(Callback):
    """When each step was taken."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def step(self, number: int, steps: int, losses: Mapping[str, Tensor]) -> None:
        self.times.append(time.perf_counter())


def seconds_of_training(study: ImageDataset, plan: Plan) -> float | None:
    """One of the baseline's classifiers, judged by its first steps; None where they take too long."""
    baseline = baseline_of(plan)
    ticks, key = _Ticks(), Key("pace")
    with suppress(TimeIsUp, TrainingFailed, MethodFailed, TooLittleMemory), ending_at(time.time() + SECONDS_TO_TIME):
        recipe = Recipe()
        for component in baseline.components:
            recipe += component.make(component.make({}).default_options()).fit(study, None, key)
        short = replace(plan.classifier, steps=min(TIMED_STEPS, plan.classifier.steps))
        train_classifier(study, None, recipe, key, short, TrainingLoop(callbacks=[ticks]))
    steps = np.diff(ticks.times)
    return plan.classifier.steps * float(steps.mean()) if len(steps) else None
