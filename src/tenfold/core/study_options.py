"""The options of a study: what `prove` compares, and what `run` does with the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from tenfold.core.configuration import Option
from tenfold.core.options import MOST_SECONDS, MOST_STEPS, PROCESSES, On, TrainingOptions, path_as_text
from tenfold.core.progress import parse_duration


@dataclass(frozen=True, kw_only=True)
class StudyOptions(TrainingOptions):
    """What `prove` compares."""

    arms: Annotated[
        str | None,
        Option(
            "The ways of growing to compare; '+' adds methods up, (...) sets options: "
            "'classical,classical+cgan(steps=500)'. Default: raw, classical, placebo, classical+mixup, "
            "classical+cgan, probe where the extra `weights` is installed, and oracle where images are held in "
            "reserve; of vectors raw, placebo and mixup.",
            "ARM,ARM,...",
        ),
    ] = None
    baseline: Annotated[
        str | None,
        Option(
            "The arm that all others are compared with, such as classical+transfer; the default arms are laid on it. "
            "auto: the best start among the arms, by a pilot of one repeat under seeds of its own. "
            "Default: classical, in the first setting of it that --arms holds; of vectors raw.",
            "ARM",
        ),
    ] = None
    budget: Annotated[
        float | None,
        Option(
            "Time for the whole command: 45s, 15m, 1h30m. It ends with what is known by then, and goes on without. "
            "Default: no limit.",
            "TIME",
            min=0.001,
            max=MOST_SECONDS,
            reads=parse_duration,
        ),
    ] = None
    repeats: Annotated[
        int, Option("How often the folds are drawn anew; under 4 is provisional.", "NUMBER", min=1, max=1000)
    ] = 4
    steps: Annotated[
        int | None,
        Option(
            "Training steps of every classifier that begins with fresh weights. Default: 400 (of images of up to 16 "
            "pixels 300), doubled for 500 images and more as long as trials of the baseline beforehand gain by it.",
            "NUMBER",
            min=1,
            max=MOST_STEPS,
        ),
    ] = None
    times: Annotated[
        float,
        Option(
            "The most new images for each real one; the validation images choose between none, half as many and "
            "this.",
            "NUMBER",
            min=0.1,
            max=1000,
        ),
    ] = 2.0
    test: Annotated[
        str | None,
        Option(
            "A second labelled set, in any form DATA may have. Nothing learns from it; the choice and the baseline "
            "are compared on it at the end. Default: the set's own test part, if any.",
            "DIR",
        ),
    ] = None
    judge_rare: Annotated[
        bool,
        Option(
            "Let classes of fewer than ten independent images (or groups) count in the verdict as much as others, "
            "and lower the number of folds to theirs. Default: only where no two classes have as many."
        ),
    ] = False
    learning_curve: Annotated[
        bool,
        Option(
            "Train the baseline on 50 and 70 % of the images too, to say how many real images a gain is worth.",
            flag="--learning-curve/--no-learning-curve",
        ),
    ] = True

    on: On = PROCESSES

    @classmethod
    def normalised(cls, values: dict[str, Any]) -> dict[str, Any]:
        arms = values.get("arms")
        if isinstance(arms, Sequence) and not isinstance(arms, str):
            values["arms"] = ",".join(map(str, arms))
        return {**values, "test": path_as_text(values.get("test"))}


@dataclass(frozen=True, kw_only=True)
class RunOptions(StudyOptions):
    """What `run` compares, and what it grows."""

    grow: Annotated[
        str | None,
        Option("Grow with this method even if nothing helped. Default: the winner only.", "METHOD"),
    ] = None
