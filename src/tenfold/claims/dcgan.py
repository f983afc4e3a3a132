"""DCGAN for few medical images: a study of liver lesions, and an article on images of cells.

The study's design decides: three unequal classes, three folds, classical augmentation enlarged until the validation
images want no more of it, and then one DCGAN a class on top. The article has no figure to compare with; its cells
are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

from tenfold.claims import engine
from tenfold.claims.engine import Summary, job
from tenfold.claims.lesions import (
    ARMS,
    CLASSICAL,
    FOLDS,
    TIMES,
    TURNED,
    WANTED,
    Amount,
    draw_cells,
    draw_lesions,
    judge_fold,
    words,
)
from tenfold.claims.lesions_tables import summary_of
from tenfold.claims.tables import Results
from tenfold.runs import Job


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
    # At 64 pixels 200 steps take as long, and of the images of two classes the label filter lets none through.
    size=32,
    amounts=(4, 16, None),
    steps=None,
    generator_steps=600,
    # A step of the article's networks takes 20 s on a core: its whole schedule takes a GPU.
    cells=(("article", 128, 24), ("quick", 128, 200)),
)
QUICK = Scale(size=32, amounts=(4, None), steps=100, generator_steps=150, cells=(("quick", 64, 60),))


@final
class Claim(engine.Claim):
    """The study's design decides; the article's cells are shown."""

    def settings(self, quick: bool) -> dict[str, Any]:
        scale = QUICK if quick else FULL
        return {
            **asdict(scale),
            "amounts": [words(amount) for amount in scale.amounts],
            "steps": scale.steps or "as many as prove takes",
            "cells": [f"preset {preset}, {size} pixels, {steps} steps" for preset, size, steps in scale.cells],
            **self.text.settings_with(
                wanted=", ".join(map(str, WANTED)),
                folds=FOLDS,
                classical=", ".join(f"{name}={value}" for name, value in CLASSICAL.items()),
                turned=TURNED,
                times=TIMES,
            ),
        }

    def jobs(self, seeds: Sequence[int], quick: bool) -> list[Job]:
        scale = QUICK if quick else FULL
        cells = [
            job(draw_cells, f"cells, preset {preset}",
                {"part": "cells", "seed": seeds[0], "preset": preset, "size": size, "steps": steps},
                steps * (20.0 if preset == "article" else 1.6 * (size / 128) ** 2), "dcgan")
            for preset, size, steps in scale.cells
        ]  # fmt: skip
        common = {"size": scale.size, "generator_steps": scale.generator_steps}
        drawn = {
            (seed, fold): job(draw_lesions, f"images, seed {seed}, fold {fold}",
                              {"part": "pictures", "seed": seed, "fold": fold, **common},
                              10 + 3 * scale.generator_steps * 0.4 * (scale.size / 64) ** 2, "dcgan")
            for seed in seeds
            for fold in range(FOLDS)
        }  # fmt: skip
        classifiers = [
            job(judge_fold, f"{arm}, {words(amount)}, seed {seed}, fold {fold}",
                {"part": "lesions", "arm": arm, "amount": amount, "seed": seed, "fold": fold, "steps": scale.steps,
                 **common},
                (scale.steps or 400) / 20, "classical", **({"drawn": needed} if arm == ARMS[1] else {}))
            for arm in ARMS
            for amount in scale.amounts
            for (seed, fold), needed in drawn.items()
        ]  # fmt: skip
        return [*cells, *drawn.values(), *classifiers]

    def summary(self, results: Results) -> Summary:
        return summary_of(results, self.text)
