"""`prove`: measure whether growing the set helps, or only say what that would take; and the report of a study."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.core.errors import Interrupted
from tenfold.core.files import write_text
from tenfold.core.results import Result
from tenfold.core.study_options import StudyOptions
from tenfold.core.typed_command import as_typed
from tenfold.core.types import Data
from tenfold.methods import Grown
from tenfold.report.image_sheet import Sheet
from tenfold.report.page import ReportContent, render
from tenfold.report.text import forecast_text
from tenfold.runs.arms import BASELINE, VECTOR_BASELINE
from tenfold.runs.cost_probe import CostProbe, measure_costs
from tenfold.runs.diagnostics import unpacked
from tenfold.runs.directory import LAST_FILE
from tenfold.runs.executors.place import cores_for_jobs
from tenfold.runs.forecast import ArmWork, Estimate, estimate
from tenfold.runs.judge import with_longest_training, with_measured_classifier
from tenfold.runs.pilot import on_best_start
from tenfold.runs.plan import baseline_of, ratios_up_to
from tenfold.runs.preparation import Prepared, opened, prepare, require_ready
from tenfold.runs.study import Study, run_study
from tenfold.runs.tries import most_chosen
from tenfold.training.device import current_device
from tenfold.verbs import on_chosen_device, out_at_url
from tenfold.verbs.sheets import augmented_sheet, generated_sheet, mistakes_sheets, real_sheet

SECONDS_TO_PUBLISH = 3.0
"""Of computing: the verdict, its figures and the report."""
ARM_NOTES = {
    "raw": "the real images, nothing else",
    "classical": "the baseline: each image turned, moved and scaled a little, anew each time",
    "placebo": "control: the baseline with the same images copied",
    "oracle": "control: the baseline with more real images",
    "probe": "a linear head on a network trained on ImageNet; whether that held some of these images is not tested",
    "classical+transfer": "that network trained further; whether ImageNet held some of these images is not tested",
}
VECTOR_NOTES = {
    "raw": "the baseline: the real rows, nothing else",
    "placebo": "control: the baseline with the same rows copied",
    "oracle": "control: the baseline with more real rows",
}


@on_chosen_device
@out_at_url
def prove(
    data: Data,
    options: StudyOptions | None = None,
    *,
    out: str | Path | None = None,
    workers: int | None = None,
    **changes: Any,
) -> Study:
    """Compare ways of growing a set by repeated cross-validation and write verdict.json and report.html.

    Args:
        data: a path, a known name, or a loaded set.
        options: what is compared, and how; the defaults suit the data.
        out: the run's directory, or a URL that fsspec knows; the same plan there is taken up where it stopped.
        workers: trials at the same time; one a core unless given.
        changes: fields of `StudyOptions` by name, such as `repeats=2`; they stand above `options`.

    Raises:
        InputError: the data or an option cannot be used.
        Interrupted: Ctrl-C; what was finished is kept.
    """
    options = StudyOptions.of(options, changes)
    require_ready(out, data, options.test)
    prepared = prepare(data, options)
    with opened(prepared, out, "prove") as run:
        prepared = on_best_start(with_measured_classifier(prepared, run, workers), run, workers)
        study = run_study(prepared, run, workers, tail=lambda trials, repeats: seconds_to_publish(prepared))
        publish(study, "prove", seconds=time.monotonic() - prepared.started + study.seconds_before)
    return study


def seconds_to_publish(prepared: Prepared) -> float:
    """What follows the last training, on this machine as busy as it was when the study was prepared."""
    return SECONDS_TO_PUBLISH * prepared.slowdown


@dataclass(frozen=True, eq=False)
class Forecast(Result):
    """A study that was not run: its size, its time, and the effect that it could show."""

    prepared: Prepared
    cost_probe: CostProbe
    estimate: Estimate
    other_seconds: float
    """Reading the images and writing the report."""
    command: str
    """What starts the study, as typed into a shell."""
    least_steps: int
    """Of a classifier's training; the plan has the most."""

    @property
    def seconds(self) -> float:
        """The whole command on the clock."""
        return self.estimate.seconds + self.other_seconds

    @property
    def text(self) -> str:
        """For a person: what is trained, how long that takes, what it can show, and the command."""
        return forecast_text(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Plain values: seconds, counts, and points of 1/100."""
        data, plan, estimated = self.prepared.data, self.prepared.plan, self.estimate
        study, folds, effect = data.part("train"), plan.fold_plan, estimated.detectable
        names = dict(enumerate(study.class_names))
        return {
            "data": plan.data,
            "images": len(study),
            "classes": study.class_count,
            "groups": len(np.unique(study.groups)),
            "not_evaluated": [name for label, name in names.items() if label not in (*folds.evaluated, *folds.rare)],
            "rare": [names[label] for label in folds.rare],
            "reserve_images": len(data.part("reserve")),
            "external_test_images": len(data.part("test")),
            "folds": folds.folds,
            "repeats": plan.repeats,
            "ratios": list(ratios_up_to(plan.times)),
            "arms": {arm.name: _arm_json(arm) for arm in estimated.arms},
            "trials": sum(arm.trials for arm in estimated.arms),
            "classifiers": sum(arm.classifiers for arm in estimated.arms),
            "generators": sum(arm.generators for arm in estimated.arms),
            "steps": [self.least_steps, plan.classifier.steps],
            "workers": estimated.workers,
            "seconds": round(self.seconds, 1),
            "seconds_to_looks": {
                str(repeats): round(seconds + self.other_seconds, 1) for repeats, seconds in estimated.looks.items()
            },
            "memory_bytes": estimated.memory_bytes,
            "fits": estimated.fits and {"seconds": self.prepared.options.budget, **asdict(estimated.fits)},
            "pilot": {
                "seconds": round(self.cost_probe.seconds, 1),
                "inner_images": round(self.cost_probe.validation_images, 1),
                "inner_error": round(self.cost_probe.validation_error, 4),
            },
            "detectable_points": [round(100 * share, 2) for share in (effect.low, effect.middle, effect.high)],
            "only_large_effects": effect.only_large,
            "margin_points": round(100 * plan.margin, 4),
            "images_for_twice_margin": effect.images_for_twice_margin,
            "possible_verdicts": list(effect.outcomes),
            "command": self.command,
        }


@on_chosen_device
def prove_forecast(
    data: Data,
    options: StudyOptions | None = None,
    *,
    workers: int | None = None,
    **changes: Any,
) -> Forecast:
    """Say what `prove` would do with these options, judged by a cost probe of some seconds.

    Options are those of `prove`. Nothing is written, and no test image is looked at.

    Raises:
        InputError: the data or an option cannot be used.
        Interrupted: Ctrl-C.
    """
    return forecast("prove", data, StudyOptions.of(options, changes), workers)


def forecast(
    command: str, data: Data, options: StudyOptions, workers: int | None, trainings_after: float = 0
) -> Forecast:
    """What `prove` or `run` would do.

    Args:
        trainings_after: in trainings of a trial, what one on all images takes: after its trials a command may train
            the baseline's classifier again, and that of the arm which may be better, at most the slowest.

    Raises:
        InputError: the data or an option cannot be used.
        Interrupted: Ctrl-C.
    """
    try:
        prepared = prepare(data, options)
        reading_seconds = time.monotonic() - prepared.started
        least = prepared.plan.classifier.steps
        prepared, searched = with_longest_training(prepared)
        cost_probe = measure_costs(prepared.data, prepared.plan)
    except KeyboardInterrupt:
        raise Interrupted("stopped; a dry run leaves nothing behind") from None
    cores = cores_for_jobs()
    plan, costs = prepared.plan, cost_probe.costs
    after = (trainings_after + searched / min(workers or cores, cores)) * costs[baseline_of(plan).components].training
    others = [costs[arm.components] for arm in plan.arms if arm.may_be_picked and arm.name != plan.baseline]
    after += trainings_after * max((cost.methods + cost.training for cost in others), default=0.0)
    other_seconds = reading_seconds + after + seconds_to_publish(prepared)
    left = None if options.budget is None else options.budget - other_seconds
    size = {"workers": workers or cores, "cores": cores}
    estimated = estimate(prepared.data, plan, cost_probe, **size, budget_seconds=left)
    typed = as_typed(command, [prepared.source], options, workers=workers)
    return Forecast(prepared, cost_probe, estimated, other_seconds, typed, least)


def _arm_json(arm: ArmWork) -> dict[str, Any]:
    return {
        "trials": arm.trials,
        "classifiers": arm.classifiers,
        "tries": arm.tries,
        "generators": arm.generators,
        "seconds": round(arm.seconds, 1),
    }


def publish(
    study: Study,
    command: str,
    *,
    seconds: float,
    generated: Grown | None = None,
    classifiers: Mapping[str, Mapping[str, str]] | None = None,
    warnings: Sequence[str] = (),
) -> Path:
    """Write the run's report.html and return its path.

    Args:
        classifiers: heading -> rows of the table below it.
    """
    images = study.data.part("train")
    sheets: list[Sheet] = []
    if not images.is_vectors:
        usual = most_chosen(study.trials, study.plan.baseline).get("classical", {})
        sheets = [real_sheet(images), augmented_sheet(images, usual)]
        if found := study.out_of_fold:
            sheets += mistakes_sheets(images, found)
    if generated is not None:
        sheets.append(generated_sheet(images, generated.images, generated.labels))
    else:
        for trial in study.trials:
            if "samples" in trial.details:
                made = unpacked(trial.details["samples"])
                sheets.append(generated_sheet(images, *made, title=f"Generated images: {trial.arm}"))
    untold = () if study.verdict.repeats else study.verdict.warnings  # of no verdict none are told
    content = ReportContent(
        data_name=study.data.name,
        verdict=study.verdict if study.verdict.repeats else None,
        class_names=study.data.class_names,
        # What is left out as the set is cleaned is listed beside the files that could not be read.
        audit=study.audit.to_json()
        | {"set_aside": [{"source": s.source, "reason": s.reason} for s in study.data.set_aside]},
        sheets=sheets,
        command=as_typed(command, [study.source], study.options),
        config={"data": study.source, **study.options.to_json()}
        | {"plan": study.plan.hash, "code": study.plan.code}
        | {"device": current_device().description},
        classifiers=classifiers or {},
        duration_seconds=seconds,
        warnings=[*untold, *warnings],
        predictions=study.predictions,
        stop_below=study.plan.stop_below,
        arm_notes=_notes(study),
    )
    path = study.directory / LAST_FILE
    write_text(path, render(content))
    return path


def _notes(study: Study) -> dict[str, str]:
    """A few words under the names of arms that are not made of methods alone, and under the baseline's."""
    usual, notes = (BASELINE, ARM_NOTES)
    if study.data.is_vectors:
        usual, notes = (VECTOR_BASELINE, VECTOR_NOTES)
    names = {arm.name: usual if arm.name == study.plan.baseline else arm.name for arm in study.plan.arms}
    return {arm: notes[name] for arm, name in names.items() if name in notes}
