"""The plots of a verdict, drawn by matplotlib: intervals and a learning curve.

They are SVG inside the page, whose text stays text and whose colours are the page's own, light or dark.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tenfold.evaluation import ArmResult, CurvePoint, Interval, Verdict
from tenfold.report.text import OUTCOMES

WIDTH = 860
"""Pixels, of every plot."""
ROW_HEIGHT = 46
LARGE, SMALL = 13.5, 12
"""Pixels too: of names, and of all else."""
INK, SOFT, LINE, BAND, ACCENT, CARD = "#1b1d21", "#5c626c", "#e2e4e8", "#e9edf3", "#2d4fa8", "#ffffff"
MARKS = {
    "helped": ("#12733f", "^"),
    "better": ("#12733f", "^"),
    "worse": ("#b3261e", "v"),
    "promising": ("#12733f", "o"),
    "hurt": ("#b3261e", "v"),
    "no_practical_difference": ("#4a5a78", "s"),
    "nothing_preferred": ("#8a5a00", "o"),
    "not_proven": ("#8a5a00", "o"),
}
"""Colour and mark: they differ in shape too, so that print and colour-blind readers lose nothing."""
OF_THE_PAGE = {
    INK: "ink", SOFT: "soft", LINE: "line", BAND: "band", ACCENT: "accent", CARD: "card", "#12733f": "helped",
    "#b3261e": "hurt", "#4a5a78": "same", "#8a5a00": "open",
}  # fmt: skip
"""The names that these colours have in the style of the page."""


@dataclass(frozen=True)
class Row:
    """One line of an interval plot, in points."""

    name: str
    estimate: float
    low: float
    high: float
    outcome: str
    decides: bool = False
    words: str = ""
    """What is said of it to those who cannot see the plot."""


def interval_svg(
    rows: Sequence[Row],
    title: str,
    *,
    band: float | None = None,
    mark: tuple[float, str] | None = None,
    digits: int = 1,
) -> Markup:
    """Each row's estimate and interval, with its name above.

    Args:
        band: half the width of the strip around 0 that does not count, in points.
        mark: a position to compare with, in points, and what stands there.
    """
    figure, axes = _axes(len(rows) + 0.4, left=0.01, right=0.99)
    bounds = [0.0, *(bound for row in rows for bound in (row.low, row.high))]
    bounds += [-(band or 0.0), band or 0.0, *([mark[0]] if mark else [])]
    room = 0.06 * (max(bounds) - min(bounds)) or 1.0
    axes.set(xlim=(min(bounds) - room, max(bounds) + room), ylim=(len(rows) - 0.1, -0.5))
    if band:
        axes.axvspan(-band, band, color=BAND, clip_on=False)
    axes.axvline(0, color=INK, linewidth=1.1, clip_on=False)
    if mark:
        axes.axvline(mark[0], color=SOFT, linewidth=1, linestyle=(0, (4, 4)), clip_on=False)
        axes.text(mark[0], -0.55, mark[1], color=SOFT, ha="center", va="bottom", size=SMALL, parse_math=False)
    else:
        axes.text(0, 1, "← worse", color=SOFT, size=SMALL, va="bottom", transform=axes.transAxes)
        axes.text(1, 1, "better →", color=SOFT, size=SMALL, va="bottom", ha="right", transform=axes.transAxes)
    sides, spoken = axes.get_yaxis_transform(), list[str]()
    for y, row in enumerate(rows):
        weight = "bold" if row.decides else "normal"
        axes.text(
            0,
            y - 0.05,
            row.name,
            transform=sides,
            va="bottom",
            weight=weight,
            size=LARGE,
            color=INK,
            parse_math=False,
        )
        estimate, low, high = (_signed(value, digits) for value in (row.estimate, row.low, row.high))
        figures = f"{estimate} ({low} to {high})"
        spoken += [f"{row.name}: {estimate}, {low} to {high}{', ' * bool(row.words)}{row.words}."]
        axes.text(1, y - 0.05, figures, transform=sides, va="bottom", ha="right", color=SOFT, size=SMALL)
        _marked(axes, (row.low, row.high), row.estimate, y + 0.3, row.outcome)
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: "0" if abs(x) < 1e-9 else f"{x:+g}".replace("-", "−")))
    axes.yaxis.set_visible(False)
    return _svg(figure, title, " ".join([*spoken, *([f"{mark[1]}."] if mark else [])]))


def verdict_rows(verdict: Verdict, chosen: str) -> list[Row]:
    """What each fold chose first, under the name `chosen`, then the arms from best to worst."""
    compared = [
        Row(arm.name, *_points(arm.against_baseline), arm.outcome, words=OUTCOMES[arm.outcome])
        for arm in verdict.arms
        if arm.outcome and arm.against_baseline
    ]
    first = Row(chosen, *_points(verdict.difference), verdict.outcome, True, OUTCOMES[verdict.outcome])
    return [first, *sorted(compared, key=lambda row: -row.estimate)]


def curve_svg(verdict: Verdict) -> Markup | None:
    """The baseline on more and more real images, and how far along it each arm leads; None without a curve.

    An arm is drawn from the real images that it had to those on which the baseline would do as well, so that the
    length of its line is what it was worth.
    """
    curve = sorted(verdict.curve, key=lambda point: point.images)
    own = next((point for point in curve if point.arm == verdict.baseline), None)
    if own is None or len(curve) < 2:
        return None
    in_curve = {point.arm for point in curve}
    arms = [arm for arm in verdict.arms if arm.balanced_accuracy and arm.outcome and arm.name not in in_curve]
    arms.sort(key=_reached, reverse=True)
    # Names stand one under another, however close the arms are: the plot grows with their number.
    figure, axes = _axes(max(5.5, 0.42 * (len(arms) + 1)), left=0.06, right=0.68)
    first, last = _images_shown(curve, own, arms)
    images, shares = ([point.images for point in curve], [_reached(point) for point in curve])
    bounds = [100 * b for point in curve for b in (point.balanced_accuracy.low, point.balanced_accuracy.high)]
    bounds += map(_reached, arms)
    room = max(0.06 * (max(bounds) - min(bounds)), 0.2)
    axes.set(xlim=(first, last), ylim=(min(bounds) - room, max(bounds) + room))
    axes.axvline(own.images, color=SOFT, linewidth=1, linestyle=(0, (4, 4)), clip_on=False)
    for arm, name_y in zip(arms, _apart([_reached(arm) for arm in arms], *axes.get_ylim()), strict=True):
        more = 0.0 if arm.worth is None else arm.worth.real_images
        end = min(max(own.images + more, first), last)
        y, bold = _reached(arm), arm.name == verdict.chosen_arm
        axes.annotate(
            arm.name, (end, y), (1.04, name_y), textcoords=axes.get_yaxis_transform(), va="center", size=SMALL,
            color=INK, weight="bold" if bold else "normal", parse_math=False, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": LINE, "shrinkA": 2, "shrinkB": 0},
        )  # fmt: skip
        _marked(axes, (own.images, end), own.images, y, arm.outcome or "not_proven")
        if end != own.images + more:  # further than is drawn
            axes.plot(end, y, marker=">" if more > 0 else "<", color=MARKS[arm.outcome or "not_proven"][0])
    half = np.array([[share - 100 * p.balanced_accuracy.low, 100 * p.balanced_accuracy.high - share]
                     for share, p in zip(shares, curve, strict=True)]).T  # fmt: skip
    axes.errorbar(images, shares, yerr=np.abs(half), color=ACCENT, marker="o", linewidth=1.6, clip_on=False, zorder=3)
    axes.grid(visible=False, axis="x")
    axes.grid(axis="y", color=LINE)
    axes.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.set_xlabel("real training images →", loc="right", color=SOFT, size=SMALL)
    axes.set_ylabel("%", rotation=0, loc="top", color=SOFT, size=SMALL)
    spoken = [
        f"{verdict.baseline} on {p.images:,.0f} real images: {100 * p.balanced_accuracy.estimate:.1f} %, "
        f"{100 * p.balanced_accuracy.low:.1f} to {100 * p.balanced_accuracy.high:.1f}."
        for p in curve
    ]
    spoken.append(f"The arms, best first: {', '.join(arm.name for arm in arms)}.")
    title = f"Balanced accuracy of {verdict.baseline} against the real images it was trained on, and of the arms"
    return _svg(figure, title, " ".join(spoken))


def _axes(rows: float, left: float, right: float) -> tuple[Figure, Any]:
    """An empty plot of the page's width, with room for `rows` lines."""
    height = ROW_HEIGHT * rows + 72
    figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72, facecolor="none")
    axes: Any = figure.add_axes((left, 44 / height, right - left, 1 - 72 / height), facecolor="none")
    axes.spines[:].set_visible(False)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor=SOFT, labelsize=SMALL)
    axes.grid(axis="x", color=LINE)
    return figure, axes


def _marked(axes: Any, ends: tuple[float, float], middle: float, y: float, outcome: str) -> None:
    """A line with a mark in the shape and colour of the outcome."""
    colour, mark = MARKS[outcome]
    face = CARD if mark == "o" else colour
    axes.plot(ends, (y, y), color=colour, linewidth=2.5, solid_capstyle="round", clip_on=False, zorder=4)
    axes.plot(
        middle, y, marker=mark, color=colour, markerfacecolor=face, markersize=11, mew=2, clip_on=False, zorder=5
    )


def _svg(figure: Figure, title: str, spoken: str) -> Markup:
    """The plot as an element of a page, with its colours by their names there and words for those who cannot see."""
    file = io.StringIO()
    settings: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "tenfold"}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the reader's browser has fonts of its own
        canvas: Any = FigureCanvasSVG(figure)  # its methods carry no types
        canvas.print_svg(file, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    drawn = file.getvalue()
    box = re.search(r'viewBox="[^"]*"', drawn)
    validation = drawn[drawn.index(">", drawn.index("<svg")) + 1 : drawn.rindex("</svg>")]
    validation = re.sub(r"<defs>\s*(<style|<clipPath).*?</defs>", "", validation, flags=re.DOTALL)
    # Names of elements would be those of the next plot too, nothing is cut off, and the page has fonts of its own.
    validation = re.sub(r' (id="[A-Za-z_.\d]+_\d+"|clip-path="[^"]*")', "", validation)
    validation = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", validation)
    validation = re.sub(r"#[0-9a-f]{6}\b", _of_the_page, validation)
    words = f"<title>{html.escape(title)}</title><desc>{html.escape(spoken)}</desc>"
    return Markup(f'<svg class="plot" {box[0] if box else ""} role="img">{words}{validation}</svg>')


def _of_the_page(match: re.Match[str]) -> str:
    return f"var(--{OF_THE_PAGE[match[0]]})" if match[0] in OF_THE_PAGE else match[0]


def _points(interval: Interval) -> tuple[float, float, float]:
    return 100 * interval.estimate, 100 * interval.low, 100 * interval.high


def _signed(points: float, digits: int) -> str:
    """With a true minus sign; what rounds to nothing has none."""
    return f"{round(points, digits) or 0:{'+' if round(points, digits) else ''}.{digits}f}".replace("-", "−")


def _reached(of: ArmResult | CurvePoint) -> float:
    """Percent."""
    return 100 * of.balanced_accuracy.estimate if of.balanced_accuracy else 0.0


def _images_shown(curve: Sequence[CurvePoint], own: CurvePoint, arms: Sequence[ArmResult]) -> tuple[float, float]:
    """The ends of the axis: the curve and what the arms were worth, as far as up to twice the images at hand."""
    worths = [own.images + arm.worth.real_images for arm in arms if arm.worth]
    images = [point.images for point in curve]
    most = max(2 * own.images, *images)
    shown = images + [min(max(each, 0.0), most) for each in worths if not np.isnan(each)]
    room = 0.06 * (max(shown) - min(shown)) or 1.0
    return max(0.0, min(shown) - room), max(shown) + room


def _apart(heights: Sequence[float], floor: float, top: float) -> list[float]:
    """Heights from top to bottom, moved as little as keeps them a line apart and between `top` and `floor`."""
    line = (top - floor) / max(1, len(heights))
    line = min(line, (top - floor) / 13)
    moved: list[float] = []
    for height in heights:
        moved.append(min(height, moved[-1] - line if moved else top))
    least = floor
    for i in reversed(range(len(moved))):
        moved[i] = max(moved[i], least)
        least = moved[i] + line
    return moved
