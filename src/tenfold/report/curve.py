"""Where the marks of the learning curve go: the baseline on more and more real images, and what each arm reached.

An arm is drawn from the real images that it had to those on which the baseline would do as well, so that the
length of its line is what it was worth. Across are percentages of the width and down are pixels, as in `plot`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tenfold.core.verdicts import ArmResult, CurvePoint, Outcome, Verdict
from tenfold.report.plot import round_numbers

HEIGHT = 320
TOP = 24
BOTTOM = 44
LEFT = 8.0
RIGHT = 68.0
"""Percent; further right stand the arms' names."""
NAMES = 73.0
LINE = 19
"""Pixels from one arm's name to the next."""


@dataclass(frozen=True)
class Point:
    """The baseline on so many real images."""

    x: float
    y: float
    low: float
    high: float
    point: CurvePoint


@dataclass(frozen=True)
class Level:
    """What an arm reached, as a line from its own real images to those that the baseline would need for it."""

    name: str
    outcome: Outcome
    y: float
    x: float
    """Where the baseline would do as well; the arm's own place where that cannot be told."""
    goes_on: bool
    """Whether that is further than is drawn."""
    name_y: float


@dataclass(frozen=True)
class CurvePlot:
    """All that the page draws."""

    points: tuple[Point, ...]
    levels: tuple[Level, ...]
    at_hand: float
    """Across: the real images that all arms had."""
    across_ticks: tuple[tuple[float, float], ...]
    """Position and number of images."""
    down_ticks: tuple[tuple[float, float], ...]
    """Position and percent."""
    height: int
    floor: int
    left: float = LEFT
    right: float = RIGHT
    names: float = NAMES
    top: int = TOP


def curve_plot(verdict: Verdict) -> CurvePlot | None:
    """Lay out the curve and the arms beside it; None where there is no curve."""
    curve = verdict.curve
    own = next((point for point in curve if point.arm == verdict.baseline), None)
    if own is None or len(curve) < 2:
        return None
    in_curve = {point.arm for point in curve}
    arms = [arm for arm in verdict.arms if arm.balanced_accuracy and arm.outcome and arm.name not in in_curve]
    first, last = _images_shown(curve, own, arms)
    # Names stand one under another, however close the arms are: the plot grows with their number.
    height = max(HEIGHT, TOP + BOTTOM + LINE * (len(arms) + 1))
    floor = height - BOTTOM
    bounds = [bound for point in curve for bound in (point.balanced_accuracy.low, point.balanced_accuracy.high)]
    reached = [arm.balanced_accuracy.estimate for arm in arms if arm.balanced_accuracy]
    lowest, highest = min(bounds + reached), max(bounds + reached)
    room = max(0.06 * (highest - lowest), 0.002)
    lowest, highest = lowest - room, highest + room

    def across(images: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * (images - first) / (last - first), 2)

    def down(share: float) -> float:
        return round(floor - (floor - TOP) * (share - lowest) / (highest - lowest), 1)

    def level(arm: ArmResult, y: float, name_y: float) -> Level:
        more = 0.0 if arm.worth is None else arm.worth.real_images
        end = min(max(own.images + more, first), last)
        return Level(arm.name, arm.outcome or "not_proven", y, across(end), end != own.images + more, name_y)

    arms.sort(key=lambda arm: -arm.balanced_accuracy.estimate if arm.balanced_accuracy else 0.0)
    heights = [down(arm.balanced_accuracy.estimate) for arm in arms if arm.balanced_accuracy]
    return CurvePlot(
        points=tuple(
            Point(
                across(point.images),
                down(point.balanced_accuracy.estimate),
                down(point.balanced_accuracy.low),
                down(point.balanced_accuracy.high),
                point,
            )
            for point in sorted(curve, key=lambda point: point.images)
        ),
        levels=tuple(map(level, arms, heights, _apart(heights, TOP, floor))),
        at_hand=across(own.images),
        across_ticks=tuple((across(images), images) for images in round_numbers(first, last, 6)),
        down_ticks=tuple((down(percent / 100), percent) for percent in round_numbers(100 * lowest, 100 * highest, 7)),
        height=height,
        floor=floor,
    )


def _images_shown(curve: Sequence[CurvePoint], own: CurvePoint, arms: Sequence[ArmResult]) -> tuple[float, float]:
    """The ends of the axis: the curve and what the arms were worth, as far as up to twice the images at hand."""
    worths = [own.images + arm.worth.real_images for arm in arms if arm.worth]
    images = [point.images for point in curve]
    most = max(2 * own.images, *images)
    shown = images + [min(max(each, 0.0), most) for each in worths if not math.isnan(each)]
    room = 0.06 * (max(shown) - min(shown)) or 1.0
    return max(0.0, min(shown) - room), max(shown) + room


def _apart(heights: Sequence[float], top: float, floor: float) -> list[float]:
    """Heights from top to bottom, moved as little as keeps them a line apart and between `top` and `floor`."""
    moved: list[float] = []
    for height in heights:
        moved.append(max(height, moved[-1] + LINE if moved else top))
    ceiling = floor
    for i in reversed(range(len(moved))):
        moved[i] = min(moved[i], ceiling)
        ceiling = moved[i] - LINE
    return [round(height, 1) for height in moved]
