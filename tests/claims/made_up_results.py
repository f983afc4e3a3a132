"""Finished trainings that were never done, and the context of a job without a runner."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tenfold.runs import Context, Finished, Job
from tenfold.training.device import Device


def done(config: Mapping[str, Any], result: Mapping[str, Any], seconds: float = 1.0) -> Finished:
    return Finished(Job("made.up:job", config), result, seconds)


def context(inside: Path, **needs: Path) -> Context:
    """A job's own directory inside that one, beside the directories of the jobs that it needs."""
    own = Path(tempfile.mkdtemp(dir=inside))
    return Context(Device(), own, results={name: ({}, path) for name, path in needs.items()})
