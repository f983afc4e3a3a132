"""A study from images to verdict: read, plan, train, judge. `prove` and `run` both conduct one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.core.clock import beginning
from tenfold.core.errors import InputError, Interrupted
from tenfold.core.files import write_json
from tenfold.core.options import StudyOptions
from tenfold.core.progress import note, progress, warn
from tenfold.core.results import Result
from tenfold.core.types import ImageDataset, Trial
from tenfold.data.audit import Audit, audit, cleaned
from tenfold.data.combine import with_external_test
from tenfold.data.load import load, require_classes
from tenfold.data.splits import is_tested, plan_folds
from tenfold.evaluation import Verdict
from tenfold.evaluation.compare import Design, External, compare, primary_p_value
from tenfold.evaluation.first_look import first_look
from tenfold.evaluation.prediction_matrix import UNTESTED
from tenfold.evaluation.serialise import sentence, verdict_json
from tenfold.runs.arms import (
    baseline_for,
    curve_arms,
    default_arms,
    left_out_of_defaults,
    parse_arms,
    require_vector_arms,
    typed_baseline,
)
from tenfold.runs.budget import budget_warnings, keep_rest
from tenfold.runs.directory import CODE, COMMAND, RunDirectory
from tenfold.runs.pace import Pace, seconds_of_training
from tenfold.runs.plan import Plan, make_plan
from tenfold.runs.repeats import Done, Limits, run_trials
from tenfold.training.device import available_cores

Tail = Callable[[Sequence[Trial], int], float]
"""Seconds that a command needs after so many repeats, judged by the trials so far."""


def no_tail(trials: Sequence[Trial], repeats: int) -> float:
    """Nothing worth counting is left to do."""
    return 0.0


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
    slowdown: float = 1.0
    """Seconds that have passed until here for each of computing, which a busy machine makes more."""

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
    classifiers: Mapping[int, Path] = field(default_factory=dict)
    """Fold -> where the classifier lies that the baseline has trained there in the first repeat."""

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
    began = beginning()
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
    usual = options.baseline or baseline_for(study)
    wanted = options.arms if options.arms is not None else default_arms(has_reserve, usual)
    arms, baseline = parse_arms(wanted, usual), typed_baseline(wanted, usual)
    if study.is_vectors:
        require_vector_arms(arms)
    needy = next((arm.name for arm in arms if arm.needs_reserve), None)
    if needy and not has_reserve:
        raise InputError(f"the arm '{needy}' needs more real images than the study uses (--per-class, --images)")
    if options.learning_curve:
        arms += tuple(arm for arm in curve_arms(baseline) if arm not in arms)
    plan = make_plan(
        dataset,
        arms,
        fold_plan,
        repeats=options.repeats,
        seed=options.seed,
        times=options.times,
        baseline=baseline,
    )
    missing = left_out_of_defaults(baseline) if options.arms is None else None
    if missing:
        note(missing)
    asked_for = ",".join(arm.name for arm in arms if not options.learning_curve or arm not in curve_arms(baseline))
    return Prepared(
        dataset,
        findings,
        plan,
        began.at,
        name,
        replace(options, arms=asked_for),
        remarks=(missing,) if missing else (),
        slowdown=began.slowdown,
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


def run_study(prepared: Prepared, run: RunDirectory, workers: int | None, *, tail: Tail = no_tail) -> Study:
    """Run all trials, judge them, and write check.json and verdict.json.

    `tail` estimates the seconds that the caller needs after the trials, which the budget has to pay for too. Where
    that ends in the first repeat, what was finished of it is judged, as a first look.

    Raises:
        Interrupted: Ctrl-C; the finished trials are kept.
    """
    write_json(run.path / "check.json", prepared.audit.to_json())
    data, plan, budget = prepared.data, prepared.plan, prepared.options.budget
    design = _design(prepared)
    limits = Limits(budget, prepared.started, tail, lambda trials: primary_p_value(trials, design))
    pace = Pace(plan, workers or available_cores(), seconds_of_training(data.part("train"), plan))
    done, before = _run_with_progress(data, run, limits, workers, pace)
    external = data.part("test")
    sealed = External(external.labels, external.groups) if len(external) else None
    if done.broken_off:
        verdict = first_look(done.trials, design, external=sealed)
    else:
        verdict = compare(done.trials, design, external=sealed, looks=done.looks)
    told = [] if budget is None else budget_warnings(done, plan, verdict, budget, pace.rest)
    before_it = (*prepared.remarks, *_early_end(done, plan), *told, *plan.fold_plan.warnings)
    with_warnings = replace(verdict, warnings=(*before_it, *verdict.warnings))
    write_json(run.path / "verdict.json", verdict_json(with_warnings))
    keep_rest(pace.rest if told else None, run)
    return Study(
        run.path, with_warnings, data, prepared.audit, plan, prepared.source, prepared.options, done.trials, before,
        done.classifiers,
    )  # fmt: skip


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
        starts=plan.starts,
    )


def _early_end(done: Done, plan: Plan) -> list[str]:
    """What the reader must know of a study that an interim look has ended."""
    stopped = next((look for look in done.looks if look.stopped), None)
    if stopped is None:
        return []
    return [
        f"Ended early, as planned, after {stopped.repeats} of {plan.repeats} repeats: p = {stopped.p_value:.2g}, "
        f"below {plan.stop_below:g}."
    ]


def _run_with_progress(
    dataset: ImageDataset, run: RunDirectory, limits: Limits, workers: int | None, pace: Pace
) -> tuple[Done, float]:
    """The trials, and the seconds of those that were found finished, as if as many workers had done them."""
    plan = pace.plan
    total = plan.repeats * plan.fold_plan.folds * len(plan.arms)
    studied = int((dataset.roles == "train").sum())
    note(
        f"{plan.data}: {studied} {'rows' if dataset.is_vectors else 'images'}, {dataset.class_count} classes; "
        f"{total} trials "
        f"(arms: {len(plan.arms)}, repeats: {plan.repeats}, folds: {plan.fold_plan.folds})"
    )
    known: list[Trial] = []
    before: list[float] = []

    def seconds_left() -> float | None:
        estimates = (pace.rest.seconds, limits.seconds_left(known))
        return min((seconds for seconds in estimates if seconds is not None), default=None)

    try:
        with progress("trials", total, seconds_left=seconds_left()) as bar:

            def report(trial: Trial, from_disk: bool) -> None:
                known.append(trial)
                pace.add(trial)
                if from_disk:
                    before.append(trial.wall_seconds)
                if trial.failed:
                    warn(f"{trial.arm}, repeat {trial.repeat + 1}, fold {trial.fold + 1}: {trial.failed}")
                bar.advance(1, note=trial.arm, seconds_left=seconds_left())

            done = run_trials(plan, dataset, run, workers=workers, limits=limits, report=report)
            return done, sum(before) / (workers or available_cores())
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped; the finished trials are kept. Go on with the same command and --out {run.path}"
        ) from None
