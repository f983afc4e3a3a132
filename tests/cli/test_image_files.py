"""Image files of unusual kinds through the program, a row of the bad-input table a test."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from made_up_sets import SHORT, easy_set
from tenfold.core.keys import Key
from tenfold.data.load import load
from tenfold.training.classifier import train_classifier
from tenfold.training.classifier_io import save_classifier
from tenfold.training.recipe import Recipe

CAMERA = 4095
"""The brightest value of a camera of 12 bits."""


def write_bands(root: Path, kind: str) -> Path:
    """A set whose classes are told by how bright they are: what a scale of each file's own would wipe out."""
    made = easy_set([12, 12], noise=8)
    for index, (image, label) in enumerate(zip(made.images[:, 0], made.labels, strict=True)):
        values = (image / 255 * CAMERA * (0.1 + 0.9 * label)).round()
        folder = root / f"class {label}"
        folder.mkdir(parents=True, exist_ok=True)
        if kind == "float":
            Image.fromarray((values / CAMERA).astype(np.float32)).save(folder / f"{index}.tif")
        else:
            Image.fromarray(values.astype(np.uint16)).save(folder / f"{index}.png")
    return root


@pytest.mark.parametrize("kind", ["float", "12 bits in 16"])
def test_row_59_the_value_range_is_part_of_the_model(tenfold: Any, tmp_path: Path, kind: str) -> None:
    data = load(write_bands(tmp_path / "set", kind))
    classifier = train_classifier(data, None, Recipe(), Key("range"), SHORT)
    save_classifier(tmp_path / "model/classifier.safetensors", classifier, {})
    kept = json.loads((tmp_path / "model/classifier.json").read_text())["value_ranges"]
    assert kept == ({"reals": [0, 1]} if kind == "float" else {"integers": [0, CAMERA]})
    rows = classifier.probabilities(data.images)
    for given in (["set"], ["set/class 0"], ["set/" + data.sources[0]], ["set/" + data.sources[-1]]):
        status, out, err = tenfold("predict", "model", *given)
        assert (status, err) == (0, "")
        for row in csv.DictReader(io.StringIO(out)):
            place = data.sources.index(row["file"].removeprefix("set/"))
            assert float(row["probability of class 1"]) == pytest.approx(rows[place, 1], abs=1e-4)


def test_row_59_a_file_outside_the_range_is_told_and_counted(tenfold: Any, tmp_path: Path) -> None:
    data = load(write_bands(tmp_path / "set", "12 bits in 16"))
    save_classifier(
        tmp_path / "model/classifier.safetensors", train_classifier(data, None, Recipe(), Key("range"), SHORT), {}
    )
    for name, values in {"within": np.full((8, 8), 100), "beyond": np.full((8, 8), 60_000)}.items():
        Image.fromarray(values.astype(np.uint16)).save(tmp_path / f"{name}.png")
    Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(tmp_path / "other.tif")
    status, out, err = tenfold("predict", "model", "within.png", "beyond.png", "other.tif")
    assert (status, out.count("\n")) == (0, 4)
    assert "1 of 3 images: values outside of the range" in " ".join(err.split())
    assert "1 of 3 images: values scaled by their own range" in " ".join(err.split())
