"""Options that a method leaves open are settled by inner images, fold by fold.

The baseline's trial settles them for its fold, and the other arms take over what it chose: so arms differ by what
they add and not by the augmentation beneath it, and the search is paid for once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tenfold.core.types import Trial
from tenfold.methods.base import Method
from tenfold.train.classifier import TrainedClassifier

Settled = Mapping[str, Mapping[str, str]]
"""Method -> option -> value."""

Train = Callable[[Mapping[str, str]], TrainedClassifier]
"""A classifier with the method's open options at these values."""


@dataclass(frozen=True, eq=False)
class Settling:
    """What was chosen for one method, and by what."""

    options: Mapping[str, str]
    classifier: TrainedClassifier
    """The one with these options."""
    losses: Mapping[str, float] = field(default_factory=dict)
    """Cross entropy on the inner images by what was tried: {"policy=strong, flips=no": 0.31}."""


def settle(undecided: Mapping[str, tuple[str, ...]], train: Train) -> Settling:
    """Choose the options one after the other, each with those before it chosen and those after it as usual.

    They are chosen by the loss on the inner images and not by the errors there, of which few images make too few to
    tell candidates apart.
    """
    options = {name: candidates[0] for name, candidates in undecided.items()}
    best = train(options)
    losses = {words(options): best.inner_loss}
    for name, candidates in undecided.items():
        for value in candidates[1:]:
            tried = {**options, name: value}
            classifier = train(tried)
            losses[words(tried)] = classifier.inner_loss
            if classifier.inner_loss < best.inner_loss:
                options, best = tried, classifier
    return Settling(options, best, losses)


def trainings_to_settle(method: Method) -> int:
    """Classifiers that settling the method's options takes; 0 where none is open."""
    undecided = method.undecided()
    return 1 + sum(len(candidates) - 1 for candidates in undecided.values()) if undecided else 0


def most_chosen(trials: Sequence[Trial], arm: str) -> Settled:
    """What the arm chose in most folds, for when nothing is left to choose by; of equals the earlier one."""
    chosen = [trial.details["settled"] for trial in trials if trial.arm == arm and "settled" in trial.details]
    return max(chosen, key=chosen.count, default={})


def words(options: Mapping[str, str]) -> str:
    """{"policy": "strong", "flips": "no"} as `policy=strong, flips=no`."""
    return ", ".join(f"{name}={value}" for name, value in options.items())
