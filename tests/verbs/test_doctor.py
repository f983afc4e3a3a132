from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

import tenfold
from tenfold.verbs import doctor as module
from tenfold.verbs.doctor import Doctor


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEASURED_STEPS", 1)
    monkeypatch.setattr(module, "SHAPES", ((1, 8, 8),))


def test_a_sound_computer_has_versions_a_pace_and_no_problems() -> None:
    found = tenfold.doctor()
    assert found.versions["torch"] == metadata.version("torch")
    assert found.versions["tenfold"] == tenfold.__version__
    assert set(found.extras) >= {"weights", "hub", "dicom", "nifti", "heic", "tensorboard"}
    assert "dev" not in found.extras
    assert found.workers >= 1
    assert found.free_disk_gib > 0
    (pace,) = found.pace
    assert pace.trainings == int(found.workers * 600 / pace.seconds_per_training) > 0
    assert Doctor.from_json(found.to_json()).to_json() == found.to_json()


@pytest.mark.parametrize(
    ("required", "problem"),
    [
        ("no-such-library>=2", "no-such-library is missing; pip install -c constraints.txt 'no-such-library>=2'"),
        ("numpy>=900", "numpy is of version {}; pip install -c constraints.txt 'numpy>=900'"),
    ],
)
def test_a_library_that_is_missing_or_too_old_is_named_with_its_mend(
    required: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "requires", lambda _: [required, 'no-such-extra; extra == "more"'])
    found = tenfold.doctor()
    assert found.problems == [problem.format(metadata.version("numpy"))]
    assert found.extras == {"more": False}
    assert "problem: " + found.problems[0] in found.text
    assert "pip install -c constraints.txt 'tenfold[more]'" in found.text


def test_a_device_and_a_directory_that_are_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TENFOLD_DEVICE", "cuda:99")
    monkeypatch.setenv("TENFOLD_DATA", str(tmp_path / "gone"))
    found = tenfold.doctor()
    assert found.device == "cpu"
    assert found.sentence == "2 problems were found."
    assert "cuda:99 is not there" in found.problems[0]
    assert "gone" in found.problems[1]
