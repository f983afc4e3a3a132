"""A study from images to verdict: read, plan, train, judge. `prove` and `run` both conduct one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.core.durations import duration
from tenfold.core.errors import InputError, Interrupted
from tenfold.core.files import write_json
from tenfold.core.progress import note, progress, warn
from tenfold.core.types import ImageDataset, Trial, Verdict
from tenfold.data.audit import Audit, audit, cleaned
from tenfold.data.loading import load, require_classes
from tenfold.data.splits import plan_folds
from tenfold.evaluate.compare import compare
from tenfold.evaluate.telling import sentence, verdict_json
from tenfold.study.arms import default_arms, parse_arms
from tenfold.study.executors import run_trials
from tenfold.study.plan import Plan, make_plan


@dataclass(frozen=True)
class Options:
    """What a user may decide about a study; the names are those of the command line."""

    arms: str | Sequence[str] | None = None
    budget: float | None = None
    """Seconds."""
    repeats: int = 4
    seed: int = 0
    size: int | None = None
    per_class: int | None = None
    images: int | None = None
    times: float = 2.0


@dataclass(frozen=True, eq=False)
class Prepared:
    """Images ready to be studied, and the frozen plan; nothing is trained yet."""

    data: ImageDataset
    audit: Audit
    plan: Plan
    options: Mapping[str, Any]
    """As config.json keeps them, so that the same study can be asked for again."""


@dataclass(frozen=True, eq=False)
class Study:
    """A finished study: the verdict, where it lies, and all it was made from."""

    directory: Path
    verdict: Verdict
    data: ImageDataset
    audit: Audit
    plan: Plan
    options: Mapping[str, Any]
    trials: tuple[Trial, ...]

    @property
    def sentence(self) -> str:
        return sentence(self.verdict)

    def to_json(self) -> dict[str, Any]:
        """What verdict.json holds, and the directory."""
        return verdict_json(self.verdict) | {"directory": str(self.directory)}


def prepare(data: str | Path | ImageDataset, options: Options) -> Prepared:
    """Read and clean the images and freeze the plan.

    Raises:
        InputError: the data or an option cannot be used.
    """
    for option in ("repeats", "times", "budget"):
        if (value := getattr(options, option)) is not None and not value > 0:
            raise InputError(f"{option} must be above 0, not {value}")
    name = data.name if isinstance(data, ImageDataset) else str(data)
    if not isinstance(data, ImageDataset):
        data = load(data, size=options.size, per_class=options.per_class, images=options.images, seed=options.seed)
    require_classes(data)
    findings = audit(data)
    dataset = cleaned(data, findings)
    study = dataset.part("train")
    fold_plan = plan_folds(study)
    for warning in (*findings.warnings, *fold_plan.warnings):
        warn(warning)
    for label in np.setdiff1d(study.labels, fold_plan.evaluated):
        warn(f"class '{study.class_names[label]}' has too few independent images to be evaluated; it is trained on")
    has_reserve = bool((dataset.roles == "reserve").any())
    arms = parse_arms(options.arms if options.arms is not None else default_arms(has_reserve))
    needy = next((arm.name for arm in arms if arm.needs_reserve), None)
    if needy and not has_reserve:
        raise InputError(f"the arm '{needy}' needs more real images than the study uses (--per-class, --images)")
    plan = make_plan(study, dataset, arms, fold_plan, repeats=options.repeats, seed=options.seed, times=options.times)
    kept = {"data": name, **asdict(options), "arms": ",".join(arm.name for arm in arms)}
    return Prepared(dataset, findings, plan, kept)


def conduct(prepared: Prepared, directory: Path, workers: int | None) -> Study:
    """Run all trials, judge them, and write check.json and verdict.json.

    Raises:
        Interrupted: Ctrl-C; the finished trials are kept.
    """
    write_json(directory / "check.json", prepared.audit.to_json())
    data, plan = prepared.data, prepared.plan
    trials = _run_with_progress(data, plan, directory, prepared.options["budget"], workers or available_cores())
    study, external = data.part("train"), data.part("test")
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
    return Study(directory, verdict, data, prepared.audit, plan, prepared.options, tuple(trials))


def _run_with_progress(
    dataset: ImageDataset, plan: Plan, directory: Path, budget: float | None, workers: int
) -> list[Trial]:
    total = plan.repeats * plan.fold_plan.folds * len(plan.arms)
    study = dataset.part("train")
    note(
        f"{plan.data}: {len(study)} images, {study.class_count} classes; {total} trials "
        f"(arms: {len(plan.arms)}, repeats: {plan.repeats}, folds: {plan.fold_plan.folds})"
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
                workers=workers,
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


def _seconds_left(plan: Plan, seconds_of: Mapping[str, Sequence[float]], workers: int) -> float:
    """Each arm has its own pace: a generator's trial takes many times a plain one's."""
    each = plan.repeats * plan.fold_plan.folds
    known = float(np.mean([np.mean(seconds) for seconds in seconds_of.values()]))
    work = 0.0
    for arm in plan.arms:
        seconds = seconds_of.get(arm.name, ())
        work += (each - len(seconds)) * (float(np.mean(seconds)) if seconds else known)
    return work / workers


def available_cores() -> int:
    """The cores that this process may use, which in a container may be fewer than the machine's."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
