"""Transfer with few images: with 1,000 of a task, a network pre-trained on ImageNet against one from scratch.

The task here is cifar10, at 5, 20 and 100 images a class; beside the two stands what else few images may be given:
augmentation, mixing, generated images and a smaller network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, final

import numpy as np

from tenfold.claims import engine
from tenfold.claims.engine import Summary, job
from tenfold.claims.tables import Results, Shares, figures
from tenfold.claims.training import recipe_of, right, tested, train_on_all
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.load import load
from tenfold.evaluation.crossed import crossed_interval
from tenfold.evaluation.external_test import mean_interval
from tenfold.runs import Context, Job

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
class Claim(engine.Claim):
    """The pre-trained arm at the most images, against the best from scratch, decides."""

    def settings(self, quick: bool) -> dict[str, Any]:
        scale = QUICK if quick else FULL
        return {
            "images a class": list(scale.counts),
            "arms": {name: ARMS[name] for name in scale.arms},
            **self.text.settings_with(test_images=scale.test_images),
        }

    def jobs(self, seeds: Sequence[int], quick: bool) -> list[Job]:
        scale = QUICK if quick else FULL
        return [
            job(train_arm, f"{count} a class, {arm}, seed {seed}",
                {"arm": arm, "count": count, "seed": seed, "test_images": scale.test_images},
                SECONDS.get(arm, 25.0), ARMS[arm])
            for count in scale.counts
            for seed in seeds
            for arm in scale.arms
        ]  # fmt: skip

    def summary(self, results: Results) -> Summary:
        counts = results.settings("count")
        arms = [arm for arm in ARMS if results.of(arm=arm)]
        correct = {(arm, n): results.of(arm=arm, count=n).recognised() for arm in arms for n in counts}
        pre_trained, decides = [arm for arm in arms if arm in PRE_TRAINED], max(counts)
        best = {
            n: max((arm for arm in arms if arm in FROM_SCRATCH), key=lambda arm: float(correct[arm, n].mean()))
            for n in counts
        }  # fmt: skip
        trained, scratch = pre_trained[-1], best[decides]
        of_trained, of_scratch = correct[trained, decides], correct[scratch, decides]
        gains: Shares = of_trained - of_scratch
        seconds = {
            arm: np.median([one.seconds for one in results.of(arm=arm, count=decides)]) for arm in arms
        }  # fmt: skip
        text = self.text.tables
        return Summary(
            effect=mean_interval(gains.mean(axis=0)),
            values={"pre-trained": float(of_trained.mean()), "from scratch": float(of_scratch.mean())},
            samples={
                "training_images": 10 * decides,
                "test_images": results[0].result["test_images"],
                "seeds": gains.shape[1],
            },
            tables=[
                text["accuracy"].table(
                    (f"{n} images a class" for n in counts),
                    {arm: figures(correct[arm, n] for n in counts) for arm in arms},
                ),
                text["gains"].table(
                    pre_trained,
                    {
                        f"{n} images a class, against {best[n]}": figures(
                            correct[arm, n] - correct[best[n], n] for arm in pre_trained
                        )
                        for n in counts
                    },
                ),
            ],
            words={
                "pre_trained": 100 * of_trained.mean(),
                "from_scratch": 100 * of_scratch.mean(),
                "trained": trained,
                "scratch": scratch,
                "count": decides,
                "seconds": ", ".join(f"{arm} {median:.0f}" for arm, median in seconds.items()),
            },
            other_intervals={"counting the test images' luck too": crossed_interval(gains)},
        )


def train_arm(config: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """One arm on one draw of training images."""
    train, test = _images(config["count"], config["seed"], config["test_images"])
    key = Key(f"seed-{config['seed']}") / config["count"]
    classifier = train_on_all(train, recipe_of(ARMS[config["arm"]], train, key), key, context.loop())
    return {"training_images": len(train), "steps": classifier.details["steps"], **tested(right(classifier, test))}


@lru_cache(maxsize=9)
def _images(count: int, seed: int, test_images: int) -> tuple[ImageDataset, ImageDataset]:
    """A draw of training images of each class, and the test images, which no seed changes."""
    data = load("cifar10", per_class=count, seed=seed)
    test = data.part("test")
    chosen = Key("cifar10/test").numpy_generator().permutation(len(test))[:test_images]
    return data.part("train"), test.take(np.sort(chosen))
