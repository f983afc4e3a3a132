"""Transfer with few images: with 1,000 of a task, a network pre-trained on ImageNet against one from scratch.

The task here is cifar10, at 5, 20 and 100 images a class; beside the two stands what else few images may be given:
augmentation, mixing, generated images and a smaller network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt

from tenfold.claims import base
from tenfold.claims.base import Finished, Found, Table, TheySay, Training, mean_figure, packed, recognised
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.load import load
from tenfold.evaluation.crossed import crossed_interval
from tenfold.evaluation.external_test import mean_interval
from tenfold.methods import make_method
from tenfold.runs.arms import parse_component
from tenfold.runs.plan import classifier_for
from tenfold.training.classifier import train_classifier
from tenfold.training.recipe import Recipe

CLASSICAL = "classical(flips=horizontal,policy=light)"
"""Named, so that what stands below all other arms is one fixed thing; the better of those that are offered here."""

FROM_SCRATCH = {
    "raw": "raw",
    "classical": CLASSICAL,
    "+ mixup": f"{CLASSICAL}+mixup",
    "+ cutmix": f"{CLASSICAL}+cutmix",
    "+ cgan": f"{CLASSICAL}+cgan(times=1)",
    "smaller network": f"{CLASSICAL}+classifier(width=12)",
}
PRE_TRAINED = {"probe": "probe(mirror=yes)", "transfer": f"{CLASSICAL}+transfer(fewest=1)"}
ARMS = FROM_SCRATCH | PRE_TRAINED
SECONDS = {"+ cgan": 90.0, "probe": 20.0, "transfer": 150.0}
"""About, of a training; 25 of the others."""


@dataclass(frozen=True)
class Scale:
    """How much is trained."""

    counts: tuple[int, ...]
    """Training images a class."""
    arms: tuple[str, ...]
    test_images: int


FULL = Scale((5, 20, 100), tuple(ARMS), 4000)
QUICK = Scale((5, 20), ("classical", "+ mixup", "probe"), 1000)


@final
class Claim(base.Claim):
    sentence = (
        "With 1,000 labelled images of a task, a network pre-trained on ImageNet and fine-tuned recognises 12 of 100 "
        "test images more than the same network from scratch."
    )
    source = (
        "Zhai et al. 2019, the Visual Task Adaptation Benchmark: ResNet-50, mean over 19 tasks of 1,000 images each, "
        "both with a large search of settings; our task, network and search are others."
    )
    they_say = TheySay("71.2 % pre-trained, 59.2 % from scratch", {"pre-trained": 0.712, "from scratch": 0.592}, 0.12)
    seeds = 3
    quick_seeds = 2

    def settings(self, quick: bool) -> dict[str, Any]:
        scale = QUICK if quick else FULL
        return {
            "data": f"cifar10 as JPEG copies, which are harder than the originals; {scale.test_images:,} of its "
            "10,000 official test images, the same for all",
            "images a class": list(scale.counts),
            "arms": {name: ARMS[name] for name in scale.arms},
            "pre-trained": "EfficientNet-Lite0, ImageNet; cifar10's classes are among ImageNet's, a friendly case",
            "from scratch": "tenfold's own classifier as in prove",
            "protocol": "all images trained on, none held back; heads by cross-validation; nothing is chosen on the "
            "test images",
        }

    def trainings(self, seeds: Sequence[int], quick: bool) -> list[Training]:
        scale = QUICK if quick else FULL
        return [
            Training(
                f"{count} a class, {arm}, seed {seed}",
                {"arm": arm, "count": count, "seed": seed, "test_images": scale.test_images},
                cost=SECONDS.get(arm, 25.0),
            )
            for count in scale.counts
            for seed in seeds
            for arm in scale.arms
        ]

    def train(self, settings: Mapping[str, Any], files: Path) -> dict[str, Any]:
        train, test = _images(settings["count"], settings["seed"], settings["test_images"])
        key = Key(f"seed-{settings['seed']}") / settings["count"]
        recipe = Recipe()
        for component in map(parse_component, ARMS[settings["arm"]].split("+")):
            method = make_method(component.method, dict(component.options))
            recipe = recipe + method.fit(train, None, key / component.method)
        classifier = train_classifier(train, None, recipe, key / "classifier", classifier_for(train))
        correct = classifier.probabilities(test.images).argmax(1) == test.labels
        return {
            "training_images": len(train),
            "test_images": len(test),
            "accuracy": round(float(correct.mean()), 6),
            "correct": packed(correct),
            "steps": classifier.details["steps"],
        }

    def judge(self, finished: Sequence[Finished]) -> Found:
        return _judge(finished)


@lru_cache(maxsize=9)
def _images(count: int, seed: int, test_images: int) -> tuple[ImageDataset, ImageDataset]:
    """A draw of training images of each class, and the test images, which no seed changes."""
    data = load("cifar10", per_class=count, seed=seed)
    test = data.part("test")
    chosen = Key("cifar10/test").numpy_generator().permutation(len(test))[:test_images]
    return data.part("train"), test.take(np.sort(chosen))


def _judge(finished: Sequence[Finished]) -> Found:
    counts = sorted({one.settings["count"] for one in finished})
    arms = [arm for arm in ARMS if any(one.settings["arm"] == arm for one in finished)]
    decides = max(counts)

    def correct(arm: str, count: int) -> npt.NDArray[np.float64]:
        return recognised(finished, arm=arm, count=count)

    def best(among: Mapping[str, str], count: int) -> str:
        return max((arm for arm in arms if arm in among), key=lambda arm: float(correct(arm, count).mean()))

    scratch, trained = best(FROM_SCRATCH, decides), [arm for arm in arms if arm in PRE_TRAINED][-1]
    gains = correct(trained, decides) - correct(scratch, decides)
    effect = mean_interval(gains.mean(axis=0))
    tables = [
        Table(
            "Test accuracy",
            "%",
            tuple(f"{count} images a class" for count in counts),
            {arm: [mean_figure(correct(arm, count)) for count in counts] for arm in arms},
            "A new draw of training images for each seed; all arms of a seed share it. Those from scratch train "
            "for 400 steps, which are few for 1,000 images.",
        ),
        Table(
            "Pre-trained against the best from scratch",
            "points",
            tuple(arm for arm in arms if arm in PRE_TRAINED),
            {
                f"{count} images a class, against {best(FROM_SCRATCH, count)}": [
                    mean_figure(correct(arm, count) - correct(best(FROM_SCRATCH, count), count))
                    for arm in arms
                    if arm in PRE_TRAINED
                ]
                for count in counts
            },
            "The best from scratch is named with hindsight, on these test images, which favours it.",
        ),
    ]
    samples = {
        "training_images": 10 * decides,
        "test_images": next(one for one in finished).result["test_images"],
        "seeds": gains.shape[1],
    }
    pre_trained, from_scratch = (float(correct(arm, decides).mean()) for arm in (trained, scratch))
    return Found(
        effect=effect,
        meaning="over draws of the training images, on these test images",
        values={"pre-trained": pre_trained, "from scratch": from_scratch},
        sentence=f"{100 * pre_trained:.1f} % pre-trained ({trained}), {100 * from_scratch:.1f} % from scratch "
        f"({scratch}), {decides} images a class",
        samples=samples,
        tables=tables,
        other_intervals={"counting the test images' luck too": crossed_interval(gains)},
        notes=(
            "The interval that decides is Student's over draws of the training images: it speaks of other draws, "
            "judged on these test images.",
            "Seconds on one thread of a shared machine: " + _seconds(finished, arms, decides) + ".",
        ),
    )


def _seconds(finished: Sequence[Finished], arms: Sequence[str], count: int) -> str:
    told = []
    for arm in arms:
        each = [one.seconds for one in finished if (one.settings["arm"], one.settings["count"]) == (arm, count)]
        told.append(f"{arm} {np.median(each):.0f}")
    return f"{count} images a class, median of a training with its predictions: " + ", ".join(told)
