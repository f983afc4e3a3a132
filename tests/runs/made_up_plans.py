"""A plan whose trials take a tenth of a second each, on a set with every role."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from made_up_sets import SHORT, easy_set
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset, Trial
from tenfold.data.splits import make_splits, plan_folds
from tenfold.runs.arms import parse_arms
from tenfold.runs.plan import Plan, Task, TrialConfig, make_plan
from tenfold.runs.trial import judged

ROLES = ["train"] * 8 + ["reserve"] * 3 + ["test"] * 2
"""Of each class."""


def whole_set(key: str = "study") -> ImageDataset:
    """Two classes of eight studied images, in pairs of one group; and a reserve and an external test set."""
    groups = [*range(13), *range(13, 26)]
    for first in (*range(0, 8, 2), *range(13, 21, 2)):
        groups[first + 1] = groups[first]
    return easy_set([13, 13], key=key, noise=60, groups=groups, roles=ROLES * 2)


def plan_for(data: ImageDataset, arms: str = "raw,classical", **changes: Any) -> Plan:
    study = data.part("train")
    settings = {"repeats": 1, "seed": 0, "times": 1.0, **changes}
    plan = make_plan(data, parse_arms(arms), plan_folds(study, 3), **settings)
    return replace(plan, classifier=SHORT)


def run_trial(data: ImageDataset, plan: Plan, task: Task, selected: Any = None) -> Trial:
    """One trial of the plan, done here."""
    split = make_splits(data.part("train"), plan.fold_plan, task.repeat, Key(f"seed-{plan.seed}"))[task.fold]
    return judged(TrialConfig(plan.training(task.arm), plan.seed, task.repeat, task.fold), data, split, selected)
