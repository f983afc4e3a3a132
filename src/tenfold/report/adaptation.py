"""A classifier carried over to another set, for people: report.html, and the same in the terminal."""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Mapping
from typing import Any

from tenfold.core.progress import duration, one_line
from tenfold.report.page import environment
from tenfold.report.text import WIDTH, aligned


def render_adaptation(document: Mapping[str, Any], embedding: bytes) -> str:
    """The page as HTML, with all that it shows inside it.

    Args:
        document: what adapt.json holds.
        embedding: a PNG of source and target features.
    """
    address = "data:image/png;base64," + base64.b64encode(embedding).decode("ascii")
    filters = {"signed": signed, "duration": duration}
    page = environment(filters).get_template("adaptation.html")
    most = max((row["predicted"] for row in document["classes"]), default=1) or 1
    return page.render(told=document, embedding=address, most=most)


def adaptation_text(document: Mapping[str, Any]) -> str:
    """What was chosen and how it was judged, as plain lines."""
    rows = [_row(arm) for arm in document["arms"]]
    heading = ("arm", "on held-out source", "information on target", "on the sealed test", "time")
    labelled = document["labelled"]
    lines = [
        textwrap.fill(one_line(document["sentence"]), WIDTH),
        aligned(heading, rows),
        *(f"framing: {mend['difference']}; {_done(mend)}" for mend in document["mends"]),
        f"labelled/: {labelled['written']:,} of {labelled['of']:,} target pictures, of which it is at least "
        f"{100 * labelled['confidence']:g} % sure",
        *(f"warning: {one_line(warning)}" for warning in document["warnings"]),
        f"{duration(document['seconds'])} on {document['hardware']['cores']} cores",
    ]
    return "\n".join(lines)


def signed(value: float) -> str:
    """Points with their sign and a true minus."""
    return f"{value:+.1f}".replace("-", "−")


def _done(mend: Mapping[str, Any]) -> str:
    return str(mend["remedy"]) if mend["applied"] else f"not mended ({mend['remedy']})"


def _row(arm: Mapping[str, Any]) -> tuple[str, ...]:
    test = arm["test"]
    bounds = [100 * bound for bound in test["interval"]] if test else []
    return (
        f"{arm['name']}{' (chosen)' if arm['chosen'] else ''}",
        f"{100 * arm['source_score']:.1f} %",
        f"{arm['information']:.3f}{' COLLAPSED' if arm['collapsed'] else ''}",
        f"{100 * test['accuracy']:.1f} % ({bounds[0]:.1f} to {bounds[1]:.1f})" if test else "",
        duration(arm["seconds"]),
    )
