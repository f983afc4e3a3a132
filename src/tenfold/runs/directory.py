"""The directory of a run: opened for this process alone, begun anew or taken up where it stopped."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.numpy import save

from tenfold.core import exit_codes
from tenfold.core.errors import InputError
from tenfold.core.files import read_json, write_bytes, write_json
from tenfold.core.manifest import MANIFEST, recorded, tidy, verify
from tenfold.core.output import LOCK, clear_partial, locked, require_empty, require_writable
from tenfold.core.progress import note, warn
from tenfold.core.types import ImageDataset
from tenfold.data.cache import ImageCache
from tenfold.data.export import class_folders
from tenfold.runs import Arrays, Finished, Job, fingerprint_of, kept_record
from tenfold.runs.code import made_with

LAST_FILE = "report.html"
"""Written at the end: a run that has it is finished."""
DATA = "data"
"""What jobs read, until the very end."""
REST_FILE = "rest.json"
"""There where a budget ended a run, which another budget, or none, goes on with."""
CODE = "(code)"
"""Among what a run reads: the hash of the code that decides its outcome."""
COMMAND = "(command)"
"""Among what may change from one opening to the next: what the command is called."""


@dataclass(frozen=True, eq=False)
class RunDirectory:
    """A directory with config.json, and for each finished job `jobs/<hash>/result.json`, which is written last."""

    path: Path
    _kept: dict[str, Path] = field(default_factory=dict)
    """Fingerprint -> the sets and arrays in `data`, which jobs read."""

    @classmethod
    @contextmanager
    def opened(
        cls,
        path: Path | None,
        command: str,
        options: Mapping[str, Any],
        reads: Mapping[str, str],
        *,
        changeable: Collection[str] = (),
        plan: Mapping[str, Any] | None = None,
    ) -> Iterator[RunDirectory]:
        """The directory, locked, with what was asked for in config.json: before any work.

        One that holds an unfinished or finished run of the same kind is taken up. Without `path`, that is the newest
        unfinished one under runs/, or else a new one, named by the first of what is read and by the time.

        Args:
            options: as given, plain JSON values.
            reads: name -> fingerprint of the sets that decide the outcome, the first of which names the run.
            changeable: options with which the same run may be taken up all the same; `COMMAND` and `CODE` count too.
            plan: more to be kept in config.json, beside `command`, `options`, `reads` and `made_with`.

        Raises:
            InputError: the directory holds something else, another run, or another process's run.
        """
        asked = asked_for(command, options, reads)
        name = next(iter(reads))
        directory = path if path is not None else _unfinished(name, asked, changeable) or _fresh(name)
        with locked(directory):
            if taken_up(directory, asked, changeable):
                ended = _ended(directory) and not (directory / REST_FILE).exists()
                note(f"{'finished before' if ended else 'continuing'} in {directory}")
            exit_codes.keep_in(directory)
            clear_partial(directory)
            with recorded(directory):
                write_json(directory / "config.json", asked | {"made_with": made_with(), **(plan or {})})
                yield cls(directory)
            shutil.rmtree(directory / DATA, ignore_errors=True)  # only what goes on reads it
            tidy(directory)  # of what stays, whichever of the two a kill comes between

    def freeze(self, plan: Mapping[str, Any]) -> None:
        """Put a plan that was decided after the opening into config.json."""
        path = self.path / "config.json"
        write_json(path, read_json(path) | plan)

    def absolute(self) -> RunDirectory:
        """The same for a process whose working directory is another one."""
        kept = {fingerprint: path.absolute() for fingerprint, path in self._kept.items()}
        return RunDirectory(self.path.absolute(), kept)

    def of(self, job: Job) -> Path:
        """The job's own directory."""
        return self.path / "jobs" / job.hash

    def found(self, job: Job) -> Finished | None:
        """A job that is finished with all the files that it left; None where it is to be done."""
        path = self.of(job) / "result.json"
        if not path.exists():
            return None
        kept = kept_record(path)
        if not all((path.parent / name).is_file() for name in kept["files"]):
            return None
        return Finished(job, kept["result"], kept["seconds"], kept["peak_bytes"], found=True)

    def result(self, job: Job) -> Any | None:
        """What a finished job gave; None where it is to be done."""
        finished = self.found(job)
        return finished and finished.result

    def store(self, job: Job, result: Any, seconds: float = 0.0, peak_bytes: int | None = None) -> Finished:
        """Keep a result; its arrival is what makes the job count."""
        place, result = self.of(job), json.loads(json.dumps(result))
        left = [path for path in place.rglob("*") if path.is_file() and not path.name.startswith(".")]
        files = [path.relative_to(place).as_posix() for path in left]
        record = {
            "label": job.label,
            "function": job.function,
            "config": job.config,
            "reads": dict(job.reads),
            "needs": {name: needed.hash for name, needed in job.needs.items()},
            "device": job.device,
            "seconds": seconds,
            "peak_bytes": peak_bytes,
            "files": sorted(name for name in files if name != "result.json"),
            "result": result,
        }
        write_json(place / "result.json", record)
        return Finished(job, result, seconds, peak_bytes)

    def keep(self, read: ImageDataset | Arrays) -> str:
        """Put a set, or arrays by their names, where jobs can read it; the fingerprint for `Job.reads`.

        The set itself is read from there from now on, as all processes map it.
        """
        if isinstance(read, ImageDataset):
            fingerprint, cache = read.fingerprint(), ImageCache(self.path / DATA)
            path = self._kept[fingerprint] = cache.store(read)
            read.read_from(cache.open(path).rows)
        else:
            fingerprint = fingerprint_of(read)
            path = self._kept[fingerprint] = self.path / DATA / f"{fingerprint}.safetensors"
            if not path.exists():
                write_bytes(path, save(dict(read)))
        return fingerprint

    def sets(self, job: Job) -> dict[str, Path]:
        """Where what the job reads lies, by its names there."""
        return {name: self._kept[print_] for name, print_ in job.reads.items() if print_ in self._kept}

    def manifest(self) -> list[dict[str, Any]]:
        """All finished jobs: their hash, what they were, how long they took; without the results."""
        records = []
        for path in sorted(self.path.glob("jobs/*/result.json")):
            record = kept_record(path)
            del record["result"]
            records.append({"hash": path.parent.name, **record})
        return records


def make_ready(directory: Path, command: str, changeable: Collection[str] = ()) -> None:
    """See that there is a run of this command or nothing, and that it can be written: before anything is read.

    Raises:
        InputError: it holds something else, cannot be written, or another process is at work there.
    """
    _require_own(directory, command, changeable)
    require_writable(directory)


def asked_for(command: str, options: Mapping[str, Any], reads: Mapping[str, str]) -> dict[str, Any]:
    """As config.json holds it."""
    asked: dict[str, Any] = json.loads(
        json.dumps({"command": command, "options": dict(options), "reads": dict(reads)})
    )
    return asked


def taken_up(
    directory: Path, asked: Mapping[str, Any], changeable: Collection[str] = (), *, whole: bool = False
) -> dict[str, Any]:
    """The configuration of what is there of what is asked for; nothing of an empty directory.

    Args:
        whole: nothing is missing, or it is none.

    Raises:
        InputError: something else is there, or a file is not as it was written.
    """
    config = _require_own(directory, asked["command"], changeable)
    if config:
        verify(directory, whole=whole)
        if reason := _difference(directory, config, asked, changeable):
            raise InputError(f"{reason}; choose another --out")
    return config


def _require_own(directory: Path, command: str, changeable: Collection[str]) -> dict[str, Any]:
    """The configuration of this command's run, or nothing of an empty directory."""
    config = _config(directory, command, changeable)
    if not config and not _killed_at_the_start(directory):
        require_empty(directory)
    return config


def _config(directory: Path, command: str, changeable: Collection[str]) -> dict[str, Any]:
    """What a run's config.json holds; empty where there is none, or another command's."""
    try:
        config = read_json(directory / "config.json")
    except (OSError, InputError):
        config = None
    if not (isinstance(config, dict) and all(isinstance(config.get(name), dict) for name in ("options", "reads"))):
        if (directory / MANIFEST).exists():
            verify(directory)  # which names it
        return {}
    return config if config.get("command") == command or COMMAND in changeable else {}


def _killed_at_the_start(directory: Path) -> bool:
    """Whether nothing is there but what a run leaves that was killed before its config.json."""
    names = [path.name for path in directory.iterdir()] if directory.is_dir() else []
    return bool(names) and all(name in (LOCK, MANIFEST) or name.startswith(".config.json.") for name in names)


def _difference(
    directory: Path, config: Mapping[str, Any], asked: Mapping[str, Any], changeable: Collection[str]
) -> str:
    """In what the run there differs from what is asked for; empty where it is the same."""
    before, options = config["options"], asked["options"]
    changed = [name for name, value in options.items() if before.get(name) != value and name not in changeable]
    if changed:
        return f"{directory} holds a run with other options ({', '.join(changed)})"
    read, reads = config["reads"], asked["reads"]
    if CODE not in changeable and read.get(CODE) != reads.get(CODE):
        return f"{directory} was made by another version of tenfold"
    if moved := [name for name in reads if read.get(name) != reads[name]]:
        names = ", ".join(moved)
        return f"the images of {names} are not those that the run in {directory} began with, which may be put back"
    return ""


def _runs_of(name: str) -> Path:
    return Path("runs") / class_folders([Path(name).name or name])[0]


def _fresh(name: str) -> Path:
    base = _runs_of(name)
    stem = f"{base.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    candidates = (base.with_name(stem + suffix) for suffix in ["", *(f"-{i}" for i in range(2, 100))])
    return next(path for path in candidates if not path.exists())


def _unfinished(name: str, asked: Mapping[str, Any], changeable: Collection[str]) -> Path | None:
    base, command = _runs_of(name), asked["command"]
    for path in sorted(base.parent.glob("*/config.json"), reverse=True):
        directory = path.parent
        finished = _ended(directory) and not (directory / REST_FILE).exists()
        if finished or not directory.name.startswith(f"{base.name}-"):
            continue
        try:
            config = _config(directory, command, ())
        except InputError as error:
            warn(f"{directory} is not gone on with: {error}")
            continue
        if _ended(directory) and not _has_rest(directory, config, asked):
            continue
        if config and not _difference(directory, config, asked, changeable) and not _busy(directory):
            return directory
    return None


def _ended(directory: Path) -> bool:
    """Whether nothing was left to do: what jobs read is gone, last of all from the manifest."""
    if not (directory / LAST_FILE).exists() or (directory / DATA).exists():
        return False
    manifest = directory / MANIFEST
    return not (manifest.exists() and f'"file": "{DATA}/'.encode() in manifest.read_bytes())


def _has_rest(directory: Path, config: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    """Whether a finished run was ended by its budget, and is asked for with another one."""
    budgets = [run.get("options", {}).get("budget") for run in (config, asked)]
    return (directory / REST_FILE).exists() and budgets[0] != budgets[1]


def _busy(directory: Path) -> bool:
    try:
        with locked(directory):
            return False
    except InputError:
        return True
