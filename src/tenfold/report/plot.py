"""Where the marks of the interval plot go: all arms against the baseline, in points.

Positions across are percentages of the width, so the page can draw the plot at any width without its words or
marks changing size; positions down are pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tenfold.core.verdicts import Interval, Outcome, Verdict

ROW_HEIGHT = 46
TOP = 30
BOTTOM = 34


@dataclass(frozen=True)
class Row:
    """One line of the plot."""

    name: str
    outcome: Outcome
    interval: Interval
    is_pick: bool
    y: int
    """Pixels from the top to the line of the interval; the name stands above it."""
    left: float
    middle: float
    right: float


@dataclass(frozen=True)
class Tick:
    """One labelled position of the axis."""

    x: float
    points: float


@dataclass(frozen=True)
class IntervalPlot:
    """All that the page draws."""

    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]
    zero: float
    margin_left: float
    margin_right: float
    height: int
    top: int = TOP
    bottom: int = BOTTOM


def interval_plot(verdict: Verdict) -> IntervalPlot:
    """Lay out the choice of the inner images first, then the arms from best to worst."""
    arms = sorted(
        (arm for arm in verdict.arms if arm.against_baseline is not None),
        key=lambda arm: -arm.against_baseline.estimate if arm.against_baseline else 0.0,
    )
    lines: list[tuple[str, Outcome, Interval, bool]] = [
        ("PICK", verdict.outcome, verdict.difference, True),
        *(
            (arm.name, arm.outcome, arm.against_baseline, False)
            for arm in arms
            if arm.outcome and arm.against_baseline
        ),
    ]
    low = min(-verdict.margin, *(interval.low for _, _, interval, _ in lines))
    high = max(verdict.margin, *(interval.high for _, _, interval, _ in lines))
    room = 0.06 * (high - low)
    low, high = low - room, high + room

    def across(share: float) -> float:
        return round(100 * (share - low) / (high - low), 2)

    return IntervalPlot(
        rows=tuple(
            Row(
                name,
                outcome,
                interval,
                is_pick,
                y=TOP + ROW_HEIGHT * i + 32,
                left=across(interval.low),
                middle=across(interval.estimate),
                right=across(interval.high),
            )
            for i, (name, outcome, interval, is_pick) in enumerate(lines)
        ),
        ticks=tuple(Tick(across(points / 100), points) for points in round_numbers(100 * low, 100 * high)),
        zero=across(0.0),
        margin_left=across(-verdict.margin),
        margin_right=across(verdict.margin),
        height=TOP + ROW_HEIGHT * len(lines) + BOTTOM,
    )


def round_numbers(low: float, high: float, most: int = 9) -> Iterator[float]:
    """At most so many multiples of 1, 2 or 5 times a power of ten, from `low` to `high`, which must differ."""
    rough = (high - low) / (most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    for i in range(math.ceil(low / step), math.floor(high / step) + 1):
        yield i * step
