"""`prove --dry-run`: what a study would train, how long it would take and what it could show. Writes nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.core.errors import Interrupted
from tenfold.core.options import StudyOptions, as_typed
from tenfold.core.results import Result
from tenfold.core.types import ImageDataset
from tenfold.report.text import forecast_text
from tenfold.runs.cost_probe import Pilot, run_pilot
from tenfold.runs.forecast import ArmWork, Estimate, estimate
from tenfold.runs.plan import ratios_up_to
from tenfold.runs.study import Prepared, prepare
from tenfold.training.device import available_cores
from tenfold.verbs import on_chosen_device
from tenfold.verbs.prove import SECONDS_TO_PUBLISH


@dataclass(frozen=True, eq=False)
class Forecast(Result):
    """A study that was not run: its size, its time, and the effect that it could show."""

    prepared: Prepared
    pilot: Pilot
    estimate: Estimate
    other_seconds: float
    """Reading the images and writing the report."""
    command: str
    """What starts the study, as typed into a shell."""

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
        data, plan, foretold = self.prepared.data, self.prepared.plan, self.estimate
        study, evaluated, effect = data.part("train"), plan.fold_plan.evaluated, foretold.detectable
        return {
            "data": plan.data,
            "images": len(study),
            "classes": study.class_count,
            "groups": len(np.unique(study.groups)),
            "not_evaluated": [name for label, name in enumerate(study.class_names) if label not in evaluated],
            "reserve_images": len(data.part("reserve")),
            "external_test_images": len(data.part("test")),
            "folds": plan.fold_plan.folds,
            "repeats": plan.repeats,
            "ratios": list(ratios_up_to(plan.times)),
            "arms": {arm.name: _arm_json(arm) for arm in foretold.arms},
            "trials": sum(arm.trials for arm in foretold.arms),
            "classifiers": sum(arm.classifiers for arm in foretold.arms),
            "generators": sum(arm.generators for arm in foretold.arms),
            "workers": foretold.workers,
            "seconds": round(self.seconds, 1),
            "seconds_to_looks": {
                str(repeats): round(seconds + self.other_seconds, 1) for repeats, seconds in foretold.looks.items()
            },
            "pilot": {
                "seconds": round(self.pilot.seconds, 1),
                "inner_images": round(self.pilot.inner_images, 1),
                "inner_error": round(self.pilot.inner_error, 4),
            },
            "detectable_points": [round(100 * share, 2) for share in (effect.low, effect.middle, effect.high)],
            "only_large_effects": effect.only_large,
            "margin_points": round(100 * plan.margin, 4),
            "images_for_margin": effect.images_for_margin,
            "possible_verdicts": list(effect.outcomes),
            "command": self.command,
        }


@on_chosen_device
def forecast(
    data: str | Path | ImageDataset,
    options: StudyOptions | None = None,
    *,
    workers: int | None = None,
    **changes: Any,
) -> Forecast:
    """Say what `prove` would do with these options, judged by a pilot of some seconds.

    Options are those of `prove`. Nothing is written, and no test image is looked at.

    Raises:
        InputError: the data or an option cannot be used.
        Interrupted: Ctrl-C.
    """
    options = StudyOptions.of(options, changes)
    try:
        prepared = prepare(data, options)
        reading_seconds = time.monotonic() - prepared.started
        pilot = run_pilot(prepared.data, prepared.plan)
    except KeyboardInterrupt:
        raise Interrupted("stopped; a dry run leaves nothing behind") from None
    cores = available_cores()
    foretold = estimate(prepared.data, prepared.plan, pilot, workers=workers or cores, cores=cores)
    command = as_typed("prove", [prepared.source], options, workers=workers)
    return Forecast(prepared, pilot, foretold, reading_seconds + SECONDS_TO_PUBLISH, command)


def _arm_json(arm: ArmWork) -> dict[str, Any]:
    return {
        "trials": arm.trials,
        "classifiers": arm.classifiers,
        "generators": arm.generators,
        "seconds": round(arm.seconds, 1),
    }
