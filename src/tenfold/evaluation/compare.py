"""The verdict: did growing help? PROTOCOL in one place, from trials to one of four outcomes.

The primary comparison is the chosen arm - baseline, where the chosen arm is, in each fold, the arm that the fold's
own validation
images preferred: the test images have no say in the choice. Picking the arm that did best on the test images
instead would call pure noise a success most of the time. Validation images prefer lucky trainings as well as good
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
from tenfold.evaluation.prediction_matrix import (
    Arm,
    Design,
    Indices,
    PredictionMatrix,
    by_arm,
    confidences,
    prediction_matrix,
)
from tenfold.evaluation.scores import (
    balanced_accuracy,
    balanced_accuracy_interval,
    calibration,
    sensitivities,
    specificities,
)
from tenfold.evaluation.serialise import sentence, verdict_json

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
    """Two-sided p-value of the chosen arm - baseline so far, for the interim looks."""
    return _primary(prediction_matrix(trials, design))[1]


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
    matrix, arms, baseline = prediction_matrix(trials, design), by_arm(trials), design.baseline
    judged = _judged(matrix)
    difference, p_value = _primary(matrix)
    points = _curve(matrix)
    pick_counts = Counter(matrix.picks.values())
    warnings = [*_warnings_of_arms(matrix, arms, looks), *_warnings_of_data(matrix)]
    return Verdict(
        outcome=_outcome(difference, design.margin, significant=difference.low > 0 or difference.high < 0),
        chosen_arm=max(sorted(pick_counts), key=lambda name: (pick_counts[name], name == baseline)),
        baseline=baseline,
        difference=difference,
        smallest_detectable=(difference.high - difference.low) / 2 + POWER_ERRORS * difference.standard_error,
        margin=design.margin,
        repeats=matrix.repeats,
        folds=design.folds,
        images=int(np.count_nonzero(matrix.weights)),
        groups=len(matrix.baseline_table),
        arms=tuple(
            _failed(name, arm, matrix)
            if name in matrix.failed
            else _result(name, arm, matrix, judged, points, external)
            for name, arm in arms.items()
            if name not in design.curve
        ),
        pick_counts=dict(pick_counts.most_common()),
        p_value=p_value,
        wins=_wins(matrix),
        curve=learning_curve(points, folds=matrix.folds, perfect=matrix.perfect),
        worth=_worth(matrix, points, matrix.baseline_table + matrix.difference, matrix.choice),
        external=_external(matrix, external),
        interim_looks=tuple(looks),
        warnings=tuple(warnings),
    )


def _judged(matrix: PredictionMatrix) -> dict[str, tuple[Interval, Outcome]]:
    """Of each arm but the baseline, its difference and what that means, corrected for there being several."""
    names = [name for name in matrix.arms if name not in (matrix.design.baseline, *matrix.design.curve)]
    tests = [crossed_test(matrix.against_baseline[name], matrix.folds) for name in names]
    adjusted = holm([p_value for _, p_value in tests])
    return {
        name: (interval, _outcome(interval, matrix.design.margin, significant=p_value < SIGNIFICANCE))
        for name, (interval, _), p_value in zip(names, tests, adjusted, strict=True)
    }


def _failed(name: str, arm: Arm, matrix: PredictionMatrix) -> ArmResult:
    nothing, reasons = (None,) * len(matrix.design.class_names), matrix.failed[name]
    return ArmResult(name, None, None, None, nothing, None, _seconds(arm), len(reasons), reasons[0])


def _result(
    name: str,
    arm: Arm,
    matrix: PredictionMatrix,
    judged: Mapping[str, tuple[Interval, Outcome]],
    points: Sequence[tuple[str, float, Table]],
    external: External | None,
) -> ArmResult:
    design, predicted, counted = matrix.design, matrix.predicted[name], matrix.trials(name)
    labels, groups, evaluated, folds = design.labels, design.groups, design.evaluated, matrix.image_folds
    shares = (predicted, labels, groups, evaluated, len(design.class_names), folds)
    against, outcome = judged.get(name, (None, None))
    return ArmResult(
        name,
        balanced_accuracy=balanced_accuracy_interval(matrix.correct(predicted), labels, groups, evaluated, folds),
        against_baseline=against,
        outcome=outcome,
        recall=sensitivities(*shares),
        external_accuracy=_external_accuracy(counted, external),
        seconds=_seconds(arm),
        specificity=specificities(*shares),
        calibration=calibration(*confidences(arm, matrix.places, labels), Key("calibration")),
        extra_images=_mean(trial.details.get("extra_images", 0) for trial in counted),
        ratios=_ratios(counted),
        selected_hyperparameters=_selected_hyperparameters(counted),
        worth=_worth(matrix, points, matrix.table(predicted)) if against else None,
        diagnostics=_diagnostics(arm),
    )


def _seconds(arm: Arm) -> float:
    return math.fsum(trial.wall_seconds for trial in arm.values())


def _primary(matrix: PredictionMatrix) -> tuple[Interval, float]:
    """The chosen arm - baseline and its p-value. Where nothing but the baseline was ever picked, nothing is to be
    estimated.
    """
    if set(matrix.picks.values()) == {matrix.design.baseline}:
        return Interval(0.0, 0.0, 0.0, 0.0), 1.0
    return crossed_test(matrix.difference, matrix.folds, matrix.choice)


def _outcome(interval: Interval, margin: float, *, significant: bool) -> Outcome:
    if -margin <= interval.low and interval.high <= margin:
        return "no_practical_difference"
    if significant and interval.estimate >= margin:
        return "helped"
    if significant and interval.estimate <= -margin:
        return "hurt"
    return "not_proven"


def _wins(matrix: PredictionMatrix) -> Wins:
    """The chosen arm against the baseline on each fold's images, by trainings other than those chosen."""
    repeats = matrix.repeat_numbers
    gaps = []
    for place, name in matrix.picks.items():
        column = repeats.index(matrix.judging(place)[0])
        tested = matrix.folds[:, repeats.index(place[0])] == place[1]
        gaps.append(round(float(matrix.against_baseline[name][tested, column].sum()), 9))
    return Wins(*(sum(int(np.sign(gap)) == sign for gap in gaps) for sign in (1, 0, -1)))


def _curve(matrix: PredictionMatrix) -> list[tuple[str, float, Table]]:
    """The baseline on several numbers of real images; empty where it was not trained on fewer than there are."""
    design = matrix.design
    names = [name for name in (*design.curve, design.baseline, *design.more_real) if name in matrix.arms]
    if not set(names) & set(design.curve):
        return []
    return [(name, matrix.real_images(name), matrix.table(matrix.predicted[name])) for name in names]


def _worth(
    matrix: PredictionMatrix, points: Sequence[tuple[str, float, Table]], table: Table, choice: float = 0.0
) -> Worth | None:
    if not points:
        return None
    return worth(
        [(images, table) for _, images, table in points],
        matrix.baseline_table,
        matrix.real_images(matrix.design.baseline),
        table,
        folds=matrix.folds,
        choice=choice,
        perfect=matrix.perfect,
    )


def _external(matrix: PredictionMatrix, external: External | None) -> ExternalComparison | None:
    if external is None or not len(external.labels):
        return None
    picked = [matrix.arms[name][matrix.judging(place)].external_predictions for place, name in matrix.picks.items()]
    base = [matrix.arms[matrix.design.baseline][place].external_predictions for place in matrix.places]
    return compare_external(
        np.array(picked), np.array(base), external.labels, external.groups, len(matrix.design.class_names)
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


def _selected_hyperparameters(trials: Sequence[Trial]) -> dict[str, int]:
    chosen = Counter(
        f"{method}({','.join(f'{name}={value}' for name, value in sorted(options.items()))})"
        for trial in trials
        for method, options in trial.details.get("settled", {}).items()
    )
    return dict(chosen.most_common())


def _diagnostics(arm: Arm) -> dict[str, float]:
    """Means over the diagnosed folds of the figures that all of them have, and what was thrown away in all trials."""
    diagnosed = [trial.details["diagnostics"] for trial in arm.values() if trial.details.get("diagnostics")]
    common = set.intersection(*map(set, diagnosed)) if diagnosed else set()
    figures = {name: _mean(of_trial[name] for of_trial in diagnosed) for name in sorted(common)}
    of_generators = [trial.details for trial in arm.values() if "drawn" in trial.details]
    if drawn := sum(details["drawn"] for details in of_generators):
        for name in ("wrong_label", "near_copies"):
            figures[f"rejected_{name}"] = sum(details[name] for details in of_generators) / drawn
        figures["drawn"] = float(drawn)
    return figures


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _warnings_of_arms(matrix: PredictionMatrix, arms: Mapping[str, Arm], looks: Sequence[Look]) -> list[str]:
    warnings = [f"{name} failed and is left out: {reasons[0]}" for name, reasons in matrix.failed.items()]
    begun = {repeat for arm in arms.values() for repeat, _ in arm}
    if matrix.repeats < len(begun):
        warnings.append(f"{len(begun) - matrix.repeats} of {len(begun)} repeats are not complete and do not count.")
    if matrix.repeats < 4 and not any(look.stopped for look in looks):
        warnings.append(f"Provisional: {matrix.repeats} repeat(s) of the folds; the default is 4.")
    if matrix.repeats == 1:
        warnings.append("With a single repeat the choice of a lucky training cannot be told from that of a good arm.")
    kept = sum(name == matrix.design.baseline for name in matrix.picks.values())
    if kept > len(matrix.picks) / 2:
        warnings.append(
            f"The validation images preferred {matrix.design.baseline} itself in {kept} of {len(matrix.picks)} folds."
        )
    return warnings


def _warnings_of_data(matrix: PredictionMatrix) -> list[str]:
    warnings = [
        f"Class '{name}' cannot be evaluated: too few independent images. It is trained on all the same."
        for label, name in enumerate(matrix.design.class_names)
        if label not in matrix.design.evaluated
    ]
    always_baseline = set(matrix.picks.values()) == {matrix.design.baseline}
    if not always_baseline and (note := coverage_note(matrix.difference, matrix.folds)):
        warnings.append(note)
    share = repeats_share(matrix.difference, matrix.folds)
    if matrix.repeats > 1 and np.any(matrix.difference) and share < REPEATS_MATTER:
        warnings.append(
            f"Repeats explain only {share:.0%} of the uncertainty: what helps is more images, not more runs."
        )
    return warnings
