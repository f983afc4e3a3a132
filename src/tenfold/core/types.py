"""The nouns that the layers hand to one another.

Images at rest are uint8, N x C x H x W; labels are int64, N. Everything here is plain numpy, so that reading a
result never needs torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Role = Literal["train", "reserve", "test"]
"""train: the study's folds are drawn from these · reserve: more real images, for the `oracle` arm alone ·
test: a sealed external test set, never trained on."""

Outcome = Literal["helped", "hurt", "no_practical_difference", "not_proven"]


@dataclass(frozen=True)
class SetAside:
    """A file that is not used, and why."""

    source: str
    reason: str


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Labelled images, all of one size, and for each where it came from."""

    name: str
    images: npt.NDArray[np.uint8]
    """N x C x H x W, C = 1 (grey) or 3 (RGB)."""
    labels: npt.NDArray[np.int64]
    """N, each an index into `class_names`."""
    class_names: tuple[str, ...]
    groups: npt.NDArray[np.int64]
    """N; images of one group (a patient, duplicates, augmented siblings) never straddle folds."""
    sources: tuple[str, ...]
    """N; a path relative to the data's root, or a name such as `digits[17]`."""
    roles: npt.NDArray[np.str_]
    """N of `Role`."""
    set_aside: tuple[SetAside, ...] = ()
    conversions: Mapping[str, int] = field(default_factory=dict)
    """What was done to how many files: {"turned upright by EXIF": 3}."""

    def __post_init__(self) -> None:
        n = len(self.images)
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or self.images.shape[1] not in (1, 3):
            raise ValueError(f"images must be uint8 N x (1|3) x H x W, not {self.images.dtype} {self.images.shape}")
        for column in ("labels", "groups", "sources", "roles"):
            if len(getattr(self, column)) != n:
                raise ValueError(f"{column} has {len(getattr(self, column))} entries for {n} images")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def class_count(self) -> int:
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """C, H, W."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def counts(self) -> npt.NDArray[np.int64]:
        """Images a class: K."""
        return np.bincount(self.labels, minlength=self.class_count).astype(np.int64)

    def take(self, indices: npt.ArrayLike) -> ImageDataset:
        """The images at `indices`, in that order; the classes stay."""
        chosen = np.asarray(indices, dtype=np.int64)
        return replace(
            self,
            images=self.images[chosen],
            labels=self.labels[chosen],
            groups=self.groups[chosen],
            sources=tuple(self.sources[i] for i in chosen),
            roles=self.roles[chosen],
        )

    def joined(self, other: ImageDataset) -> ImageDataset:
        """These images, then the other's, which must have the same classes and image shape."""
        if self.class_names != other.class_names or self.image_shape != other.image_shape:
            raise ValueError(f"{self.name} and {other.name} differ in classes or image shape")
        return replace(
            self,
            images=np.concatenate([self.images, other.images]),
            labels=np.concatenate([self.labels, other.labels]),
            groups=np.concatenate([self.groups, other.groups]),
            sources=self.sources + other.sources,
            roles=np.concatenate([self.roles, other.roles]),
        )

    def part(self, role: Role) -> ImageDataset:
        """The images of one role; may be empty."""
        return self.take(np.flatnonzero(self.roles == role))

    def fingerprint(self) -> str:
        """16 hex digits that change when any image, label, class name, group or role does."""
        digest = hashlib.sha256()
        for column in (self.images, self.labels, self.groups):
            digest.update(str(column.shape).encode())
            digest.update(np.ascontiguousarray(column).tobytes())
        for words in (self.class_names, self.roles.tolist()):
            digest.update("\0".join(words).encode("utf-8", "surrogateescape"))
        return digest.hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Split:
    """Who is trained on, who chooses, who judges: indices into the study's images, disjoint by group."""

    repeat: int
    fold: int
    train: npt.NDArray[np.int64]
    validation: npt.NDArray[np.int64]
    """The inner split: real images for early stopping and for choosing between arms."""
    test: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Trial:
    """One arm trained on one fold and judged on its test images: the unit of work and of resume."""

    arm: str
    repeat: int
    fold: int
    inner_score: float
    """Balanced accuracy on the inner validation images."""
    inner_loss: float
    """Cross entropy there: breaks ties of the score."""
    test_indices: list[int]
    test_probabilities: list[list[float]]
    """One row of K probabilities a test image, rounded to 5 places."""
    external_predictions: list[int]
    """Predicted classes of the sealed external test images; empty where there are none."""
    wall_seconds: float
    details: dict[str, Any] = field(default_factory=dict)
    """Steps, extra images, seconds in each phase, and what the method has to tell."""
    failed: str | None = None
    """Why this trial gave no predictions (a collapsed generator, NaN); None when it did."""

    def test_predictions(self) -> list[int]:
        return [int(np.argmax(row)) for row in self.test_probabilities]


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
class Wins:
    """PICK against the baseline on each test fold, by balanced accuracy there."""

    won: int
    tied: int
    lost: int

    @property
    def probability(self) -> float:
        """That PICK does better on a fresh split of such images; ties count half."""
        return (self.won + self.tied / 2) / (self.won + self.tied + self.lost)


@dataclass(frozen=True)
class Look:
    """A planned look at the primary comparison while the study ran."""

    repeats: int
    p_value: float
    stopped: bool


@dataclass(frozen=True)
class ExternalComparison:
    """PICK against the baseline on the sealed external test, each by the vote of its cross-validated classifiers."""

    images: int
    groups: int
    pick_accuracy: Interval
    baseline_accuracy: Interval
    difference: Interval
    only_pick: int
    """Images recognised by PICK alone."""
    only_baseline: int
    p_value: float
    """McNemar's test."""


@dataclass(frozen=True)
class ArmResult:
    """What one arm reached, and how that compares with the baseline. Accuracies are shares in 0..1."""

    name: str
    balanced_accuracy: Interval | None
    """None for an arm that failed: nothing is said from the part that worked."""
    against_baseline: Interval | None
    """Difference in balanced accuracy; None for the baseline itself and for an arm that failed."""
    outcome: Outcome | None
    """Holm-corrected over all arms but the baseline; None where there is no difference to judge."""
    recall: tuple[Interval | None, ...]
    """Sensitivity, one a class; None for a class that cannot be evaluated."""
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
    """How many new images for each real one the inner images preferred, and in how many folds."""
    worth: Worth | None = None
    """None for the baseline, and where the learning curve is not there or too flat to convert a gain."""
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    """Means over the folds of the first repeat; never part of the verdict."""


@dataclass(frozen=True)
class Verdict:
    """The answer: did growing help, by how much, and how sure is that."""

    outcome: Outcome
    pick: str
    """The arm that the inner splits preferred most often."""
    baseline: str
    difference: Interval
    """PICK - baseline in balanced accuracy, share in -1..1."""
    smallest_detectable: float
    """The smallest effect that this much data shows in four studies of five: 2.8 standard errors in large ones."""
    margin: float
    repeats: int
    folds: int
    images: int
    groups: int
    arms: tuple[ArmResult, ...]
    pick_counts: Mapping[str, int]
    p_value: float
    """Two-sided, of the primary comparison."""
    wins: Wins
    curve: tuple[CurvePoint, ...] = ()
    """The baseline's learning curve, fewest images first; empty where it was not asked for."""
    worth: Worth | None = None
    """Of PICK."""
    external: ExternalComparison | None = None
    looks: tuple[Look, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def provisional(self) -> bool:
        """Fewer repeats than the protocol's default of 4, and not because a planned look found the case clear."""
        return self.repeats < 4 and not any(look.stopped for look in self.looks)


def class_weights(labels: npt.NDArray[np.int64], evaluated: Sequence[int]) -> npt.NDArray[np.float64]:
    """A weight for each image so that the weighted sum of correctness is the balanced accuracy.

    Images of a class outside `evaluated` weigh 0; the rest weigh 1 / (classes x images of the class).
    """
    weights = np.zeros(len(labels))
    for label in evaluated:
        members = labels == label
        weights[members] = 1.0 / (len(evaluated) * members.sum())
    return weights
