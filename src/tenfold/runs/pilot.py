"""Which start to grow on, where that is left open: a pilot tells, before the study's own trainings.

Every start is trained on the folds of one repeat, under splits and seeds that the study does not use, and the log
loss of the images outside each fold chooses, as it chooses between arms. The plan of each start was frozen before.
The pilot has no say in the verdict: growth is compared with the chosen start on the same images, all trained anew.
Sealed test images are not read.
"""

from __future__ import annotations

from dataclasses import replace

from tenfold.core.progress import note
from tenfold.evaluation.compare import preferred_start
from tenfold.runs.directory import RunDirectory
from tenfold.runs.executors.place import cores_for_jobs
from tenfold.runs.pace import expected_pace
from tenfold.runs.plan import Plan
from tenfold.runs.preparation import Prepared
from tenfold.runs.repeats import Limits
from tenfold.runs.study import design_of, run_with_progress

SHARE = 0.25
"""Of a budget, which the pilot may take."""


def on_best_start(prepared: Prepared, run: RunDirectory, workers: int | None) -> Prepared:
    """With the plan of the start that the pilot prefers; as it is where there is nothing to choose.

    Raises:
        Interrupted: Ctrl-C; the finished trainings are kept.
    """
    plans = {plan.baseline: plan for plan in (prepared.plan, *prepared.rivals)}
    if len(plans) == 1:
        return prepared
    names, images, pilot = ", ".join(plans), prepared.data.part("train"), pilot_plan(plans)
    note(f"a pilot chooses the start to grow on: {names}")
    budget = prepared.options.budget
    limits = Limits(budget and SHARE * budget, prepared.started)
    pace = expected_pace(images, pilot, workers or cores_for_jobs())
    done, _ = run_with_progress(images, run, limits, workers, pace)
    if done.broken_off:
        start, told = prepared.plan.baseline, f"the budget was too short for a pilot of {names}"
    else:
        start = preferred_start(done.trials, design_of(images, pilot))
        told = f"the best of {names} in a pilot of {pilot.fold_plan.folds} folds, whose trainings do not count here"
    remark = f"Grown on {start}: {told}."
    note(remark)
    return replace(prepared, plan=plans[start], rivals=(), remarks=(*prepared.remarks, remark))


def pilot_plan(plans: dict[str, Plan]) -> Plan:
    """One repeat of the starts alone, under a seed below 0, which no study has."""
    usual = next(iter(plans.values()))
    starts = tuple(arm for plan in plans.values() for arm in plan.arms if arm.name == plan.baseline)
    outside = {name: found for plan in plans.values() for name, found in plan.outside.items()}
    return replace(usual, arms=starts, repeats=1, seed=-1 - usual.seed, looks=(), outside=outside)
