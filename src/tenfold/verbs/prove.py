"""`prove`: measure whether growing the set helps."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tenfold.core.options import StudyOptions
from tenfold.core.types import ImageDataset
from tenfold.runs.study import Study, conduct, opened, prepare
from tenfold.verbs import on_chosen_device
from tenfold.verbs.publish import publish

SECONDS_TO_PUBLISH = 3.0


@on_chosen_device
def prove(
    data: str | Path | ImageDataset,
    options: StudyOptions | None = None,
    *,
    out: str | Path | None = None,
    workers: int | None = None,
    **changes: Any,
) -> Study:
    """Compare ways of growing a set by repeated cross-validation and write verdict.json and report.html.

    Args:
        data: a path, a known name, or a loaded set.
        options: what is compared, and how; the defaults suit the data.
        out: the run's directory; the same plan in the same directory is taken up where it stopped.
        workers: trials at the same time; one a core unless given.
        changes: fields of `StudyOptions` by name, such as `repeats=2`; they stand above `options`.

    Raises:
        InputError: the data or an option cannot be used.
        Interrupted: Ctrl-C; what was finished is kept.
    """
    prepared = prepare(data, StudyOptions.of(options, changes))
    with opened(prepared, out, "prove") as run:
        study = conduct(prepared, run, workers, tail=lambda trials: SECONDS_TO_PUBLISH)
        publish(study, "prove", seconds=time.monotonic() - prepared.started + study.seconds_before)
    return study
