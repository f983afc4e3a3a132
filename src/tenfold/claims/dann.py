"""Domain-adversarial training from SVHN to MNIST: an article's 71 % with it and 59 % without.

First the article's comparison, pictures as they are and nothing augmented, on the SVHN images that are at hand. Then
what the arms of `tenfold adapt` make of this task and of two between MNIST and USPS, and whether the arm that is
chosen without target labels is a good one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt

from tenfold.adaptation.dann import DomainConfig, features_of, train_domains
from tenfold.adaptation.selection import (
    ARMS,
    SETTINGS,
    SOURCE,
    AdaptedArm,
    choose,
    described,
    embed,
    train_arm,
)
from tenfold.claims import base
from tenfold.claims.base import Finished, Found, TheySay, Training, packed, picture_text
from tenfold.claims.dann_found import found_of
from tenfold.claims.dann_tasks import SVHN_TO_MNIST, TASKS, Task, read_task
from tenfold.core.keys import Key
from tenfold.report.figures import Panel, embedding_png
from tenfold.training.classifier import TrainedClassifier

STEPS, QUICK_STEPS = 400, 40
PUBLISHED_STEPS, QUICK_PUBLISHED_STEPS = 2000, 100
"""Of the article's two trainings: SGD is slower."""
MOST, QUICK_MOST = 10_000, 1_000
PLAIN = {"source only": 0.0, "DANN": 1.0}
"""The article's two trainings, by the weight of the turned gradient."""
SHOWN = 600


@final
class Claim(base.Claim):
    sentence = "Domain-adversarial training (DANN) raises the accuracy from SVHN to unlabelled MNIST by 12 points."
    source = (
        "An article on domain-adversarial training of neural networks: 59 % on MNIST by training on SVHN alone and "
        "71 % with the gradient turned round, with about ten times the SVHN images that are at hand here (7,136 SVHN "
        "images of the official test part)."
    )
    they_say = TheySay("71 % with DANN, 59 % without", {"DANN": 0.71, "source only": 0.59}, 0.12)
    seeds = 3
    quick_seeds = 2
    helpers = ("dann_tasks", "dann_found")

    def settings(self, quick: bool) -> dict[str, Any]:
        return {
            "svhn": "7,136 SVHN images (crops of the official test part), made grey",
            "usps": "7,291 to train on, 2,007 to test on",
            "mnist": f"{MOST if not quick else QUICK_MOST:,} of the 60,000 to train on, a new draw for each seed; "
            "all 10,000 to test on",
            "of the target": "pictures of its training part without labels; its test part judges and nothing else",
            "the article's comparison": "pictures as they are, at 28 pixels, no augmentation; both trainings share "
            "first weights and source pictures; lambda(p) = 2/(1+exp(-10p)) - 1 in the reversal layer; SGD, momentum "
            f"0.9, rate 0.01/(1+10p)^0.75, {QUICK_PUBLISHED_STEPS if quick else PUBLISHED_STEPS:,} steps of 64 + 64",
            "arms": "reframed alike, augmented as `classical` does by default: " + ", ".join(ARMS),
            "settings of the arms": {name: dict(found) for name, found in SETTINGS.items()},
            "training of the arms": asdict(DomainConfig(steps=QUICK_STEPS if quick else STEPS)),
            "deviations": "a small network with batch normalisation, source and target in one batch; the weights "
            "kept are a moving average; the arms have AdamW and one cosine in place of SGD and a falling rate",
            "chosen by": "mutual information on the target among arms that still know the source; no target label",
        }

    def trainings(self, seeds: Sequence[int], quick: bool) -> list[Training]:
        steps, most = (QUICK_STEPS, QUICK_MOST) if quick else (STEPS, MOST)
        common = {"steps": steps, "most": most}
        arms = [
            Training(
                f"{task}, all arms, seed {seed}", {"part": "arms", "task": task, "seed": seed, **common}, cost=180
            )
            for seed in seeds
            for task in TASKS
        ]
        plain = [
            Training(
                f"{SVHN_TO_MNIST} as they are, {arm}, seed {seed}",
                {
                    "part": "plain",
                    "task": SVHN_TO_MNIST,
                    "arm": arm,
                    "seed": seed,
                    "steps": QUICK_PUBLISHED_STEPS if quick else PUBLISHED_STEPS,
                    "most": most,
                },
                cost=120,
            )
            for seed in seeds
            for arm in PLAIN
        ]
        return arms + plain

    def train(self, settings: Mapping[str, Any], files: Path) -> dict[str, Any]:
        plain = settings["part"] == "plain"
        task = read_task(settings["task"], settings["seed"], settings["most"], reframed=not plain)
        config = DomainConfig(steps=settings["steps"])
        key = Key(f"seed-{settings['seed']}") / "dann" / settings["task"]
        sizes = {"source_images": len(task.source), "target_images": len(task.target), "test_images": len(task.test)}
        if plain:
            config = replace(config, adversary=PLAIN[settings["arm"]], published=True)
            classifier = train_domains([task.source], task.target.images, (), key, config)
            known = classifier.probabilities(task.heldout.images).argmax(1) == task.heldout.labels
            return {
                "correct": packed(_correct(classifier, task)),
                "source_accuracy": round(float(known.mean()), 5),
                **sizes,
            }
        arms: list[AdaptedArm] = []
        for name in ARMS:
            fitted = train_arm(name, arms, [task.source], task.target.images, key, config)
            arms.append(described(name, fitted, arms, [task.heldout], fitted.probabilities(task.target.images)))
        chosen = choose(arms)
        return {
            "arms": {arm.name: _told(arm, task) for arm in arms},
            "chosen": chosen.name,
            "picture": picture_text(_picture(task, arms, chosen)),
            **sizes,
        }

    def judge(self, finished: Sequence[Finished]) -> Found:
        return found_of(finished, self.they_say)


def _told(arm: AdaptedArm, task: Task) -> dict[str, Any]:
    return {
        "correct": packed(_correct(arm.classifier, task)),
        "information": round(arm.information, 5),
        "source_score": round(arm.source_score, 5),
        "missing_classes": arm.missing,
        "collapsed": arm.collapsed,
        **arm.details,
    }


def _correct(classifier: TrainedClassifier, task: Task) -> npt.NDArray[np.bool_]:
    right: npt.NDArray[np.bool_] = classifier.probabilities(task.test.images).argmax(1) == task.test.labels
    return right


def _picture(task: Task, arms: Sequence[AdaptedArm], chosen: AdaptedArm) -> bytes:
    before = next(arm for arm in arms if arm.name == SOURCE)
    panels = [_panel(task, arm) for arm in (before, chosen)]
    return embedding_png(panels, [task.source.name], task.target.name)


def _panel(task: Task, arm: AdaptedArm) -> Panel:
    look = embed(
        features_of(arm.classifier, task.heldout.images[:SHOWN]),
        features_of(arm.classifier, task.target.images[:SHOWN]),
    )
    told = "" if look.probe is None else f": the domain is recognised in {100 * look.probe:.0f} %"
    return Panel(f"{arm.name}{told}", look.source, look.target)
