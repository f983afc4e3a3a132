"""What a gain or loss is worth in real images, and how many more an accuracy would take, in words."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tenfold.evaluation import ImagesFor, Verdict, Worth
from tenfold.evaluation.learning_curve import MOST_TIMES
from tenfold.evaluation.wording import CHOSEN_ARM, added_images, arm_of, nothing_to_choose


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


BEYOND = "than the learning curve can tell"


def worth_a_class(verdict: Verdict, worth: Worth) -> float:
    """The worth shared out evenly between the classes that are tested."""
    tested = sum(recall is not None for recall in arm_of(verdict, verdict.baseline).recall)
    return worth.real_images / max(1, tested)


def worth_sentence(verdict: Verdict, name: str = CHOSEN_ARM) -> str | None:
    """How many real images an arm's gain or loss equals; None where nothing was gained, lost or asked.

    All numbers are those of one training fold.
    """
    if name == CHOSEN_ARM and nothing_to_choose(verdict):
        return None
    arm = None if name == CHOSEN_ARM else arm_of(verdict, name)
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


def more_images(verdict: Verdict, times: float) -> float:
    """How many images beside those at hand make so many times as many."""
    return verdict.images * (times - 1)


def images_for_sentence(verdict: Verdict) -> str | None:
    """How many more images an accuracy would take; None where nobody asked, or it is reached."""
    if not verdict.images_for:
        return None
    if math.isnan(verdict.images_for[0].times):
        asked = " or ".join(f"{100 * one.balanced_accuracy:.0f} %" for one in verdict.images_for)
        return f"How many {verdict.baseline} needs for {asked} cannot be told: more were not shown to help it."
    return "; ".join(_needed(verdict, one) for one in verdict.images_for) + "."


def _needed(verdict: Verdict, one: ImagesFor) -> str:
    share, within = f"{100 * one.balanced_accuracy:.0f} %", f"within {MOST_TIMES:.0f} times as many"
    least = _amount(_about(more_images(verdict, one.low)))
    if math.isinf(one.low):
        return f"{verdict.baseline} does not reach {share} {within}"
    if math.isinf(one.times):
        return f"{verdict.baseline} is not likely to reach {share} {within}, and takes at least {least} more for it"
    amount = _amount(_about(more_images(verdict, one.times)))
    most = "or more" if math.isinf(one.high) else f"to {_amount(_about(more_images(verdict, one.high)))}"
    return f"{verdict.baseline} would reach {share} with about {amount} more like these ({least} {most})"


def _about(images: float) -> float:
    """Two digits: nobody knows the third."""
    return float(f"{images:.2g}")


def _what_was_worth(verdict: Verdict, name: str) -> tuple[str, str]:
    """The subject of the sentence, and what it is counted in."""
    added = round(added_images(verdict, name))
    if name == CHOSEN_ARM and len(verdict.pick_counts) > 1:
        return "What was chosen in each fold", "image"
    if added == 0:
        return ("It" if name == CHOSEN_ARM else name), "image"
    arm = arm_of(verdict, verdict.chosen_arm if name == CHOSEN_ARM else name)
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


def _amount(images: float) -> str:
    """Whole images where there are many, tenths where there are few; the words around it say the sign."""
    images = abs(images)
    return f"{images:,.0f}" if images >= 9.95 else f"{images:.1f}".removesuffix(".0")


def _plural(amount: str, noun: str) -> str:
    return noun if amount == "1" else f"{noun}s"
