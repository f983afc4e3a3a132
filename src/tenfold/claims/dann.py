"""Domain-adversarial training from SVHN to MNIST: an article's 71 % with it and 59 % without.

First the article's comparison, images as they are and nothing augmented, on the SVHN images that are at hand. Then
what the arms of `tenfold adapt` make of this task and of two between MNIST and USPS, and whether the arm that is
chosen without target labels is a good one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, final

import numpy as np
from scipy.stats import spearmanr

from tenfold.adaptation.dann import DomainConfig, DomainTask, features_of, train_domains
from tenfold.adaptation.framing import framing, mends, shared_frame
from tenfold.adaptation.selection import ARMS, SETTINGS, SOURCE, AdaptedArm, choose, described, embed, train_arm
from tenfold.claims import engine
from tenfold.claims.engine import Summary, job
from tenfold.claims.tables import Figure, Results, Rows, figure, figures
from tenfold.claims.training import image_bytes, image_text, packed, right
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.combine import hold_out
from tenfold.data.load import load, load_unlabelled
from tenfold.evaluation.crossed import crossed_interval
from tenfold.evaluation.external_test import mean_interval
from tenfold.report.embedding import Panel, embedding_png
from tenfold.runs import Context, Finished, Job

ALL = 1_000_000
HELD_OUT = 0.1
SIDE = 28
"""Pixels, of every task."""
SVHN_TO_MNIST = "SVHN to MNIST"
TASKS = {"MNIST to USPS": ("mnist", "usps"), "USPS to MNIST": ("usps", "mnist"), SVHN_TO_MNIST: ("svhn", "mnist")}
PUBLISHED = {"MNIST to USPS": 0.979, "USPS to MNIST": 0.980, SVHN_TO_MNIST: 0.989}
"""The best that were found, of each task."""
PLAIN = {"source only": 0.0, "DANN": 1.0}
"""The article's two trainings, by the weight of the reversed gradient."""
SHOWN = 600
CHOSEN = "chosen without target labels"


@dataclass(frozen=True)
class Scale:
    """How much is trained."""

    steps: int
    """Of each arm."""
    published_steps: int
    """Of the article's two trainings: SGD is slower."""
    most: int
    """Source images and target images, at most."""


FULL = Scale(400, 2000, 10_000)
QUICK = Scale(40, 100, 1_000)


@final
class Claim(engine.Claim):
    """The article's comparison decides; the arms are told beside it."""

    def settings(self, quick: bool) -> dict[str, Any]:
        scale = QUICK if quick else FULL
        return {
            "settings of the arms": {name: dict(options) for name, options in SETTINGS.items()},
            "training of the arms": asdict(DomainConfig(steps=scale.steps)),
            **self.text.settings_with(**asdict(scale), arms=", ".join(ARMS)),
        }

    def jobs(self, seeds: Sequence[int], quick: bool) -> list[Job]:
        scale = QUICK if quick else FULL
        arms = {"part": "arms", "steps": scale.steps, "most": scale.most}
        plain = {"part": "plain", "task": SVHN_TO_MNIST, "steps": scale.published_steps, "most": scale.most}
        as_they_are = f"{SVHN_TO_MNIST} as they are"
        return [
            job(train_arms, f"{task}, all arms, seed {seed}", arms | {"task": task, "seed": seed}, 180)
            for seed in seeds
            for task in TASKS
        ] + [
            job(
                train_plain,
                f"{as_they_are}, {arm}, seed {seed}",
                plain | {"arm": arm, "seed": seed},
                120,
            )
            for seed in seeds
            for arm in PLAIN
        ]

    def summary(self, results: Results) -> Summary:
        published = {arm: results.of(part="plain", arm=arm) for arm in self.text.they_say.values}
        plain = {arm: done.recognised() for arm, done in published.items()}
        known = {arm: 100 * np.mean(done.each("source_accuracy")) for arm, done in published.items()}
        gains = plain["DANN"] - plain["source only"]
        every = {task: results.of(part="arms", task=task) for task in TASKS}
        by_arm = {arm: [done.recognised(arm) for done in every.values()] for arm in ARMS}
        by_arm[CHOSEN] = [
            np.concatenate([Results([one]).recognised(one.result["chosen"]) for one in done], axis=1)
            for done in every.values()
        ]
        accuracies: Rows = {arm: figures(correct) for arm, correct in by_arm.items()}
        accuracies["best in hindsight"] = [_best(done) for done in every.values()]
        accuracies["best published"] = [Figure(PUBLISHED[task]) for task in TASKS]
        text = self.text.tables
        return Summary(
            effect=mean_interval(gains.mean(axis=0)),
            values={arm: float(correct.mean()) for arm, correct in plain.items()},
            samples={
                "svhn_images": 7136,
                "test_images": results.of(part="arms")[0].result["test_images"],
                "seeds": gains.shape[1],
            },
            tables=[
                self.text.beside("plain", {arm: figure(correct) for arm, correct in plain.items()}, known=known),
                text["arms"].table(TASKS, accuracies),
                text["gains"].table(
                    TASKS,
                    {
                        arm: figures(of - base for of, base in zip(correct, by_arm[SOURCE], strict=True))
                        for arm, correct in by_arm.items()
                        if arm != SOURCE
                    },
                ),
            ],
            words={"dann": 100 * plain["DANN"].mean(), "source_only": 100 * plain["source only"].mean()},
            other_intervals={"counting the test images' luck too": crossed_interval(gains)},
            notes=[_note(task, done) for task, done in every.items()],
            images=[
                self.text.images["features"].image(
                    image_bytes(done[0].result["picture"]), task=task, seed=done[0].job.config["seed"]
                )
                for task, done in every.items()
            ],
        )


def _accuracies(one: Finished) -> list[float]:
    """Of all arms of a seed."""
    return [float(Results([one]).recognised(arm).mean()) for arm in ARMS]


def _best(done: Results) -> Figure:
    each = [max(_accuracies(one)) for one in done]
    return Figure(float(np.mean(each)), each=tuple(each))


def _note(task: str, done: Results) -> str:
    names = Counter(done.each("chosen"))
    correlations = [
        float(spearmanr([one.result["arms"][arm]["information"] for arm in ARMS], _accuracies(one)).statistic)
        for one in done
    ]
    return (
        f"{task}: chosen was {', '.join(f'{name} ({count} of {len(done)})' for name, count in names.items())}; "
        "rank correlation of the choosing figure with test accuracy over the arms, seed by seed: "
        f"{', '.join(f'{value:.2f}' for value in correlations)}."
    )


@dataclass(frozen=True, eq=False)
class Task:
    """One source, one target without labels, and the target's official test part."""

    source: ImageDataset
    heldout: ImageDataset
    target: ImageDataset
    test: ImageDataset

    def sizes(self) -> dict[str, int]:
        """As a job tells them."""
        return {"source_images": len(self.source), "target_images": len(self.target), "test_images": len(self.test)}


def read_task(name: str, seed: int, most: int, *, reframed: bool) -> Task:
    """The images of a task in one frame.

    Args:
        most: source images and target images at most, a new draw for each seed; the test part is whole.
        reframed: whether what the audit of framing finds is mended; colours are made grey either way.
    """
    source_name, target_name = TASKS[name]
    source = load(source_name, per_class=ALL).part("train")
    target = load_unlabelled(target_name, images=most, seed=seed)
    test = load(target_name, per_class=ALL).part("test")
    key = Key(f"seed-{seed}") / "dann" / name
    if len(source) > most:
        source = source.take(np.sort((key / "source").numpy_generator().choice(len(source), most, replace=False)))
    known, wanted = framing(source), framing(target)
    frame = shared_frame([known], wanted, mends([known], wanted), SIDE, reframed=reframed)
    source = replace(frame.on(source), name=source_name)
    train, heldout = hold_out(source, HELD_OUT, key / "held out")
    return Task(train, heldout, frame.on(target), frame.on(test))


def _key(config: Mapping[str, Any]) -> Key:
    return Key(f"seed-{config['seed']}") / "dann" / str(config["task"])


def train_plain(config: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """One of the article's trainings."""
    task = read_task(config["task"], config["seed"], config["most"], reframed=False)
    how = DomainConfig(steps=config["steps"], adversary=PLAIN[config["arm"]], published=True)
    classifier = train_domains(DomainTask([task.source], task.target.images, (), _key(config), how), context.loop())
    known = right(classifier, task.heldout)
    correct = packed(right(classifier, task.test))
    return {"correct": correct, "source_accuracy": round(float(known.mean()), 5), **task.sizes()}


def train_arms(config: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """All arms of `adapt` on one task, and the one that is chosen."""
    task = read_task(config["task"], config["seed"], config["most"], reframed=True)
    how, key, arms = DomainConfig(steps=config["steps"]), _key(config), list[AdaptedArm]()
    for name in ARMS:
        fitted = train_arm(name, arms, [task.source], task.target.images, key, how, context.loop(name))
        arms.append(described(name, fitted, arms, [task.heldout], fitted.probabilities(task.target.images)))
    chosen = choose(arms)
    panels = [_panel(task, arm) for arm in (next(arm for arm in arms if arm.name == SOURCE), chosen)]
    return {
        "arms": {arm.name: _as_json(arm, task) for arm in arms},
        "chosen": chosen.name,
        "picture": image_text(embedding_png(panels, [task.source.name], task.target.name)),
        **task.sizes(),
    }


def _as_json(arm: AdaptedArm, task: Task) -> dict[str, Any]:
    return {
        "correct": packed(right(arm.classifier, task.test)),
        "information": round(arm.information, 5),
        "source_score": round(arm.source_score, 5),
        "missing_classes": arm.missing,
        "collapsed": arm.collapsed,
        **arm.details,
    }


def _panel(task: Task, arm: AdaptedArm) -> Panel:
    look = embed(
        features_of(arm.classifier, task.heldout.images[:SHOWN]),
        features_of(arm.classifier, task.target.images[:SHOWN]),
    )
    probe = "" if look.probe is None else f": the domain is recognised in {100 * look.probe:.0f} %"
    return Panel(f"{arm.name}{probe}", look.source, look.target)
