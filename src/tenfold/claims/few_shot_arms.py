"""The arms that are compared on unseen classes, all read by one classifier, and the judge of generated images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.claims.few_shot_generator import draws_of, more_of
from tenfold.claims.few_shot_sets import class_split, of_classes, samples_and_sealed
from tenfold.claims.few_shot_source import head_predictions
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.methods import make_method
from tenfold.training.classifier import ClassifierConfig, TrainedClassifier, train_classifier
from tenfold.training.recipe import Recipe


@dataclass(frozen=True)
class Arm:
    """How the samples of unseen classes are used."""

    classical: bool = False
    strong: bool = False
    """With the stronger policy of classical augmentation."""
    dagan: bool = False
    source: bool = False
    """Only a linear head is trained, on the features of a network that tells the source classes apart."""


ARMS = {
    "raw": Arm(),
    "classical": Arm(classical=True),
    "classical + dagan": Arm(classical=True, dagan=True),
    "strong classical": Arm(classical=True, strong=True),
    "strong classical + dagan": Arm(classical=True, strong=True, dagan=True),
    "source classifier + linear head": Arm(source=True),
}


def train_arm(settings: Mapping[str, Any], files: Path) -> dict[str, Any]:
    """One arm on one draw of samples; the accuracy is that on the sealed images."""
    unseen = _unseen(settings)
    key = Key(f"seed-{settings['seed']}") / settings["data"]["set"]
    train, sealed = samples_and_sealed(unseen, settings["samples"], key / "samples")
    key = key / settings["test_classes"] / settings["samples"]  # shared by all arms
    told: dict[str, Any] = {"training_images": len(train), "test_images": len(sealed), "classes": unseen.class_count}
    if "source" in settings:
        predicted = head_predictions(settings["source"], files, train, sealed.images)
        return told | {"accuracy": _share(predicted == sealed.labels)}
    recipe = _classical(settings["policy"], train, key)
    if "generator" in settings:
        grown = more_of(settings["generator"], files, train, settings["times"], key / "dagan")
        told |= {"new_images": len(grown.images), "near_copies": int(grown.near_copies.sum())}
        recipe += Recipe(extra=grown.as_dataset(train).take(np.flatnonzero(~grown.near_copies)))
    classifier = _classifier(train, recipe, key, settings)
    return told | {"accuracy": _share(_predicted(classifier, sealed.images) == sealed.labels)}


def train_judge(settings: Mapping[str, Any], files: Path) -> dict[str, Any]:
    """A classifier of many real images of each unseen class, asked about held-out ones and about new ones of those.

    Variety is how far the new images of one image differ, relative to how far real images of its class do; both are
    standard deviations, means over pixels.
    """
    unseen = _unseen(settings)
    key = Key(f"seed-{settings['seed']}") / settings["data"]["set"] / "judge"
    train, held = samples_and_sealed(unseen, settings["images"], key / "samples")
    most = [np.flatnonzero(held.labels == label)[: settings["most_held"]] for label in range(held.class_count)]
    held = held.take(np.concatenate(most))
    classifier = _classifier(train, _classical(settings["policy"], train, key), key, settings)
    new = draws_of(settings["generator"], files, held, settings["draws"], key / "dagan")
    labels = held.labels.repeat(settings["draws"])
    real_spread = np.mean([train.images[train.labels == k].std(axis=0).mean() for k in range(train.class_count)])
    return {
        "training_images": len(train),
        "test_images": len(held),
        "new_images": len(labels),
        "real": _share(_predicted(classifier, held.images) == held.labels),
        "generated": _share(_predicted(classifier, new.reshape(-1, *held.image_shape)) == labels),
        "variety": round(float(new.std(axis=1).mean() / max(real_spread, 1e-9)), 4),
    }


def _unseen(settings: Mapping[str, Any]) -> ImageDataset:
    """The classes to tell apart; `"judged_on": "validation"` takes those by which a scale's numbers may be chosen."""
    classes: ImageDataset = getattr(class_split(settings["data"]), settings.get("judged_on", "unseen"))
    return of_classes(classes, range(settings["test_classes"]))


def _classical(policy: str | None, train: ImageDataset, key: Key) -> Recipe:
    if policy is None:
        return Recipe()
    return make_method("classical", {"policy": policy, "flips": "no"}).fit(train, None, key)


def _classifier(train: ImageDataset, recipe: Recipe, key: Key, settings: Mapping[str, Any]) -> TrainedClassifier:
    config = ClassifierConfig(**settings["classifier"])
    return train_classifier(train, None, recipe, key / "classifier", config)


def _predicted(classifier: TrainedClassifier, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    return np.asarray(classifier.probabilities(images).argmax(1))


def _share(right: npt.NDArray[np.bool_]) -> float:
    return round(float(right.mean()), 6)
