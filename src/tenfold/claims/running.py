"""Running a claim's trainings: one a core and one thread each, the finished ones found and not done again."""

from __future__ import annotations

import hashlib
import inspect
import json
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from tenfold.claims.base import Claim, Finished, Training, make_claim
from tenfold.core.errors import SystemFault
from tenfold.core.files import read_json, write_json
from tenfold.core.progress import progress
from tenfold.nets.threads import one_thread
from tenfold.study.plan import code_version
from tenfold.study.workers import deaf_to_interrupts, start_worker


def run_trainings(
    name: str, trainings: Sequence[Training], directory: Path, workers: int
) -> tuple[list[Finished], float]:
    """All trainings of the claim `name` in their order, and the seconds of those that were found finished.

    Each is one file in `directory`, named by a hash of its settings and of the code, and written when it is done.

    Raises:
        SystemFault: a worker process was killed from outside.
    """
    claim = make_claim(name)
    paths = [directory / f"{training_hash(claim, training)}.json" for training in trainings]
    finished = {path: _load(path) for path in paths if path.exists()}
    found_seconds = sum(one.seconds for one in finished.values())
    missing = sorted(
        (pair for pair in zip(trainings, paths, strict=True) if pair[1] not in finished),
        key=lambda pair: -pair[0].cost,  # the longest first, so that no worker waits for one at the end
    )
    started, done_cost, all_cost = time.monotonic(), 0.0, sum(training.cost for training, _ in missing)
    with progress("trainings", len(trainings), done=len(finished)) as bar:
        for training, path, one in _done(name, missing, min(workers, len(missing))):
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
    text = json.dumps([training.settings, code_version()], sort_keys=True)
    own = Path(inspect.getfile(type(claim))).read_bytes()
    return hashlib.sha256(text.encode() + own).hexdigest()[:12]


def _load(path: Path) -> Finished:
    kept = read_json(path)
    return Finished(kept["settings"], kept["result"], kept["seconds"])


def _train(name: str, training: Training) -> Finished:
    start = time.perf_counter()
    result = make_claim(name).train(training.settings)
    return Finished(training.settings, result, round(time.perf_counter() - start, 3))


Piece = tuple[Training, Path]


def _done(name: str, missing: Sequence[Piece], workers: int) -> Iterator[tuple[Training, Path, Finished]]:
    """The missing trainings as they are finished."""
    if workers <= 1:
        with one_thread():
            for training, path in missing:
                yield training, path, _train(name, training)
        return
    context = multiprocessing.get_context("spawn")
    stop, others = context.Event(), set(multiprocessing.active_children())
    with ProcessPoolExecutor(workers, context, start_worker, (stop, os.getpid())) as executor:
        try:
            with deaf_to_interrupts():  # workers start as work is submitted, and inherit it
                waiting: dict[Future[Finished], Piece] = {
                    executor.submit(_train, name, training): (training, path) for training, path in missing
                }
            for future in as_completed(waiting):
                yield *waiting[future], future.result()
        except BrokenProcessPool as error:
            raise SystemFault(
                "a worker process ended before its time; if the memory was short, start the same command again with "
                "--workers 1: what is finished is kept. A script that calls tenfold needs "
                "`if __name__ == '__main__':`"
            ) from error
        except BaseException:
            # Otherwise the pool would wait for trainings nobody wants; a worker that is still loading torch is deaf.
            stop.set()
            for worker in set(multiprocessing.active_children()) - others:
                worker.kill()
            raise
