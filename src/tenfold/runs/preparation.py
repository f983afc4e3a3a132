"""What comes before any training: the images are read and cleaned, the plan is frozen, the directory opened."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.core.clock import beginning
from tenfold.core.errors import InputError
from tenfold.core.output import require_apart
from tenfold.core.progress import note, warn
from tenfold.core.study_options import StudyOptions
from tenfold.core.types import ImageDataset
from tenfold.data.audit import Audit, audit, cleaned, told_of_set_aside
from tenfold.data.combine import with_external_test
from tenfold.data.load import load, require_classes
from tenfold.data.splits import FoldPlan, plan_folds
from tenfold.runs.arms import AUTO, parse_arms, require_vector_arms, typed_baseline
from tenfold.runs.default_arms import (
    baseline_for,
    curve_arms,
    default_arms,
    laid_on,
    left_out_of_defaults,
    may_start_elsewhere,
    rival_starts,
)
from tenfold.runs.directory import CODE, COMMAND, RunDirectory, make_ready
from tenfold.runs.plan import Plan, make_plan

LARGE_SIDE = 224
"""Pixels at which the files are read for pre-trained networks, which most of them were trained at."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """Images ready to be studied, and the frozen plan; nothing is trained yet."""

    data: ImageDataset
    audit: Audit
    plan: Plan
    started: float
    """The monotonic clock as the command began."""
    source: str
    """The data as it was named."""
    options: StudyOptions
    """With the arms in full."""
    remarks: tuple[str, ...] = ()
    """What the reader of the verdict must know before anything is trained."""
    rivals: tuple[Plan, ...] = ()
    """The same study on other starts: one of them becomes the plan where a pilot prefers it."""
    slowdown: float = 1.0
    """Seconds that have passed until here for each of computing, which a busy machine makes more."""

    @property
    def config(self) -> dict[str, Any]:
        """As config.json keeps it, so that the same study can be asked for again."""
        return {"data": self.source, **self.options.to_json()}


def prepare(data: str | Path | ImageDataset, options: StudyOptions) -> Prepared:
    """Read and clean the images and freeze the plan.

    Raises:
        InputError: the data or an option cannot be used.
    """
    began = beginning()
    name = data.name if isinstance(data, ImageDataset) else str(data)
    large_side = LARGE_SIDE if may_start_elsewhere(options) else None
    loaded = data if isinstance(data, ImageDataset) else load(data, **options.reading, large_side=large_side)
    require_classes(loaded)
    if options.test is not None:
        loaded = with_external_test(loaded, options.test, data, options.columns)
    findings = audit(loaded)
    dataset = cleaned(loaded, findings)
    study = dataset.part("train")
    fold_plan = plan_folds(study, judge_rare=options.judge_rare)
    for told in loaded.columns:
        note(told)
    for warning in (*findings.warnings, *told_of_set_aside(dataset), *fold_plan.warnings):
        warn(warning)
    for label in np.setdiff1d(study.labels, (*fold_plan.evaluated, *fold_plan.rare)):
        warn(f"class '{study.class_names[label]}' has too few independent images to be tested; it is trained on")
    has_reserve = bool((dataset.roles == "reserve").any())
    chosen_later = options.baseline == AUTO
    usual = baseline_for(study) if chosen_later or options.baseline is None else options.baseline
    wanted = options.arms if options.arms is not None else default_arms(has_reserve, usual)
    starts = rival_starts(wanted, usual) if chosen_later else (typed_baseline(wanted, usual),)
    plan, *rivals = (_plan(dataset, fold_plan, options, laid_on(wanted, start, starts[0]), start) for start in starts)
    missing = left_out_of_defaults(plan.baseline) if options.arms is None else None
    if missing:
        note(missing)
    if chosen_later and not rivals:
        note(f"--baseline auto has nothing to choose from: no arm is a start other than {plan.baseline}'s")
    curve = curve_arms(plan.baseline) if options.learning_curve else ()
    asked_for = ",".join(arm.name for arm in plan.arms if arm not in curve)
    return Prepared(
        dataset,
        findings,
        plan,
        began.at,
        name,
        replace(options, arms=asked_for),
        remarks=(missing,) if missing else (),
        rivals=tuple(rivals),
        slowdown=began.slowdown,
    )


def _plan(
    data: ImageDataset, fold_plan: FoldPlan, options: StudyOptions, wanted: str | Sequence[str], baseline: str
) -> Plan:
    """The plan of comparing these arms with this baseline.

    Raises:
        InputError: an arm cannot be had of these images.
    """
    arms = parse_arms(wanted, baseline)
    if data.is_vectors:
        require_vector_arms(arms)
    needy = next((arm.name for arm in arms if arm.needs_reserve), None)
    if needy and not (data.roles == "reserve").any():
        raise InputError(f"the arm '{needy}' needs more real images than the study uses (--per-class, --images)")
    if options.learning_curve:
        arms += tuple(arm for arm in curve_arms(baseline) if arm not in arms)
    plan = make_plan(
        data, arms, fold_plan, repeats=options.repeats, seed=options.seed, times=options.times, baseline=baseline
    )
    return plan if options.steps is None else replace(plan, classifier=replace(plan.classifier, steps=options.steps))


def frozen(plan: Plan, rivals: Sequence[Plan]) -> dict[str, Any]:
    """As config.json keeps a plan, and those of other starts."""
    where_better = {one.baseline: {"plan": asdict(one), "plan_hash": one.hash} for one in rivals}
    told = {"plan": asdict(plan), "plan_hash": plan.hash}
    return told | ({"plans_of_other_starts": where_better} if where_better else {})


def require_ready(out: str | Path | None, *data: object) -> None:
    """See that a study of these sets can be written there: before they are read.

    Raises:
        InputError: it cannot, or lies in one of them.
    """
    directory = Path("runs" if out is None else out)
    require_apart(directory, *data)
    if out is not None:
        make_ready(directory, "", (COMMAND,))


def opened(
    prepared: Prepared, out: str | Path | None, command: str, changeable: Sequence[str] = ()
) -> AbstractContextManager[RunDirectory]:
    """The run's directory, with the plan frozen in config.json; `prove` and `run` take up one another's.

    Raises:
        InputError: it holds something else, a run of another plan, or another process's run.
    """
    plan, rivals = prepared.plan, prepared.rivals
    code = "-".join(sorted({one.code for one in (plan, *rivals)}))
    outside = {name: found for one in (*rivals, plan) for name, found in one.outside.items()}
    return RunDirectory.opened(
        Path(out) if out is not None else None,
        command,
        prepared.config,
        {plan.data: plan.data_fingerprint, CODE: code, **outside},
        # Of another kind of device no job is taken over: its kind is in their names.
        changeable=("budget", "device", "on", COMMAND, *changeable),
        plan=frozen(plan, rivals),
    )
