"""The verdict: did growing help? PROTOCOL in one place, from trials to one of six outcomes.

The primary comparison is the chosen arm - baseline. Picking the arm that did best on the test images would call pure
noise a success most of the time, so each fold's arm is chosen by what happened outside of it (`choice`), and the rule
that follows (`decision`) says the same of the study and of its arms.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from tenfold.core.keys import Key
from tenfold.core.types import Trial
from tenfold.evaluation import (
    ArmResult,
    ExternalComparison,
    GrowthOutcome,
    Interval,
    LogLoss,
    Look,
    StartComparison,
    Verdict,
    Wins,
)
from tenfold.evaluation.arm_details import diagnostics, mean, micro_batches, ratios, selected_hyperparameters
from tenfold.evaluation.crossed import CrossedTest, coverage_note, repeats_share
from tenfold.evaluation.decision import Decision, Step
from tenfold.evaluation.exchange import Points, curve_points, images_needed, worth_of, worth_of_choice
from tenfold.evaluation.external_test import compare_external
from tenfold.evaluation.learning_curve import learning_curve
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

REPEATS_MATTER = 0.10


@dataclass(frozen=True, eq=False)
class External:
    """Labels and groups of the sealed external test images."""

    labels: Indices
    groups: Indices


def primary_p_value(trials: Sequence[Trial], design: Design) -> float:
    """Two-sided p-value of the chosen arm - baseline so far, for the interim looks."""
    matrix = prediction_matrix(trials, design)
    step = Decision(matrix, matrix.candidates).primary
    return step.test.p_value if step else 1.0


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
    growth, others = Decision(matrix, matrix.candidates), Decision(matrix, matrix.starts, of_starts=True)
    points = curve_points(matrix)
    step = growth.primary
    test = step.test if step else CrossedTest(Interval(0.0, 0.0, 0.0, 0.0), 1.0, 1.0)
    warnings = [*_warnings_of_arms(matrix, arms, looks), *_warnings_of_data(matrix, step)]
    return Verdict(
        outcome=cast("GrowthOutcome", growth.outcome),
        chosen_arm=step.choice.leading if step else baseline,
        baseline=baseline,
        difference=test.interval,
        smallest_detectable=test.smallest_detectable(design.margin),
        margin=design.margin,
        repeats=matrix.repeats,
        folds=design.folds,
        images=int(np.count_nonzero(matrix.weights)),
        groups=len(matrix.baseline_table),
        arms=tuple(
            _failed(name, arm, matrix)
            if name in matrix.failed
            else _result(name, arm, others if name in matrix.starts else growth, points, external)
            for name, arm in arms.items()
            if name not in design.curve
        ),
        pick_counts=dict(step.choice.counts.most_common() if step else {baseline: len(matrix.places)}),
        p_value=test.p_value,
        probability_of_gain=test.probability_above(0.0) if step else 0.0,
        probability_above_margin=test.probability_above(design.margin) if step else 0.0,
        wins=_wins(matrix, step),
        start=_start(decision_of_starts(trials, matrix)),
        log_loss=_log_loss(matrix, step),
        curve=learning_curve(points, folds=matrix.folds, perfect=matrix.perfect),
        worth=worth_of_choice(matrix, points, step),
        images_for=images_needed(matrix, points),
        external=_external(matrix, step, external),
        interim_looks=tuple(looks),
        warnings=tuple(warnings),
    )


def _failed(name: str, arm: Arm, matrix: PredictionMatrix) -> ArmResult:
    nothing, reasons = (None,) * len(matrix.design.class_names), matrix.failed[name]
    return ArmResult(name, None, None, None, nothing, None, _seconds(arm), len(reasons), reasons[0])


def _result(
    name: str,
    arm: Arm,
    decision: Decision,
    points: Points,
    external: External | None,
) -> ArmResult:
    matrix = decision.matrix
    design, predicted, counted = matrix.design, matrix.predicted[name], matrix.trials(name)
    labels, groups, evaluated, folds = design.labels, design.groups, design.evaluated, matrix.image_folds
    shares = (predicted, labels, groups, {*evaluated, *design.rare}, len(design.class_names), folds)
    against = matrix.singly[name].interval if name in matrix.singly else None
    return ArmResult(
        name,
        balanced_accuracy=balanced_accuracy_interval(matrix.correct(predicted), labels, groups, evaluated, folds),
        against_baseline=against,
        outcome=decision.outcomes.get(name),
        recall=sensitivities(*shares),
        external_accuracy=_external_accuracy(counted, external),
        seconds=_seconds(arm),
        specificity=specificities(*shares),
        calibration=calibration(*confidences(arm, matrix.places, labels), Key("calibration")),
        extra_images=mean(trial.details.get("extra_images", 0) for trial in counted),
        ratios=ratios(counted),
        selected_hyperparameters=selected_hyperparameters(counted),
        worth=worth_of(matrix, points, matrix.table(predicted)) if against else None,
        diagnostics=diagnostics(arm),
        start=design.grown_on.get(name),
        against_start=matrix.against_start(name),
    )


def _seconds(arm: Arm) -> float:
    return math.fsum(trial.wall_seconds for trial in arm.values())


def decision_of_starts(trials: Sequence[Trial], matrix: PredictionMatrix) -> Decision:
    """The choice between the starts, each compared with the design's reference."""
    design = matrix.design
    if design.reference not in (None, design.baseline) and design.reference in matrix.arms:
        starts = {design.baseline, *design.starts} - {design.reference}
        matrix = prediction_matrix(trials, replace(design, baseline=design.reference, starts=starts))
    return Decision(matrix, matrix.starts, of_starts=True)


def preferred_start(trials: Sequence[Trial], design: Design) -> str:
    """The start with most evidence for it by the log loss of images outside each fold; of none, the baseline."""
    matrix = prediction_matrix(trials, design)
    step = Decision(matrix, matrix.starts, of_starts=True).primary
    if step is None:
        return design.baseline
    evidence = dict(zip(step.choice.names, step.choice.strength.sum(axis=1), strict=True))
    best = max(evidence, key=evidence.__getitem__)
    return best if evidence[best] > 0 else design.baseline


def _start(decision: Decision) -> StartComparison | None:
    step = decision.primary
    if step is None:
        return None
    reference = decision.matrix.design.baseline
    return StartComparison(step.choice.leading, reference, decision.outcome, step.test.interval, step.test.p_value)


def _wins(matrix: PredictionMatrix, step: Step | None) -> Wins:
    """The chosen arm against the baseline on each fold's images."""
    if step is None:
        return Wins(0, 0, 0)
    gaps = []
    for repeat, fold in matrix.places:
        column = matrix.repeat_numbers.index(repeat)
        table = matrix.against_baseline[step.choice.at((repeat, fold))]
        gaps.append(round(float(table[matrix.folds[:, column] == fold, column].sum()), 9))
    return Wins(*(sum(int(np.sign(gap)) == sign for gap in gaps) for sign in (1, 0, -1)))


def _log_loss(matrix: PredictionMatrix, step: Step | None) -> LogLoss | None:
    if step is None:
        return None
    test = matrix.test(step.choice, matrix.loss_gain)
    return LogLoss(test.interval, test.p_value)


def _external(matrix: PredictionMatrix, step: Step | None, external: External | None) -> ExternalComparison | None:
    if external is None or not len(external.labels):
        return None
    base = [matrix.arms[matrix.design.baseline][place].external_predictions for place in matrix.places]
    names = [step.choice.at(place) if step else matrix.design.baseline for place in matrix.places]
    picked = [matrix.arms[name][place].external_predictions for name, place in zip(names, matrix.places, strict=True)]
    return compare_external(np.array(picked), np.array(base), external.labels, external.groups)


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


def _warnings_of_arms(matrix: PredictionMatrix, arms: Mapping[str, Arm], looks: Sequence[Look]) -> list[str]:
    warnings = [f"{name} failed and is left out: {reasons[0]}" for name, reasons in matrix.failed.items()]
    warnings += [
        f"{name}: memory was short in {len(parts)} of {len(arm)} trials, whose batches went through the network in "
        f"up to {max(parts)} parts; the steps are the same."
        for name, arm in arms.items()
        if (parts := micro_batches(arm.values()))
    ]
    begun = {repeat for arm in arms.values() for repeat, _ in arm}
    if matrix.repeats < len(begun):
        warnings.append(f"{len(begun) - matrix.repeats} of {len(begun)} repeats are not complete and do not count.")
    if matrix.repeats < 4 and not any(look.stopped for look in looks):
        warnings.append(f"Provisional: {matrix.repeats} repeat(s) of the folds; the default is 4.")
    if matrix.repeats == 1:
        warnings.append("A single repeat is a first look: it can be promising, and never shows that growing helped.")
    return warnings


def _warnings_of_data(matrix: PredictionMatrix, step: Step | None) -> list[str]:
    warnings = [
        f"Class '{name}' cannot be evaluated: too few independent images. It is trained on all the same."
        for label, name in enumerate(matrix.design.class_names)
        if label not in {*matrix.design.evaluated, *matrix.design.rare}
    ]
    if step is None:
        return warnings
    table = step.choice.judged([matrix.against_baseline[name] for name in step.choice.names], matrix.folds)
    if note := coverage_note(table, matrix.folds):
        warnings.append(note)
    share = repeats_share(table, matrix.folds)
    if matrix.repeats > 1 and np.any(table) and share < REPEATS_MATTER:
        warnings.append(
            f"Repeats explain only {share:.0%} of the uncertainty: what helps is more images, not more runs."
        )
    return warnings
