"""How much is trained to repeat DAGAN's figures: all numbers that one may want to turn, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tenfold.claims.few_shot_arms import ARMS


@dataclass(frozen=True)
class SetPlan:
    """One set with its generator, its source classifier and the size of the classifiers on unseen classes."""

    name: str
    classes: tuple[int, int, int]
    """To train on, to choose settings by, never seen."""
    test_classes: int
    """Of the unseen ones, how many are told apart."""
    samples: tuple[int, ...]
    """A class."""
    judge_images: int
    """Real images of each unseen class that the judge learns from."""
    steps: int
    """Of every classifier on unseen classes."""
    width: int
    source_steps: int
    source_width: int
    generator: Mapping[str, Any] = field(default_factory=dict)
    """Options of dagan, apart from the defaults."""
    size: int = 28
    per_class: int | None = None
    """Images a class that are read of a large set; None is all."""
    turns: int = 1
    """4: for the source classifier a class turned by 90 degrees is a class of its own."""
    times: int = 2
    """New images for each real one."""
    arms: tuple[str, ...] = tuple(ARMS)

    @property
    def data(self) -> dict[str, Any]:
        """What `class_split` reads."""
        return {"set": self.name, "size": self.size, "per_class": self.per_class, "classes": list(self.classes)}


@dataclass(frozen=True)
class Comparison:
    """A further table on unseen characters, with the generator of their plan."""

    name: str
    test_classes: int
    samples: tuple[int, ...]
    arms: tuple[str, ...]
    times: int
    """New images for each real one."""
    steps: int
    """Of every classifier."""


@dataclass(frozen=True)
class Scale:
    """How much is trained."""

    sets: tuple[SetPlan, ...]
    more: tuple[Comparison, ...] = ()
    label_filter: bool = False
    """Whether a classifier of the samples must agree with a new image's label; five a class make a poor one."""
    weak_policy: str = "light"
    strong_policy: str = "standard"
    judge_draws: int = 4
    """New images of each held-out real one."""
    judge_held: int = 20
    """Held-out real images a class, at most."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of every dagan; a set's own come on top."""


FULL = Scale(
    sets=(
        SetPlan(
            "omniglot",
            classes=(1200, 212, 211),
            test_classes=211,
            samples=(5, 10, 15),
            judge_images=15,
            steps=2000,
            width=24,
            source_steps=3000,
            source_width=32,
        ),
        SetPlan(
            "faces",
            classes=(20, 4, 16),
            test_classes=16,
            samples=(1, 3, 5),
            judge_images=7,
            steps=300,
            width=32,
            source_steps=1000,
            source_width=32,
            size=32,
        ),
        SetPlan(
            "emnist_letters",
            classes=(17, 4, 5),
            test_classes=5,
            samples=(15, 25, 50, 100),
            judge_images=100,
            steps=400,
            width=32,
            source_steps=2000,
            source_width=32,
            per_class=200,
        ),
    ),
    more=(Comparison("replication", 100, (1, 3, 5), ("classical", "classical + dagan"), times=5, steps=1000),),
)

QUICK = Scale(
    sets=(
        SetPlan(
            "omniglot",
            classes=(1200, 212, 211),
            test_classes=60,
            samples=(5,),
            judge_images=15,
            steps=600,
            width=24,
            generator={"steps": 800},
            source_steps=800,
            source_width=32,
        ),
        SetPlan(
            "faces",
            classes=(20, 4, 16),
            test_classes=16,
            samples=(1, 5),
            judge_images=7,
            steps=200,
            width=24,
            generator={"steps": 300},
            source_steps=200,
            source_width=24,
            size=32,
        ),
        SetPlan(
            "emnist_letters",
            classes=(17, 4, 5),
            test_classes=5,
            samples=(15, 100),
            judge_images=100,
            steps=200,
            width=24,
            generator={"steps": 300},
            source_steps=300,
            source_width=24,
            per_class=200,
        ),
    ),
)
