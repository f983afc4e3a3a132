"""What tests of verbs share: short trainings, and no crash report of one test in the directory of another."""

from __future__ import annotations

from pathlib import Path

import pytest

from made_up_sets import SHORT
from tenfold.core import exit_codes


@pytest.fixture(autouse=True)
def crashes_go_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exit_codes, "_run_directory", None)


@pytest.fixture
def short_trainings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Studies train for a moment, in a directory of their own."""
    monkeypatch.setattr("tenfold.runs.plan.classifier_for", lambda study: SHORT)
    monkeypatch.chdir(tmp_path)
