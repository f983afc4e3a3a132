"""Several sets learned from together, for people: report.html, and the same in the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from tenfold.core.progress import duration, one_line
from tenfold.report.page import environment
from tenfold.report.text import WIDTH, aligned


def render_merging(document: Mapping[str, Any]) -> str:
    """The page as HTML; `document` is what merge.json holds."""
    return environment({"duration": duration}).get_template("merging.html").render(told=document)


def merging_text(document: Mapping[str, Any]) -> str:
    """The ways as a table, sources across, as plain lines."""
    names = [source["name"] for source in document["sources"]]
    rows = [(way["name"], *map(_cell, way["cells"])) for way in document["ways"]]
    heading = ("learned from", *(f"judged on {name}" for name in names))
    return "\n".join(
        [
            textwrap.fill(one_line(document["sentence"]), WIDTH),
            aligned(heading, rows),
            *(f"framing: {mend['difference']}; {mend['remedy']}" for mend in document["mends"]),
            *(f"warning: {one_line(warning)}" for warning in document["warnings"]),
            f"{duration(document['seconds'])} on {document['hardware']['cores']} cores",
        ]
    )


def _cell(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return ""
    low, high = cell["interval"]
    return f"{100 * cell['accuracy']:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
