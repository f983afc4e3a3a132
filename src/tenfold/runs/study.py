"""A study from images to verdict: read, plan, train, judge. `prove` and `run` both conduct one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.core.errors import InputError, Interrupted
from tenfold.core.files import write_json
from tenfold.core.options import StudyOptions
from tenfold.core.progress import duration, note, progress, warn
from tenfold.core.results import Result
from tenfold.core.types import ImageDataset, Trial
from tenfold.data.audit import Audit, audit, cleaned
from tenfold.data.combine import with_external_test
from tenfold.data.load import load, require_classes
from tenfold.data.splits import is_tested, plan_folds
from tenfold.evaluation import Verdict
from tenfold.evaluation.compare import Design, External, compare, primary_p_value
from tenfold.evaluation.prediction_matrix import UNTESTED
from tenfold.evaluation.serialise import sentence, verdict_json
from tenfold.runs.arms import (
    baseline_for,
    curve_arms,
    default_arms,
    left_out_of_defaults,
    parse_arms,
    require_vector_arms,
)
from tenfold.runs.directory import CODE, COMMAND, RunDirectory
from tenfold.runs.plan import Plan, make_plan
from tenfold.runs.repeats import Done, Limits, run_trials
from tenfold.training.device import available_cores


def no_tail(trials: Sequence[Trial]) -> float:
    """Nothing worth counting is left to do."""
    return 0.0


@dataclass(frozen=True, eq=False)
class Prepared:
    """Images ready to be studied, and the frozen plan; nothing is trained yet."""

    data: ImageDataset
    audit: Audit
    plan: Plan
    started: float
    """The monotonic clock before the images were read."""
    source: str
    """The data as it was named."""
    options: StudyOptions
    """With the arms in full."""
    remarks: tuple[str, ...] = ()
    """What the reader of the verdict must know before anything is trained."""

    @property
    def config(self) -> dict[str, Any]:
        """As config.json keeps it, so that the same study can be asked for again."""
        return {"data": self.source, **self.options.to_json()}


@dataclass(frozen=True, eq=False)
class Study(Result):
    """A finished study: the verdict, where it lies, and all it was made from."""

    holds_more = True

    directory: Path
    verdict: Verdict
    data: ImageDataset
    audit: Audit
    plan: Plan
    source: str
    options: StudyOptions
    trials: tuple[Trial, ...]
    seconds_before: float = 0.0
    """What the trials took that earlier runs had finished."""

    @property
    def sentence(self) -> str:
        return sentence(self.verdict)

    def to_json(self) -> dict[str, Any]:
        """What verdict.json holds, and the directory."""
        return verdict_json(self.verdict) | {"directory": str(self.directory)}


def prepare(data: str | Path | ImageDataset, options: StudyOptions) -> Prepared:
    """Read and clean the images and freeze the plan.

    Raises:
        InputError: the data or an option cannot be used.
    """
    started = time.monotonic()
    name = data.name if isinstance(data, ImageDataset) else str(data)
    loaded = data if isinstance(data, ImageDataset) else load(data, **options.reading)
    require_classes(loaded)
    if options.test is not None:
        loaded = with_external_test(loaded, options.test, data)
    findings = audit(loaded)
    dataset = cleaned(loaded, findings)
    study = dataset.part("train")
    fold_plan = plan_folds(study, judge_rare=options.judge_rare)
    for warning in (*findings.warnings, *fold_plan.warnings):
        warn(warning)
    for label in np.setdiff1d(study.labels, (*fold_plan.evaluated, *fold_plan.rare)):
        warn(f"class '{study.class_names[label]}' has too few independent images to be tested; it is trained on")
    has_reserve = bool((dataset.roles == "reserve").any())
    baseline = baseline_for(study)
    arms = parse_arms(options.arms if options.arms is not None else default_arms(has_reserve, baseline), baseline)
    if study.is_vectors:
        require_vector_arms(arms)
    needy = next((arm.name for arm in arms if arm.needs_reserve), None)
    if needy and not has_reserve:
        raise InputError(f"the arm '{needy}' needs more real images than the study uses (--per-class, --images)")
    if options.learning_curve:
        arms += tuple(arm for arm in curve_arms(baseline) if arm not in arms)
    plan = make_plan(study, dataset, arms, fold_plan, repeats=options.repeats, seed=options.seed, times=options.times)
    missing = left_out_of_defaults(baseline) if options.arms is None else None
    if missing:
        note(missing)
    asked_for = ",".join(arm.name for arm in arms if not options.learning_curve or arm not in curve_arms(baseline))
    return Prepared(
        dataset,
        findings,
        plan,
        started,
        name,
        replace(options, arms=asked_for),
        remarks=(missing,) if missing else (),
    )


def opened(
    prepared: Prepared, out: str | Path | None, command: str, changeable: Sequence[str] = ()
) -> AbstractContextManager[RunDirectory]:
    """The run's directory, with the plan frozen in config.json; `prove` and `run` take up one another's.

    Raises:
        InputError: it holds something else, a run of another plan, or another process's run.
    """
    plan = prepared.plan
    return RunDirectory.opened(
        Path(out) if out is not None else None,
        command,
        prepared.config,
        {plan.data: plan.data_fingerprint, CODE: plan.code, **plan.outside},
        # Of another kind of device no job is taken over: its kind is in their names.
        changeable=("budget", "device", COMMAND, *changeable),
        plan={"plan": asdict(plan), "plan_hash": plan.hash},
    )


def run_study(
    prepared: Prepared, run: RunDirectory, workers: int | None, *, tail: Callable[[Sequence[Trial]], float] = no_tail
) -> Study:
    """Run all trials, judge them, and write check.json and verdict.json.

    `tail` estimates the seconds that the caller needs after the trials, which the budget has to pay for too.

    Raises:
        InputError: the budget is too short for any comparison.
        Interrupted: Ctrl-C; the finished trials are kept.
    """
    write_json(run.path / "check.json", prepared.audit.to_json())
    data, plan = prepared.data, prepared.plan
    design = _design(prepared)
    limits = Limits(
        prepared.options.budget,
        prepared.started,
        tail,
        lambda trials: primary_p_value(trials, design),
    )
    done, before = _run_with_progress(data, plan, run, limits, workers)
    external = data.part("test")
    _require_comparison(done, plan, prepared.options.budget)
    sealed = External(external.labels, external.groups) if len(external) else None
    verdict = compare(done.trials, design, external=sealed, looks=done.looks)
    with_warnings = replace(
        verdict,
        warnings=(
            *prepared.remarks,
            *_warnings(done, plan, prepared.options.budget),
            *plan.fold_plan.warnings,
            *verdict.warnings,
        ),
    )
    write_json(run.path / "verdict.json", verdict_json(with_warnings))
    return Study(
        run.path, with_warnings, data, prepared.audit, plan, prepared.source, prepared.options, done.trials, before
    )


def _design(prepared: Prepared) -> Design:
    """What is studied, and the plan's rules by which it is judged."""
    study, plan = prepared.data.part("train"), prepared.plan
    return Design(
        np.where(is_tested(study), study.labels, UNTESTED),
        study.groups,
        study.class_names,
        plan.fold_plan.evaluated,
        plan.fold_plan.folds,
        plan.baseline,
        plan.candidates,
        plan.margin,
        rare=plan.fold_plan.rare,
        curve=[arm.name for arm in plan.arms if arm.is_curve_point],
        more_real=[arm.name for arm in plan.arms if arm.needs_reserve and not arm.is_curve_point],
    )


def _require_comparison(done: Done, plan: Plan, budget: float | None) -> None:
    through = {trial.arm for trial in done.trials}
    judged = [arm for arm in plan.arms if arm.name in through and not arm.is_curve_point]
    if budget is not None and (plan.baseline not in through or len(judged) < min(2, len(plan.arms))):
        raise InputError(
            f"the budget of {duration(budget)} ended before {plan.baseline} and one more arm were through; the "
            "finished trials are kept: give the same command with a longer --budget (--dry-run says how long)"
        )


def _warnings(done: Done, plan: Plan, budget: float | None) -> list[str]:
    """What the reader must know of a study that ended before all that was planned."""
    warnings = []
    if budget is not None and done.left_out:
        arms = ", ".join(done.left_out)
        warnings.append(f"The budget of {duration(budget)} ended before these arms were through: {arms}.")
    repeats = max(trial.repeat for trial in done.trials) + 1
    stopped = next((look for look in done.looks if look.stopped), None)
    if stopped is not None:
        warnings.append(
            f"Ended early, as planned, after {stopped.repeats} of {plan.repeats} repeats: p = {stopped.p_value:.2g}, "
            f"below {plan.stop_below:g}."
        )
    elif budget is not None and repeats < plan.repeats:
        warnings.append(f"The budget of {duration(budget)} allowed {repeats} of {plan.repeats} repeats.")
    return warnings


def _run_with_progress(
    dataset: ImageDataset, plan: Plan, run: RunDirectory, limits: Limits, workers: int | None
) -> tuple[Done, float]:
    """The trials, and the seconds of those that were found finished, as if as many workers had done them."""
    total = plan.repeats * plan.fold_plan.folds * len(plan.arms)
    studied = int((dataset.roles == "train").sum())
    note(
        f"{plan.data}: {studied} {'rows' if dataset.is_vectors else 'images'}, {dataset.class_count} classes; "
        f"{total} trials "
        f"(arms: {len(plan.arms)}, repeats: {plan.repeats}, folds: {plan.fold_plan.folds})"
    )
    seconds_of: dict[str, list[float]] = {}
    before: list[float] = []
    at_a_time = workers or available_cores()
    try:
        with progress("trials", total) as bar:

            def report(trial: Trial, from_disk: bool) -> None:
                seconds_of.setdefault(trial.arm, []).append(trial.wall_seconds)
                if from_disk:
                    before.append(trial.wall_seconds)
                if trial.failed:
                    warn(f"{trial.arm}, repeat {trial.repeat + 1}, fold {trial.fold + 1}: {trial.failed}")
                bar.advance(1, note=trial.arm, seconds_left=_seconds_left(plan, seconds_of, at_a_time))

            done = run_trials(plan, dataset, run, workers=workers, limits=limits, report=report)
            return done, sum(before) / at_a_time
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped; the finished trials are kept. Go on with the same command and --out {run.path}"
        ) from None


def _seconds_left(plan: Plan, seconds_of: Mapping[str, Sequence[float]], workers: int) -> float:
    """Each arm has its own pace: a generator's trial takes many times a plain one's."""
    each = plan.repeats * plan.fold_plan.folds
    known = float(np.mean([np.mean(seconds) for seconds in seconds_of.values()]))
    work = 0.0
    for arm in plan.arms:
        seconds = seconds_of.get(arm.name, ())
        work += (each - len(seconds)) * (float(np.mean(seconds)) if seconds else known)
    return work / workers
