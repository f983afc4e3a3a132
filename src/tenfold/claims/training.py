"""What the trainings of several claims share: arms as `prove` trains them, and results as plain text."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.methods import make_method
from tenfold.runs.arms import parse_component
from tenfold.runs.plan import classifier_for
from tenfold.training.classifier import TrainedClassifier, train_classifier
from tenfold.training.loop import TrainingLoop
from tenfold.training.recipe import Recipe


def recipe_of(arm: str, train: ImageDataset, key: Key, **more: Mapping[str, Any]) -> Recipe:
    """What the methods of an arm, such as `classical+mixup(alpha=0.2)`, add to these images.

    Args:
        more: further options of a method by its name.
    """
    recipe = Recipe()
    for component in map(parse_component, arm.split("+")):
        options = {**dict(component.options), **more.get(component.method, {})}
        recipe = recipe + make_method(component.method, options).fit(train, None, key / component.method)
    return recipe


def train_on_all(
    train: ImageDataset, recipe: Recipe, key: Key, loop: TrainingLoop, steps: int | None = None
) -> TrainedClassifier:
    """tenfold's own classifier, none of the images held back.

    Args:
        steps: None is what `prove` would take.
    """
    config = classifier_for(train)
    config = replace(config, steps=steps or config.steps)
    return train_classifier(train, None, recipe, key / "classifier", config, loop)


def right(classifier: TrainedClassifier, test: ImageDataset) -> npt.NDArray[np.bool_]:
    """Which of N test images it recognises."""
    return np.asarray(classifier.probabilities(test.images).argmax(1) == test.labels)


def tested(correct: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Which test images were recognised, as a job tells it."""
    return {"test_images": len(correct), "accuracy": round(float(correct.mean()), 6), "correct": packed(correct)}


def packed(correct: npt.NDArray[np.bool_]) -> str:
    """Which of N test images were recognised, as text: a bit an image."""
    return base64.b64encode(np.packbits(correct).tobytes()).decode("ascii")


def unpacked(text: str, count: int) -> npt.NDArray[np.bool_]:
    """The inverse of `packed`, for `count` images."""
    return np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8), count=count).astype(bool)


def image_text(png: bytes) -> str:
    """A PNG as text, for the result of a training."""
    return base64.b64encode(png).decode("ascii")


def image_bytes(text: str) -> bytes:
    """The inverse of `image_text`."""
    return base64.b64decode(text)
