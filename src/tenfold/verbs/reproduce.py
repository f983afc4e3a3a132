"""`reproduce`: repeat the experiment behind a published claim and say whether it holds."""

from __future__ import annotations

import platform
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import tenfold
from tenfold.claims.engine import RULE, Claim, Summary, holds, make_claim
from tenfold.claims.tables import Figure, Results, Table
from tenfold.core.files import write_bytes, write_json, write_text
from tenfold.core.options import ReproduceOptions
from tenfold.core.results import Document
from tenfold.core.typed_command import as_typed
from tenfold.evaluation import Interval
from tenfold.report.documents import claim_text, render_claim
from tenfold.runs.directory import RunDirectory
from tenfold.runs.executors.place import cores_for_jobs, executor_for
from tenfold.runs.runner import run_all
from tenfold.training.device import hardware
from tenfold.verbs import on_chosen_device

CHANGEABLE = ("seeds", "seed", "device", "on")
"""Options with which the same repetition goes on."""

HEADS = {
    "yes": "The claim holds",
    "smaller": "The gain is smaller than claimed",
    "no": "The claim does not hold",
    "not_shown": "The claim is not shown",
}


class Reproduction(Document):
    """A repeated claim, as claim.json tells it."""

    @property
    def holds(self) -> str:
        """`yes`, `smaller`, `no` or `not_shown`; what each means is `document["rule"]`."""
        return str(self.document["holds"])

    @property
    def text(self) -> str:
        return claim_text(self.document)


@on_chosen_device
def reproduce(
    name: str,
    options: ReproduceOptions | None = None,
    *,
    out: str | Path | None = None,
    workers: int | None = None,
    **changes: Any,
) -> Reproduction:
    """Train what the claim takes and write claim.json, report.html and the report's images.

    Args:
        name: of a file of `tenfold.claims`, such as mixup.
        options: at which scale; more `seeds` in the same directory add to those that are there.
        out: the directory, runs/reproduce-NAME unless given; trainings that are finished there are not done again.
        workers: trainings at the same time, a thread each; one a core unless given.
        changes: fields of `ReproduceOptions` by name, such as `quick=True`; they stand above `options`.

    Raises:
        InputError: no such claim, or the directory holds something else.
        SystemFault: a worker process was killed from outside, or nothing can be written.
    """
    started, claim, options = time.monotonic(), make_claim(name), ReproduceOptions.of(options, changes)
    quick, text = options.quick, claim.text
    count = options.seeds or (text.quick_seeds if quick else text.seeds)
    directory = Path(out) if out is not None else Path("runs") / f"reproduce-{name}{'-quick' if quick else ''}"
    options, seeds = replace(options, seeds=count), range(options.seed, options.seed + count)
    config = {"claim": name, **options.to_json()}
    with (
        RunDirectory.opened(directory, "reproduce", config, {name: ""}, changeable=CHANGEABLE) as run,
        executor_for(workers) as executor,
    ):
        jobs = claim.jobs(seeds, quick)
        # The longest first, so that no worker waits for one at the end.
        done = run_all("trainings", sorted(jobs, key=lambda job: -job.cost), run, executor)
        by_hash = {one.job.hash: one for one in done}
        results = Results(by_hash[job.hash] for job in jobs)
        before = sum(one.seconds for one in results if one.found) / (workers or cores_for_jobs())
        summary = claim.summary(results)
        document = claim_document(name, claim, summary, results, quick) | {
            "seeds": list(seeds),
            "seconds": round(time.monotonic() - started + before, 1),
            "command": as_typed("reproduce", [name], options, out=directory),
        }
        document["sentence"] = _sentence(document)
        images = {file_name(image.title): image.png for image in summary.images}
        for file, png in images.items():
            write_bytes(directory / file, png)
        write_text(directory / "report.html", render_claim(document, images))
        write_json(directory / "claim.json", document)
    return Reproduction(directory, document)


def claim_document(name: str, claim: Claim, summary: Summary, results: Results, quick: bool) -> dict[str, Any]:
    """What claim.json holds: shares in 0..1, but what is named points, and tables in their own unit."""
    effect, text = summary.effect, claim.text
    they_say = text.they_say
    intervals = {text.interval: effect, **summary.other_intervals}
    return {
        "name": name,
        "claim": text.sentence,
        "source": text.source,
        "they_say": {
            "sentence": they_say.sentence,
            "values": dict(they_say.values),
            "effect_points": _points(they_say.effect),
        },
        "we_measured": {
            "sentence": text.measured.format(**summary.words),
            "values": {what: round(value, 5) for what, value in summary.values.items()},
            "effect_points": _points(effect.estimate),
        },
        "interval": [_points(effect.low), _points(effect.high)],
        "interval_speaks_of": text.interval,
        "intervals": [{"speaks_of": what, **_sides(interval)} for what, interval in intervals.items()],
        "holds": holds(effect, they_say.effect),
        "claimed_size_in_interval": effect.low <= they_say.effect <= effect.high,
        "rule": RULE,
        "samples": dict(summary.samples),
        "tables": [_table(table) for table in summary.tables],
        "notes": [*(note.format(**summary.words) for note in text.notes), *summary.notes],
        "pictures": [
            {"title": image.title, "caption": image.caption, "file": file_name(image.title)}
            for image in summary.images
        ],
        "quick": quick,
        "training_seconds": round(sum(one.seconds for one in results), 1),
        "hardware": hardware(),
        "settings": claim.settings(quick),
        "made_with": {"tenfold": tenfold.__version__, "python": platform.python_version()},
    }


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
    rows = [
        {
            "name": name,
            "cells": [cell and _sides(cell) | {"each": [_points(one) for one in cell.each]} for cell in cells],
        }
        for name, cells in table.rows.items()
    ]
    return {
        "title": table.title,
        "unit": table.unit,
        "note": table.note,
        "columns": list(table.columns),
        "rows": rows,
    }


def _sides(of: Figure | Interval) -> dict[str, float | None]:
    """An estimate and its bounds, where there are any, in points."""
    sides = {"estimate": of.estimate, "low": of.low, "high": of.high}
    return {side: None if share is None else _points(share) for side, share in sides.items()}


def _points(share: float) -> float:
    return round(100 * share, 3) + 0.0  # never -0.0


def file_name(title: str) -> str:
    """What the image of that title is called beside the report: `New images` lies in new-images.png."""
    return "-".join(re.findall(r"[a-z0-9]+", title.lower())) + ".png"
