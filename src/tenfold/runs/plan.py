"""What is going to be done, frozen and hashed before any training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any

from tenfold.core.types import ImageDataset
from tenfold.data.splits import FoldPlan
from tenfold.networks.convnet import ResidualNet
from tenfold.runs.arms import BASELINE, VECTOR_BASELINE, Arm, typed_baseline
from tenfold.runs.code import code_of
from tenfold.runs.default_arms import baseline_for
from tenfold.training.classifier import ClassifierConfig

MARGIN = 0.01
"""The smallest difference in balanced accuracy that counts in practice."""

LOOKS = (2, 4, 10)
"""Repeats after which the primary comparison is looked at."""

MEASURED = 500
"""Images from which on a study measures how many steps pay. Of fewer the usual ones are many passes, and too few
images are left to tell a gain from luck."""

STOP_BELOW = 0.001
"""An interim look ends the study only at a p-value this small, so that looking often does not make noise a
finding."""


@dataclass(frozen=True)
class ArmConfig:
    """How an arm is trained."""

    arm: Arm
    times: float
    """The most new images for each real one; the validation images choose between `ratios`."""
    classifier: ClassifierConfig

    @property
    def ratios(self) -> tuple[float, ...]:
        """New images for each real one, between which the validation images choose; 0 is to do without them."""
        return ratios_up_to(self.times)


def ratios_up_to(times: float) -> tuple[float, ...]:
    """None, half as many and this many new images for each real one."""
    return (0.0, times / 2, times)


@dataclass(frozen=True)
class TrialConfig:
    """All that a trial is told, apart from the images; a longer study uses the trials of a shorter one."""

    training: ArmConfig
    seed: int
    repeat: int
    fold: int
    keep_classifier: bool = False
    """Whether the network stays beside the result, for when a budget allows no training on all images."""


@dataclass(frozen=True)
class Task:
    """One trial to be done."""

    arm: Arm
    repeat: int
    fold: int


@dataclass(frozen=True)
class Plan:
    """Everything that decides the outcome, apart from the images themselves, of which it holds the hash."""

    data: str
    data_fingerprint: str
    arms: tuple[Arm, ...]
    fold_plan: FoldPlan
    repeats: int
    seed: int
    times: float
    """The most new images for each real one; the validation images choose between `ratios`."""
    classifier: ClassifierConfig
    looks: tuple[int, ...] = LOOKS
    stop_below: float = STOP_BELOW
    margin: float = MARGIN
    baseline: str = BASELINE
    metric: str = "balanced accuracy"
    code: str = ""
    outside: Mapping[str, str] = field(default_factory=dict)
    """For arms that read more than the training images (weights, related images) a hash of that."""

    @property
    def hash(self) -> str:
        """12 hex digits over the whole plan."""
        return _hash(asdict(self))

    @property
    def candidates(self) -> tuple[str, ...]:
        """The arms of which one is to help, and the baseline: those that begin where it does."""
        begins = baseline_of(self).start
        grown = (arm.name for arm in self.arms if arm.may_be_picked and arm.start == begins)
        return tuple(dict.fromkeys((self.baseline, *grown)))

    @property
    def reference(self) -> str:
        """What starts are compared with: where the baseline is one that has to show its worth, the usual baseline."""
        if not baseline_of(self).start:
            return self.baseline
        alone = {arm.components[0].method: arm.name for arm in reversed(self.arms) if arm.is_one_method}
        return alone.get(BASELINE) or alone.get(VECTOR_BASELINE) or self.baseline

    @property
    def starts(self) -> tuple[str, ...]:
        """The arms whose classifier begins elsewhere than the baseline's, which is no merit of growing."""
        begins = baseline_of(self).start
        return tuple(arm.name for arm in self.arms if arm.may_be_picked and arm.start != begins)

    @property
    def grown_on(self) -> dict[str, str]:
        """By the name of an arm that grows the set for another start: the arm that holds the most of it, as it is.

        `classical+transfer+mixup` is `classical+transfer` with mixing, if both are there, else `transfer` with more.
        """
        found = {}
        for arm in (one for one in self.arms if one.name in self.starts and one.rerun == 1):
            own = set(arm.components)
            within = [one for one in self.arms if one.start == arm.start and set(one.components) < own]
            within = [one for one in within if not (one.is_curve_point or one.rerun > 1)]
            if within:
                found[arm.name] = max(within, key=lambda one: len(one.components)).name
        return found

    def takes_over(self, arm: Arm) -> frozenset[str]:
        """The methods of the arm whose open options the baseline selects for it, because it leaves them open too.

        Beside the baseline `classical(policy=light)` the arm `classical+mixup` selects a policy of its own.
        """
        if arm.name == self.baseline or arm.rerun > 1:
            return frozenset()
        baseline = next((one.components for one in self.arms if one.name == self.baseline), ())
        selects = {part.method: set(part.make({}).search_space()) for part in baseline}
        left_open = {part.method: set(part.make({}).search_space()) for part in arm.components}
        return frozenset(
            name for name, options in left_open.items() if options and options <= selects.get(name, set())
        )

    def awaits_baseline(self, arm: Arm) -> bool:
        """Whether its trials need what the baseline chose in their fold."""
        return bool(self.takes_over(arm))

    def tasks(self, repeat: int, *, cheapest_first: bool = False) -> Iterator[Task]:
        """The trials of one repeat: the baseline's, which others await, then the arms with most to do, so that no
        worker waits for one at the end.

        Where the time may be too short for all of them, the cheapest come first, fold by fold, so that they all have
        the same folds when it is up: the arms without a generator, then those with one, then the learning curve.
        """
        folds = range(self.fold_plan.folds)

        def work(arm: Arm) -> tuple[bool, bool, int]:
            return arm.trains_generator, arm.is_curve_point, len(arm.components)

        if not cheapest_first:
            by_work = sorted(self.arms, key=work, reverse=True)
            for arm in sorted(by_work, key=lambda arm: arm.name != self.baseline):
                yield from (Task(arm, repeat, fold) for fold in folds)
            return

        def turn(arm: Arm) -> tuple[bool, bool]:
            return arm.is_curve_point, arm.trains_generator

        cheapest = sorted(self.arms, key=lambda arm: (*turn(arm), arm.name != self.baseline, len(arm.components)))
        for _, alike in groupby(cheapest, turn):
            together = list(alike)
            yield from (Task(arm, repeat, fold) for fold in folds for arm in together)

    def training(self, arm: Arm) -> ArmConfig:
        """How one of the arms is trained."""
        return ArmConfig(arm, self.times, self.classifier)


def make_plan(
    whole: ImageDataset,
    arms: tuple[Arm, ...],
    fold_plan: FoldPlan,
    *,
    repeats: int,
    seed: int,
    times: float,
    baseline: str | None = None,
) -> Plan:
    """Freeze the plan for these images.

    Args:
        whole: the images that folds are drawn from, and the reserve and the external test set.
        baseline: the arm that others are compared with; unless given, the usual one of such images.
    """
    study = whole.part("train")
    return Plan(
        data=whole.name,
        data_fingerprint=whole.fingerprint(),
        arms=arms,
        fold_plan=fold_plan,
        repeats=repeats,
        seed=seed,
        times=times,
        classifier=classifier_for(study),
        baseline=baseline or typed_baseline([arm.name for arm in arms], baseline_for(study)),
        code=code_of("tenfold.runs.trial:run_trial", tuple(sorted({name for arm in arms for name in arm.modules}))),
        outside={arm.name: fingerprint for arm in arms if (fingerprint := arm.external_fingerprint())},
    )


def baseline_of(plan: Plan) -> Arm:
    """The arm that others are compared with."""
    return next(arm for arm in plan.arms if arm.name == plan.baseline)


def classifier_for(study: ImageDataset) -> ClassifierConfig:
    """The classifier for these images: small ones need fewer steps, colour ones the residual network.

    That one learns more from twice as many batches of half as many images. Where all images are few, half of these
    batches do (benchmarks/results/judge.md).
    """
    if ResidualNet.suits(study.image_shape):
        return ClassifierConfig(steps=400 if len(study) < MEASURED else 800, batch_size=32, residual=True)
    return ClassifierConfig(steps=300) if max(study.image_shape[1:]) <= 16 else ClassifierConfig()


def _hash(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:12]
