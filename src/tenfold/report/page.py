"""report.html: one file that needs nothing else, not even scripts, to be read, printed or sent on."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from tenfold.core.types import Outcome
from tenfold.evaluate.telling import sentence
from tenfold.report.content import ReportContent, Sheet
from tenfold.report.plot import interval_plot
from tenfold.report.sheets import sheet_png

LARGEST_SIDES = (160, 96, 64, 48, 32)
"""Pixels a picture, tried in turn until all sheets fit."""
ROOM_FOR_SHEETS = 8_000_000
"""Bytes, of the 10 MB that a mail attachment may have."""
LONGEST_LIST = 500
"""Files named one by one; a page that lists a million of them helps nobody."""

OUTCOME_WORDS: dict[Outcome, str] = {
    "helped": "helped",
    "hurt": "hurt",
    "no_practical_difference": "no practical difference",
    "not_proven": "not proven",
}


@dataclass(frozen=True)
class _ShownSheet:
    sheet: Sheet
    address: str
    width: int


def render(content: ReportContent) -> str:
    """The whole page as HTML, below 10 MB, with every picture inside it."""
    sheets = _shown(content.sheets)
    return _template().render(
        content=content,
        audit=content.audit,
        verdict=content.verdict,
        sentence=content.verdict and sentence(content.verdict),
        plot=content.verdict and interval_plot(content.verdict),
        sheets=sheets,
        sheets_left_out=len(content.sheets) - len(sheets),
        longest_list=LONGEST_LIST,
    )


def _shown(sheets: Sequence[Sheet]) -> list[_ShownSheet]:
    """Sheets as data addresses, with pictures as large as fit on the page together."""
    shown: list[_ShownSheet] = []
    for largest_side in LARGEST_SIDES:
        pictures = [sheet_png(sheet, largest_side) for sheet in sheets]
        shown = [
            _ShownSheet(
                sheet,
                "data:image/png;base64," + base64.b64encode(picture).decode("ascii"),
                width=int.from_bytes(picture[16:20], "big"),
            )
            for sheet, picture in zip(sheets, pictures, strict=True)
        ]
        if sum(len(one.address) for one in shown) <= ROOM_FOR_SHEETS:
            return shown
    # Thousands of pictures: the first sheets are worth more than a file that nobody can open.
    while sum(len(one.address) for one in shown) > ROOM_FOR_SHEETS:
        shown.pop()
    return shown


def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "points": points,
        "percent": percent,
        "duration": duration,
        "plain": plain,
        "words": OUTCOME_WORDS.__getitem__,
    }
    return environment.from_string((files("tenfold.report") / "page.html").read_text("utf-8"))


def points(share: float) -> str:
    """A difference of shares as signed points: 0.031 -> `+3.1`, with a true minus sign."""
    number = f"{100 * share:+.1f}".replace("-", "−")
    return "0.0" if number in ("+0.0", "−0.0") else number


def percent(share: float) -> str:
    """A share as a percentage without its sign: 0.912 -> `91.2`."""
    return f"{100 * share:.1f}"


def duration(seconds: float) -> str:
    """Seconds as a person says them: `45 s`, `2 min 14 s`, `1 h 05 min`."""
    if seconds < 59.5:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def plain(value: Any) -> str:
    """A setting as text: words as they are, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
