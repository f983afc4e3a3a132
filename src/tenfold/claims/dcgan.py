"""DCGAN for few medical pictures: a study of liver lesions, and an article on pictures of cells.

The study's design decides: three unequal classes, three folds, classical augmentation enlarged until the inner images
want no more of it, and then one DCGAN a class on top. The article has no figure to compare with; its cells are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from tenfold.claims import base, cells_article
from tenfold.claims.base import Finished, Found, TheySay, Training
from tenfold.claims.lesions_design import CLASSICAL, FOLDS, TURNED, WANTED, Amount, words
from tenfold.claims.lesions_found import found
from tenfold.claims.lesions_trainings import ARMS, TIMES, draw_pictures, judge_fold, picture_settings


@dataclass(frozen=True)
class Scale:
    """How much is trained, and at what size."""

    size: int
    """Pixels of the lesions' stand-ins."""
    amounts: tuple[Amount, ...]
    """By how much classical augmentation is enlarged."""
    steps: int | None
    """Of the classifier; None is what `prove` would take."""
    generator_steps: int
    """Of each of the three DCGANs of a fold."""
    cells: tuple[tuple[str, int, int], ...]
    """Of the cell article: preset, pixels, steps."""


FULL = Scale(
    # At 64 pixels 200 steps take as long, and of the pictures of two classes the label filter lets none through.
    size=32,
    amounts=(4, 16, None),
    steps=None,
    generator_steps=600,
    # A step of the article's networks takes 20 s on a core: its whole schedule takes a GPU.
    cells=(("article", 128, 24), ("quick", 128, 200)),
)
QUICK = Scale(size=32, amounts=(4, None), steps=100, generator_steps=150, cells=(("quick", 64, 60),))


@final
class Claim(base.Claim):
    sentence = (
        "On 182 liver lesions of three classes, one DCGAN a class on top of saturated classical augmentation raises "
        "sensitivity from 78.6 to 85.7 % and specificity from 88.4 to 92.4 %."
    )
    source = (
        "A study of liver lesions in CT (Frid-Adar et al. 2018), 3-fold cross-validation, no interval. And an "
        "article on a DCGAN for 64 pictures of cells at 128 x 128 pixels, which states no figure of use. Neither's "
        "images can be had: white blood cells stand in for both."
    )
    they_say = TheySay(
        "sensitivity 78.6 -> 85.7 %, specificity 88.4 -> 92.4 %",
        {
            "sensitivity, classical": 0.786,
            "sensitivity, classical + dcgan": 0.857,
            "specificity, classical": 0.884,
            "specificity, classical + dcgan": 0.924,
        },
        0.071,
    )
    seeds = 5
    quick_seeds = 2
    helpers = ("lesions_design", "lesions_trainings", "cells_article")

    def settings(self, quick: bool) -> dict[str, Any]:
        scale = QUICK if quick else FULL
        return asdict(scale) | {
            "amounts": [words(amount) for amount in scale.amounts],
            "steps": scale.steps or "as many as prove takes",
            "cells": [f"preset {preset}, {size} pixels, {steps} steps" for preset, size, steps in scale.cells],
            "data": "wbc, Dataset 1. For the lesions its three largest classes, copies left out, at most "
            f"{', '.join(map(str, WANTED))} images of them, as many as the study had of its three; each seed draws "
            "images, folds and weights anew",
            "folds": f"{FOLDS}, stratified; a fifth of each training part is held back, on which the classifier's "
            "weights and the amount of classical augmentation are chosen; test images choose nothing",
            "classical": ", ".join(f"{name}={value}" for name, value in CLASSICAL.items()),
            "dcgan": f"preset quick, one network a class, each learning from its images and {TURNED} turned copies "
            f"of each; {TIMES} new images for each real one, label filter and near-copy rejection",
            "pairs": "all arms of a fold share the classifier's first weights; both arms of a difference have the "
            "same classical pictures",
            "cell article": "64 cells of all five classes as one class, turned by any angle and mirrored to 640",
        }

    def trainings(self, seeds: Sequence[int], quick: bool) -> list[Training]:
        scale = QUICK if quick else FULL
        cells = [
            Training(
                f"cells, preset {preset}",
                {"part": "cells", "seed": seeds[0], "preset": preset, "size": size, "steps": steps},
                cost=steps * (20.0 if preset == "article" else 1.6 * (size / 128) ** 2),
            )
            for preset, size, steps in scale.cells
        ]
        places = [(seed, fold) for seed in seeds for fold in range(FOLDS)]
        common = {"size": scale.size, "generator_steps": scale.generator_steps}
        pictures = [
            Training(
                f"pictures, seed {seed}, fold {fold}",
                picture_settings({**common, "seed": seed, "fold": fold}),
                cost=10 + 3 * scale.generator_steps * 0.4 * (scale.size / 64) ** 2,
            )
            for seed, fold in places
        ]
        classifiers = [
            Training(
                f"{arm}, {words(amount)}, seed {seed}, fold {fold}",
                {
                    "part": "lesions",
                    "arm": arm,
                    "amount": amount,
                    "seed": seed,
                    "fold": fold,
                    "steps": scale.steps,
                    **common,
                },
                cost=(scale.steps or 400) / 20,
                stage=ARMS.index(arm),
            )
            for arm in ARMS
            for amount in scale.amounts
            for seed, fold in places
        ]
        return cells + pictures + classifiers

    def train(self, settings: Mapping[str, Any], files: Path) -> dict[str, Any]:
        if settings["part"] == "cells":
            return cells_article.train(settings, files)
        return draw_pictures(settings, files) if settings["part"] == "pictures" else judge_fold(settings, files)

    def judge(self, finished: Sequence[Finished]) -> Found:
        return found(finished, self.they_say.values)
