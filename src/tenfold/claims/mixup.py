"""MixUp on MNIST: an article's 91.50 % with it and 90.01 % without, one run each.

First the article's experiment on all of MNIST with its own small network and loop, in pairs that share first
weights, batches and dropout. Then what few images make of the question, with tenfold's own classifier.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, final

from tenfold.claims import engine
from tenfold.claims.engine import Summary, job
from tenfold.claims.mixup_article import BATCH_SIZE, KERAS_EPSILON, LEARNING_RATE, train_article
from tenfold.claims.tables import Results, figure
from tenfold.claims.training import recipe_of, right, tested, train_on_all
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.load import load
from tenfold.evaluation.crossed import crossed_interval
from tenfold.evaluation.external_test import mean_interval, next_value_interval
from tenfold.runs import Context, Job

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
class Claim(engine.Claim):
    """The article's pairs decide; few images are told beside them."""

    def settings(self, quick: bool) -> dict[str, Any]:
        scale = QUICK if quick else FULL
        words = {"rate": LEARNING_RATE, "epsilon": KERAS_EPSILON, "batch_size": BATCH_SIZE, "alpha": ALPHA}
        return {
            **asdict(scale),
            "few": list(scale.few),
            "images_a_class": scale.images_a_class or "all",
            "steps": scale.steps or "as many as prove takes",
            **self.text.settings_with(**words, arms=", ".join(ARMS.values())),
        }

    def jobs(self, seeds: Sequence[int], quick: bool) -> list[Job]:
        scale = QUICK if quick else FULL
        whole = {"part": "all", "epochs": scale.epochs, "per_class": scale.images_a_class}
        few = {"part": "few", "steps": scale.steps}
        return [
            job(train_whole, f"all images, {arm}, seed {seed}", whole | {"arm": arm, "seed": seed},
                8.5 * scale.epochs, ARMS[arm])
            for seed in seeds
            for arm in ("raw", "mixup")
        ] + [
            job(train_few, f"{images} images, {arm}, seed {seed}", few | {"images": images, "arm": arm, "seed": seed},
                (scale.steps or 400) / 50, ARMS[arm])
            for images in scale.few
            for seed in seeds
            for arm in ARMS
        ]  # fmt: skip

    def summary(self, results: Results) -> Summary:
        whole = results.of(part="all")
        with_mixup, without = (whole.of(arm=arm).recognised() for arm in ("mixup", "raw"))
        gains = (with_mixup - without).mean(axis=0)
        one_pair, said = next_value_interval(gains), self.text.they_say
        both = dict(zip(said.values, (with_mixup, without), strict=True))
        images = whole[0].result["training_images"]
        return Summary(
            effect=mean_interval(gains),
            values={name: float(correct.mean()) for name, correct in both.items()},
            samples={
                "training_images": images,
                "test_images": whole[0].result["test_images"],
                "pairs": len(gains),
                "steps_a_training": whole[0].job.config["epochs"] * math.ceil(images / BATCH_SIZE),
            },
            tables=[
                self.text.beside("all", {name: figure(correct) for name, correct in both.items()}),
                *self.text.of_arms(results.of(part="few"), "images", "{:,} images", ARMS, CONTRASTS),
            ],
            words={
                "with_mixup": 100 * with_mixup.mean(),
                "without": 100 * without.mean(),
                "low": 100 * one_pair.low,
                "high": 100 * one_pair.high,
                "fits": "lies" if one_pair.low <= said.effect <= one_pair.high else "does not lie",
            },
            other_intervals={
                "counting the test images' luck too": crossed_interval(with_mixup - without),
                "where a single pair of runs would fall": one_pair,
            },
        )


def train_few(config: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """One of tenfold's classifiers on few images."""
    data = load("mnist", per_class=config["images"] // 10, seed=config["seed"])
    train, test, key = data.part("train"), data.part("test"), Key(f"seed-{config['seed']}") / config["images"]
    classifier = train_on_all(train, recipe_of(ARMS[config["arm"]], train, key), key, context.loop(), config["steps"])
    return {"training_images": len(train), **tested(right(classifier, test))}


@cache
def _mnist(per_class: int | None) -> tuple[ImageDataset, ImageDataset]:
    """The training and the official test images."""
    data = load("mnist", per_class=per_class or 60_000)
    return data.part("train"), data.part("test")


def train_whole(config: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """One of the article's trainings on all images."""
    train, test = _mnist(config["per_class"])
    key = Key(f"seed-{config['seed']}") / "all"
    transforms = recipe_of(ARMS[config["arm"]], train, key).transforms
    correct = train_article(train, test, transforms, config["epochs"], key, context.loop())
    return {"training_images": len(train), **tested(correct)}
