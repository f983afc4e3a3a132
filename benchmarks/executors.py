"""The same small study in every place that there is here, undisturbed and with a worker that is killed.

    python benchmarks/executors.py --out benchmarks/results/executors.md

Verdicts must be equal but for seconds. Places whose extra or whose cluster is not there are left out, and named.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared import machine, table

from tenfold.core.errors import InputError
from tenfold.core.files import read_json, write_text
from tenfold.runs.executors.place import Place

STUDY = ["digits", "--per-class", "6", "--arms", "raw,mixup", "--repeats", "1", "--steps", "100"]
SETTINGS = ["--no-learning-curve", "--workers", "2"]
PLACES = {"processes": "", "ray": "ray::mixup", "slurm:cluster=local": "submitit", "slurm:time=10m": "submitit"}
"""`--on` -> what is in the command line of a worker; where none is told, none is killed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    rows, left_out, wanted = [], [], None
    with tempfile.TemporaryDirectory() as folder:
        for place, worker in PLACES.items():
            if reason := _missing(place):
                left_out.append(f"- `{place}`: {reason}")
                continue
            for killed in (False, True) if worker else (False,):
                directory = Path(folder) / f"{len(rows)}"
                seconds, kills = _study(place, directory, worker if killed else "")
                verdict = _without_seconds(read_json(directory / "verdict.json"))
                wanted = wanted or verdict
                trials = len(list(directory.glob("jobs/*/result.json")))
                equal = "yes" if verdict == wanted else "NO"
                rows.append([f"`--on {place}`", kills, trials, f"{seconds:.0f}", equal])
    head = ["place", "workers killed", "jobs", "seconds", "verdict.json equal to that of processes"]
    lines = [
        "# Where jobs are done",
        "",
        f"`tenfold prove {' '.join([*STUDY, *SETTINGS])}`, {machine()}. Seconds are of the whole command, on a "
        "machine that did other work too; Ray's hold its start, and each job of submitit loads torch for itself.",
        "",
        *table(head, rows),
        *(["", "Left out:", "", *left_out] if left_out else []),
    ]
    print("\n".join(lines))
    if out:
        write_text(out, "\n".join(lines) + "\n")


def _missing(place: str) -> str:
    """Why jobs cannot be done there; empty where they can."""
    try:
        Place.chosen(place)
    except InputError as error:
        return str(error)
    if place.startswith("slurm:time") and (not shutil.which("sinfo") or subprocess.run(["sinfo"]).returncode):
        return "no Slurm answers here"
    return ""


def _study(place: str, directory: Path, worker: str) -> tuple[float, int]:
    """Seconds, and how many workers were killed."""
    command = "from tenfold.cli import main; main()"
    start = time.monotonic()
    words = [sys.executable, "-c", command, "prove", *STUDY, *SETTINGS, "--on", place, "--out", str(directory)]
    with _one_killed(worker, directory) as killed:
        subprocess.run(words, check=True, capture_output=True, env=os.environ | {"RAY_ADDRESS": "local"})
    return time.monotonic() - start, len(killed)


@contextmanager
def _one_killed(worker: str, directory: Path) -> Iterator[list[int]]:
    """Kill one of the workers of the study in the directory as soon as a job is finished."""
    killed: list[int] = []
    over = threading.Event()

    def kill() -> None:
        while worker and not killed and not over.wait(0.05):
            if found := _processes(worker, directory) if list(directory.glob("jobs/*/result.json")) else []:
                os.kill(found[0], signal.SIGKILL)
                killed.append(found[0])

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def _processes(worker: str, directory: Path) -> list[int]:
    """Ids of processes that do a job of the study: Ray's by their title, submitit's by their folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # it has ended meanwhile
        told = worker in command and "core._submit" in command and str(directory) in command
        if command.startswith(worker) or told:
            found.append(int(place.name))
    return found


def _without_seconds(value: Any) -> Any:
    """What no clock has said."""
    if isinstance(value, dict):
        return {name: _without_seconds(one) for name, one in value.items() if "seconds" not in name}
    return [_without_seconds(one) for one in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
