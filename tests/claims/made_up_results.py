"""Finished trainings that were never done, and the context of a job without a runner."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tenfold.runs import Context, Finished, Job
from tenfold.training.device import Device


def done(config: Mapping[str, Any], result: Mapping[str, Any], seconds: float = 1.0) -> Finished:
    return Finished(Job("made.up:job", config), result, seconds)


def context(directory: Path, **needs: Path) -> Context:
    """In that directory, beside the directories of the jobs that it needs."""
    directory.mkdir(exist_ok=True)
    return Context(Device(), directory, results={name: ({}, path) for name, path in needs.items()})
