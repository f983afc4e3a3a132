from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tenfold.cli import app
from tenfold.core.errors import InputError
from tenfold.runs.executors import Serial
from tenfold.runs.executors.place import Place, cores_for_jobs, executor_for, working_on
from tenfold.runs.executors.processes import Processes
from tenfold.training.device import available_cores


def test_unless_asked_otherwise_jobs_are_done_on_this_computer() -> None:
    assert cores_for_jobs() == available_cores()
    assert isinstance(executor_for(1), Serial)
    with executor_for(2) as executor:
        assert isinstance(executor, Processes)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("processes", Place()),
        ("ray", Place("ray")),
        ("ray://head:10001", Place("ray", "ray://head:10001")),
        ("ray:head:6379", Place("ray", "head:6379")),
    ],
)
def test_a_place_is_named_with_its_address(text: str, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenfold.runs.executors.place.find_spec", lambda name: name)
    assert Place.chosen(text) == place


def test_a_slurm_is_named_with_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit", reason="the extra `slurm` is not installed")
    monkeypatch.setattr("shutil.which", lambda name: name)
    assert Place.chosen("slurm:gpu,time=2h") == Place("slurm", "gpu,time=2h")


@pytest.mark.parametrize("text", ["rays", "processes:4", ""])
def test_an_unknown_place_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=f"jobs cannot be done on '{text}'"), working_on(text):
        pass


@pytest.mark.parametrize("words", ["prove digits", "run digits", "adapt digits --to digits", "reproduce mixup"])
def test_a_missing_extra_is_named_before_anything_is_read(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenfold.runs.executors.place.find_spec", lambda name: None)
    asked = CliRunner().invoke(app, [*words.split(), "--on", "ray", "--out", str(tmp_path / "out")])
    assert asked.exit_code == 2
    assert "--on ray needs the extra: pip install 'tenfold[ray]'" in asked.stderr
    assert not (tmp_path / "out").exists()
