"""A repeated claim for people: report.html, and the same in the terminal, both from what claim.json holds."""

from __future__ import annotations

import base64
import re
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from tenfold.core.progress import duration
from tenfold.report.figures import Row, interval_svg
from tenfold.report.page import environment
from tenfold.report.text import WIDTH, aligned

WORDS = {"yes": "holds", "smaller": "smaller than claimed", "no": "does not hold", "not_shown": "not shown"}
LOOKS = {"yes": "helped", "smaller": "not_proven", "no": "hurt", "not_shown": "not_proven"}
"""The look that the house style gives an outcome of the same kind."""


def render_claim(document: Mapping[str, Any], pictures: Mapping[str, bytes] | None = None) -> str:
    """The page as HTML, with all that it shows inside it.

    Args:
        document: what claim.json holds.
        pictures: the PNG of each file that `document["pictures"]` names.
    """
    shown = [{**told, **_inside((pictures or {})[told["file"]])} for told in document.get("pictures", ())]
    holds = document["holds"]
    filters: dict[str, Callable[..., Any]] = {
        "figure": figure,
        "duration": duration,
        "true_minus": lambda text: re.sub(r"-(?=\d)", "−", text),
        "words": {LOOKS[holds]: WORDS[holds]}.__getitem__,
    }
    page = environment(filters).get_template("claim.html")
    return page.render(told=document, look=LOOKS[holds], plot=_plot(document), pictures=shown)


def _inside(png: bytes) -> dict[str, Any]:
    """A picture as an address that holds it, and its width in pixels, which a PNG states in bytes 16 to 20."""
    address = "data:image/png;base64," + base64.b64encode(png).decode("ascii")
    return {"address": address, "width": int.from_bytes(png[16:20], "big")}


def claim_text(document: Mapping[str, Any]) -> str:
    """The verdict, its tables and its notes as plain lines."""
    lines = [_wrapped(document["sentence"]), "", _wrapped(f"The rule. {document['rule']}"), ""]
    rows = [(one["speaks_of"], _cell(one, "points")) for one in document["intervals"]]
    lines += [aligned(("effect, 95 % interval", "points"), rows), ""]
    for table in document["tables"]:
        rows = [(row["name"], *(_cell(cell, table["unit"]) for cell in row["cells"])) for row in table["rows"]]
        lines += [f"{table['title']} ({table['unit']}, 95 % interval over seeds)", *_noted(table["note"])]
        lines += [aligned(("", *table["columns"]), rows), ""]
    lines += [_wrapped(f"note: {note}") for note in document["notes"]]
    lines += [f"picture: {picture['title']} ({picture['file']})" for picture in document.get("pictures", ())]
    lines.append(f"{len(document['seeds'])} seeds, {duration(document['seconds'])} on {_hardware(document)}")
    return "\n".join(lines)


def figure(value: float, unit: str) -> str:
    """A percentage as it is, points with their sign and a true minus: `91.50`, `+1.49`, `−0.20`."""
    return f"{value:.2f}" if unit == "%" else f"{value:+.2f}".replace("-", "−")


def _cell(cell: Mapping[str, Any] | None, unit: str) -> str:
    if cell is None:
        return ""
    # A plain minus, so that the text can be searched and pasted.
    estimate, *bounds = (
        figure(cell[side], unit).replace("−", "-") for side in ("estimate", "low", "high") if cell[side] is not None
    )
    return f"{estimate} ({bounds[0]} to {bounds[1]})" if bounds else estimate


def _noted(note: str) -> list[str]:
    return [_wrapped(note)] if note else []


def _hardware(document: Mapping[str, Any]) -> str:
    found = document["hardware"]
    return f"{found['cores']} cores of {found['processor']}, torch {found['torch']}"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_on_hyphens=False)


def _plot(document: Mapping[str, Any]) -> str:
    """The intervals of the effect beside the claimed size; the first of them decides."""
    rows = [
        Row(
            one["speaks_of"],
            one["estimate"],
            one["low"],
            one["high"],
            LOOKS[document["holds"]] if number == 0 else "no_practical_difference",
            decides=number == 0,
        )
        for number, one in enumerate(document["intervals"])
    ]
    claimed = document["they_say"]["effect_points"]
    said = f"they say {figure(claimed, 'points')}"
    return interval_svg(rows, "The measured effect in points, with 95 % intervals", mark=(claimed, said), digits=2)
