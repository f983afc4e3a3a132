"""What each arm was worth in real images, row by row."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tenfold.core.verdicts import Verdict, Worth
from tenfold.evaluate.sentences import PICK, added_images, always_kept_baseline, worth_a_class


@dataclass(frozen=True)
class WorthRow:
    """One row of the table; numbers are those of one training fold."""

    name: str
    added: float
    worth: str
    interval: str
    a_class: str


def worth_rows(verdict: Verdict) -> tuple[WorthRow, ...]:
    """PICK first, unless it is one of the arms in all folds, then the arms as they come; none without a curve."""
    worths = {arm.name: arm.worth for arm in verdict.arms if arm.against_baseline is not None}
    if not verdict.curve and not any(worths.values()):
        return ()
    if len(verdict.pick_counts) > 1 and not always_kept_baseline(verdict):
        worths = {PICK: verdict.worth} | worths
    return tuple(_row(verdict, name, worth) for name, worth in worths.items())


def _row(verdict: Verdict, name: str, worth: Worth | None) -> WorthRow:
    added = added_images(verdict, name)
    if worth is None or (math.isinf(worth.low) and math.isinf(worth.high)):
        return WorthRow(name, added, "cannot be told", "", "–")
    if math.isinf(worth.real_images):
        told = "more" if worth.real_images > 0 else "fewer"
        return WorthRow(name, added, f"{told} than the curve tells", _interval(worth), "–")
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
