"""Whether source and target can be told apart by a network's features, and how they lie in a plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tenfold.adaptation.alignment import mutual_information
from tenfold.adaptation.dann import DomainConfig, DomainTask, train_domains, with_statistics_of
from tenfold.augment.classical import Classical
from tenfold.augment.tensors import SIGNED
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.training.classifier import TrainedClassifier
from tenfold.training.loop import TrainingLoop
from tenfold.training.recipe import Transform
from tenfold.training.validation import validation_score

Images = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.float32]

SOURCE, AUGMENTED, ADABN = "source only", "augmented", "AdaBN"
DANN, MCC, BOTH, SELF = "DANN", "MCC", "DANN + MCC", "self-training"
ARMS = (SOURCE, AUGMENTED, ADABN, DANN, MCC, BOTH, SELF)
"""In the order in which they are trained: AdaBN takes its weights from `augmented`, self-training from the best."""
TRAINED = tuple(arm for arm in ARMS if arm != ADABN)

SETTINGS: Mapping[str, Mapping[str, float]] = {
    SOURCE: {},
    AUGMENTED: {},
    DANN: {"adversary": 0.3},
    MCC: {"confusion": 1.0},
    BOTH: {"adversary": 0.3, "confusion": 1.0},
    SELF: {"teacher": 1.0, "confusion": 1.0, "learning_rate": 2e-3},
}
LOST_SOURCE = 0.1
"""An arm that loses more than this of the best held-out source score is not chosen: it has forgotten the classes."""
LEAST_SHARE = 0.1
"""Of its even share; a class that is predicted more rarely on the target is called missing."""
MOST_MISSING = 0.5
"""Of the classes; where more are missing, predictions have collapsed."""


@dataclass(frozen=True, eq=False)
class AdaptedArm:
    """A trained arm with all that is known of it without the target's labels."""

    name: str
    classifier: TrainedClassifier
    source_score: float
    """Balanced accuracy on held-out source images, the mean over sources."""
    information: float
    """Mutual information between the target's images and their predicted classes, 0..1."""
    shares: tuple[float, ...]
    """Of each class among the target's predictions."""
    details: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """All that is known of it, beside the classifier."""
        return {
            "arm": self.name,
            "source_score": self.source_score,
            "information": self.information,
            "shares": list(self.shares),
            "details": dict(self.details),
        }

    @property
    def missing(self) -> int:
        """Classes that are hardly predicted on the target."""
        return sum(share < LEAST_SHARE / len(self.shares) for share in self.shares)

    @property
    def collapsed(self) -> bool:
        """Whether predictions on the target have left most classes."""
        return self.missing > MOST_MISSING * len(self.shares)


def augmentation() -> tuple[Transform, ...]:
    """The usual changes of source and target alike, but no mirroring, which turns letters and digits into others."""
    changes = Classical("standard", value_range=SIGNED)
    return (lambda images, labels, generator: (changes(images, generator), labels),)


def train_arm(
    arm: str,
    before: Sequence[AdaptedArm],
    sources: Sequence[ImageDataset],
    target: Images,
    key: Key,
    config: DomainConfig,
    loop: TrainingLoop | None = None,
) -> TrainedClassifier:
    """One arm's classifier, from its settings and the arms trained before it.

    All arms of a key share first weights and the order of source images.

    Raises:
        Diverged: the loss became NaN.
    """
    if arm == ADABN:
        return with_statistics_of(_of(before, AUGMENTED).classifier, target)
    settings = replace(config, **dict(SETTINGS[arm]))  # type: ignore[arg-type]  # all of them are floats
    start = choose(before).classifier if arm == SELF else None
    init = None if start is None else start.network.state_dict()
    transforms = () if arm == SOURCE else augmentation()
    return train_domains(DomainTask(sources, target, transforms, key, settings, init), loop)


def described(
    arm: str,
    classifier: TrainedClassifier,
    before: Sequence[AdaptedArm],
    heldout: Sequence[ImageDataset],
    target_rows: Rows,
) -> AdaptedArm:
    """What the choice reads of an arm.

    Args:
        heldout: source images that nothing was trained on.
        target_rows: N x K probabilities of the target's images.
    """
    # AdaBN's statistics are the target's: what it knows of the source is what it had learned with the source's own.
    judged = _of(before, AUGMENTED).source_score if arm == ADABN else _mean_score(classifier, heldout)
    counts = np.bincount(target_rows.argmax(1), minlength=target_rows.shape[1])
    return AdaptedArm(
        arm,
        classifier,
        judged,
        mutual_information(target_rows),
        tuple(float(share) for share in counts / counts.sum()),
        {"begins with": choose(before).name} if arm == SELF else {},
    )


def choose(arms: Sequence[AdaptedArm]) -> AdaptedArm:
    """The arm of the greatest mutual information on the target among those that still know the source.

    The target's labels play no part. A collapsed arm is chosen only where all have collapsed.
    """
    floor = max(arm.source_score for arm in arms) - LOST_SOURCE
    sound = [arm for arm in arms if arm.source_score >= floor]
    standing = [arm for arm in sound if not arm.collapsed] or sound
    return max(standing, key=lambda arm: arm.information)


def _of(arms: Sequence[AdaptedArm], name: str) -> AdaptedArm:
    return next(arm for arm in arms if arm.name == name)


def _mean_score(classifier: TrainedClassifier, heldout: Sequence[ImageDataset]) -> float:
    scores = [
        validation_score(classifier.probabilities(source.images), source.labels) for source in heldout if len(source)
    ]
    return float(np.mean(scores)) if scores else 0.0


@dataclass(frozen=True, eq=False)
class Embedding:
    """Source and target features in the plane of their first two principal components."""

    source: npt.NDArray[np.float64]
    """N x 2."""
    target: npt.NDArray[np.float64]
    """M x 2."""
    probe: float | None
    """Share of images whose domain is recognised, by cross-validation, balanced: 0.5 is chance. None of too few."""


def embed(source: Rows, target: Rows, folds: int = 5) -> Embedding:
    """Look at features N x F and M x F of two domains; a logistic regression tries to tell them apart."""
    both = np.concatenate([source, target]).astype(np.float64)
    domains = np.repeat([0, 1], [len(source), len(target)])
    scaled = StandardScaler().fit_transform(both)
    plane = PCA(2, random_state=0).fit_transform(scaled)
    probe = None
    if min(len(source), len(target)) >= 2 * folds:
        judge = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
        splits = StratifiedKFold(folds, shuffle=True, random_state=0)
        probe = float(cross_val_score(judge, both, domains, cv=splits, scoring="balanced_accuracy").mean())
    return Embedding(plane[: len(source)], plane[len(source) :], probe)
