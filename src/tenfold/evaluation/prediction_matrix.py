"""From trials to tables of N images x R repeats: who recognised what, and with what loss."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import TenfoldError
from tenfold.core.types import Trial, class_weights
from tenfold.evaluation import Interval
from tenfold.evaluation.choice import Choice, Place, cross_fitted_choice
from tenfold.evaluation.crossed import CrossedTest, Table, group_folds, group_table
from tenfold.evaluation.log_loss import losses
from tenfold.evaluation.strata import Strata

Arm = Mapping[Place, Trial]
Indices = npt.NDArray[np.int64]

UNTESTED = -1


@dataclass(frozen=True, eq=False)
class Design:
    """What was studied, and by which rules it is judged."""

    labels: Indices
    """Of the N images that `Trial.test_indices` point into; UNTESTED of those that always train."""
    groups: Indices
    class_names: Sequence[str]
    evaluated: Sequence[int]
    """The classes that are tested and count, the same each."""
    folds: int
    baseline: str
    candidates: Collection[str]
    """The arms of which one is to help: the study chooses between them. The baseline may be among them."""
    margin: float = 0.01
    rare: Collection[int] = ()
    """Classes that are tested too, and do not count."""
    curve: Collection[str] = ()
    """The arms that are the baseline on fewer real images, which are not judged."""
    more_real: Collection[str] = ()
    """The arms that are the baseline on more real images."""
    starts: Collection[str] = ()
    """The arms whose classifier begins elsewhere than the baseline's, between which the study chooses apart."""
    grown_on: Mapping[str, str] = field(default_factory=dict)
    """By the name of an arm that grows the set for another start: the arm that is this start with less."""
    reference: str | None = None
    """The arm that starts have to beat, the baseline's own among them; unless given, the baseline."""


@dataclass(frozen=True, eq=False)
class PredictionMatrix:
    """The trials that count, as tables of N images x R repeats."""

    design: Design
    weights: npt.NDArray[np.float64]
    arms: Mapping[str, Arm]
    failed: Mapping[str, Sequence[str]]
    places: Sequence[Place]
    predicted: Mapping[str, Indices]
    image_folds: Indices
    """N x R: in which fold an image was tested."""

    def correct(self, predicted: Indices) -> Table:
        """N x R: 1 where the image was recognised; 0 also where it is of a class that is never tested."""
        tested = (self.weights > 0)[:, None]
        correct: Table = ((predicted == self.design.labels[:, None]) & tested).astype(np.float64)
        return correct

    def table(self, predicted: Indices) -> Table:
        """Groups x repeats, with the balanced accuracy as its mean."""
        return group_table(self.correct(predicted), self.weights, self.design.groups)

    @cached_property
    def folds(self) -> Indices:
        """Groups x repeats: in which fold a group was tested."""
        return group_folds(self.image_folds, self.weights, self.design.groups)

    @cached_property
    def strata(self) -> Strata:
        """The classes of the groups."""
        return Strata.of(self.design.labels, self.weights, self.design.groups)

    @cached_property
    def baseline_table(self) -> Table:
        """Groups x repeats, the balanced accuracy of the baseline as its mean."""
        return self.table(self.predicted[self.design.baseline])

    @cached_property
    def perfect(self) -> Table:
        """The table, n x 1, of an arm that is always right: rare classes' groups weigh more."""
        return group_table(np.ones((len(self.design.labels), 1)), self.weights, self.design.groups)

    @cached_property
    def against_baseline(self) -> Mapping[str, Table]:
        """Each arm - the baseline, groups x repeats."""
        return {name: self.table(predicted) - self.baseline_table for name, predicted in self.predicted.items()}

    @cached_property
    def loss_gain(self) -> Mapping[str, Table]:
        """By how much each arm's log loss is below the baseline's, groups x repeats; see `log_loss.losses`."""
        of_arms = {
            name: losses(arm, self.places, self.design.labels, self.weights, self.image_folds)
            for name, arm in self.arms.items()
        }
        own = of_arms[self.design.baseline]
        return {name: group_table(own - of_arm, self.weights, self.design.groups) for name, of_arm in of_arms.items()}

    @property
    def starts(self) -> list[str]:
        """The other starts, without those that failed."""
        return [name for name in self.arms if name in self.design.starts]

    @property
    def candidates(self) -> list[str]:
        """The arms that may be chosen, without the baseline and those that failed."""
        return [name for name in self.arms if name in self.design.candidates and name != self.design.baseline]

    def choice(self, names: Sequence[str]) -> Choice:
        """What the study chooses between these arms, by log loss: accuracy alone judges them."""
        return cross_fitted_choice(names, [[self.loss_gain[name] for name in names]], self.folds, self.places)

    def test(self, choice: Choice, tables: Mapping[str, Table]) -> CrossedTest:
        """The chosen arm's mean of such tables."""
        return choice.test([tables[name] for name in choice.names], self.folds, self.strata)

    @cached_property
    def singly(self) -> Mapping[str, CrossedTest]:
        """Each judged arm but the baseline: its own difference."""
        names = [name for name in self.arms if name not in (self.design.baseline, *self.design.curve)]
        return {name: self.test(self.choice([name]), self.against_baseline) for name in names}

    def against_start(self, name: str) -> Interval | None:
        """The arm - what it is grown on, which begins elsewhere too; None where it is grown on no such arm."""
        start = self.design.grown_on.get(name)
        if start is None or start not in self.predicted:
            return None
        gap: Table = self.table(self.predicted[name]) - self.table(self.predicted[start])
        return self.test(self.choice([name]), {name: gap}).interval

    @cached_property
    def repeat_numbers(self) -> list[int]:
        """Of the repeats that count, rising."""
        return sorted({repeat for repeat, _ in self.places})

    @property
    def repeats(self) -> int:
        return len(self.repeat_numbers)

    def trials(self, name: str) -> list[Trial]:
        """Those of one arm that count, repeat by repeat."""
        return [self.arms[name][place] for place in self.places]

    def real_images(self, name: str) -> float:
        """Training images of an arm that trains on real ones alone, mean over folds."""
        counts = [trial.details["real_images"] + trial.details["extra_images"] for trial in self.trials(name)]
        return float(np.mean(counts))


def prediction_matrix(trials: Sequence[Trial], design: Design) -> PredictionMatrix:
    """Sort trials into tables.

    Raises:
        TenfoldError: the baseline failed, no repeat is complete, fewer than two groups, or trials that do not
            test each image once a repeat.
    """
    arms, baseline = by_arm(trials), design.baseline
    failed = {name: failures(arm) for name, arm in arms.items() if failures(arm)}
    if baseline not in arms:
        raise TenfoldError(f"the baseline '{baseline}' has no trials: nothing can be compared with it")
    if baseline in failed:
        raise TenfoldError(f"the baseline '{baseline}' failed, so nothing can be compared: {failed[baseline][0]}")
    sound = {name: arm for name, arm in arms.items() if name not in failed}
    places = complete_places(sound.values(), design.folds)
    weights = class_weights(design.labels, design.evaluated)
    tested_groups = len(np.unique(design.groups[weights > 0]))
    if tested_groups < 2:
        raise TenfoldError(f"{tested_groups} independent group(s) of test images: an interval takes two or more")
    return PredictionMatrix(
        design,
        weights,
        sound,
        failed,
        places,
        predicted={name: predictions(arm, places, weights) for name, arm in sound.items()},
        image_folds=folds_of_images(sound[baseline], places, len(design.labels)),
    )


def by_arm(trials: Sequence[Trial]) -> dict[str, dict[Place, Trial]]:
    """The trials of each arm by place, in the order in which arms come.

    Raises:
        TenfoldError: an arm has two trials at one place.
    """
    arms: dict[str, dict[Place, Trial]] = {}
    for trial in trials:
        arm, place = arms.setdefault(trial.arm, {}), (trial.repeat, trial.fold)
        if place in arm:
            raise TenfoldError(f"two trials of arm '{trial.arm}' in repeat {trial.repeat}, fold {trial.fold}")
        arm[place] = trial
    return arms


def failures(arm: Arm) -> list[str]:
    """Why trials of an arm failed, first ones first; empty where none did."""
    return [arm[place].failed or "" for place in sorted(arm) if arm[place].failed is not None]


def complete_places(arms: Collection[Arm], folds: int) -> list[Place]:
    """All places of the repeats that every arm has finished.

    Raises:
        TenfoldError: there is no such repeat.
    """
    seen = sorted({repeat for arm in arms for repeat, _ in arm})
    complete = [repeat for repeat in seen if all((repeat, fold) in arm for arm in arms for fold in range(folds))]
    if not complete:
        raise TenfoldError(f"no repeat has all {folds} folds of all arms yet: let the study go on first")
    return [(repeat, fold) for repeat in complete for fold in range(folds)]


def predictions(arm: Arm, places: Sequence[Place], weights: npt.NDArray[np.float64]) -> Indices:
    """N x R predicted classes of N images, of which those that weigh something must be tested once a repeat.

    UNTESTED where an image of weight 0 was not tested.

    Raises:
        TenfoldError: an image is missing, or tested twice.
    """
    columns = {repeat: column for column, repeat in enumerate(dict.fromkeys(repeat for repeat, _ in places))}
    predicted = np.full((len(weights), len(columns)), UNTESTED, dtype=np.int64)
    times_tested = np.zeros(predicted.shape, dtype=np.int64)
    for place in places:
        trial, column = arm[place], columns[place[0]]
        predicted[trial.test_indices, column] = trial.test_predictions()
        times_tested[trial.test_indices, column] += 1
    wrong = np.flatnonzero((times_tested[weights > 0] != 1).any(axis=1))
    if len(wrong):
        raise TenfoldError(f"{len(wrong)} images are not tested exactly once in each repeat of an arm")
    return predicted


def folds_of_images(arm: Arm, places: Sequence[Place], images: int) -> Indices:
    """N x R: the fold in which an image was tested; UNTESTED where it was not."""
    repeats = list(dict.fromkeys(repeat for repeat, _ in places))
    folds = np.full((images, len(repeats)), UNTESTED, dtype=np.int64)
    for repeat, fold in places:
        folds[arm[repeat, fold].test_indices, repeats.index(repeat)] = fold
    return folds


def confidences(
    arm: Arm, places: Sequence[Place], labels: Indices
) -> tuple[list[npt.NDArray[np.float64]], list[Indices]]:
    """For each repeat the N' x K probabilities of the tested images, and their N' labels."""
    rows: dict[int, list[npt.NDArray[np.float64]]] = {}
    truth: dict[int, list[Indices]] = {}
    for place in places:
        trial = arm[place]
        rows.setdefault(place[0], []).append(np.array(trial.test_probabilities))
        truth.setdefault(place[0], []).append(labels[trial.test_indices])
    return [np.concatenate(parts) for parts in rows.values()], [np.concatenate(parts) for parts in truth.values()]
