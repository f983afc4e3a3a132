"""One trial: an arm trained on one fold and judged on its test images.

This is the only place that opens a test fold. Methods and the classifier are given the training fold and its
inner split; the test images are looked up after both are done.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

from tenfold.core.files import read_json, write_json
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset, Trial
from tenfold.data.splits import make_splits
from tenfold.evaluate.scores import balanced_accuracy, wilson_interval
from tenfold.methods.base import MethodFailed
from tenfold.study.arms import Arm
from tenfold.study.plan import Plan, Task
from tenfold.train.classifier import Diverged, TrainedClassifier, train_classifier
from tenfold.train.recipe import Recipe


def run_trial(data: ImageDataset, plan: Plan, task: Task) -> Trial:
    """Train one arm on one fold and predict its test images. A method that fails gives a failed Trial."""
    start = time.perf_counter()
    study, external = data.part("train"), data.part("test")
    key = Key(f"seed-{plan.seed}")
    split = make_splits(study, plan.fold_plan, task.repeat, key)[task.fold]
    try:
        recipe, classifier = train_arm(
            task.arm,
            study.take(split.train),
            study.take(split.validation),
            data.part("reserve"),
            key / f"repeat-{task.repeat}" / f"fold-{task.fold}",
            plan,
        )
    except (MethodFailed, Diverged) as error:
        return Trial(task.arm.name, task.repeat, task.fold, 0.0, 0.0, [], [], [], _since(start), failed=str(error))
    test_images = study.images[split.test]
    return Trial(
        arm=task.arm.name,
        repeat=task.repeat,
        fold=task.fold,
        inner_score=classifier.inner_score,
        inner_loss=classifier.inner_loss,
        test_indices=split.test.tolist(),
        test_probabilities=[[round(float(p), 5) for p in row] for row in classifier.probabilities(test_images)],
        external_predictions=classifier.probabilities(external.images).argmax(1).tolist(),
        wall_seconds=_since(start),
        details=dict(recipe.details) | classifier.details,
    )


def train_arm(
    arm: Arm,
    train: ImageDataset,
    validation: ImageDataset | None,
    reserve: ImageDataset | None,
    key: Key,
    plan: Plan,
) -> tuple[Recipe, TrainedClassifier]:
    """Fit the arm's methods, add their recipes up, and train the classifier that reads the sum.

    Within a repeat and fold every arm gets the same key, so that arms differ by their methods and not by
    the classifier's first weights.

    Raises:
        MethodFailed: a method gave nothing usable.
        Diverged: the classifier's loss became NaN.
    """
    start = time.perf_counter()
    recipe = Recipe()
    for component in arm.components:
        method = component.make({"times": plan.times})
        recipe = recipe + method.fit(train, reserve if method.needs_reserve else None, key / component.method)
    fitted = _since(start)
    classifier = train_classifier(train, validation, recipe, key / "classifier", plan.classifier)
    classifier.details["seconds"]["methods"] = fitted
    return recipe, classifier


def external_test(classifier: TrainedClassifier, data: ImageDataset) -> dict[str, Any] | None:
    """Accuracy on the sealed external test images, as shares with a 95 % interval; None where there are none."""
    external = data.part("test")
    if not len(external):
        return None
    predicted = classifier.probabilities(external.images).argmax(1)
    share = float((predicted == external.labels).mean())
    return {
        "images": len(external),
        "accuracy": round(share, 4),
        "interval": [round(bound, 4) for bound in wilson_interval(share, len(external))],
        "balanced_accuracy": round(balanced_accuracy(external.labels, predicted), 4),
    }


def load_trial(directory: Path) -> Trial | None:
    """A finished trial, or None: `trial.json` is written last, so a trial that has one is whole."""
    path = directory / "trial.json"
    return Trial(**read_json(path)) if path.exists() else None


def save_trial(directory: Path, trial: Trial) -> None:
    """Write `trial.json`; its arrival is what makes the trial count."""
    record: dict[str, Any] = dataclasses.asdict(trial)
    write_json(directory / "trial.json", record)


def _since(start: float) -> float:
    return round(time.perf_counter() - start, 3)
