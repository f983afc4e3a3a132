"""The classifiers that a run leaves, trained on all images: the best supported one, and one that may be better."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tenfold.core.errors import TooLittleMemory
from tenfold.core.keys import Key
from tenfold.core.progress import note
from tenfold.core.types import Trial
from tenfold.data.splits import with_grown
from tenfold.evaluation.out_of_fold import calibrated
from tenfold.methods import MethodFailed
from tenfold.runs.arms import Arm
from tenfold.runs.forecast import trainings
from tenfold.runs.plan import baseline_of
from tenfold.runs.preparation import Prepared
from tenfold.runs.study import Study, Tail
from tenfold.runs.trial import ArmImages, external_test, train_arm
from tenfold.runs.tries import most_chosen
from tenfold.training.classifier import TrainedClassifier
from tenfold.training.classifier_io import CANDIDATE, CLASSIFIER, load_classifier, save_classifier
from tenfold.training.deadline import TimeIsUp, ending_at
from tenfold.training.device import current_device
from tenfold.training.recipe import Recipe
from tenfold.training.step import TrainingFailed, failing_for_memory
from tenfold.verbs.prove import seconds_to_publish

MOST_OF_BUDGET = 0.25
"""Of a budget that is kept for what comes after the trials."""
ALL_IMAGES_OF_A_FOLD = 1.25
"""All images are a quarter more than those of a training fold: how much longer a training on them may take."""


@dataclass(frozen=True, eq=False)
class FinalClassifier:
    """What classifier.json tells, and what the reader must know of how it came about."""

    summary: Mapping[str, Any]
    remarks: tuple[str, ...] = ()


def tail_of(prepared: Prepared, *, grows: bool) -> Tail:
    """What a run has to do after its trials.

    Nothing is said to have helped before the second repeat, so that until then the baseline is trained on all images;
    after it the slowest arm may have to be, and to grow the set.

    Args:
        grows: whether the set is grown, whatever helped.
    """
    plan, budget = prepared.plan, prepared.options.budget or 0.0
    baseline = baseline_of(plan)
    most, publishing = MOST_OF_BUDGET * budget, seconds_to_publish(prepared)

    def tail(trials: Sequence[Trial], repeats: int) -> float:
        whole = [trial for trial in trials if not trial.failed]
        own = [trial.wall_seconds for trial in whole if trial.arm == plan.baseline]
        if not own:
            return most + publishing
        a_training = sum(own) / len(own) / trainings(baseline, plan, makes_images=False)
        final = ALL_IMAGES_OF_A_FOLD * a_training
        growing = max((float(trial.details["seconds"]["methods"]) for trial in whole), default=0.0)
        slowest = max(trial.wall_seconds for trial in whole)
        wanted = growing + slowest if repeats > 1 else growing * grows + final
        # While the case is open another arm's classifier is trained beside the baseline's.
        both = wanted + (final if repeats > 1 else slowest)
        # What does not fit into a quarter of the budget is not worth the trials that it would cost.
        return next((seconds for seconds in (both, wanted) if seconds <= most), min(final, most)) + publishing

    return tail


def end_of(prepared: Prepared) -> float | None:
    """When trainings must end so that a report can be written in the budget, on the clock of `time.time`."""
    budget = prepared.options.budget
    if budget is None:
        return None
    return time.time() + budget - seconds_to_publish(prepared) - (time.monotonic() - prepared.started)


def final_classifier(study: Study, winner: Arm, ready: Mapping[str, Recipe], end: float | None) -> FinalClassifier:
    """Train on every studied image, keep the weights, and say what to expect of them.

    Where the winner fails on all images, the baseline is trained. Where the time is up, the best of the baseline's
    classifiers in the first repeat is taken; where none was finished, one is trained for as long as there is time.
    """
    baseline, remarks = baseline_of(study.plan), list[str]()
    noun = "rows" if study.data.is_vectors else "images"
    note(f"training the final classifier: {winner.name} on all {len(study.data.part('train'))} {noun}")
    try:
        with ending_at(end, shortens=not study.classifiers):
            try:
                with failing_for_memory(current_device()):
                    summary = _trained(study, winner, ready)
            except (MethodFailed, TrainingFailed, TooLittleMemory) as error:
                if winner == baseline:
                    raise
                remarks.append(f"On all {noun} {winner.name} failed ({error}); the classifier is {baseline.name}'s.")
                summary = _trained(study, baseline, {})
    except TimeIsUp:
        summary = _of_a_fold(study)
        remarks.append(
            f"There was no time to train on all {noun}: the classifier is {baseline.name}'s of fold "
            f"{summary['fold']}, trained on {summary['trained_on_images']:,}."
        )
    if end is not None and not study.classifiers:
        remarks.append("The classifier was trained for as long as there was time; how well it does is not known.")
    return FinalClassifier(summary, tuple(remarks))


def open_candidate(study: Study) -> Arm | None:
    """The arm that may be better than the baseline and was not shown to be, by the highest estimate above it.

    Cross-validation alone names it; the sealed images have no say. None where an arm was shown to be better, and
    where no arm is ahead by what may matter.
    """
    verdict = study.verdict
    if verdict.best_supported != verdict.baseline:
        return None
    arms = {arm.name: arm for arm in study.plan.arms if arm.may_be_picked}
    settled = (None, "hurt", "worse", "no_practical_difference")
    ahead = {
        result.name: result.against_baseline.estimate
        for result in verdict.arms
        if result.name in arms and result.against_baseline and result.outcome not in settled
    }
    best = max(ahead, key=ahead.__getitem__, default=None)
    return arms[best] if best is not None and ahead[best] > 0 else None


def second_classifier(
    study: Study, candidate: Arm | None, ready: Mapping[str, Recipe], end: float | None
) -> dict[str, Any] | None:
    """The candidate's classifier beside the first one; where it cannot be had in time, or fails, `left_out` says why.

    Without a budget it is always trained: it costs one training more than the folds x repeats that its arm has had.
    What an earlier opening of the run has left under its name is taken away.
    """
    for suffix in (".json", ".safetensors"):
        (study.directory / CANDIDATE).with_suffix(suffix).unlink(missing_ok=True)
    if candidate is None:
        return None
    noun = "rows" if study.data.is_vectors else "images"
    note(f"training a second classifier on all {noun}: {candidate.name}, which may be better")
    try:
        with ending_at(end), failing_for_memory(current_device()):
            return _trained(study, candidate, ready, CANDIDATE)
    except TimeIsUp:
        reason = f"there was no time to train it on all {noun}"
    except (MethodFailed, TrainingFailed, TooLittleMemory) as error:
        reason = str(error)
    return {"arm": candidate.name, "left_out": reason}


def _trained(study: Study, winner: Arm, ready: Mapping[str, Recipe], name: str = CLASSIFIER) -> dict[str, Any]:
    images = with_grown(study.data.part("train"), study.data)
    key = Key(f"seed-{study.plan.seed}") / "final"
    judged = next(arm for arm in study.verdict.arms if arm.name == winner.name)
    # Nothing is left to choose by: the ratio is the one that most folds chose, of equals the smaller. So are the
    # options, and whether mirror images are read too.
    ratio = max(judged.ratios, key=lambda text: (judged.ratios[text], -float(text)), default=None)
    selected = {**most_chosen(study.trials, study.plan.baseline), **most_chosen(study.trials, winner.name)}
    classifier = train_arm(
        study.plan.training(winner),
        ArmImages(images, None, study.data.part("reserve")),
        key,
        selected,
        ratio=None if ratio is None else float(ratio),
        ready=ready,
    ).classifier
    read = [t.details["mirrored"] for t in study.trials if t.arm == winner.name and "mirrored" in t.details]
    classifier = replace(classifier, mirrored=2 * sum(read) > len(read))
    summary: dict[str, Any] = {
        "arm": winner.name,
        "trained_on_images": len(images),
        "settled": {name: dict(options) for name, options in selected.items()},
        "new_images_for_each": None if ratio is None else float(ratio),
    }
    return _saved(study, classifier, summary, name)


def _of_a_fold(study: Study) -> dict[str, Any]:
    """The baseline's classifier of the fold whose validation images it knew best."""
    own = {t.fold: t for t in study.trials if t.arm == study.plan.baseline and t.repeat == 0 and not t.failed}
    fold = max(own.keys() & study.classifiers, key=lambda fold: (own[fold].inner_score, -own[fold].inner_loss))
    classifier, trial = load_classifier(study.classifiers[fold]), own[fold]
    summary: dict[str, Any] = {
        "arm": trial.arm,
        "trained_on_images": trial.details["real_images"],
        "fold": fold + 1,
        "settled": trial.details.get("settled", {}),
        "new_images_for_each": None,
    }
    return _saved(study, classifier, summary)


def _saved(
    study: Study, classifier: TrainedClassifier, summary: dict[str, Any], name: str = CLASSIFIER
) -> dict[str, Any]:
    """Calibrate the classifier, keep it, and say what to expect of it."""
    arm = str(summary["arm"])
    reached = next(result.balanced_accuracy for result in study.verdict.arms if result.name == arm)
    calibration = calibrated(study.trials, study.data.part("train").labels, arm)
    summary |= calibration | {
        "data": study.data.name,
        "cross_validated_balanced_accuracy": reached and round(reached.estimate, 4),
        "interval": reached and [round(reached.low, 4), round(reached.high, 4)],
        "external_test": external_test(classifier, study.data),
    }
    if name == CANDIDATE:
        summary["not_shown_better_than"] = study.plan.baseline
    save_classifier(study.directory / name, replace(classifier, temperature=calibration["temperature"]), summary)
    return summary
