"""Published claims that tenfold repeats: one file a claim, found by its name."""

from __future__ import annotations

import pkgutil

PARTS = (
    "base",
    "cells_article",
    "dann_found",
    "dann_tasks",
    "few_shot_arms",
    "few_shot_found",
    "few_shot_generator",
    "few_shot_scales",
    "few_shot_sets",
    "few_shot_source",
    "few_shot_trainings",
    "lesions_design",
    "lesions_figures",
    "lesions_found",
    "lesions_trainings",
    "mixup_article",
    "running",
    "telling",
)
"""Files of the folder that are no claims."""


def claim_names() -> list[str]:
    """Every claim there is: the files of this folder. It loads none of them, so that --help can name them at once."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in PARTS)
