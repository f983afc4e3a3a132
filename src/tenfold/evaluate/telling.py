"""A verdict as others read it: one plain sentence for a person, plain values for a program."""

from __future__ import annotations

import math
from typing import Any

from tenfold.core.types import ArmResult, Interval, Verdict


def sentence(verdict: Verdict) -> str:
    """The verdict in one sentence that needs no statistics to be understood."""
    difference = verdict.difference
    points, low, high = (100 * share for share in (difference.estimate, difference.low, difference.high))
    trained = sum(verdict.pick_counts.values())
    kept = verdict.pick_counts.get(verdict.baseline, 0)
    study = f"{verdict.images:,} images, {_count(verdict.repeats, 'repeat')} of {verdict.folds} folds"
    if verdict.provisional:
        study += ", provisional"
    if kept == trained:
        return (
            f"No practical difference: in all {trained} folds {verdict.baseline} alone was chosen over every "
            f"way of growing ({study})."
        )
    subject = _subject(verdict, kept, trained)
    alone = f"{verdict.baseline} alone"
    # One decimal is what is printed, so one decimal decides whether there is a difference to name.
    size = f"{abs(points):.1f} points {'better' if points > 0 else 'worse'} than {alone}"
    if abs(points) < 0.05:
        size = f"as good as {alone}"
    interval = f"95 % interval {low:+.1f} to {high:+.1f}"
    match verdict.outcome:
        case "helped":
            return f"Growing helped: {subject} is {size} ({interval}; {study})."
        case "hurt":
            return f"Growing hurt: {subject} is {size} ({interval}; {study})."
        case "no_practical_difference":
            margin = f"{100 * verdict.margin:g} point{'s' if verdict.margin != 0.01 else ''}"
            return f"No practical difference: {subject} is {size}, within {margin} ({interval}; {study})."
        case "not_proven":
            return (
                f"Not proven: {subject} is {size} ({interval}; {study}); this many images could "
                f"only have shown an effect of {100 * verdict.smallest_detectable:.1f} points or more."
            )


def _subject(verdict: Verdict, kept: int, trained: int) -> str:
    often = verdict.pick_counts[verdict.pick]
    if often == trained:
        return verdict.pick
    if kept > trained / 2:
        return f"the method chosen in each fold (mostly {verdict.baseline} itself, in {kept} of {trained})"
    return f"the method chosen in each fold (most often {verdict.pick}, in {often} of {trained})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """What verdict.json holds: accuracies are shares in 0..1, what is named points is in points of 1/100.

    A value that does not exist is None, never NaN.
    """
    return {
        "verdict": verdict.outcome,
        "sentence": sentence(verdict),
        "pick": verdict.pick,
        "pick_counts": dict(verdict.pick_counts),
        "baseline": verdict.baseline,
        "estimate_points": _points(verdict.difference.estimate),
        "interval_points": _bounds_points(verdict.difference),
        "smallest_detectable_points": _points(verdict.smallest_detectable),
        "margin_points": _points(verdict.margin),
        "repeats": verdict.repeats,
        "folds": verdict.folds,
        "images": verdict.images,
        "groups": verdict.groups,
        "provisional": verdict.provisional,
        "arms": {arm.name: _arm_json(arm) for arm in verdict.arms},
        "warnings": list(verdict.warnings),
    }


def _arm_json(arm: ArmResult) -> dict[str, Any]:
    accuracy, difference = arm.balanced_accuracy, arm.against_baseline
    return {
        "balanced_accuracy": accuracy and _rounded(accuracy.estimate),
        "interval": accuracy and _bounds(accuracy),
        "against_baseline_points": difference and _points(difference.estimate),
        "interval_points": difference and _bounds_points(difference),
        "verdict": "failed" if arm.failed_trials else arm.outcome,
        "recall": [recall and _rounded(recall.estimate) for recall in arm.recall],
        "recall_intervals": [recall and _bounds(recall) for recall in arm.recall],
        "external_accuracy": None if arm.external_accuracy is None else _rounded(arm.external_accuracy),
        "seconds": _rounded(arm.seconds),
        "failed_trials": arm.failed_trials,
        "failure": arm.failure,
    }


def _rounded(value: float) -> float | None:
    # Adding 0.0 turns -0.0 into 0.0: no reader should wonder about the sign of nothing.
    return round(value, 4) + 0.0 if math.isfinite(value) else None


def _points(share: float) -> float | None:
    return _rounded(100 * share)


def _bounds(interval: Interval) -> list[float | None]:
    return [_rounded(interval.low), _rounded(interval.high)]


def _bounds_points(interval: Interval) -> list[float | None]:
    return [_points(interval.low), _points(interval.high)]
