"""Is it better to learn from several small sets together? Each alone, pooled, pooled with DANN, and without one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.adaptation.dann import DomainConfig
from tenfold.adaptation.framing import Frame, Framing, Mend, framing, mends, shared_frame
from tenfold.adaptation.sets import class_warnings, option_of, set_aside_warnings, unlike_names
from tenfold.core.errors import InputError
from tenfold.core.files import write_json, write_text
from tenfold.core.keys import Key
from tenfold.core.options import MergeOptions, as_typed
from tenfold.core.progress import note, warn
from tenfold.core.results import Document
from tenfold.core.types import ImageDataset
from tenfold.data.combine import all_classes, equal_to_any, in_classes, read_related
from tenfold.evaluation.scores import balanced_accuracy, wilson_interval
from tenfold.report.documents import merging_text, render_merging
from tenfold.runs.plan import code_version
from tenfold.runs.workers import available_cores
from tenfold.training.device import hardware
from tenfold.verbs import on_chosen_device
from tenfold.verbs.merge_ways import Way, cross_predictions, deal_folds, ways_of
from tenfold.verbs.opened import opened


class Merging(Document):
    """What was found, as merge.json tells it."""

    @property
    def text(self) -> str:
        return merging_text(self.document)


@on_chosen_device
def merge(
    sources: Sequence[str | Path | ImageDataset],
    options: MergeOptions | None = None,
    *,
    out: str | Path | None = None,
    workers: int | None = None,
    **changes: Any,
) -> Merging:
    """Compare learning from each source alone, from all pooled, and from all pooled with DANN between them.

    Every picture is judged once, by trainings that did not see it: in three folds of every source by whole groups,
    and of three sources or more also with the whole source left out.

    Args:
        sources: two or more labelled sets, in any form DATA may have; classes are matched by name.
        options: how the trainings are done; `per_class` and `images` are those of each source.
        out: runs/merge-NAMES unless given. What is finished there is not done again.
        workers: trainings at the same time, each on one thread; one a core unless given.
        changes: fields of `MergeOptions` by name; they stand above `options`.

    Raises:
        InputError: a set cannot be used, there are fewer than two, or they share no class.
    """
    if len(sources) < 2:
        raise InputError("merging takes two sets or more; to label another set: tenfold adapt SOURCE --to TARGET")
    started, options = time.monotonic(), MergeOptions.of(options, changes)
    limits: dict[str, Any] = {"per_class": options.per_class, "images": options.images, "seed": options.seed}
    named = unlike_names([read_related(one, **limits) for one in sources])
    names = all_classes(named)
    warnings = [*class_warnings(named, names), *set_aside_warnings(named), *_shared(named)]
    matched = [in_classes(source, names) for source in named]
    if not any(min(source.counts()[label] for source in matched) for label in range(len(names))):
        raise InputError("the sets share no class; classes are matched by their names, so rename the folders")
    framings = [framing(source) for source in matched]
    mending = _mends(framings)
    frame = _frame(framings, mending, options)
    for mend in mending:
        note(f"framing: {mend.difference}; {mend.remedy}")
    for warning in warnings:
        warn(warning)
    framed = [frame.on(source) for source in matched]
    config = {"sources": [option_of(source) for source in sources], **options.to_json()}
    directory = Path(out) if out is not None else Path("runs") / f"merge-{'-'.join(one.name for one in matched)[:80]}"
    fingerprints = {"sets": [source.fingerprint() for source in framed], "code": code_version()}
    with opened(directory, "merge", config | fingerprints):
        key = Key(f"seed-{options.seed}") / "merge"
        folds = [deal_folds(source, key / "folds" / number) for number, source in enumerate(framed)]
        ways = ways_of([source.name for source in framed])
        training = DomainConfig(steps=options.steps)
        predictions = cross_predictions(
            ways, framed, folds, directory / "trainings", key, training, workers or available_cores()
        )
        document = {
            "sources": [
                {"name": source.name, "images": len(source), "counts": source.counts().tolist()} for source in framed
            ],
            "class_names": list(names),
            "mends": [{"difference": mend.difference, "remedy": mend.remedy} for mend in mending],
            "ways": [_told(way, framed, predictions[way.name]) for way in ways],
            "warnings": warnings,
            "options": config,
            "command": as_typed("adapt", config["sources"], options, out=directory),
            "seconds": round(time.monotonic() - started, 1),
            "hardware": hardware(),
        }
        document["sentence"] = _sentence(document)
        write_text(directory / "report.html", render_merging(document))
        write_json(directory / "merge.json", document)
    return Merging(directory, document)


def _shared(sources: Sequence[ImageDataset]) -> list[str]:
    told = []
    for number, one in enumerate(sources):
        for other in sources[:number]:
            if copies := int(equal_to_any(one.images, other.images).sum()):
                told.append(
                    f"{copies:,} pictures of {one.name} are in {other.name} too: what is learned from one is "
                    "judged on in the other; remove them from one of the two"
                )
    return told


def _mends(framings: Sequence[Framing]) -> list[Mend]:
    found: dict[str, Mend] = {}
    for number, target in enumerate(framings):
        for mend in mends(framings[:number], target):
            found.setdefault(mend.kind, mend)
    return list(found.values())


def _frame(framings: Sequence[Framing], mending: Sequence[Mend], options: MergeOptions) -> Frame:
    applied = [mend for mend in mending if options.reframe == "auto" or mend.kind == "grey"]
    return shared_frame(framings[:-1], framings[-1], applied, options.size)


def _told(way: Way, sources: Sequence[ImageDataset], predicted: dict[int, npt.NDArray[np.int64]]) -> dict[str, Any]:
    cells: list[dict[str, Any] | None] = [None] * len(sources)
    for number in way.judged_on:
        truth = sources[number].labels
        share = float((predicted[number] == truth).mean())
        cells[number] = {
            "accuracy": round(share, 5),
            "interval": [round(bound, 5) for bound in wilson_interval(share, len(truth))],
            "balanced_accuracy": round(balanced_accuracy(truth, predicted[number]), 5),
            "images": len(truth),
        }
    shown = [cell["accuracy"] for cell in cells if cell]
    return {
        "name": way.name,
        "cells": cells,
        "mean": round(float(np.mean(shown)), 5),
    }


def _sentence(document: dict[str, Any]) -> str:
    alone = [document["ways"][number]["cells"][number]["accuracy"] for number in range(len(document["sources"]))]
    pooled, aligned = (
        next(way for way in document["ways"] if way["name"] == name) for name in ("pooled", "pooled + DANN")
    )
    gains = [cell["accuracy"] - own for cell, own in zip(pooled["cells"], alone, strict=True)]
    names = [source["name"] for source in document["sources"]]
    told = ", ".join(f"{100 * gain:+.1f} points on {name}" for gain, name in zip(gains, names, strict=True))
    dann = 100 * (aligned["mean"] - pooled["mean"])
    return (
        f"Pooling, against each source alone: {told}; DANN between the sources, against pooling: {dann:+.1f} points "
        "on average."
    )
