"""The directory of a run: opened for this process alone, begun anew or taken up where it stopped."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import tenfold
from tenfold.core import crash
from tenfold.core.errors import InputError
from tenfold.core.files import locked, prepare_output, read_json, write_json
from tenfold.core.progress import note
from tenfold.data.export import class_folders
from tenfold.runs.plan import Plan

LAST_FILE = "report.html"
"""Written at the end: a run that has it is finished."""


@contextmanager
def opened(out: Path | None, command: str, options: Mapping[str, Any], plan: Plan) -> Iterator[Path]:
    """The run's directory, locked, with config.json in it, which freezes the plan before any training.

    A directory that holds an unfinished or finished run of the same plan is taken up; its trials are reused.
    Without `out`, that is the newest unfinished run of the same plan under runs/, or else a new one.

    Raises:
        InputError: the directory holds something else, a run of another plan, or another process's run.
    """
    directory = out if out is not None else _unfinished(command, plan) or _fresh(plan.data)
    if not _config(directory) and not _killed_at_the_start(directory):
        prepare_output(directory)
    with locked(directory):
        crash.keep_in(directory)
        if config := _config(directory):
            _require_same(directory, config, options, plan)
            note(f"continuing in {directory}")
        write_json(
            directory / "config.json",
            {
                "command": command,
                "options": dict(options),
                "plan": asdict(plan),
                "plan_hash": plan.hash,
                "made_with": {
                    "tenfold": tenfold.__version__,
                    "torch": torch.__version__,
                    "python": platform.python_version(),
                    "processor": platform.machine(),
                    "cores": os.cpu_count(),
                },
            },
        )
        yield directory


def _config(directory: Path) -> dict[str, Any]:
    """What a run's config.json holds; empty where there is none, or another program's."""
    try:
        found = read_json(directory / "config.json")
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and "plan_hash" in found else {}


def _killed_at_the_start(directory: Path) -> bool:
    """Whether nothing is there but what a run leaves that was killed before its config.json."""
    names = [path.name for path in directory.iterdir()] if directory.is_dir() else []
    return bool(names) and all(name == ".lock" or name.startswith(".config.json.") for name in names)


def _require_same(directory: Path, config: Mapping[str, Any], options: Mapping[str, Any], plan: Plan) -> None:
    before = config.get("options", {})
    changed = [name for name, value in options.items() if name in before and before[name] != value]
    if config["plan_hash"] == plan.hash:
        if "grow" in changed and (directory / "grown").exists():
            raise InputError(f"{directory} holds a set that was grown otherwise (--grow); choose another --out")
        return
    if decisive := [name for name in changed if name not in ("budget", "grow")]:
        raise InputError(f"{directory} holds a run with other options ({', '.join(decisive)}); choose another --out")
    if config.get("plan", {}).get("code") != plan.code:
        raise InputError(f"{directory} was made by another version of tenfold; choose another --out")
    raise InputError(
        f"the images of {plan.data} are not those that the run in {directory} began with; "
        "put them back or choose another --out"
    )


def _runs_of(data: str) -> Path:
    return Path("runs") / class_folders([Path(data).name or data])[0]


def _fresh(data: str) -> Path:
    base = _runs_of(data)
    stem = f"{base.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    candidates = (base.with_name(stem + suffix) for suffix in ["", *(f"-{i}" for i in range(2, 100))])
    return next(path for path in candidates if not path.exists())


def _unfinished(command: str, plan: Plan) -> Path | None:
    base = _runs_of(plan.data)
    for path in sorted(base.parent.glob("*/config.json"), reverse=True):
        directory = path.parent
        if not directory.name.startswith(f"{base.name}-") or (directory / LAST_FILE).exists():
            continue
        config = _config(directory)
        if config.get("plan_hash") == plan.hash and config["command"] == command and not _busy(directory):
            return directory
    return None


def _busy(directory: Path) -> bool:
    try:
        with locked(directory):
            return False
    except InputError:
        return True
