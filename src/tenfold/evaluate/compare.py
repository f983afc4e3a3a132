"""The verdict: did growing help? PROTOCOL in one place, from trials to one of four outcomes.

The primary comparison is PICK - baseline, where PICK is, in each fold, the arm that the fold's own inner
images preferred: the test images have no say in the choice. Picking the arm that did best on the test images
instead would call pure noise a success most of the time.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import TenfoldError
from tenfold.core.types import ArmResult, Interval, Outcome, Trial, Verdict, class_weights
from tenfold.evaluate.crossed import (
    Indices,
    Table,
    accuracy_interval,
    crossed_interval,
    group_table,
    holm,
    p_value,
    repeats_share,
)
from tenfold.evaluate.scores import balanced_accuracy
from tenfold.evaluate.telling import sentence, verdict_json

__all__ = ["compare", "sentence", "verdict_json"]

Place = tuple[int, int]
"""Repeat and fold: where an arm is trained once."""
Arm = Mapping[Place, Trial]

SIGNIFICANCE = 0.05
DETECTABLE_ERRORS = 2.8
"""1.96 + 0.84: an effect of this many standard errors is found in 80 % of studies."""
REPEATS_MATTER = 0.10


def compare(
    trials: Sequence[Trial],
    labels: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    class_names: Sequence[str],
    *,
    baseline: str,
    candidates: Collection[str],
    evaluated: Sequence[int],
    folds: int,
    margin: float = 0.01,
    external_labels: npt.NDArray[np.int64] | None = None,
) -> Verdict:
    """Judge every arm, and the choice between the candidates, against the baseline.

    `labels` and `groups` are those of the N study images that `Trial.test_indices` point into. `candidates`
    are the arms that PICK may choose, `evaluated` the classes that are tested. Only repeats that every arm
    finished count. An arm with a failed trial is reported as failed and compared with nothing.

    Raises:
        TenfoldError: the baseline failed, no repeat is complete, fewer than two groups, or trials that do not
            test each image once a repeat.
    """
    arms = _by_arm(trials)
    failed = {name: _failures(arm) for name, arm in arms.items() if _failures(arm)}
    if baseline not in arms:
        raise TenfoldError(f"the baseline '{baseline}' has no trials: nothing can be compared with it")
    if baseline in failed:
        raise TenfoldError(f"the baseline '{baseline}' failed, so nothing can be compared: {failed[baseline][0]}")
    sound = {name: arm for name, arm in arms.items() if name not in failed}
    repeats = _complete_repeats(sound.values(), folds)
    weights = class_weights(labels, evaluated)
    tested_groups = len(np.unique(groups[weights > 0]))
    if tested_groups < 2:
        raise TenfoldError(f"{tested_groups} independent group(s) of test images: an interval takes two or more")

    places = [(repeat, fold) for repeat in repeats for fold in range(folds)]
    picks = {place: _pick(sound, place, baseline, candidates) for place in places}
    correct = {name: _correctness(arm, places, labels, weights) for name, arm in sound.items()}
    picked = _correctness({place: sound[name][place] for place, name in picks.items()}, places, labels, weights)

    table = group_table(picked - correct[baseline], weights, groups)
    # Where nothing but the baseline was ever picked, the two are one and there is nothing to estimate.
    alone = set(picks.values()) == {baseline}
    difference = Interval(0.0, 0.0, 0.0, 0.0) if alone else crossed_interval(table)
    against = {
        name: crossed_interval(group_table(values - correct[baseline], weights, groups))
        for name, values in correct.items()
        if name != baseline
    }
    adjusted = holm([p_value(interval, tested_groups) for interval in against.values()])
    outcomes = {
        name: _outcome(against[name], margin, significant=p < SIGNIFICANCE)
        for name, p in zip(against, adjusted, strict=True)
    }

    def result(name: str, arm: Arm) -> ArmResult:
        seconds = math.fsum(trial.wall_seconds for trial in arm.values())
        if name in failed:
            nothing = (None,) * len(class_names)
            reasons = failed[name]
            return ArmResult(name, None, None, None, nothing, None, seconds, len(reasons), reasons[0])
        return ArmResult(
            name,
            balanced_accuracy=accuracy_interval(correct[name], labels, groups, evaluated),
            against_baseline=against.get(name),
            outcome=outcomes.get(name),
            recall=tuple(
                accuracy_interval(correct[name], labels, groups, [label]) if label in evaluated else None
                for label in range(len(class_names))
            ),
            external_accuracy=_external_accuracy([arm[place] for place in places], external_labels),
            seconds=seconds,
        )

    pick_counts = Counter(picks.values())
    warnings = [
        *_warnings_of_arms(failed, arms, repeats, picks, baseline),
        *_warnings_of_data(table, class_names, evaluated),
    ]
    return Verdict(
        outcome=_outcome(difference, margin, significant=difference.low > 0 or difference.high < 0),
        pick=max(sorted(pick_counts), key=lambda name: (pick_counts[name], name == baseline)),
        baseline=baseline,
        difference=difference,
        smallest_detectable=DETECTABLE_ERRORS * difference.standard_error,
        margin=margin,
        repeats=len(repeats),
        folds=folds,
        images=int(np.count_nonzero(weights)),
        groups=tested_groups,
        arms=tuple(result(name, arm) for name, arm in arms.items()),
        pick_counts=dict(pick_counts.most_common()),
        warnings=tuple(warnings),
    )


def _by_arm(trials: Sequence[Trial]) -> dict[str, dict[Place, Trial]]:
    arms: dict[str, dict[Place, Trial]] = {}
    for trial in trials:
        arm, place = arms.setdefault(trial.arm, {}), (trial.repeat, trial.fold)
        if place in arm:
            raise TenfoldError(f"two trials of arm '{trial.arm}' in repeat {trial.repeat}, fold {trial.fold}")
        arm[place] = trial
    return arms


def _failures(arm: Arm) -> list[str]:
    return [arm[place].failed or "" for place in sorted(arm) if arm[place].failed is not None]


def _complete_repeats(arms: Collection[Arm], folds: int) -> list[int]:
    seen = sorted({repeat for arm in arms for repeat, _ in arm})
    complete = [repeat for repeat in seen if all((repeat, fold) in arm for arm in arms for fold in range(folds))]
    if not complete:
        raise TenfoldError(f"no repeat has all {folds} folds of all arms yet: let the study go on first")
    return complete


def _pick(arms: Mapping[str, Arm], place: Place, baseline: str, candidates: Collection[str]) -> str:
    """The candidate that the fold's inner images preferred; the baseline where they could not tell."""

    def preference(name: str) -> tuple[float, float, bool]:
        trial = arms[name][place]
        score = -math.inf if math.isnan(trial.inner_score) else trial.inner_score
        loss = math.inf if math.isnan(trial.inner_loss) else trial.inner_loss
        return score, -loss, name == baseline

    return max(sorted({baseline, *candidates} & arms.keys()), key=preference)


def _correctness(arm: Arm, places: Sequence[Place], labels: Indices, weights: npt.NDArray[np.float64]) -> Table:
    """N x R: 1 where the image was recognised; 0 also where it is of a class that is never tested."""
    columns = {repeat: column for column, repeat in enumerate(dict.fromkeys(repeat for repeat, _ in places))}
    correct = np.zeros((len(labels), len(columns)))
    times_tested = np.zeros(correct.shape, dtype=np.int64)
    for place in places:
        trial, column = arm[place], columns[place[0]]
        correct[trial.test_indices, column] = labels[trial.test_indices] == trial.test_predictions()
        times_tested[trial.test_indices, column] += 1
    wrong = np.flatnonzero((times_tested[weights > 0] != 1).any(axis=1))
    if len(wrong):
        raise TenfoldError(f"{len(wrong)} images are not tested exactly once in each repeat of an arm")
    return correct


def _outcome(interval: Interval, margin: float, *, significant: bool) -> Outcome:
    if -margin <= interval.low and interval.high <= margin:
        return "no_practical_difference"
    if significant and interval.estimate >= margin:
        return "helped"
    if significant and interval.estimate <= -margin:
        return "hurt"
    return "not_proven"


def _external_accuracy(trials: Iterable[Trial], labels: npt.NDArray[np.int64] | None) -> float | None:
    """The mean over trials of the balanced accuracy on the sealed test images."""
    if labels is None or len(labels) == 0:
        return None
    scores = [balanced_accuracy(labels, np.array(t.external_predictions)) for t in trials if t.external_predictions]
    return float(np.mean(scores)) if scores else None


def _warnings_of_arms(
    failed: Mapping[str, Sequence[str]],
    arms: Mapping[str, Arm],
    repeats: Sequence[int],
    picks: Mapping[Place, str],
    baseline: str,
) -> list[str]:
    warnings = [f"{name} failed and is left out: {reasons[0]}" for name, reasons in failed.items()]
    begun = {repeat for arm in arms.values() for repeat, _ in arm}
    if len(repeats) < len(begun):
        warnings.append(f"{len(begun) - len(repeats)} of {len(begun)} repeats are not complete and do not count.")
    if len(repeats) < 4:
        warnings.append(f"Provisional: {len(repeats)} repeat(s) of the folds; the default is 4.")
    kept = sum(name == baseline for name in picks.values())
    if kept > len(picks) / 2:
        warnings.append(f"The inner images preferred {baseline} itself in {kept} of {len(picks)} folds.")
    return warnings


def _warnings_of_data(table: Table, class_names: Sequence[str], evaluated: Sequence[int]) -> list[str]:
    warnings = [
        f"Class '{name}' cannot be evaluated: too few independent images. It is trained on all the same."
        for label, name in enumerate(class_names)
        if label not in evaluated
    ]
    share = repeats_share(table)
    if table.shape[1] > 1 and np.any(table) and share < REPEATS_MATTER:
        warnings.append(
            f"Repeats explain only {share:.0%} of the uncertainty: what helps is more images, not more runs."
        )
    return warnings
