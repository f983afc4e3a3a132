"""What claim.json holds: a claim, what was measured, and whether it holds, as plain values."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from typing import Any

import torch

import tenfold
from tenfold.claims.base import RULE, Claim, Figure, Finished, Found, Table, claimed_size_inside, holds
from tenfold.evaluation import Interval
from tenfold.runs.workers import available_cores

HEADS = {
    "yes": "The claim holds",
    "smaller": "The gain is smaller than claimed",
    "no": "The claim does not hold",
    "not_shown": "The claim is not shown",
}


def claim_json(
    name: str,
    claim: Claim,
    found: Found,
    finished: Sequence[Finished],
    numbers: Sequence[int],
    quick: bool,
    seconds: float,
) -> dict[str, Any]:
    """What claim.json holds: shares in 0..1, but what is named points, and tables in their own unit."""
    verdict = holds(found.effect, claim.they_say.effect)
    inside = claimed_size_inside(found.effect, claim.they_say.effect)
    intervals = {found.meaning: found.effect, **found.other_intervals}
    document: dict[str, Any] = {
        "name": name,
        "claim": claim.sentence,
        "source": claim.source,
        "they_say": {
            "sentence": claim.they_say.sentence,
            "values": dict(claim.they_say.values),
            "effect_points": _points(claim.they_say.effect),
        },
        "we_measured": {
            "sentence": found.sentence,
            "values": {what: round(value, 5) for what, value in found.values.items()},
            "effect_points": _points(found.effect.estimate),
        },
        "interval": [_points(found.effect.low), _points(found.effect.high)],
        "interval_speaks_of": found.meaning,
        "intervals": [_interval(what, interval) for what, interval in intervals.items()],
        "holds": verdict,
        "claimed_size_in_interval": inside,
        "rule": RULE,
        "samples": dict(found.samples),
        "seeds": list(numbers),
        "tables": [_table(table) for table in found.tables],
        "notes": list(found.notes),
        "pictures": [
            {"title": picture.title, "caption": picture.caption, "file": file_name(picture.title)}
            for picture in found.pictures
        ],
        "quick": quick,
        "seconds": round(seconds, 1),
        "training_seconds": round(sum(one.seconds for one in finished), 1),
        "hardware": hardware(),
        "settings": claim.settings(quick),
        "made_with": {"tenfold": tenfold.__version__, "python": platform.python_version()},
    }
    return document | {"sentence": _sentence(document)}


def _sentence(document: dict[str, Any]) -> str:
    low, high = document["interval"]
    quick = "A quick trial, whose figures are not the claim's. " if document["quick"] else ""
    return (
        f"{quick}{HEADS[document['holds']]}: they say {document['they_say']['sentence']} "
        f"({document['they_say']['effect_points']:+.2f} points); we measured {document['we_measured']['sentence']} "
        f"({document['we_measured']['effect_points']:+.2f} points, 95 % interval {low:+.2f} to {high:+.2f}, "
        f"{len(document['seeds'])} seeds). {_reason(document)}"
    )


def _reason(document: dict[str, Any]) -> str:
    """What of the interval decided, and whether the claimed size lies in it."""
    if document["holds"] == "not_shown":
        return "The interval holds no effect as well as the claimed size."
    if document["holds"] == "no":
        return (
            "The effect goes the other way."
            if document["interval"][1] < 0
            else "The claimed size does not lie in the interval, and no smaller gain is shown."
        )
    if document["holds"] == "smaller":
        return "There is a gain, and the claimed size lies above the interval."
    place = "in" if document["claimed_size_in_interval"] else "below"
    return f"There is a gain, and the claimed size lies {place} the interval."


def _table(table: Table) -> dict[str, Any]:
    rows = [{"name": name, "cells": [cell and _cell(cell) for cell in cells]} for name, cells in table.rows.items()]
    return {
        "title": table.title,
        "unit": table.unit,
        "note": table.note,
        "columns": list(table.columns),
        "rows": rows,
    }


def _cell(figure: Figure) -> dict[str, Any]:
    bounds = {"low": figure.low, "high": figure.high}
    return {
        "estimate": _points(figure.estimate),
        **{side: None if value is None else _points(value) for side, value in bounds.items()},
        "each": [_points(value) for value in figure.each],
    }


def file_name(title: str) -> str:
    """What the picture of that title is called beside the report: `New images` lies in new-images.png."""
    return "-".join(re.findall(r"[a-z0-9]+", title.lower())) + ".png"


def _interval(what: str, interval: Interval) -> dict[str, Any]:
    points = {side: _points(getattr(interval, side)) for side in ("estimate", "low", "high")}
    return {"speaks_of": what, **points}


def _points(share: float) -> float:
    return round(100 * share, 3) + 0.0  # never -0.0


def hardware() -> dict[str, Any]:
    """The processor's name, how many cores may be used, and torch's version."""
    processor = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
            processor = names[0] if names else processor
    except OSError:
        pass  # not Linux: what the platform says will do
    return {"processor": processor, "cores": available_cores(), "torch": torch.__version__}
