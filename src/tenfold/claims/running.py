"""Running a claim's trainings: one a core and one thread each, the finished ones found and not done again."""

from __future__ import annotations

import hashlib
import inspect
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from tenfold.claims.base import Claim, Finished, Training, hash_of, make_claim
from tenfold.core.files import read_json, write_json
from tenfold.core.progress import progress
from tenfold.runs.plan import code_version
from tenfold.runs.workers import done_by_workers


def run_trainings(
    name: str, trainings: Sequence[Training], directory: Path, workers: int
) -> tuple[list[Finished], float]:
    """All trainings of the claim `name` in their order, and the seconds of those that were found finished.

    Each is one file in `directory`, named by a hash of its settings and of the code, and written when it is done. A
    stage begins when the one before is finished; what trainings leave for later stages lies in `files`, in a folder
    for this code.

    Raises:
        SystemFault: a worker process was killed from outside.
    """
    claim = make_claim(name)
    paths = [directory / f"{training_hash(claim, training)}.json" for training in trainings]
    files = directory / "files" / _code_hash(claim)
    found = {path: _load(path) for path in paths if path.exists()}
    finished = {path: one for path, one in found.items() if _complete(one, files)}
    found_seconds = sum(one.seconds for one in finished.values())
    missing = sorted(
        (pair for pair in zip(trainings, paths, strict=True) if pair[1] not in finished),
        # In each stage the longest first, so that no worker waits for one at the end.
        key=lambda pair: (pair[0].stage, -pair[0].cost),
    )
    stages = [list(pieces) for _, pieces in groupby(missing, key=lambda pair: pair[0].stage)]
    started, done_cost, all_cost = time.monotonic(), 0.0, sum(training.cost for training, _ in missing)
    with progress("trainings", len(trainings), done=len(finished)) as bar:
        for training, path, one in (done for pieces in stages for done in _done(name, pieces, files, workers)):
            write_json(
                path,
                {"name": training.name, "settings": one.settings, "result": one.result, "seconds": one.seconds},
            )
            finished[path] = one
            done_cost += training.cost
            pace = (time.monotonic() - started) / done_cost
            bar.advance(1, note=training.name, seconds_left=pace * (all_cost - done_cost))
    return [finished[path] for path in paths], found_seconds


def training_hash(claim: Claim, training: Training) -> str:
    """12 hex digits over the settings and over the code that trains: results of other code are never reused."""
    return hash_of({"settings": training.settings, "code": _code_hash(claim)})


def _code_hash(claim: Claim) -> str:
    """12 hex digits over all code that decides what a training gives: its claim's own files and the layers below."""
    own = Path(inspect.getfile(type(claim)))
    paths = [own, *(own.with_name(f"{name}.py") for name in claim.helpers)]
    return hashlib.sha256(code_version().encode() + b"".join(path.read_bytes() for path in paths)).hexdigest()[:12]


def _complete(one: Finished, files: Path) -> bool:
    """Whether all that a finished training left for later stages is still there."""
    return all((files / name).is_file() for name in one.result.get("files", ()))


def _load(path: Path) -> Finished:
    kept = read_json(path)
    return Finished(kept["settings"], kept["result"], kept["seconds"])


def _train(name: str, training: Training, files: Path) -> Finished:
    start = time.perf_counter()
    result = make_claim(name).train(training.settings, files)
    return Finished(training.settings, result, round(time.perf_counter() - start, 3))


def _done(
    name: str, missing: Sequence[tuple[Training, Path]], files: Path, workers: int
) -> Iterator[tuple[Training, Path, Finished]]:
    """The missing trainings of a stage as they are finished."""
    jobs = [(name, training, files) for training, _ in missing]
    for number, finished in done_by_workers(_train, jobs, workers):
        yield *missing[number], finished
