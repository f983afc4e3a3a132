"""`prove`: measure whether growing the set helps."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.core.durations import duration
from tenfold.core.errors import Interrupted
from tenfold.core.files import write_json
from tenfold.core.progress import note, progress, warn
from tenfold.core.types import ImageDataset, Trial, Verdict
from tenfold.data.audit import Audit, audit, cleaned
from tenfold.data.loading import load, require_classes
from tenfold.data.splits import plan_folds
from tenfold.evaluate.compare import compare
from tenfold.evaluate.telling import sentence, verdict_json
from tenfold.study.arms import default_arms, parse_arms
from tenfold.study.directory import opened
from tenfold.study.executors import run_trials
from tenfold.study.plan import Plan, make_plan
from tenfold.verbs.publish import publish


@dataclass(frozen=True, eq=False)
class Study:
    """A finished study: the verdict, where it lies, and all it was made from."""

    directory: Path
    verdict: Verdict
    data: ImageDataset
    audit: Audit
    plan: Plan
    trials: tuple[Trial, ...]

    @property
    def sentence(self) -> str:
        return sentence(self.verdict)

    def to_json(self) -> dict[str, Any]:
        """What verdict.json holds, and the directory."""
        return verdict_json(self.verdict) | {"directory": str(self.directory)}


def prove(
    data: str | Path | ImageDataset,
    *,
    arms: str | Sequence[str] | None = None,
    budget: float | None = None,
    repeats: int = 4,
    seed: int = 0,
    out: str | Path | None = None,
    size: int | None = None,
    per_class: int | None = None,
    images: int | None = None,
    times: float = 2.0,
    workers: int | None = None,
) -> Study:
    """Compare ways of growing a set by repeated cross-validation and write verdict.json and report.html.

    Args:
        data: a path, a known name, or a loaded set.
        arms: "raw,classical,classical+mixup" or the like; the default suits the data.
        budget: seconds; no repeat is begun that would not end in time.
        out: the run's directory; the same plan in the same directory is taken up where it stopped.
        times: generated images for each real one.
        workers: trials at the same time; one a core unless given.

    Raises:
        InputError: the data or an option cannot be used.
        Interrupted: Ctrl-C; what was finished is kept.
    """
    started = time.monotonic()
    dataset, findings, plan = prepare(
        data, arms=arms, repeats=repeats, seed=seed, size=size, per_class=per_class, images=images, times=times
    )
    options = {
        "data": str(data) if isinstance(data, str | Path) else data.name,
        "arms": ",".join(arm.name for arm in plan.arms),
        "budget": budget,
        "repeats": repeats,
        "seed": seed,
        "size": size,
        "per_class": per_class,
        "images": images,
        "times": times,
    }
    with opened(Path(out) if out is not None else None, "prove", options, plan) as directory:
        study = conduct(dataset, findings, plan, directory, budget=budget, workers=workers)
        publish(study, "prove", options, seconds=time.monotonic() - started)
    return study


def prepare(
    data: str | Path | ImageDataset,
    *,
    arms: str | Sequence[str] | None,
    repeats: int,
    seed: int,
    size: int | None,
    per_class: int | None,
    images: int | None,
    times: float,
) -> tuple[ImageDataset, Audit, Plan]:
    """Read and clean the images and freeze the plan; nothing is trained or written."""
    if not isinstance(data, ImageDataset):
        data = load(data, size=size, per_class=per_class, images=images, seed=seed)
    require_classes(data)
    findings = audit(data)
    dataset = cleaned(data, findings)
    study = dataset.part("train")
    fold_plan = plan_folds(study)
    for warning in (*findings.warnings, *fold_plan.warnings):
        warn(warning)
    has_reserve = bool((dataset.roles == "reserve").any())
    plan = make_plan(
        study,
        dataset,
        parse_arms(arms if arms is not None else default_arms(has_reserve)),
        fold_plan,
        repeats=repeats,
        seed=seed,
        times=times,
    )
    return dataset, findings, plan


def conduct(
    dataset: ImageDataset,
    findings: Audit,
    plan: Plan,
    directory: Path,
    *,
    budget: float | None,
    workers: int | None,
) -> Study:
    """Run all trials, judge them, and write check.json and verdict.json."""
    write_json(directory / "check.json", findings.to_json())
    trials = _run_with_progress(dataset, plan, directory, budget, workers)
    study, external = dataset.part("train"), dataset.part("test")
    verdict = compare(
        trials,
        study.labels,
        study.groups,
        study.class_names,
        baseline=plan.baseline,
        candidates=[arm.name for arm in plan.arms if arm.may_be_picked],
        evaluated=plan.fold_plan.evaluated,
        folds=plan.fold_plan.folds,
        margin=plan.margin,
        external_labels=external.labels if len(external) else None,
    )
    write_json(directory / "verdict.json", verdict_json(verdict))
    return Study(directory, verdict, dataset, findings, plan, tuple(trials))


def _run_with_progress(
    dataset: ImageDataset, plan: Plan, directory: Path, budget: float | None, workers: int | None
) -> list[Trial]:
    total = plan.repeats * plan.fold_plan.folds * len(plan.arms)
    study = dataset.part("train")
    note(
        f"{plan.data}: {len(study)} images, {study.class_count} classes; {len(plan.arms)} arms x {plan.repeats} "
        f"repeats x {plan.fold_plan.folds} folds = {total} trials"
    )
    seconds_of: dict[str, list[float]] = {}
    try:
        with progress("trials", total) as bar:

            def report(trial: Trial, found: bool) -> None:
                seconds_of.setdefault(trial.arm, []).append(trial.wall_seconds)
                if trial.failed:
                    warn(f"{trial.arm}, repeat {trial.repeat + 1}, fold {trial.fold + 1}: {trial.failed}")
                bar.advance(1, note=trial.arm, seconds_left=_seconds_left(plan, seconds_of, workers))

            trials = run_trials(
                plan,
                dataset,
                directory,
                workers=workers or available_cores(),
                budget_seconds=budget,
                report=report,
            )
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped; the finished trials are kept. Go on with the same command and --out {directory}"
        ) from None
    repeats = max(trial.repeat for trial in trials) + 1
    if budget is not None and repeats < plan.repeats:
        warn(f"the budget of {duration(budget)} allowed {repeats} of {plan.repeats} repeats")
    return trials


def _seconds_left(plan: Plan, seconds_of: Mapping[str, Sequence[float]], workers: int | None) -> float:
    """Each arm has its own pace: a generator's trial takes many times a plain one's."""
    each = plan.repeats * plan.fold_plan.folds
    known = float(np.mean([np.mean(seconds) for seconds in seconds_of.values()]))
    work = 0.0
    for arm in plan.arms:
        seconds = seconds_of.get(arm.name, ())
        work += (each - len(seconds)) * (float(np.mean(seconds)) if seconds else known)
    return work / (workers or available_cores())


def available_cores() -> int:
    """The cores that this process may use, which in a container may be fewer than the machine's."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
