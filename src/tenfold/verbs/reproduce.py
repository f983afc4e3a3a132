"""`reproduce`: repeat the experiment behind a published claim and say whether it holds."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold.claims.base import make_claim
from tenfold.claims.running import run_trainings
from tenfold.claims.telling import claim_json, file_name
from tenfold.core import crash
from tenfold.core.errors import InputError
from tenfold.core.files import locked, prepare_output, read_json, write_bytes, write_json, write_text
from tenfold.core.progress import note
from tenfold.report.claim import claim_text, render_claim
from tenfold.runs.workers import available_cores


@dataclass(frozen=True, eq=False)
class Reproduction:
    """A repeated claim, as claim.json tells it."""

    directory: Path
    document: dict[str, Any]

    @property
    def holds(self) -> str:
        """`yes`, `smaller`, `no` or `not_shown`; what each means is `document["rule"]`."""
        return str(self.document["holds"])

    @property
    def sentence(self) -> str:
        return str(self.document["sentence"])

    @property
    def text(self) -> str:
        """What the terminal shows."""
        return claim_text(self.document)

    def to_json(self) -> dict[str, Any]:
        return self.document | {"directory": str(self.directory)}


def reproduce(
    name: str,
    *,
    quick: bool = False,
    out: str | Path | None = None,
    seeds: int | None = None,
    seed: int = 0,
    workers: int | None = None,
) -> Reproduction:
    """Train what the claim takes and write claim.json, report.html and the report's pictures.

    Args:
        name: of a file of `tenfold.claims`, such as mixup.
        quick: a trial of fewer and shorter trainings, whose figures are not the claim's.
        out: the directory, runs/reproduce-NAME unless given; trainings that are finished there are not done again.
        seeds: how many, 2 at least; more of them in the same directory add to those that are there.
        seed: the first of them; the others follow it.
        workers: trainings at the same time, a thread each; one a core unless given.

    Raises:
        InputError: no such claim, or the directory holds something else.
        SystemFault: a worker process was killed from outside, or nothing can be written.
    """
    started = time.monotonic()
    claim = make_claim(name)
    count = seeds if seeds is not None else claim.quick_seeds if quick else claim.seeds
    if count < 2:
        raise InputError(f"--seeds must be at least 2, not {count}: one training shows nothing of luck")
    numbers = range(seed, seed + count)
    workers = workers or available_cores()
    directory = Path(out) if out is not None else Path("runs") / f"reproduce-{name}{'-quick' if quick else ''}"
    options = {"claim": name, "quick": quick}
    with _opened(directory, options, {"seeds": count, "seed": seed}):
        trainings = claim.trainings(numbers, quick)
        finished, found_seconds = run_trainings(name, trainings, directory / "trials", workers)
        seconds = time.monotonic() - started + found_seconds / workers
        found = claim.judge(finished)
        document = claim_json(name, claim, found, finished, numbers, quick, seconds)
        document["command"] = _command(name, quick, directory, count, seed)
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
            changed = [option for option, value in options.items() if before["options"].get(option) != value]
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


def _command(name: str, quick: bool, directory: Path, seeds: int, seed: int) -> str:
    words = ["tenfold", "reproduce", name, *(["--quick"] if quick else []), "--out", str(directory)]
    return shlex.join([*words, "--seeds", str(seeds), *(["--seed", str(seed)] if seed else [])])
