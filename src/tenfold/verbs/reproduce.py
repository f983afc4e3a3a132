"""`reproduce`: repeat the experiment behind a published claim and say whether it holds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tenfold.claims.base import make_claim
from tenfold.claims.running import run_trainings
from tenfold.claims.telling import claim_json, file_name
from tenfold.core import crash
from tenfold.core.errors import InputError
from tenfold.core.files import locked, prepare_output, read_json, write_bytes, write_json, write_text
from tenfold.core.options import ReproduceOptions, as_typed
from tenfold.core.progress import note
from tenfold.core.results import Document
from tenfold.report.claim import claim_text, render_claim
from tenfold.runs.workers import available_cores
from tenfold.verbs import on_chosen_device


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
    """Train what the claim takes and write claim.json, report.html and the report's pictures.

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
    quick = options.quick
    count = options.seeds if options.seeds is not None else claim.quick_seeds if quick else claim.seeds
    numbers = range(options.seed, options.seed + count)
    workers = workers or available_cores()
    directory = Path(out) if out is not None else Path("runs") / f"reproduce-{name}{'-quick' if quick else ''}"
    scale = {"claim": name, "quick": quick, "device": options.device}
    with _opened(directory, scale, {"seeds": count, "seed": options.seed}):
        trainings = claim.trainings(numbers, quick)
        finished, found_seconds = run_trainings(name, trainings, directory / "trials", workers)
        seconds = time.monotonic() - started + found_seconds / workers
        found = claim.judge(finished)
        document = claim_json(name, claim, found, finished, numbers, quick, seconds)
        document["command"] = as_typed("reproduce", [name], replace(options, seeds=count), out=directory)
        pictures = {file_name(picture.title): picture.png for picture in found.pictures}
        for file, png in pictures.items():
            write_bytes(directory / file, png)
        write_text(directory / "report.html", render_claim(document, pictures))
        write_json(directory / "claim.json", document)
    return Reproduction(directory, document)


@contextmanager
def _opened(directory: Path, options: dict[str, Any], numbers: dict[str, int]) -> Iterator[None]:
    """The claim's directory, locked: empty, or holding the same claim at the same scale."""
    path = directory / "config.json"
    before = _config(path)
    ours = bool(before)
    names = {found.name for found in directory.iterdir()} if directory.is_dir() else set()
    killed_at_the_start = names and all(found == ".lock" or found.startswith(".config.json.") for found in names)
    if not ours and not killed_at_the_start:
        prepare_output(directory)
    with locked(directory):
        if ours:
            changed = [option for option, value in options.items() if before["options"].get(option, value) != value]
            if changed:
                raise InputError(f"{directory} holds another experiment ({', '.join(changed)}); choose another --out")
            note(f"continuing in {directory}")
        crash.keep_in(directory)
        write_json(path, {"command": "reproduce", "options": options | numbers})
        yield


def _config(path: Path) -> dict[str, Any]:
    """What an earlier reproduction left there; empty where there is none, or another program's."""
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and found.get("command") == "reproduce" else {}
