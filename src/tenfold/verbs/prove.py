"""`prove`: measure whether growing the set helps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from tenfold.core.types import ImageDataset
from tenfold.study.conduct import Options, Study, conduct, prepare
from tenfold.study.directory import opened
from tenfold.verbs.publish import publish


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
    workers: int | None = None,
) -> Study:
    """Compare ways of growing a set by repeated cross-validation and write verdict.json and report.html.

    Args:
        data: a path, a known name, or a loaded set.
        arms: "raw,classical,classical+mixup" or the like; the default suits the data.
        budget: seconds; no repeat is begun that would not end in time.
        out: the run's directory; the same plan in the same directory is taken up where it stopped.
        times: generated images for each real one.
        workers: trials at the same time; one a core unless given.

    Raises:
        InputError: the data or an option cannot be used.
        Interrupted: Ctrl-C; what was finished is kept.
    """
    started = time.monotonic()
    prepared = prepare(data, Options(arms, budget, repeats, seed, size, per_class, images, times))
    with opened(Path(out) if out is not None else None, "prove", prepared.options, prepared.plan) as directory:
        study = conduct(prepared, directory, workers)
        publish(study, "prove", study.options, seconds=time.monotonic() - started)
    return study
