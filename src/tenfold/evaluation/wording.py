"""What a verdict means, in sentences that need no statistics to be understood."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tenfold.evaluation import ArmResult, Look, Verdict, Worth
from tenfold.evaluation.folds_wording import folds_words


@dataclass(frozen=True)
class WorthRow:
    """One row of the table; numbers are those of one training fold."""

    name: str
    added: float
    worth: str
    interval: str
    a_class: str


def worth_rows(verdict: Verdict) -> tuple[WorthRow, ...]:
    """The chosen arm first, unless it is one of the arms in all folds, then the arms as they come; none without a
    curve.
    """
    worths = {arm.name: arm.worth for arm in verdict.arms if arm.against_baseline is not None}
    if not verdict.curve and not any(worths.values()):
        return ()
    if len(verdict.pick_counts) > 1 and not nothing_to_choose(verdict):
        worths = {CHOSEN_ARM: verdict.worth} | worths
    return tuple(_row(verdict, name, worth) for name, worth in worths.items())


def _row(verdict: Verdict, name: str, worth: Worth | None) -> WorthRow:
    added = added_images(verdict, name)
    if worth is None or (math.isinf(worth.low) and math.isinf(worth.high)):
        return WorthRow(name, added, "cannot be told", "", "–")
    if math.isinf(worth.real_images):
        direction = "more" if worth.real_images > 0 else "fewer"
        return WorthRow(name, added, f"{direction} than the curve tells", _interval(worth), "–")
    a_class = worth_a_class(verdict, worth)
    return WorthRow(name, added, signed(worth.real_images), _interval(worth), signed(a_class))


def _interval(worth: Worth) -> str:
    if math.isinf(worth.high):
        return f"{signed(worth.low)} or more"
    if math.isinf(worth.low):
        return f"{signed(worth.high)} or less"
    return f"{signed(worth.low)} to {signed(worth.high)}"


def signed(images: float) -> str:
    """More or fewer real images: `+23`, `−2.4`, with a true minus sign."""
    number = f"{images:+,.0f}" if abs(images) >= 9.95 else f"{images:+.1f}".removesuffix(".0")
    return "0" if number in ("+0", "-0") else number.replace("-", "−")


CHOSEN_ARM = "chosen arm"
"""Stands where an arm's name may stand, for what each fold chose by the others."""
BEYOND = "than the learning curve can tell"


def answer(verdict: Verdict) -> str:
    """The verdict in at most twelve words that a layperson understands; what it rests on is `sentence`."""
    if not verdict.repeats:
        return "Nothing is known yet: the time was too short."
    if not verdict.compared:
        return "Nothing was compared with the baseline yet."
    subject = "Growing" if len(verdict.pick_counts) > 1 or len(verdict.chosen_arm) > 24 else verdict.chosen_arm
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
            return f"Nothing did better than {verdict.baseline if len(verdict.baseline) < 25 else 'the baseline'}."
        case "not_proven":
            more = "; more labelled images would" if more_images_help(verdict) else ""
            return f"{subject} was not shown to help{more}."


def more_images_help(verdict: Verdict) -> bool:
    """Whether the baseline's learning curve still rises: its last point is above the first one's interval."""
    if len(verdict.curve) < 2:
        return False
    first, last = verdict.curve[0].balanced_accuracy, verdict.curve[-1].balanced_accuracy
    return last.estimate > first.high


def sentence(verdict: Verdict) -> str:
    """The verdict and what it rests on in one sentence that needs no statistics to be understood."""
    difference = verdict.difference
    points, low, high = (100 * share for share in (difference.estimate, difference.low, difference.high))
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
        reached = _arm(verdict, verdict.baseline).balanced_accuracy
        own = "" if reached is None else f", whose balanced accuracy is {100 * reached.estimate:.1f} %,"
        return f"Nothing to choose between: no arm but {verdict.baseline}{own} could be judged ({study})."
    alone = f"{verdict.baseline} alone"
    # One decimal is what is printed, so one decimal decides whether there is a difference to name.
    size = f"{abs(points):.1f} points {'better' if points > 0 else 'worse'} than {alone}"
    if abs(points) < 0.05:
        size = f"as good as {alone}"
    told = f"{_subject(verdict)} is {size}"
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


def worth_a_class(verdict: Verdict, worth: Worth) -> float:
    """The worth shared out evenly between the classes that are tested."""
    tested = sum(recall is not None for recall in _arm(verdict, verdict.baseline).recall)
    return worth.real_images / max(1, tested)


def worth_sentence(verdict: Verdict, name: str = CHOSEN_ARM) -> str | None:
    """How many real images an arm's gain or loss equals; None where nothing was gained, lost or asked.

    All numbers are those of one training fold.
    """
    if name == CHOSEN_ARM and nothing_to_choose(verdict):
        return None
    arm = None if name == CHOSEN_ARM else _arm(verdict, name)
    if arm is not None and arm.against_baseline is None:
        return None
    worth = verdict.worth if arm is None else arm.worth
    whose = "Its" if name == CHOSEN_ARM else f"{name}: its"
    if worth is None:
        if not verdict.curve:
            return None
        return f"{whose} worth in real images cannot be told: more real images were not shown to help either."
    if not math.isfinite(worth.real_images) and not (worth.low > 0 or worth.high < 0):
        return f"{whose} worth in real images cannot be told: the learning curve is too flat for it."
    subject, noun = _what_was_worth(verdict, name)
    unsure = worth.low <= 0 <= worth.high and _amount(worth.real_images) != "0"
    if worth.real_images < 0:
        return f"{subject} {'may have ' if unsure else ''}cost {_cost(worth)}."
    verb = "may have been" if unsure else "were" if noun == "one" else "was"
    return f"{subject} {verb} worth {_gain(worth, noun)}{_each_class(verdict, worth)}."


def _what_was_worth(verdict: Verdict, name: str) -> tuple[str, str]:
    """The subject of the sentence, and what it is counted in."""
    added = round(added_images(verdict, name))
    if name == CHOSEN_ARM and len(verdict.pick_counts) > 1:
        return "What was chosen in each fold", "image"
    if added == 0:
        return ("It" if name == CHOSEN_ARM else name), "image"
    arm = _arm(verdict, verdict.chosen_arm if name == CHOSEN_ARM else name)
    mean = " (mean of the folds)" if len(arm.ratios) > 1 else ""
    whose = "Its" if name == CHOSEN_ARM else f"{name}: its"
    return f"{whose} {added:,} added images{mean}", "one"


def _gain(worth: Worth, noun: str) -> str:
    if math.isinf(worth.low) and worth.low > 0:
        return f"more real {noun}s {BEYOND}"
    if math.isinf(worth.real_images):
        least = _amount(worth.low)
        return f"at least {least} real {_plural(least, noun)}, and more {BEYOND}"
    amount = _amount(worth.real_images)
    return f"{'no' if amount == '0' else amount} real {_plural(amount, noun)}{_range(worth)}"


def _cost(worth: Worth) -> str:
    if math.isinf(worth.high) and worth.high < 0:
        return f"more real images {BEYOND}"
    if math.isinf(worth.real_images):
        least = _amount(-worth.high)
        return f"as much as at least {least} fewer real {_plural(least, 'image')}, or more {BEYOND}, would"
    amount = _amount(-worth.real_images)
    return f"as much as {amount} fewer real {_plural(amount, 'image')} would{_range(worth)}"


def _range(worth: Worth) -> str:
    """The interval in brackets, after a number that says already whether it counts more or fewer."""
    low, high = worth.low, worth.high
    if low < 0 < high or (high == 0 and worth.real_images >= 0 > low):
        fewer = f"fewer {BEYOND}" if math.isinf(low) else f"{_amount(-low)} fewer"
        more = f"more {BEYOND}" if math.isinf(high) else f"{_amount(high)} more"
        return f" (between {fewer} and {more})"
    nearer, farther = (low, high) if low >= 0 else (-high, -low)
    if math.isinf(farther):
        return f" (at least {_amount(nearer)}, and perhaps more {BEYOND})"
    return f" ({_amount(nearer)} to {_amount(farther)})"


def _each_class(verdict: Verdict, worth: Worth) -> str:
    """The reverse: what to collect instead. Nothing where that might be no image at all."""
    if worth.low <= 0 or math.isinf(worth.real_images):
        return ""
    count = round(worth_a_class(verdict, worth))
    more = f"about {count:,} more real {_plural(str(count), 'image')}" if count else "less than one more real image"
    return f": {more} a class would give the same"


def p_words(p_value: float | None) -> str:
    """A p-value as papers print it: `p = 0.15`, `p < 0.001`."""
    if p_value is None:
        return "p = ?"
    if p_value < 0.001:
        return "p < 0.001"
    return f"p = {p_value:.2f}" if p_value >= 0.095 else f"p = {p_value:.3f}"


def _arm(verdict: Verdict, name: str) -> ArmResult:
    return next(arm for arm in verdict.arms if arm.name == name)


def _amount(images: float) -> str:
    """Whole images where there are many, tenths where there are few; the words around it say the sign."""
    images = abs(images)
    return f"{images:,.0f}" if images >= 9.95 else f"{images:.1f}".removesuffix(".0")


def _plural(amount: str, noun: str) -> str:
    return noun if amount == "1" else f"{noun}s"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
