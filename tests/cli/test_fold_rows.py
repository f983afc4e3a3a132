"""The rows of the list of bad inputs that are about folds: which classes are trained on, judged, and how often."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from made_up_sets import SHORT
from tenfold.core import files

PROVE = ("prove", "set", "--arms", "raw", "--repeats", "2", "--workers", "1", "--out", "out", "--json")


@pytest.fixture
def splits(
    tenfold: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], tuple[dict[str, Any], list[dict[str, np.ndarray[Any, Any]]]]]:
    """Proves a set: the document, and the splits that its trials have read."""
    monkeypatch.setattr("tenfold.runs.plan.classifier_for", lambda study: SHORT)
    seen: list[dict[str, np.ndarray[Any, Any]]] = []
    write = files.write_bytes

    def note(path: Path, content: bytes) -> None:
        write(path, content)
        if path.parent.name == "data" and {"train", "test"} <= (arrays := load_file(path)).keys():
            seen.append(arrays)

    monkeypatch.setattr("tenfold.runs.directory.write_bytes", note)

    def call() -> tuple[dict[str, Any], list[dict[str, np.ndarray[Any, Any]]]]:
        status, out, err = tenfold(*PROVE)
        assert status == 0, err
        return json.loads(out), seen

    return call


def with_patients(folder: Path, patients: Sequence[tuple[str, str]]) -> None:
    """A table that gives the images of each class to patients in turn."""
    rows = [f"{label}/{number:03d}.png,{label},{patient}" for number, (label, patient) in enumerate(patients)]
    (folder / "metadata.csv").write_text("\n".join(["file_name,label,patient", *rows]))


def test_row_78_every_class_that_is_judged_is_trained_on_in_every_fold(
    class_folders: Callable[..., Path], splits: Any
) -> None:
    # Whatever patients hold: one has most of class b, and a few have all of the rest.
    patients = [("a", f"p{number % 8}") for number in range(24)]
    patients += [("b", "p0" if number < 9 else f"p{number % 4}") for number in range(12)]
    folder = class_folders({"a": 0, "b": 0})
    for label in "ab":
        numbers = [number for number, (of, _) in enumerate(patients) if of == label]
        class_folders({label: numbers[-1] + 1}, folder)
        for path in (folder / label).glob("*.png"):
            if int(path.stem) not in numbers:
                path.unlink()
    with_patients(folder, patients)
    document, seen = splits()
    labels = np.array([of for of, _ in patients])
    groups = np.array([patient for _, patient in patients])
    assert len(seen) >= document["folds"]
    for split in seen:
        learned = np.concatenate([split["train"], split["validation"]])
        assert set(labels[split["train"]]) == {"a", "b"}
        assert not set(groups[learned]) & set(groups[split["test"]])


def test_row_79_a_class_of_few_groups_sets_no_folds_for_the_others(
    class_folders: Callable[..., Path], splits: Any
) -> None:
    class_folders({"a": 20, "b": 20, "rare": 3})
    document, seen = splits()
    assert document["folds"] == 5
    assert any("rare" in warning for warning in document["warnings"])
    labels = np.repeat(["a", "b", "rare"], [20, 20, 3])
    for split in seen:
        assert {"a", "b", "rare"} <= set(labels[np.concatenate([split["train"], split["validation"]])])
        assert {"a", "b"} <= set(labels[split["test"]])
