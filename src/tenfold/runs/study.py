"""A study from images to verdict: read, plan, train, judge. `prove` and `run` both conduct one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.core.errors import Interrupted
from tenfold.core.files import write_json
from tenfold.core.progress import note, progress, warn
from tenfold.core.results import Result
from tenfold.core.study_options import StudyOptions
from tenfold.core.types import ImageDataset, Trial
from tenfold.data.audit import Audit
from tenfold.data.splits import is_tested
from tenfold.evaluation import Verdict
from tenfold.evaluation.compare import Design, External, compare, primary_p_value
from tenfold.evaluation.first_look import first_look
from tenfold.evaluation.out_of_fold import OutOfFold, out_of_fold
from tenfold.evaluation.prediction_matrix import UNTESTED
from tenfold.evaluation.serialise import sentence, verdict_json
from tenfold.runs.budget import budget_warnings, keep_rest
from tenfold.runs.directory import RunDirectory
from tenfold.runs.executors.place import cores_for_jobs
from tenfold.runs.pace import Pace, expected_pace
from tenfold.runs.plan import Plan
from tenfold.runs.preparation import Prepared
from tenfold.runs.repeats import Done, Limits, run_trials

Tail = Callable[[Sequence[Trial], int], float]
"""Seconds that a command needs after so many repeats, judged by the trials so far."""


def no_tail(trials: Sequence[Trial], repeats: int) -> float:
    """Nothing worth counting is left to do."""
    return 0.0


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
        return self.verdict_json() | {"directory": str(self.directory)}

    def verdict_json(self) -> dict[str, Any]:
        """What verdict.json holds."""
        return verdict_json(self.verdict) | {"predictions": self.predictions}

    @cached_property
    def predictions(self) -> dict[str, Any] | None:
        """What `out_of_fold` says, with the names of files and classes."""
        found, images = self.out_of_fold, self.data.part("train")
        return None if found is None else found.to_json(images.sources, images.class_names)

    @cached_property
    def out_of_fold(self) -> OutOfFold | None:
        """What the best arm says of images that it did not learn from; None where none was tested.

        An arm on fewer images, or on more, says nothing of how this set is read.
        """
        others = {arm.name for arm in self.plan.arms if arm.is_curve_point or arm.needs_reserve}
        arms = [arm.name for arm in self.plan.arms if arm.name not in others]
        return out_of_fold(self.trials, self.data.part("train").labels, arms)


def run_study(prepared: Prepared, run: RunDirectory, workers: int | None, *, tail: Tail = no_tail) -> Study:
    """Run all trials, judge them, and write check.json and verdict.json.

    `tail` estimates the seconds that the caller needs after the trials, which the budget has to pay for too. Where
    that ends in the first repeat, what was finished of it is judged, as a first look.

    Raises:
        Interrupted: Ctrl-C; the finished trials are kept.
    """
    write_json(run.path / "check.json", prepared.audit.to_json())
    data, plan, budget = prepared.data, prepared.plan, prepared.options.budget
    design = design_of(data, plan)
    limits = Limits(budget, prepared.started, tail, lambda trials: primary_p_value(trials, design))
    pace = expected_pace(data, plan, workers or cores_for_jobs())
    done, before = run_with_progress(data, run, limits, workers, pace)
    external = data.part("test")
    sealed = External(external.labels, external.groups) if len(external) else None
    if done.broken_off:
        verdict = first_look(done.trials, design, external=sealed)
    else:
        verdict = compare(done.trials, design, external=sealed, looks=done.looks)
    told = [] if budget is None else budget_warnings(done, plan, verdict, budget, pace.rest)
    before_it = (*prepared.remarks, *_early_end(done, plan), *told, *plan.fold_plan.warnings)
    with_warnings = replace(verdict, warnings=(*before_it, *verdict.warnings))
    study = Study(
        run.path, with_warnings, data, prepared.audit, plan, prepared.source, prepared.options, done.trials, before,
        done.classifiers,
    )  # fmt: skip
    write_json(run.path / "verdict.json", study.verdict_json())
    keep_rest(pace.rest if told else None, run)
    return study


def design_of(data: ImageDataset, plan: Plan) -> Design:
    """What is studied, and the plan's rules by which it is judged."""
    study = data.part("train")
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
        grown_on=plan.grown_on,
        reference=plan.reference,
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


def run_with_progress(
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

    with going_on_later(run), progress("trials", total, seconds_left=seconds_left()) as bar:

        def report(trial: Trial, from_disk: bool) -> None:
            known.append(trial)
            pace.add(trial)
            if from_disk:
                before.append(trial.wall_seconds)
            if trial.failed:
                warn(f"{trial.arm}, repeat {trial.repeat + 1}, fold {trial.fold + 1}: {trial.failed}")
            bar.advance(1, note=trial.arm, seconds_left=seconds_left())

        done = run_trials(plan, dataset, run, workers=workers, limits=limits, report=report)
        return done, sum(before) / (workers or cores_for_jobs())


@contextmanager
def going_on_later(run: RunDirectory) -> Iterator[None]:
    """Trials whose finished ones are kept when Ctrl-C stops them.

    Raises:
        Interrupted: it did.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped; the finished trials are kept. Go on with the same command and --out {run.path}"
        ) from None
