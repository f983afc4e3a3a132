"""DAGAN on classes it never saw: an article's 82.1 % with it and 69.0 % without, at 5 samples a class of Omniglot.

A generator learns from source classes how images of one class differ; it makes new images of the few samples of other
classes, and a classifier of those reads both. The same on faces and letters, with the arms that the article lacks:
a strong augmentation, and the source classes used in the plain way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

from tenfold.claims import engine
from tenfold.claims.engine import Summary, job
from tenfold.claims.few_shot import ARMS, WEAK, draw_sheets, train_arm, train_judge
from tenfold.claims.few_shot_source import STRONG, train_generator, train_source
from tenfold.claims.few_shot_tables import accuracies, comparison_tables, judge_tables, sheets
from tenfold.claims.tables import Results
from tenfold.evaluation.external_test import mean_interval, next_value_interval
from tenfold.runs import Job

CLAIMED = ("omniglot", 5)
"""The set and the samples a class that decide."""
SECONDS_A_STEP = 0.02 / 24
"""Of a classifier, for each channel of its width; about."""

JUDGE_DRAWS, MOST_HELD = 4, 20
"""Of the judge: new images of each held-out real one, and held-out real images a class at most."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A table of arms on unseen classes of a set."""

    name: str
    test_classes: int
    """Of the unseen ones, how many are told apart."""
    samples: tuple[int, ...]
    """A class."""
    steps: int
    """Of every classifier."""
    arms: tuple[str, ...] = tuple(ARMS)
    times: int = 2
    """New images for each real one."""


@dataclass(frozen=True, kw_only=True)
class SetPlan(Comparison):
    """One set with its generator, its source classifier, and the comparison that bears its name."""

    classes: tuple[int, int, int]
    """To train on, to choose settings by, never seen."""
    judge_images: int
    """Real images of each unseen class that the judge learns from."""
    width: int
    source_steps: int
    source_width: int
    generator: Mapping[str, Any] = field(default_factory=dict)
    """Options of dagan, apart from the defaults."""
    size: int = 28
    per_class: int | None = None
    """Images a class that are read of a large set; None is all."""
    more: tuple[Comparison, ...] = ()
    """With the same generator and source classifier."""

    @property
    def data(self) -> dict[str, Any]:
        """What `class_split` reads."""
        return {"set": self.name, "size": self.size, "per_class": self.per_class, "classes": list(self.classes)}

    def words(self) -> str:
        """For the settings of the report."""
        options = ", ".join(f"{name}={value}" for name, value in self.generator.items())
        return (
            f"classes {self.classes[0]:,} to train on, {self.classes[1]} to choose settings by, {self.classes[2]} "
            f"unseen, {self.test_classes} of them told apart; {self.size} x {self.size} pixels; classifier of width "
            f"{self.width}, {self.steps:,} steps; dagan{options and f'({options})'}; {self.times} new images a real "
            f"one; source classifier of width {self.source_width}, {self.source_steps:,} steps"
        )


OMNIGLOT = SetPlan(
    name="omniglot", classes=(1200, 212, 211), test_classes=211, samples=(5, 10, 15), judge_images=15, steps=2000,
    width=24, source_steps=3000, source_width=32,
)  # fmt: skip
REPLICATION = Comparison(
    name="replication", test_classes=100, samples=(1, 3, 5), arms=("classical", "classical + dagan"), times=5,
    steps=1000,
)  # fmt: skip
FACES = SetPlan(
    name="faces", classes=(20, 4, 16), test_classes=16, samples=(1, 3, 5), judge_images=7, steps=300, width=32,
    source_steps=1000, source_width=32, size=32,
)  # fmt: skip
LETTERS = SetPlan(
    name="emnist_letters", classes=(17, 4, 5), test_classes=5, samples=(15, 25, 50, 100), judge_images=100, steps=400,
    width=32, source_steps=2000, source_width=32, per_class=200,
)  # fmt: skip
FULL = (replace(OMNIGLOT, more=(REPLICATION,)), FACES, LETTERS)
SMALL: dict[str, Any] = {"steps": 200, "width": 24, "source_width": 24, "generator": {"steps": 300}}
QUICK = (
    replace(OMNIGLOT, test_classes=60, samples=(5,), steps=600, generator={"steps": 800}, source_steps=800),
    replace(FACES, samples=(1, 5), source_steps=200, **SMALL),
    replace(LETTERS, samples=(15, 100), source_steps=300, **SMALL),
)


@final
class Claim(engine.Claim):
    """Five samples of unseen Omniglot characters decide."""

    def settings(self, quick: bool) -> dict[str, Any]:
        words = {"arms": ", ".join(ARMS), "weak": WEAK, "strong": STRONG, "judge_draws": JUDGE_DRAWS}
        return {plan.name: plan.words() for plan in (QUICK if quick else FULL)} | self.text.settings_with(**words)

    def jobs(self, seeds: Sequence[int], quick: bool) -> list[Job]:
        return [one for plan in (QUICK if quick else FULL) for one in jobs_of(plan, seeds)]

    def summary(self, results: Results) -> Summary:
        by_comparison = {name: accuracies(results, name) for name in self.text.facts}
        of = by_comparison[CLAIMED[0]][CLAIMED[1]]
        plain, grown = of["classical"], of["classical + dagan"]
        gains = (grown - plain).tolist()
        claimed = results.of(part="arm", comparison=CLAIMED[0], samples=CLAIMED[1])[0].result
        seconds = {part: round(sum(one.seconds for one in results.of(part=part))) for part in ("generator", "source")}
        tables = [
            table
            for name, found in by_comparison.items()
            if found
            for table in comparison_tables(self.text, name, found)
        ]
        return Summary(
            effect=mean_interval(gains),
            values={"with DAGAN": float(grown.mean()), "without": float(plain.mean())},
            samples={
                "unseen_classes": claimed["classes"],
                "training_images": claimed["training_images"],
                "test_images": claimed["test_images"],
                "draws_of_the_samples": len(gains),
                "seconds_of_generators": seconds["generator"],
                "seconds_of_source_classifiers": seconds["source"],
            },
            tables=[*tables, *judge_tables(self.text, results)],
            words={"with_dagan": 100 * grown.mean(), "without": 100 * plain.mean()},
            other_intervals={"where a single draw would fall": next_value_interval(gains)},
            images=sheets(self.text, results),
        )


def jobs_of(plan: SetPlan, seeds: Sequence[int]) -> list[Job]:
    """All trainings on one set: its generator and source classifier first, then what reads them."""
    options = {"label_filter": False, **plan.generator}  # five samples a class make a poor judge of labels
    generator = job(
        train_generator, f"{plan.name}, generator", {"part": "generator", "data": plan.data, "options": options},
        options.get("steps", 1200) * 0.8, "dagan",
    )  # fmt: skip
    source = job(
        train_source, f"{plan.name}, source classifier",
        {"part": "source", "data": plan.data, "steps": plan.source_steps, "width": plan.source_width},
        _seconds(plan.source_steps, plan.source_width), "classical",
    )  # fmt: skip
    pictures = {"part": "pictures", "data": plan.data}
    sheets = job(draw_sheets, f"{plan.name}, sheets", pictures, 15, "dagan", generator=generator)
    judge = {
        "part": "judge", "data": plan.data, "classifier": {"steps": plan.steps, "width": plan.width},
        "test_classes": plan.test_classes, "images": plan.judge_images, "draws": JUDGE_DRAWS,
        "most_held": MOST_HELD,
    }  # fmt: skip
    judges = [
        job(train_judge, f"{plan.name}, judge, seed {seed}", judge | {"seed": seed},
            _seconds(plan.steps, plan.width) + 7, "classical+dagan", generator=generator)
        for seed in seeds
    ]  # fmt: skip
    arms = [
        _arm_job(plan, comparison, {"samples": samples, "arm": arm, "seed": seed}, generator, source)
        for seed in seeds
        for comparison in (plan, *plan.more)
        for samples in comparison.samples
        for arm in comparison.arms
    ]
    return [generator, source, sheets, *judges, *arms]


def _arm_job(plan: SetPlan, comparison: Comparison, place: Mapping[str, Any], generator: Job, source: Job) -> Job:
    """An arm on one draw of so many samples."""
    arm = ARMS[place["arm"]]
    config = {
        "part": "arm", "data": plan.data, "comparison": comparison.name, "test_classes": comparison.test_classes,
        "classifier": {"steps": comparison.steps, "width": plan.width}, **place,
    }  # fmt: skip
    label = f"{comparison.name}, {place['samples']} a class, {place['arm']}, seed {place['seed']}"
    if arm.source:
        return job(train_arm, label, config, 10, source=source)
    cost = _seconds(comparison.steps, plan.width) + 2
    if not arm.dagan:
        return job(train_arm, label, config, cost, "classical")
    config |= {"times": comparison.times}
    return job(train_arm, label, config, cost + 5, "classical+dagan", generator=generator)


def _seconds(steps: int, width: int) -> float:
    return steps * width * SECONDS_A_STEP
