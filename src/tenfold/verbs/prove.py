"""`prove`: measure whether growing the set helps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from tenfold.core.types import ImageDataset
from tenfold.data.load import as_named
from tenfold.runs.study import Options, Study, conduct, prepare
from tenfold.runs.study_directory import opened
from tenfold.verbs.publish import publish

SECONDS_TO_PUBLISH = 3.0


def prove(
    data: str | Path | ImageDataset,
    *,
    arms: str | Sequence[str] | None = None,
    budget: float | None = None,
    repeats: int = 4,
    seed: int = 0,
    out: str | Path | None = None,
    size: int | None = None,
    per_class: int | None = None,
    images: int | None = None,
    times: float = 2.0,
    test: str | Path | None = None,
    exchange: bool = True,
    workers: int | None = None,
) -> Study:
    """Compare ways of growing a set by repeated cross-validation and write verdict.json and report.html.

    Args:
        data: a path, a known name, or a loaded set.
        arms: "raw,classical,classical+mixup" or the like; the default suits the data.
        budget: seconds for the whole command; no repeat is begun that would not end in time.
        out: the run's directory; the same plan in the same directory is taken up where it stopped.
        times: the most generated images for each real one; the inner images choose between none, half as many
            and this.
        test: a second labelled set, sealed until the end, on which PICK and the baseline are compared once.
        exchange: train the baseline on 50 and 70 % of the images too, to say how many real ones a gain is worth.
        workers: trials at the same time; one a core unless given.

    Raises:
        InputError: the data or an option cannot be used.
        Interrupted: Ctrl-C; what was finished is kept.
    """
    options = Options(arms, budget, repeats, seed, size, per_class, images, times, as_named(test), exchange)
    prepared = prepare(data, options)
    with opened(Path(out) if out is not None else None, "prove", prepared.options, prepared.plan) as directory:
        study = conduct(prepared, directory, workers, tail=lambda trials: SECONDS_TO_PUBLISH)
        publish(study, "prove", study.options, seconds=time.monotonic() - prepared.started + study.seconds_before)
    return study
