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
from tenfold.study.plan import Plan

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
    if (directory / "config.json").exists():
        _require_same_plan(directory, plan)
        with locked(directory):
            crash.keep_in(directory)
            note(f"continuing in {directory}")
            yield directory
        return
    prepare_output(directory)
    with locked(directory):
        crash.keep_in(directory)
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


def _require_same_plan(directory: Path, plan: Plan) -> None:
    config = read_json(directory / "config.json")
    if config.get("plan_hash") == plan.hash:
        return
    before = config.get("plan", {})
    if before.get("data") == plan.data and before.get("data_fingerprint") != plan.data_fingerprint:
        raise InputError(
            f"the images of {plan.data} are not those that the run in {directory} began with; "
            "put them back or choose another --out"
        )
    if before.get("code") != plan.code:
        raise InputError(f"{directory} was made by another version of tenfold; choose another --out")
    raise InputError(f"{directory} holds a run with other options; choose another --out")


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
        config = read_json(path)
        if config.get("plan_hash") == plan.hash and config.get("command") == command and not _busy(directory):
            return directory
    return None


def _busy(directory: Path) -> bool:
    try:
        with locked(directory):
            return False
    except InputError:
        return True
