"""What a study found, as the report and programs read it. Accuracies and differences are shares of 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tenfold.core.results import OldNames

GrowthOutcome = Literal["helped", "promising", "hurt", "no_practical_difference", "nothing_preferred", "not_proven"]
Outcome = Literal[GrowthOutcome, "better", "worse"]
"""promising: what a single repeat may say of help at most · nothing_preferred: no arm looked better than the baseline
in any fold · better, worse: what helped and hurt are called of a start, which does not grow anything.
"""


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval; all three in the same unit."""

    estimate: float
    low: float
    high: float
    standard_error: float


@dataclass(frozen=True)
class Calibration:
    """Whether a classifier that says 80 % is right 80 % of the time; shares in 0..1."""

    error: float
    """Expected calibration error over 15 bins of confidence, mean over repeats."""
    by_chance: float
    """What a perfectly calibrated classifier with the same confidences shows on as many images."""


@dataclass(frozen=True)
class Worth:
    """The real images that would have moved the baseline as far as an arm did, from its learning curve."""

    real_images: float
    """Beside those at hand, in one training fold; below 0 where the arm did worse. May be infinite."""
    low: float
    high: float
    """95 % interval; infinite where the curve does not say."""


@dataclass(frozen=True)
class CurvePoint:
    """The baseline trained on so many real images."""

    arm: str
    images: float
    """Real training images, mean over folds."""
    balanced_accuracy: Interval


@dataclass(frozen=True)
class ImagesFor:
    """How many times as many images would take the baseline to an accuracy, from its learning curve."""

    balanced_accuracy: float
    times: float
    """Above 1; infinite where `evaluation.learning_curve.MOST_TIMES` are not enough; NaN where more images were not
    shown to help, and it cannot be told."""
    low: float
    high: float
    """95 % interval, NaN or infinite like them."""


@dataclass(frozen=True)
class Wins:
    """The chosen arm against the baseline on each test fold, by balanced accuracy there."""

    won: int
    tied: int
    lost: int

    @property
    def probability(self) -> float:
        """That the chosen arm does better on a fresh split of such images; ties count half, so do no folds at all."""
        folds = self.won + self.tied + self.lost
        return (self.won + self.tied / 2) / folds if folds else 0.5


@dataclass(frozen=True)
class Look:
    """A interim look at the primary comparison while the study ran."""

    repeats: int
    p_value: float
    stopped: bool


@dataclass(frozen=True)
class ExternalComparison:
    """The chosen arm against the baseline on the sealed external test: shares of images, means over trainings."""

    images: int
    groups: int
    trainings: int
    """Of each arm."""
    pick_accuracy: Interval
    baseline_accuracy: Interval
    difference: Interval
    only_pick: float
    """Images recognised by the chosen arm alone, mean over trainings."""
    only_baseline: float
    p_value: float
    """Two-sided; over other images of other groups, and over other trainings on the images of this study."""


@dataclass(frozen=True)
class LogLoss:
    """The chosen arm's gain by a proper score, which sees a difference on about half as many images as accuracy does.

    It is evidence of whether predictions are better, not of how many more images are recognised.
    """

    gain: Interval
    """By how many nats a test image the log loss is below the baseline's: both at the temperature that suits the
    arm's other images, and at most 3."""
    p_value: float
    """Two-sided."""


@dataclass(frozen=True)
class StartComparison:
    """The best other start, such as a pre-trained network, against the usual one: judged as growing is."""

    name: str
    """The start that most folds chose by what happened outside of them."""
    reference: str
    """What it is compared with: the usual baseline, also where the study's own begins with a pre-trained network."""
    outcome: Outcome
    difference: Interval
    """In balanced accuracy, share in -1..1."""
    p_value: float


@dataclass(frozen=True)
class ArmResult(OldNames):
    """What one arm reached, and how that compares with the baseline. Accuracies are shares in 0..1."""

    name: str
    balanced_accuracy: Interval | None
    """None for an arm that failed: nothing is said from the part that worked."""
    against_baseline: Interval | None
    """Difference in balanced accuracy; None for the baseline itself and for an arm that failed."""
    outcome: Outcome | None
    """Corrected for there being several arms; None where there is no difference to judge."""
    recall: tuple[Interval | None, ...]
    """Sensitivity, one a class, rare ones that do not count among them; None for a class that cannot be tested."""
    external_accuracy: float | None
    seconds: float
    """Training and growing, summed over the arm's trials."""
    failed_trials: int = 0
    failure: str | None = None
    specificity: tuple[Interval | None, ...] = ()
    """One a class: of the images of all other classes, the share not taken for this one."""
    calibration: Calibration | None = None
    extra_images: float = 0.0
    """Beside the real ones in a training fold, mean over folds."""
    ratios: Mapping[str, int] = field(default_factory=dict)
    """How many new images for each real one the validation images preferred, and in how many folds."""
    selected_hyperparameters: Mapping[str, int] = field(default_factory=dict)
    """What the validation images chose for options that were left open, and in how many folds: of arms that chose."""
    worth: Worth | None = None
    """None for the baseline, and where the learning curve is not there or too flat to convert a gain."""
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    """Means over the folds of the first repeat; never part of the verdict."""
    finished_folds: tuple[int, ...] = ()
    """Counted from 0: those on which it is judged, where they are not the verdict's."""
    start: str | None = None
    """The arm that this one grows the set for, where both begin elsewhere than the baseline."""
    against_start: Interval | None = None
    """Difference from that arm in balanced accuracy; not corrected for there being several."""


@dataclass(frozen=True)
class Verdict(OldNames):
    """The answer: did growing help, by how much, and how sure is that."""

    outcome: GrowthOutcome
    chosen_arm: str
    """The arm that most folds chose by what happened outside of them; the baseline where there is no other."""
    baseline: str
    difference: Interval
    """The chosen arm - baseline in balanced accuracy, share in -1..1."""
    smallest_detectable: float
    """The smallest effect that four of five such studies call "helped": it has to pass the margin too."""
    margin: float
    repeats: int
    folds: int
    images: int
    groups: int
    arms: tuple[ArmResult, ...]
    pick_counts: Mapping[str, int]
    p_value: float
    """Two-sided, of the primary comparison."""
    probability_of_gain: float
    """That the chosen arm is truly better than the baseline, by these data alone."""
    probability_above_margin: float
    """That it is better by more than the margin."""
    wins: Wins
    start: StartComparison | None = None
    """None where all arms begin as the baseline does."""
    log_loss: LogLoss | None = None
    """None where there is no arm to choose."""
    curve: tuple[CurvePoint, ...] = ()
    """The baseline's learning curve, fewest images first; empty where it was not asked for."""
    worth: Worth | None = None
    """Of the chosen arm."""
    images_for: tuple[ImagesFor, ...] = ()
    """For accuracies above the baseline's, the nearest first; empty without a curve."""
    external: ExternalComparison | None = None
    interim_looks: tuple[Look, ...] = ()
    warnings: tuple[str, ...] = ()
    finished_folds: tuple[int, ...] = ()
    """Counted from 0: of a first repeat that was broken off, those whose images are judged; empty where none was."""

    @property
    def compared(self) -> bool:
        """Whether any arm could be compared with the baseline."""
        return any(arm.against_baseline is not None for arm in self.arms)

    @property
    def best_supported(self) -> str:
        """The arm that was shown to do better, by the larger gain where growing and another start both were; else the
        baseline."""
        shown = [(0.0, self.baseline)]
        if self.outcome == "helped":
            shown.append((self.difference.estimate, self.chosen_arm))
        if self.start and self.start.outcome == "better" and self.start.reference == self.baseline:
            shown.append((self.start.difference.estimate, self.start.name))
        return max(shown)[1]

    @property
    def provisional(self) -> bool:
        """Fewer repeats than the protocol's default of 4, and not because a interim look found the case clear."""
        return self.repeats < 4 and not any(look.stopped for look in self.interim_looks)
