"""The verdict: did growing help? PROTOCOL in one place, from trials to one of four outcomes.

The primary comparison is PICK - baseline, where PICK is, in each fold, the arm that the fold's own inner
images preferred: the test images have no say in the choice. Picking the arm that did best on the test images
instead would call pure noise a success most of the time. Inner images prefer lucky trainings as well as good
arms, so what was chosen is judged by the arm's trainings in other repeats: growing has to help, not luck.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tenfold.core.keys import Key
from tenfold.core.types import Trial
from tenfold.evaluation import ArmResult, ExternalComparison, Interval, Look, Outcome, Verdict, Wins, Worth
from tenfold.evaluation.crossed import Table, coverage_note, crossed_test, holm, repeats_share
from tenfold.evaluation.external_test import compare_external
from tenfold.evaluation.learning_curve import learning_curve, worth
from tenfold.evaluation.prediction_matrix import Arm, Design, Indices, Readings, by_arm, confidences, read
from tenfold.evaluation.scores import (
    balanced_accuracy,
    balanced_accuracy_interval,
    calibration,
    sensitivities,
    specificities,
)
from tenfold.evaluation.telling import sentence, verdict_json

__all__ = ["Design", "External", "compare", "primary_p_value", "sentence", "verdict_json"]

SIGNIFICANCE = 0.05
POWER_ERRORS = 0.84
"""An effect this many standard errors beyond half the interval is found in 80 % of studies: 2.8 in large ones."""
REPEATS_MATTER = 0.10


@dataclass(frozen=True, eq=False)
class External:
    """Labels and groups of the sealed external test images."""

    labels: Indices
    groups: Indices


def primary_p_value(trials: Sequence[Trial], design: Design) -> float:
    """Two-sided p-value of PICK - baseline so far, for the planned looks."""
    return _primary(read(trials, design))[1]


def compare(
    trials: Sequence[Trial], design: Design, *, external: External | None = None, looks: Sequence[Look] = ()
) -> Verdict:
    """Judge every arm, and the choice between the candidates, against the baseline.

    Only repeats that every arm finished count. An arm with a failed trial is reported as failed and compared
    with nothing.

    Raises:
        TenfoldError: the baseline failed, no repeat is complete, fewer than two groups, or trials that do not
            test each image once a repeat.
    """
    readings, arms, baseline = read(trials, design), by_arm(trials), design.baseline
    judged = _judged(readings)
    difference, p_value = _primary(readings)
    points = _curve(readings)
    pick_counts = Counter(readings.picks.values())
    warnings = [*_warnings_of_arms(readings, arms, looks), *_warnings_of_data(readings)]
    return Verdict(
        outcome=_outcome(difference, design.margin, significant=difference.low > 0 or difference.high < 0),
        chosen_arm=max(sorted(pick_counts), key=lambda name: (pick_counts[name], name == baseline)),
        baseline=baseline,
        difference=difference,
        smallest_detectable=(difference.high - difference.low) / 2 + POWER_ERRORS * difference.standard_error,
        margin=design.margin,
        repeats=readings.repeats,
        folds=design.folds,
        images=int(np.count_nonzero(readings.weights)),
        groups=len(readings.baseline_table),
        arms=tuple(
            _failed(name, arm, readings)
            if name in readings.failed
            else _result(name, arm, readings, judged, points, external)
            for name, arm in arms.items()
            if name not in design.curve
        ),
        pick_counts=dict(pick_counts.most_common()),
        p_value=p_value,
        wins=_wins(readings),
        curve=learning_curve(points, folds=readings.folds, perfect=readings.perfect),
        worth=_worth(readings, points, readings.baseline_table + readings.difference, readings.choice),
        external=_external(readings, external),
        interim_looks=tuple(looks),
        warnings=tuple(warnings),
    )


def _judged(readings: Readings) -> dict[str, tuple[Interval, Outcome]]:
    """Of each arm but the baseline, its difference and what that means, corrected for there being several."""
    names = [name for name in readings.arms if name not in (readings.design.baseline, *readings.design.curve)]
    tests = [crossed_test(readings.against_baseline[name], readings.folds) for name in names]
    adjusted = holm([p_value for _, p_value in tests])
    return {
        name: (interval, _outcome(interval, readings.design.margin, significant=p_value < SIGNIFICANCE))
        for name, (interval, _), p_value in zip(names, tests, adjusted, strict=True)
    }


def _failed(name: str, arm: Arm, readings: Readings) -> ArmResult:
    nothing, reasons = (None,) * len(readings.design.class_names), readings.failed[name]
    return ArmResult(name, None, None, None, nothing, None, _seconds(arm), len(reasons), reasons[0])


def _result(
    name: str,
    arm: Arm,
    readings: Readings,
    judged: Mapping[str, tuple[Interval, Outcome]],
    points: Sequence[tuple[str, float, Table]],
    external: External | None,
) -> ArmResult:
    design, predicted, counted = readings.design, readings.predicted[name], readings.trials(name)
    labels, groups, evaluated, folds = design.labels, design.groups, design.evaluated, readings.image_folds
    shares = (predicted, labels, groups, evaluated, len(design.class_names), folds)
    against, outcome = judged.get(name, (None, None))
    return ArmResult(
        name,
        balanced_accuracy=balanced_accuracy_interval(readings.correct(predicted), labels, groups, evaluated, folds),
        against_baseline=against,
        outcome=outcome,
        recall=sensitivities(*shares),
        external_accuracy=_external_accuracy(counted, external),
        seconds=_seconds(arm),
        specificity=specificities(*shares),
        calibration=calibration(*confidences(arm, readings.places, labels), Key("calibration")),
        extra_images=_mean(trial.details.get("extra_images", 0) for trial in counted),
        ratios=_ratios(counted),
        selected_hyperparameters=_settled(counted),
        worth=_worth(readings, points, readings.table(predicted)) if against else None,
        diagnostics=_diagnostics(arm),
    )


def _seconds(arm: Arm) -> float:
    return math.fsum(trial.wall_seconds for trial in arm.values())


def _primary(readings: Readings) -> tuple[Interval, float]:
    """PICK - baseline and its p-value. Where nothing but the baseline was ever picked, nothing is to be estimated."""
    if set(readings.picks.values()) == {readings.design.baseline}:
        return Interval(0.0, 0.0, 0.0, 0.0), 1.0
    return crossed_test(readings.difference, readings.folds, readings.choice)


def _outcome(interval: Interval, margin: float, *, significant: bool) -> Outcome:
    if -margin <= interval.low and interval.high <= margin:
        return "no_practical_difference"
    if significant and interval.estimate >= margin:
        return "helped"
    if significant and interval.estimate <= -margin:
        return "hurt"
    return "not_proven"


def _wins(readings: Readings) -> Wins:
    """The chosen arm against the baseline on each fold's images, by trainings other than those chosen."""
    repeats = readings.repeat_numbers
    gaps = []
    for place, name in readings.picks.items():
        column = repeats.index(readings.judging(place)[0])
        tested = readings.folds[:, repeats.index(place[0])] == place[1]
        gaps.append(round(float(readings.against_baseline[name][tested, column].sum()), 9))
    return Wins(*(sum(int(np.sign(gap)) == sign for gap in gaps) for sign in (1, 0, -1)))


def _curve(readings: Readings) -> list[tuple[str, float, Table]]:
    """The baseline on several numbers of real images; empty where it was not trained on fewer than there are."""
    design = readings.design
    names = [name for name in (*design.curve, design.baseline, *design.more_real) if name in readings.arms]
    if not set(names) & set(design.curve):
        return []
    return [(name, readings.real_images(name), readings.table(readings.predicted[name])) for name in names]


def _worth(
    readings: Readings, points: Sequence[tuple[str, float, Table]], table: Table, choice: float = 0.0
) -> Worth | None:
    if not points:
        return None
    return worth(
        [(images, table) for _, images, table in points],
        readings.baseline_table,
        readings.real_images(readings.design.baseline),
        table,
        folds=readings.folds,
        choice=choice,
        perfect=readings.perfect,
    )


def _external(readings: Readings, external: External | None) -> ExternalComparison | None:
    if external is None or not len(external.labels):
        return None
    picked = [
        readings.arms[name][readings.judging(place)].external_predictions for place, name in readings.picks.items()
    ]
    base = [readings.arms[readings.design.baseline][place].external_predictions for place in readings.places]
    return compare_external(
        np.array(picked), np.array(base), external.labels, external.groups, len(readings.design.class_names)
    )


def _external_accuracy(trials: Iterable[Trial], external: External | None) -> float | None:
    """The mean over trials of the balanced accuracy on the sealed test images."""
    if external is None or not len(external.labels):
        return None
    scores = [
        balanced_accuracy(external.labels, np.array(trial.external_predictions))
        for trial in trials
        if trial.external_predictions
    ]
    return float(np.mean(scores)) if scores else None


def _ratios(trials: Sequence[Trial]) -> dict[str, int]:
    chosen = Counter(trial.details["ratio"] for trial in trials if "ratio" in trial.details)
    return {f"{ratio:g}": chosen[ratio] for ratio in sorted(chosen)}


def _settled(trials: Sequence[Trial]) -> dict[str, int]:
    chosen = Counter(
        f"{method}({','.join(f'{name}={value}' for name, value in sorted(options.items()))})"
        for trial in trials
        for method, options in trial.details.get("settled", {}).items()
    )
    return dict(chosen.most_common())


def _diagnostics(arm: Arm) -> dict[str, float]:
    """Means over the inspected folds of the figures that all of them have, and what was thrown away in all trials."""
    inspected = [trial.details["diagnostics"] for trial in arm.values() if trial.details.get("diagnostics")]
    common = set.intersection(*map(set, inspected)) if inspected else set()
    figures = {name: _mean(found[name] for found in inspected) for name in sorted(common)}
    told = [trial.details for trial in arm.values() if "drawn" in trial.details]
    if drawn := sum(details["drawn"] for details in told):
        for name in ("wrong_label", "near_copies"):
            figures[f"rejected_{name}"] = sum(details[name] for details in told) / drawn
        figures["drawn"] = float(drawn)
    return figures


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _warnings_of_arms(readings: Readings, arms: Mapping[str, Arm], looks: Sequence[Look]) -> list[str]:
    warnings = [f"{name} failed and is left out: {reasons[0]}" for name, reasons in readings.failed.items()]
    begun = {repeat for arm in arms.values() for repeat, _ in arm}
    if readings.repeats < len(begun):
        warnings.append(f"{len(begun) - readings.repeats} of {len(begun)} repeats are not complete and do not count.")
    if readings.repeats < 4 and not any(look.stopped for look in looks):
        warnings.append(f"Provisional: {readings.repeats} repeat(s) of the folds; the default is 4.")
    if readings.repeats == 1:
        warnings.append("With a single repeat the choice of a lucky training cannot be told from that of a good arm.")
    kept = sum(name == readings.design.baseline for name in readings.picks.values())
    if kept > len(readings.picks) / 2:
        warnings.append(
            f"The inner images preferred {readings.design.baseline} itself in {kept} of {len(readings.picks)} folds."
        )
    return warnings


def _warnings_of_data(readings: Readings) -> list[str]:
    warnings = [
        f"Class '{name}' cannot be evaluated: too few independent images. It is trained on all the same."
        for label, name in enumerate(readings.design.class_names)
        if label not in readings.design.evaluated
    ]
    always_baseline = set(readings.picks.values()) == {readings.design.baseline}
    if not always_baseline and (note := coverage_note(readings.difference, readings.folds)):
        warnings.append(note)
    share = repeats_share(readings.difference, readings.folds)
    if readings.repeats > 1 and np.any(readings.difference) and share < REPEATS_MATTER:
        warnings.append(
            f"Repeats explain only {share:.0%} of the uncertainty: what helps is more images, not more runs."
        )
    return warnings
