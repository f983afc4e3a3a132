"""Small studies that are done in several places, what of their verdicts must agree, and workers that are killed."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import tenfold
from tenfold.core.files import read_json

STUDY: dict[str, Any] = {"per_class": 6, "arms": "raw,classical,mixup", "repeats": 1, "steps": 20}
"""Of digits: 15 trials of 0.1 to 0.4 s."""


def verdict_on(place: str, out: Path, **changes: Any) -> dict[str, Any]:
    """What verdict.json holds, without what a clock has said."""
    tenfold.prove("digits", out=out, on=place, workers=2, learning_curve=False, **STUDY | changes)
    return verdict_in(out)


def verdict_in(directory: Path) -> dict[str, Any]:
    """The same of a finished study."""
    return dict(_without_seconds(read_json(directory / "verdict.json")))


def jobs_in(directory: Path) -> dict[str, list[str]]:
    """The files that each finished job has left."""
    return {path.parent.name: read_json(path)["files"] for path in directory.glob("jobs/*/result.json")}


@contextmanager
def ray_of_two() -> Iterator[None]:
    """A Ray with two workers, started for the block alone; tests are skipped where the extra is not installed."""
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # of the jobs that are made up
        ray.init("local", num_cpus=2, log_to_driver=False, include_dashboard=False)
    yield
    ray.shutdown()


def _without_seconds(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_seconds(one) for name, one in value.items() if "seconds" not in name}
    return [_without_seconds(one) for one in value] if isinstance(value, list) else value


def descendants(process: int | None = None) -> dict[int, str]:
    """Process id -> command line of all that a process, or this one, has started, and those have."""
    commands, parents = {}, {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(place.name)] = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            commands[int(place.name)] = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, ValueError):
            continue  # it has ended meanwhile
    found = {process or os.getpid()}
    while more := {one for one, parent in parents.items() if parent in found} - found:
        found |= more
    return {one: commands[one] for one in found - {process or os.getpid()} if one in commands}


@contextmanager
def one_killed(name: str, run: Path) -> Iterator[list[int]]:
    """Kill one process whose command line holds `name`, once the run has a finished job.

    Gives the list that its id is put into.
    """
    killed: list[int] = []
    over = threading.Event()

    def kill() -> None:
        while not over.is_set() and not killed:
            found = [one for one, command in descendants().items() if name in command]
            if found and list(run.glob("jobs/*/result.json")):
                os.kill(found[0], signal.SIGKILL)
                killed.append(found[0])
            time.sleep(0.02)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def gone(processes: Collection[int], seconds: float = 15.0) -> bool:
    """Whether these end within the time."""
    end = time.monotonic() + seconds
    while any(Path(f"/proc/{one}").exists() for one in processes) and time.monotonic() < end:
        time.sleep(0.1)
    return time.monotonic() < end
