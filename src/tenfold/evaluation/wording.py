"""What a verdict means, in sentences that need no statistics to be understood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tenfold.evaluation import ArmResult, Interval, Look, Verdict

CHOSEN_ARM = "chosen arm"
"""Stands where an arm's name may stand, for what each fold chose by the others."""


def answer(verdict: Verdict) -> str:
    """The verdict in at most twelve words that a layperson understands; what it rests on is `sentence`."""
    if not verdict.repeats:
        return "Nothing is known yet: the time was too short."
    if nothing_to_choose(verdict) and (start := verdict.start) and start.outcome == "better":
        return f"{_short(start.name, 'Another start')} is a better start; nothing was grown."
    if not verdict.compared:
        return "Nothing was compared with the baseline yet."
    subject = "Growing" if len(verdict.pick_counts) > 1 else _short(verdict.chosen_arm, "Growing")
    gain = f"{abs(100 * verdict.difference.estimate):.0f}"
    match verdict.outcome:
        case "helped":
            return f"{subject} helped: about {gain} more of 100 images are right."
        case "promising":
            return f"{subject} looks promising; only more repeats can show it."
        case "hurt":
            return f"{subject} hurt: about {gain} fewer of 100 images are right."
        case "no_practical_difference":
            return f"{subject} makes no practical difference here."
        case "nothing_preferred":
            return f"Nothing did better than {_short(verdict.baseline, 'the baseline')}."
        case "not_proven":
            more = "; more labelled images would" if more_images_help(verdict) else ""
            return f"{subject} was not shown to help{more}."


def _short(name: str, otherwise: str) -> str:
    return name if len(name) < 25 else otherwise


def start_sentence(verdict: Verdict) -> str | None:
    """What beginning elsewhere is worth, which is no merit of growing, and what growing adds to that.

    None where no other start was compared.
    """
    if (start := verdict.start) is None:
        return None
    told = _size_with_interval(start.difference, start.reference)
    sentences = [f"No other start was shown to be better: {start.name} is {told}."]
    if start.outcome in ("better", "promising"):
        is_one = "is a better start" if start.outcome == "better" else "looks like a better start"
        sentences = [f"{start.name} {is_one}: {told}."]
        if start.name != verdict.baseline:
            sentences.append(f"To grow on it, --baseline '{start.name}'.")
    sentences += [
        f"{arm.name} is {_size_with_interval(arm.against_start, arm.start)}."
        for arm in verdict.arms
        if arm.start is not None and arm.against_start is not None
    ]
    return " ".join(sentences)


def _size_with_interval(difference: Interval, other: str) -> str:
    low, high = (100 * share for share in (difference.low, difference.high))
    return f"{_size(difference, other)} (95 % interval {low:+.1f} to {high:+.1f})"


def more_images_help(verdict: Verdict) -> bool:
    """Whether the baseline's learning curve still rises: its last point is above the first one's interval."""
    if len(verdict.curve) < 2:
        return False
    first, last = verdict.curve[0].balanced_accuracy, verdict.curve[-1].balanced_accuracy
    return last.estimate > first.high


def sentence(verdict: Verdict) -> str:
    """The verdict and what it rests on in one sentence that needs no statistics to be understood."""
    difference = verdict.difference
    low, high = 100 * difference.low, 100 * difference.high
    study = f"{verdict.images:,} images, {_count(verdict.repeats, 'repeat')} of {verdict.folds} folds"
    if verdict.finished_folds:
        study = f"a first look at {verdict.images:,} images, {folds_words(verdict.finished_folds, verdict.folds)}"
    if ended_early(verdict):
        study += ", ended early as planned"
    elif verdict.provisional:
        study += ", provisional"
    if not verdict.repeats:
        return f"No training of {verdict.baseline} was finished in the time that was given."
    if nothing_to_choose(verdict):
        reached = arm_of(verdict, verdict.baseline).balanced_accuracy
        own = "" if reached is None else f", whose balanced accuracy is {100 * reached.estimate:.1f} %,"
        return f"Nothing to choose between: no arm but {verdict.baseline}{own} could be judged ({study})."
    alone = f"{verdict.baseline} alone"
    told = f"{_subject(verdict)} is {_size(verdict.difference, verdict.baseline)}"
    interval = f"(95 % interval {low:+.1f} to {high:+.1f}; {study})"
    match verdict.outcome:
        case "helped":
            return f"Growing helped: {told} {interval}."
        case "promising":
            return f"Promising: {told} {interval}; a single repeat is a first look, and four can show it."
        case "hurt":
            return f"Growing hurt: {told} {interval}."
        case "no_practical_difference":
            margin = f"{100 * verdict.margin:g} point{'s' if verdict.margin != 0.01 else ''}"
            return f"No practical difference: {told}, within {margin} {interval}."
        case "nothing_preferred":
            return f"Nothing was preferred: no arm looked better than {alone} in any fold; {told} {interval}."
        case "not_proven":
            return f"Not proven: {told} {interval}; {_what_is_known(verdict)}."


def _what_is_known(verdict: Verdict) -> str:
    ruled_out = f"a gain above {100 * max(0.0, verdict.difference.high):.1f} points is ruled out"
    return f"{ruled_out}, one of {100 * verdict.smallest_detectable:.1f} is found in four such studies of five"


def _size(difference: Interval, baseline: str) -> str:
    """One decimal is what is printed, so one decimal decides whether there is a difference to name."""
    points = 100 * difference.estimate
    if abs(points) < 0.05:
        return f"as good as {baseline} alone"
    return f"{abs(points):.1f} points {'better' if points > 0 else 'worse'} than {baseline} alone"


def _subject(verdict: Verdict) -> str:
    often, trained = verdict.pick_counts[verdict.chosen_arm], sum(verdict.pick_counts.values())
    if often == trained:
        return verdict.chosen_arm
    return f"the arm chosen in each fold (most often {verdict.chosen_arm}, in {often} of {trained})"


def ended_early(verdict: Verdict) -> Look | None:
    """The interim look that ended the study; None where it ran its course.

    What such a look ends is as well founded as a full study: it takes a difference that chance alone hardly makes.
    """
    return next((look for look in verdict.interim_looks if look.stopped), None)


def nothing_to_choose(verdict: Verdict) -> bool:
    """Whether there was no sound arm beside the baseline and the controls."""
    return set(verdict.pick_counts) == {verdict.baseline}


def added_images(verdict: Verdict, name: str = CHOSEN_ARM) -> float:
    """Images beside the real ones in a training fold, mean over folds; those of the chosen arm follow what was
    picked.
    """
    extra = {arm.name: arm.extra_images for arm in verdict.arms}
    if name != CHOSEN_ARM:
        return extra[name]
    return sum(extra[arm] * times for arm, times in verdict.pick_counts.items()) / sum(verdict.pick_counts.values())


def p_words(p_value: float | None) -> str:
    """A p-value as papers print it: `p = 0.15`, `p < 0.001`."""
    if p_value is None:
        return "p = ?"
    if p_value < 0.001:
        return "p < 0.001"
    return f"p = {p_value:.2f}" if p_value >= 0.095 else f"p = {p_value:.3f}"


def arm_of(verdict: Verdict, name: str) -> ArmResult:
    return next(arm for arm in verdict.arms if arm.name == name)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def folds_words(folds: Sequence[int], of: int) -> str:
    """(0, 1, 2) of 5, counted from 0, as `folds 1 to 3 of 5`."""
    numbers = [str(fold + 1) for fold in folds]
    if len(folds) == 1:
        return f"fold {numbers[0]} of {of}"
    if len(folds) > 2 and folds[-1] - folds[0] == len(folds) - 1:
        return f"folds {numbers[0]} to {numbers[-1]} of {of}"
    return f"folds {', '.join(numbers[:-1])} and {numbers[-1]} of {of}"


def ratio_words(ratios: Mapping[str, int]) -> str:
    """How many new images for each real one the validation images preferred: `no new images in 12 of 20 folds,
    ...`.
    """
    folds = sum(ratios.values())
    words: list[str] = []
    for ratio, times in sorted(ratios.items(), key=lambda item: float(item[0])):
        new = f"{ratio}{'' if words else ' new'} for each real one" if float(ratio) else "no new images"
        of_all = f"all {folds}" if times == folds else f"{times}" if words else f"{times} of {folds}"
        words.append(f"{new} in {of_all}{'' if words else ' fold' if folds == 1 else ' folds'}")
    return ", ".join(words)


def selection_words(selected: Mapping[str, int]) -> str:
    """What the validation images chose for open options: `classical(policy=standard,flips=no) in 12 of 20 folds,
    ...`.
    """
    folds = sum(selected.values())
    first, *others = (f"{options} in {times}" for options, times in selected.items())
    return ", ".join([f"{first} of {folds} {'fold' if folds == 1 else 'folds'}", *others])
