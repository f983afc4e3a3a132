"""report.html: one file that needs nothing else, not even scripts, to be read, printed or sent on."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from tenfold.evaluation import ArmResult, Verdict
from tenfold.evaluation.serialise import mean_estimate
from tenfold.evaluation.wording import (
    CHOSEN_ARM,
    answer,
    ended_early,
    folds_words,
    nothing_to_choose,
    p_words,
    ratio_words,
    selection_words,
    sentence,
    start_sentence,
)
from tenfold.evaluation.worth_wording import images_for_sentence, worth_rows, worth_sentence
from tenfold.report.diagnostics_table import diagnosed, figures_of
from tenfold.report.figures import curve_svg, interval_svg, verdict_rows
from tenfold.report.image_sheet import Sheet, images_png
from tenfold.report.text import OUTCOMES

LARGEST_SIDES = (160, 96, 64, 48, 32)
"""Pixels an image, tried in turn until all sheets fit."""
ROOM_FOR_SHEETS = 8_000_000
"""Bytes, of the 10 MB that a mail attachment may have."""
LONGEST_LIST = 500
"""Files named one by one; a page that lists a million of them helps nobody."""


@dataclass(frozen=True, eq=False)
class ReportContent:
    """Everything that one report tells."""

    data_name: str
    verdict: Verdict | None
    """None for a set that was not evaluated; `warnings` then say why."""
    class_names: Sequence[str]
    audit: Mapping[str, Any]
    """images, counts {class: n}, image_shape, set_aside [{source, reason}], conversions {what: n}, and lists
    of words: actions, warnings. Whatever is missing is left out of the page."""
    sheets: Sequence[Sheet]
    command: str
    """What repeats the run, as typed into a shell."""
    config: Mapping[str, Any]
    """Settings by name; `seed` is also named in the text."""
    classifiers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Those that were kept: heading -> rows of words."""
    duration_seconds: float | None = None
    warnings: Sequence[str] = ()
    arm_notes: Mapping[str, str] = field(default_factory=dict)
    """A few words under an arm's name: {"placebo": "control: the same images again"}."""
    predictions: Mapping[str, Any] | None = None
    """Of images that were not learned from, as verdict.json tells them."""
    stop_below: float = 0.001
    """The p-value at which a interim look ended the study."""


@dataclass(frozen=True)
class _ShownSheet:
    sheet: Sheet
    address: str
    width: int


def render(content: ReportContent) -> str:
    """The whole page as HTML, below 10 MB, with every image inside it."""
    sheets = _shown(content.sheets)
    return _template().render(
        content=content,
        audit=content.audit,
        sheets=sheets,
        sheets_left_out=len(content.sheets) - len(sheets),
        longest_list=LONGEST_LIST,
        **(_described(content.verdict) if content.verdict else {"verdict": None}),
    )


def _described(verdict: Verdict) -> dict[str, Any]:
    """The verdict and all that the page says of it."""
    arms = diagnosed(verdict)
    main, others = _by_class(verdict)
    return {
        "verdict": verdict,
        "answer": answer(verdict),
        "sentence": sentence(verdict),
        "start_told": start_sentence(verdict),
        "nothing_to_choose": nothing_to_choose(verdict),
        "ended_early": ended_early(verdict),
        "plot": verdict.compared
        and interval_svg(
            verdict_rows(verdict, CHOSEN_ARM),
            f"Difference to {verdict.baseline} in points, with 95 % intervals",
            band=100 * verdict.margin,
        ),
        "worth_told": worth_sentence(verdict),
        "images_for_told": images_for_sentence(verdict),
        "worth_rows": worth_rows(verdict),
        "curve": curve_svg(verdict),
        "main_arms": main,
        "other_arms": others,
        "inspected": arms,
        "figures": figures_of(arms),
    }


def _by_class(verdict: Verdict) -> tuple[list[ArmResult], list[ArmResult]]:
    """The baseline and what was picked most often, then the others; none of them an arm that failed."""
    sound = [arm for arm in verdict.arms if arm.balanced_accuracy is not None]
    first = (verdict.baseline, verdict.chosen_arm)
    return [arm for arm in sound if arm.name in first], [arm for arm in sound if arm.name not in first]


def _shown(sheets: Sequence[Sheet]) -> list[_ShownSheet]:
    """Sheets as data addresses, with images as large as fit on the page together."""
    shown: list[_ShownSheet] = []
    for largest_side in LARGEST_SIDES:
        images = [
            images_png([[cell.image for cell in row if cell] for row in sheet.rows], largest_side) for sheet in sheets
        ]
        shown = [_ShownSheet(sheet, **embedded(image)) for sheet, image in zip(sheets, images, strict=True)]
        if sum(len(one.address) for one in shown) <= ROOM_FOR_SHEETS:
            return shown
    # Thousands of images: the first sheets are worth more than a file that nobody can open.
    while sum(len(one.address) for one in shown) > ROOM_FOR_SHEETS:
        shown.pop()
    return shown


def embedded(png: bytes) -> dict[str, Any]:
    """An image as an address that holds it, and its width in pixels, which a PNG states in bytes 16 to 20."""
    address = "data:image/png;base64," + base64.b64encode(png).decode("ascii")
    return {"address": address, "width": int.from_bytes(png[16:20], "big")}


def environment(filters: Mapping[str, Callable[..., Any]]) -> Environment:
    """How all pages are made: their own filters, and those of the partials that they share."""
    made = Environment(
        loader=PackageLoader("tenfold", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"points": points, "percent": percent, "duration": duration, "plain": plain, **filters}
    return made


def _template() -> Template:
    filters: dict[str, Callable[..., Any]] = {
        "whole_percent": whole_percent,
        "p_words": lambda p_value: p_words(float(f"{p_value:.4g}")),
        "folds_words": folds_words,
        "ratio_words": ratio_words,
        "settled_words": selection_words,
        "mean_estimate": mean_estimate,
        "words": OUTCOMES.__getitem__,
    }
    return environment(filters).get_template("page.html")


def points(share: float) -> str:
    """A difference of shares as signed points: 0.031 -> `+3.1`, with a true minus sign.

    Rounded to verdict.json's digits first, as `percent` is, since the terminal's figures come from there.
    """
    number = f"{round(100 * share, 4):+.1f}".replace("-", "−")
    return "0.0" if number in ("+0.0", "−0.0") else number


def percent(share: float) -> str:
    """A share as a percentage without its sign: 0.912 -> `91.2`."""
    return f"{100 * round(share, 4):.1f}"


def whole_percent(share: float) -> str:
    """A share that is known only roughly: 0.574 -> `57 %`."""
    return f"{100 * round(share, 4):.0f} %"


def duration(seconds: float) -> str:
    """Seconds as a person says them: `45 s`, `2 min 14 s`, `1 h 05 min`."""
    if seconds < 59.5:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def plain(value: Any) -> str:
    """A setting as text: words as they are, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
