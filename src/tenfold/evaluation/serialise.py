"""A verdict as a program reads it: plain values, of which none is ever NaN or infinite."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from tenfold.evaluation import (
    ArmResult,
    ExternalComparison,
    ImagesFor,
    Interval,
    LogLoss,
    StartComparison,
    Verdict,
    Worth,
)
from tenfold.evaluation.wording import (
    CHOSEN_ARM,
    added_images,
    answer,
    ended_early,
    sentence,
    start_sentence,
)
from tenfold.evaluation.worth_wording import images_for_sentence, more_images, worth_a_class, worth_sentence

__all__ = ["CHOSEN_ARM", "answer", "mean_estimate", "sentence", "verdict_json", "worth_sentence"]


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """What verdict.json holds: accuracies are shares in 0..1, what is named points is in points of 1/100.

    A value that does not exist, and a bound that is infinite, is None.
    """
    return {
        "verdict": verdict.outcome,
        "answer": answer(verdict),
        "sentence": sentence(verdict),
        "start": verdict.start and _start_json(verdict, verdict.start),
        "pick": verdict.chosen_arm,
        "pick_counts": dict(verdict.pick_counts),
        "baseline": verdict.baseline,
        "estimate_points": _points(verdict.difference.estimate),
        "interval_points": _bounds_points(verdict.difference),
        "p_value": _significant(verdict.p_value),
        "probability_of_gain": _rounded(verdict.probability_of_gain),
        "probability_above_margin": _rounded(verdict.probability_above_margin),
        "ruled_out_above_points": _points(max(0.0, verdict.difference.high)),
        "log_loss": verdict.log_loss and _log_loss_json(verdict.log_loss),
        "smallest_detectable_points": _points(verdict.smallest_detectable),
        "margin_points": _points(verdict.margin),
        "wins": {
            "won": verdict.wins.won,
            "tied": verdict.wins.tied,
            "lost": verdict.wins.lost,
            "probability": _rounded(verdict.wins.probability),
        },
        "worth": verdict.worth and _worth_json(verdict, verdict.worth, CHOSEN_ARM),
        "worth_sentence": worth_sentence(verdict),
        "images_for": [_images_for_json(verdict, one) for one in verdict.images_for],
        "images_for_sentence": images_for_sentence(verdict),
        "curve": [
            {
                "arm": point.arm,
                "images": _rounded(point.images),
                "balanced_accuracy": _rounded(point.balanced_accuracy.estimate),
                "interval": _bounds(point.balanced_accuracy),
            }
            for point in verdict.curve
        ],
        "external": verdict.external and _external_json(verdict.external),
        "repeats": verdict.repeats,
        "folds": verdict.folds,
        "finished_folds": [fold + 1 for fold in verdict.finished_folds],  # counted as in words
        "images": verdict.images,
        "groups": verdict.groups,
        "provisional": verdict.provisional and not ended_early(verdict),
        "looks": [
            {"repeats": look.repeats, "p_value": _significant(look.p_value), "stopped": look.stopped}
            for look in verdict.interim_looks
        ],
        "arms": {arm.name: _arm_json(verdict, arm) for arm in verdict.arms},
        "warnings": list(verdict.warnings),
    }


def mean_estimate(shares: Iterable[Interval | None]) -> float | None:
    """The mean over the classes that could be evaluated, each counting the same; None where there is none."""
    estimates = [share.estimate for share in shares if share is not None and math.isfinite(share.estimate)]
    return math.fsum(estimates) / len(estimates) if estimates else None


def _arm_json(verdict: Verdict, arm: ArmResult) -> dict[str, Any]:
    accuracy, difference, calibration = arm.balanced_accuracy, arm.against_baseline, arm.calibration
    macro_specificity = mean_estimate(arm.specificity)
    return {
        "balanced_accuracy": accuracy and _rounded(accuracy.estimate),
        "interval": accuracy and _bounds(accuracy),
        "against_baseline_points": difference and _points(difference.estimate),
        "interval_points": difference and _bounds_points(difference),
        "verdict": "failed" if arm.failed_trials else arm.outcome,
        "recall": [share and _rounded(share.estimate) for share in arm.recall],
        "recall_intervals": [share and _bounds(share) for share in arm.recall],
        "specificity": [share and _rounded(share.estimate) for share in arm.specificity],
        "specificity_intervals": [share and _bounds(share) for share in arm.specificity],
        # Sensitivity is recall, and its mean over the classes is the balanced accuracy, by another name.
        "macro_sensitivity": accuracy and _rounded(accuracy.estimate),
        "macro_specificity": None if macro_specificity is None else _rounded(macro_specificity),
        "calibration": calibration
        and {"error": _rounded(calibration.error), "by_chance": _rounded(calibration.by_chance)},
        "extra_images": _rounded(arm.extra_images),
        "ratios": dict(arm.ratios),
        "settled": dict(arm.selected_hyperparameters),
        "worth": arm.worth and _worth_json(verdict, arm.worth, arm.name),
        "worth_sentence": worth_sentence(verdict, arm.name),
        "diagnostics": {name: _significant(value) for name, value in arm.diagnostics.items()},
        "external_accuracy": None if arm.external_accuracy is None else _rounded(arm.external_accuracy),
        "seconds": _rounded(arm.seconds),
        "failed_trials": arm.failed_trials,
        "failure": arm.failure,
        "finished_folds": [fold + 1 for fold in arm.finished_folds],
        "start": arm.start,
        "against_start_points": arm.against_start and _points(arm.against_start.estimate),
        "against_start_interval_points": arm.against_start and _bounds_points(arm.against_start),
    }


def _worth_json(verdict: Verdict, worth: Worth, name: str) -> dict[str, float | None]:
    return {
        "real_images": _rounded(worth.real_images),
        "low": _rounded(worth.low),
        "high": _rounded(worth.high),
        "new_images": _rounded(added_images(verdict, name)),
        "per_class": _rounded(worth_a_class(verdict, worth)),
    }


def _images_for_json(verdict: Verdict, one: ImagesFor) -> dict[str, Any]:
    """Beside the images at hand. `beyond`: not within 100 times as many; `unknown`: more were not shown to help."""
    known = "unknown" if math.isnan(one.times) else "beyond" if math.isinf(one.times) else "known"
    bounds = {name: _rounded(more_images(verdict, times)) for name, times in (("low", one.low), ("high", one.high))}
    more = _rounded(more_images(verdict, one.times))
    return {"balanced_accuracy": one.balanced_accuracy, "answer": known, "more_images": more, **bounds}


def _start_json(verdict: Verdict, start: StartComparison) -> dict[str, Any]:
    return {
        "name": start.name,
        "reference": start.reference,
        "verdict": start.outcome,
        "sentence": start_sentence(verdict),
        "points": _points(start.difference.estimate),
        "interval_points": _bounds_points(start.difference),
        "p_value": _significant(start.p_value),
    }


def _log_loss_json(log_loss: LogLoss) -> dict[str, Any]:
    return {
        "gain": _rounded(log_loss.gain.estimate),
        "interval": _bounds(log_loss.gain),
        "p_value": _significant(log_loss.p_value),
    }


def _external_json(external: ExternalComparison) -> dict[str, Any]:
    return {
        "images": external.images,
        "groups": external.groups,
        "trainings": external.trainings,
        "pick_accuracy": _rounded(external.pick_accuracy.estimate),
        "pick_interval": _bounds(external.pick_accuracy),
        "baseline_accuracy": _rounded(external.baseline_accuracy.estimate),
        "baseline_interval": _bounds(external.baseline_accuracy),
        "difference_points": _points(external.difference.estimate),
        "interval_points": _bounds_points(external.difference),
        "only_pick": _rounded(external.only_pick),
        "only_baseline": _rounded(external.only_baseline),
        "p_value": _significant(external.p_value),
    }


def _rounded(value: float) -> float | None:
    # Adding 0.0 turns -0.0 into 0.0: no reader should wonder about the sign of nothing.
    return round(float(value), 4) + 0.0 if math.isfinite(value) else None


def _significant(value: float) -> float | None:
    """Four digits wherever they begin: a p-value of 0.00002 is not 0."""
    return float(f"{value:.4g}") + 0.0 if math.isfinite(value) else None


def _points(share: float) -> float | None:
    return _rounded(100 * share)


def _bounds(interval: Interval) -> list[float | None]:
    return [_rounded(interval.low), _rounded(interval.high)]


def _bounds_points(interval: Interval) -> list[float | None]:
    return [_points(interval.low), _points(interval.high)]
