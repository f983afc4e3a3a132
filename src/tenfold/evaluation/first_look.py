"""A verdict on what was finished of a first repeat that was broken off: like a whole one no more than a first look.

Arms are compared on the images of the folds that they and the baseline both finished. Most arms have the same folds,
and the choice is between those; an arm with fewer is compared with the baseline alone, on its own.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tenfold.core.types import Trial, class_weights
from tenfold.evaluation import ArmResult, Interval, Verdict, Wins
from tenfold.evaluation.compare import External, compare
from tenfold.evaluation.prediction_matrix import Arm, Design, by_arm

UNKNOWN = Interval(math.nan, math.nan, math.nan, math.nan)
Folds = frozenset[int]


def first_look(trials: Sequence[Trial], design: Design, *, external: External | None = None) -> Verdict:
    """Judge the finished folds of the first repeat.

    An arm that shares no fold with the baseline is left out.

    Raises:
        TenfoldError: the baseline failed.
    """
    arms = by_arm(trials)
    common = _common_folds(arms, design)
    main = _main_folds(common, design)
    if not main:
        return _nothing_known(design)
    together = [name for name in arms if common[name] >= main]
    verdict = _judged(arms, together, main, design, external)
    results = {arm.name: arm for arm in verdict.arms}
    for name in arms:
        if name not in results and name not in design.curve and common[name]:
            alone = _judged(arms, [design.baseline, name], common[name], design, external)
            results[name] = replace(alone.arms[-1], finished_folds=_rising(common[name]))
    ordered = [results[name] for name in arms if name in results]
    compared = any(arm.against_baseline is not None for arm in ordered)
    outcome = verdict.outcome
    if compared and outcome == "nothing_preferred" and len(main) == 1:
        outcome = "not_proven"  # in a single fold there are no other images to prefer an arm by
    return replace(
        verdict,
        outcome=outcome,
        difference=verdict.difference if compared else UNKNOWN,
        smallest_detectable=verdict.smallest_detectable if compared else math.nan,
        folds=design.folds,
        finished_folds=_rising(main),
        arms=tuple(ordered),
    )


def _common_folds(arms: Mapping[str, Arm], design: Design) -> dict[str, Folds]:
    """Of each arm the folds that the baseline has too, of those that hold something to be judged."""
    of_baseline = arms.get(design.baseline, {})
    useful = frozenset(
        place[1]
        for place in of_baseline
        if place[0] == 0 and len(np.unique(design.groups[_tested(of_baseline, {place[1]}, design)])) > 1
    )
    return {name: useful & frozenset(fold for repeat, fold in arm if repeat == 0) for name, arm in arms.items()}


def _main_folds(common: Mapping[str, Folds], design: Design) -> Folds:
    """The folds on which most is compared: candidates x folds; the baseline's own where there is no other arm."""
    rivals = [folds for name, folds in common.items() if name != design.baseline and name not in design.curve]
    candidates = [common[name] for name in design.candidates if name != design.baseline and name in common]
    for compared in (candidates, rivals):
        if any(compared):
            return max(compared, key=lambda folds: len(folds) * sum(folds <= other for other in compared))
    return common.get(design.baseline, frozenset())


def _tested(arm: Arm, folds: Collection[int], design: Design) -> list[int]:
    """The images of these folds that are of a class which is tested, rising."""
    return sorted(
        index for fold in folds for index in arm[0, fold].test_indices if design.labels[index] in design.evaluated
    )


def _judged(
    arms: Mapping[str, Arm], names: Sequence[str], folds: Folds, design: Design, external: External | None
) -> Verdict:
    """Of these arms on these folds, as if the set were their images and the folds all that there are."""
    images = sorted(index for fold in folds for index in arms[design.baseline][0, fold].test_indices)
    number_of = {index: number for number, index in enumerate(images)}
    labels = design.labels[images]
    evaluated = [label for label in design.evaluated if (labels == label).any()]
    part = replace(design, labels=labels, groups=design.groups[images], evaluated=evaluated, folds=len(folds))
    trials = [
        replace(trial, fold=number, test_indices=[number_of[index] for index in trial.test_indices])
        for name in names
        for number, trial in enumerate(_of(arms[name], folds))
    ]
    return compare(trials, part, external=external)


def _of(arm: Arm, folds: Folds) -> list[Trial]:
    """The arm's trials of these folds; one that failed in any fold has failed."""
    failed = next((trial for trial in arm.values() if trial.failed), None)
    trials = [arm[0, fold] for fold in _rising(folds)]
    return trials if failed is None else [failed, *trials[1:]]


def _rising(folds: Folds) -> tuple[int, ...]:
    return tuple(sorted(folds))


def _nothing_known(design: Design) -> Verdict:
    """Where not a single fold of the baseline was finished."""
    tested = class_weights(design.labels, design.evaluated) > 0
    baseline = ArmResult(design.baseline, None, None, None, (None,) * len(design.class_names), None, 0.0)
    return Verdict(
        "not_proven",
        design.baseline,
        design.baseline,
        UNKNOWN,
        math.nan,
        design.margin,
        repeats=0,
        folds=design.folds,
        images=int(tested.sum()),
        groups=len(np.unique(design.groups[tested])),
        arms=(baseline,),
        pick_counts={design.baseline: 0},
        p_value=math.nan,
        probability_of_gain=math.nan,
        probability_above_margin=math.nan,
        wins=Wins(0, 0, 0),
    )
