"""What a budget allowed, and what the rest would take: in words for the reader of a verdict."""

from __future__ import annotations

from tenfold.core.files import write_json
from tenfold.core.progress import about, duration
from tenfold.evaluation import Verdict
from tenfold.evaluation.wording import folds_words
from tenfold.runs.directory import REST_FILE, RunDirectory
from tenfold.runs.pace import Rest
from tenfold.runs.plan import Plan
from tenfold.runs.repeats import Done


def budget_warnings(done: Done, plan: Plan, verdict: Verdict, budget: float, rest: Rest) -> list[str]:
    """What the reader must know of a study that its budget has ended; nothing where it ran its course."""
    if not rest.trials or any(look.stopped for look in done.looks):
        return []
    warnings = []
    if done.broken_off and verdict.repeats:
        looked_at = folds_words(verdict.finished_folds, plan.fold_plan.folds)
        warnings.append(
            f"The budget of {duration(budget)} ended in the first repeat: what is said of arms is provisional, and "
            f"rests on the images of {looked_at}{_otherwise(verdict)}."
        )
    elif done.broken_off:
        warnings.append(f"The budget of {duration(budget)} ended before {plan.baseline} was through a single fold.")
    else:
        repeats = max(trial.repeat for trial in done.trials) + 1
        warnings.append(f"The budget of {duration(budget)} allowed {repeats} of {plan.repeats} repeats.")
    if verdict.repeats and (missing := _missing(plan, verdict)):
        warnings.append(f"Not compared, because there was no time for a fold of them: {', '.join(missing)}.")
    return [*warnings, _rest_words(rest, plan, done)]


def keep_rest(rest: Rest | None, run: RunDirectory) -> None:
    """Note in the run's directory what a budget has left, so that the same command without it goes on there."""
    if rest is not None:
        write_json(run.path / REST_FILE, {"trials": rest.trials, "seconds": rest.seconds})
    else:
        (run.path / REST_FILE).unlink(missing_ok=True)


def _otherwise(verdict: Verdict) -> str:
    """Which arms have other folds than most."""
    fewer = [arm for arm in verdict.arms if arm.finished_folds]
    return "".join(f"; those of {arm.name} on {folds_words(arm.finished_folds, verdict.folds)}" for arm in fewer)


def _missing(plan: Plan, verdict: Verdict) -> list[str]:
    judged = {arm.name for arm in verdict.arms}
    return [arm.name for arm in plan.arms if arm.name not in judged and not arm.is_curve_point]


def _rest_words(rest: Rest, plan: Plan, done: Done) -> str:
    """`The rest, folds of 2 arms and 3 repeats, would take about 12 min; ...`."""
    complete = 0 if done.broken_off else max(trial.repeat for trial in done.trials) + 1
    folds = [trial.arm for trial in done.trials if trial.repeat == 0]
    arms = sum(folds.count(arm.name) < plan.fold_plan.folds for arm in plan.arms) if done.broken_off else 0
    repeats = plan.repeats - max(complete, 1)
    parts = [f"folds of {_counted(arms, 'arm')}" if arms else "", _counted(repeats, "repeat")]
    left = " and ".join(filter(None, parts))
    time = "" if rest.seconds is None else f" would take {about(rest.seconds)}"
    return f"The rest, {left},{time}; the same command without --budget goes on from here."


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else ""
