"""MixUp on MNIST: an article's 91.50 % with it and 90.01 % without, one run each.

First the article's experiment on all of MNIST with its own small network and loop, in pairs that share first
weights, batches and dropout. Then what few images make of the question, with tenfold's own classifier.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt

from tenfold.claims import base
from tenfold.claims.base import Figure, Finished, Found, Table, TheySay, Training, mean_figure, packed, recognised
from tenfold.claims.mixup_article import BATCH_SIZE, KERAS_EPSILON, LEARNING_RATE, train_article
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.load import load
from tenfold.evaluation import Interval
from tenfold.evaluation.crossed import crossed_interval
from tenfold.evaluation.external_test import mean_interval, next_value_interval
from tenfold.methods import make_method
from tenfold.runs.arms import parse_component
from tenfold.runs.plan import classifier_for
from tenfold.training.classifier import train_classifier
from tenfold.training.recipe import Recipe

ALPHA = 0.2
MIXUP = f"mixup(alpha={ALPHA})"
CLASSICAL = "classical(policy=standard)"
"""Named, so that the baseline is one fixed thing whatever `classical` chooses by itself."""

ARMS = {"raw": "raw", "mixup": MIXUP, "classical": CLASSICAL, "classical + mixup": f"{CLASSICAL}+{MIXUP}"}
CONTRASTS = (("classical", "raw"), ("mixup", "raw"), ("classical + mixup", "classical"))


@dataclass(frozen=True)
class Scale:
    """How much is trained."""

    epochs: int
    """Of the article's network."""
    images_a_class: int | None
    """For it; None is all of MNIST."""
    few: tuple[int, ...]
    """Training images in all for tenfold's classifier."""
    steps: int | None
    """Of tenfold's classifier; None is what `prove` would take."""


FULL = Scale(epochs=10, images_a_class=None, few=(100, 500, 1000), steps=None)
QUICK = Scale(epochs=1, images_a_class=None, few=(100, 500, 1000), steps=100)


@final
class Claim(base.Claim):
    sentence = "MixUp (alpha 0.2) raises the test accuracy of a small convolutional network on MNIST by 1.49 points."
    source = (
        "An article on MixUp with a Keras network on all of MNIST. One run with it and one without; the log that it "
        "prints contradicts its figures."
    )
    they_say = TheySay("91.50 % with MixUp, 90.01 % without", {"with MixUp": 0.9150, "without": 0.9001}, 0.0149)
    seeds = 6
    quick_seeds = 3
    helpers = ("mixup_article",)

    def settings(self, quick: bool) -> dict[str, Any]:
        scale = QUICK if quick else FULL
        return asdict(scale) | {
            "few": list(scale.few),
            "images_a_class": scale.images_a_class or "all",
            "steps": scale.steps or "as many as prove takes",
            "data": "mnist, its 10,000 official test images; pixels 0..1",
            "network": "conv 32 (3x3, stride 2), ReLU, conv 64 (3x3, stride 2), ReLU, dropout 0.1, global average "
            "pool, dense 10; no padding, Glorot uniform weights and zero biases, as Keras does unless told otherwise",
            "training": f"Adam {LEARNING_RATE}, epsilon {KERAS_EPSILON}, batch {BATCH_SIZE}, a new order each epoch, "
            "the weights of the last step; nothing is chosen on the test images",
            "mixup": f"alpha {ALPHA}, a weight drawn for each image (as Keras's public MixUp example does; what the "
            "article does is not known to us); the partner is an image of the same batch",
            "pairs": "both trainings of a pair share first weights, batches and dropout",
            "few images": "tenfold's classifier as in prove, equal classes, all images trained on, none held back: "
            + ", ".join(ARMS.values()),
        }

    def trainings(self, seeds: Sequence[int], quick: bool) -> list[Training]:
        scale = QUICK if quick else FULL
        whole = [
            Training(
                f"all images, {arm}, seed {seed}",
                {"part": "all", "arm": arm, "seed": seed, "epochs": scale.epochs, "per_class": scale.images_a_class},
                cost=8.5 * scale.epochs,
            )
            for seed in seeds
            for arm in ("raw", "mixup")
        ]
        few = [
            Training(
                f"{images} images, {arm}, seed {seed}",
                {"part": "few", "images": images, "arm": arm, "seed": seed, "steps": scale.steps},
                cost=(scale.steps or 400) / 50,
            )
            for images in scale.few
            for seed in seeds
            for arm in ARMS
        ]
        return whole + few

    def train(self, settings: Mapping[str, Any], files: Path) -> dict[str, Any]:
        key = Key(f"seed-{settings['seed']}")
        if settings["part"] == "all":
            train, test = _mnist(settings["per_class"])
            transforms = _recipe(ARMS[settings["arm"]], train, key / "all").transforms
            correct = train_article(train, test, transforms, settings["epochs"], key / "all")
        else:
            data = load("mnist", per_class=settings["images"] // 10, seed=settings["seed"])
            train, test = data.part("train"), data.part("test")
            correct = _train_tenfold(train, test, settings["arm"], settings["steps"], key / settings["images"])
        return {
            "training_images": len(train),
            "test_images": len(test),
            "accuracy": round(float(correct.mean()), 6),
            "correct": packed(correct),
        }

    def judge(self, finished: Sequence[Finished]) -> Found:
        return _judge(finished)


@cache
def _mnist(per_class: int | None) -> tuple[ImageDataset, ImageDataset]:
    """The training and the official test images."""
    data = load("mnist", per_class=per_class or 60_000)
    return data.part("train"), data.part("test")


def _train_tenfold(
    train: ImageDataset, test: ImageDataset, arm: str, steps: int | None, key: Key
) -> npt.NDArray[np.bool_]:
    """Which test images tenfold's own classifier recognises after training on all of `train`."""
    config = classifier_for(train)
    config = replace(config, steps=steps or config.steps)
    classifier = train_classifier(train, None, _recipe(ARMS[arm], train, key), key / "classifier", config)
    return np.asarray(classifier.probabilities(test.images).argmax(1) == test.labels)


def _recipe(arm: str, train: ImageDataset, key: Key) -> Recipe:
    recipe = Recipe()
    for component in map(parse_component, arm.split("+")):
        method = make_method(component.method, dict(component.options))
        recipe = recipe + method.fit(train, None, key / component.method)
    return recipe


def _judge(finished: Sequence[Finished]) -> Found:
    without, with_mixup = (recognised(finished, part="all", arm=arm) for arm in ("raw", "mixup"))
    gains = (with_mixup - without).mean(axis=0)
    effect, one_pair = mean_interval(gains), next_value_interval(gains)

    def of_few(arm: str, images: int) -> npt.NDArray[np.float64]:
        return recognised(finished, part="few", arm=arm, images=images)

    few = sorted({one.settings["images"] for one in finished if one.settings["part"] == "few"})
    tables = [
        Table(
            "All of MNIST: test accuracy",
            "%",
            ("they say", "we measured"),
            {
                name: (Figure(said), mean_figure(correct))
                for (name, said), correct in zip(Claim.they_say.values.items(), (with_mixup, without), strict=True)
            },
        ),
        Table(
            "Few images: test accuracy",
            "%",
            tuple(ARMS),
            {f"{images:,} images": [mean_figure(of_few(arm, images)) for arm in ARMS] for images in few},
            "tenfold's own classifier, trained on so many images in all, a new draw of images for each seed.",
        ),
        Table(
            "Few images: differences",
            "points",
            tuple(f"{arm} − {other}" for arm, other in CONTRASTS),
            {
                f"{images:,} images": [
                    mean_figure(of_few(arm, images) - of_few(other, images)) for arm, other in CONTRASTS
                ]
                for images in few
            },
            f"Paired: both arms of a difference share images, batches and first weights. {len(few) * len(CONTRASTS)} "
            "intervals, not corrected for their number.",
        ),
    ]
    whole = next(one for one in finished if one.settings["part"] == "all")
    said = Claim.they_say.effect
    fits = "lies" if one_pair.low <= said <= one_pair.high else "does not lie"
    return Found(
        effect=effect,
        meaning="over trainings, on these test images",
        values={"with MixUp": float(with_mixup.mean()), "without": float(without.mean())},
        sentence=f"{100 * with_mixup.mean():.2f} % with MixUp, {100 * without.mean():.2f} % without",
        samples={
            "training_images": whole.result["training_images"],
            "test_images": whole.result["test_images"],
            "pairs": len(gains),
            "steps_a_training": whole.settings["epochs"] * math.ceil(whole.result["training_images"] / BATCH_SIZE),
        },
        tables=tables,
        other_intervals={
            "counting the test images' luck too": crossed_interval(with_mixup - without),
            "where a single pair of runs would fall": one_pair,
        },
        notes=(
            "The interval that decides is Student's over pairs of trainings: it speaks of other seeds on these test "
            "images, not of other digits.",
            f"The article made one run of each kind. Such a single difference would fall between {_points(one_pair)} "
            f"points; the published one {fits} there.",
        ),
    )


def _points(interval: Interval) -> str:
    return f"{100 * interval.low:+.2f} and {100 * interval.high:+.2f}"
