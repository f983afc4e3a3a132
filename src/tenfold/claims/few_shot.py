"""Few images of classes that were never seen, learned from in several ways: the trainings of the claim `dagan`.

All arms are read by one classifier. A judge of many real images says what the generated ones are worth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tenfold.claims.few_shot_source import (
    SOURCE_FILE,
    STRONG,
    Config,
    Images,
    class_split,
    classical,
    draws_of,
    head_predictions,
    samples_and_sealed,
)
from tenfold.claims.training import image_text, right
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.combine import in_classes
from tenfold.generators import Generator, NoiseGenerator, noise_of
from tenfold.methods import load_generator
from tenfold.report.image_sheet import images_png
from tenfold.runs import Context
from tenfold.training.classifier import ClassifierConfig, TrainedClassifier, train_classifier
from tenfold.training.classifier_io import load_classifier
from tenfold.training.recipe import Recipe

WEAK = "light"
"""The policy of classical augmentation in the arms that are not called strong."""
SHOWN_CLASSES = 8
SHOWN_DRAWS = 8
BETWEEN = 9
"""Images of an interpolation, its two ends among them."""


@dataclass(frozen=True)
class Arm:
    """How the samples of unseen classes are used."""

    policy: str | None = None
    """Of classical augmentation, if there is any."""
    dagan: bool = False
    source: bool = False
    """Only a linear head is trained, on the features of a network that tells the source classes apart."""


ARMS = {
    "raw": Arm(),
    "classical": Arm(WEAK),
    "classical + dagan": Arm(WEAK, dagan=True),
    "strong classical": Arm(STRONG),
    "strong classical + dagan": Arm(STRONG, dagan=True),
    "source classifier + linear head": Arm(source=True),
}


def train_arm(config: Config, context: Context) -> dict[str, Any]:
    """One arm on one draw of samples; the accuracy is that on the sealed images."""
    unseen = _unseen(config)
    key = Key(f"seed-{config['seed']}") / config["data"]["set"]
    train, sealed = samples_and_sealed(unseen, config["samples"], key / "samples")
    key = key / config["test_classes"] / config["samples"]  # shared by all arms
    result: dict[str, Any] = {
        "training_images": len(train),
        "test_images": len(sealed),
        "classes": unseen.class_count,
    }
    arm = ARMS[config["arm"]]
    if arm.source:
        classifier = load_classifier(context.needed("source")[1] / SOURCE_FILE)
        return result | {"accuracy": _share(head_predictions(classifier, train, sealed.images) == sealed.labels)}
    recipe = classical(arm.policy, train, key)
    if arm.dagan:
        made = load_generator(context.needed("generator")[1])
        grown = made.method.more(made.generator, train, np.arange(len(train)).repeat(config["times"]), key / "dagan")
        result |= {"new_images": len(grown.images), "near_copies": int(grown.near_copies.sum())}
        recipe += Recipe(extra=grown.as_dataset(train).take(np.flatnonzero(~grown.near_copies)))
    return result | {"accuracy": _share(right(_classifier(train, recipe, key, config, context), sealed))}


def train_judge(config: Config, context: Context) -> dict[str, Any]:
    """A classifier of many real images of each unseen class, asked about held-out ones and about new ones of those.

    Variety is how far the new images of one image differ, relative to how far real images of its class do; both are
    standard deviations, means over pixels.
    """
    key, draws = Key(f"seed-{config['seed']}") / config["data"]["set"] / "judge", config["draws"]
    train, held = samples_and_sealed(_unseen(config), config["images"], key / "samples")
    most = [np.flatnonzero(held.labels == label)[: config["most_held"]] for label in range(held.class_count)]
    held = held.take(np.concatenate(most))
    classifier = _classifier(train, classical(STRONG, train, key), key, config, context)
    new = draws_of(load_generator(context.needed("generator")[1]).generator, held, draws, key / "dagan")
    grown = replace(held.take(np.arange(len(held)).repeat(draws)), images=new.reshape(-1, *held.image_shape))
    real_spread = np.mean([train.images[train.labels == k].std(axis=0).mean() for k in range(train.class_count)])
    return {
        "training_images": len(train),
        "test_images": len(held),
        "new_images": len(grown),
        "real": _share(right(classifier, held)),
        "generated": _share(right(classifier, grown)),
        "variety": round(float(new.std(axis=1).mean() / max(real_spread, 1e-9)), 4),
    }


def _unseen(config: Config) -> ImageDataset:
    """The classes to tell apart; `"judged_on": "validation"` takes those by which a scale's numbers may be chosen."""
    classes: ImageDataset = getattr(class_split(config["data"]), config.get("judged_on", "unseen"))
    return in_classes(classes, classes.class_names[: config["test_classes"]])


def _classifier(train: ImageDataset, recipe: Recipe, key: Key, config: Config, context: Context) -> TrainedClassifier:
    how = ClassifierConfig(**config["classifier"])
    return train_classifier(train, None, recipe, key / "classifier", how, context.loop())


def _share(correct: npt.NDArray[np.bool_]) -> float:
    return round(float(correct.mean()), 6)


def draw_sheets(config: Config, context: Context) -> dict[str, Any]:
    """Two sheets of unseen classes, as text: an image with new ones of it, and the way from one noise to another."""
    unseen = class_split(config["data"]).unseen
    labels = range(min(unseen.class_count, SHOWN_CLASSES))
    real = unseen.take([int(np.flatnonzero(unseen.labels == label)[0]) for label in labels])
    key, generator = Key("sheets") / config["data"]["set"], load_generator(context.needed("generator")[1]).generator
    rows = {"new": draws_of(generator, real, SHOWN_DRAWS, key), "between": _interpolated(generator, real, key)}
    return {
        name: image_text(images_png(np.concatenate([real.images[:, np.newaxis], images], axis=1)))
        for name, images in rows.items()
    }


def _interpolated(generator: Generator, real: ImageDataset, key: Key) -> Images:
    """N x BETWEEN x C x H x W. Along an arc, on which noise stays as long as noise is."""
    assert isinstance(generator, NoiseGenerator)
    ends = noise_of([(key / "start").seed, (key / "end").seed], generator.config.noise_size)
    angles = torch.linspace(0, torch.pi / 2, BETWEEN).unsqueeze(1)
    noise = angles.cos() * ends[0] + angles.sin() * ends[1]
    rows = np.arange(len(real)).repeat(BETWEEN)
    (given,) = generator.conditions(real, key)(rows, rows).given
    return np.stack([generator.draw_batch(noise, row, real.image_shape) for row in given.split(BETWEEN)])
