"""Sets in the hub's own layout, read through the library that fetches them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tenfold.core.errors import InputError
from tenfold.data.load import load, load_unlabelled

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def png(value: int, side: int = 8) -> dict[str, Any]:
    file = io.BytesIO()
    Image.fromarray(np.full((side, side), value, np.uint8)).save(file, "png")
    return {"bytes": file.getvalue(), "path": None}


def written(root: Path, columns: dict[str, Any], split: str = "train", **features: Any) -> str:
    """The address of a set of one parquet file a split, as the hub holds them."""
    kinds = {"image": datasets.Image(), **features}
    table = datasets.Dataset.from_dict(columns, datasets.Features(kinds))
    (root / "data").mkdir(parents=True, exist_ok=True)
    table.to_parquet(root / "data" / f"{split}-00000-of-00001.parquet")
    return f"hf:{root}"


def classes(*names: str) -> Any:
    return datasets.ClassLabel(names=list(names))


def test_classes_splits_patients_and_pixels_are_read(tmp_path: Path) -> None:
    def columns(values: list[int]) -> dict[str, Any]:
        return {
            "image": [png(value) for value in values],
            "diagnosis": [value % 2 for value in values],
            "patient_id": [f"p{value // 4}" for value in values],
            "notes": ["x"] * len(values),
        }

    features = {"diagnosis": classes("ill", "sound"), "patient_id": datasets.Value("string")}
    features["notes"] = datasets.Value("string")
    root = tmp_path / "cells"
    written(root, columns([1, 2, 3, 4, 5, 6, 7, 8]), "train", **features)
    address = written(root, columns([21, 22]), "test", **features)
    data = load(address)
    assert data.class_names == ("ill", "sound")
    assert data.part("train").images[:, 0, 0, 0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert data.part("train").labels.tolist() == [1, 0, 1, 0, 1, 0, 1, 0]
    assert data.part("train").sources[:2] == ("train/0", "train/1")
    assert len(set(data.part("train").groups.tolist())) == 3
    assert data.part("test").images[:, 0, 0, 0].tolist() == [21, 22]
    assert any("'patient_id' is the group" in sentence for sentence in data.columns)
    assert any("'notes'" in sentence for sentence in data.columns)
    assert len(load_unlabelled(address)) == 8


def test_a_folder_of_files_in_the_hubs_layout_is_read(tmp_path: Path) -> None:
    for name, value in (("a", 10), ("b", 20)):
        (tmp_path / "set" / "train" / name).mkdir(parents=True)
        for index in range(3):
            (tmp_path / "set" / "train" / name / f"{index}.png").write_bytes(png(value + index)["bytes"])
    data = load(f"hf:{tmp_path / 'set'}")
    assert data.class_names == ("a", "b")
    assert sorted(data.images[:, 0, 0, 0].tolist()) == [10, 11, 12, 20, 21, 22]


def test_an_image_that_is_missing_is_set_aside_and_splits_of_no_known_name_are_told(tmp_path: Path) -> None:
    columns = {"image": [png(1), None, png(3), png(4)], "label": [0, 0, 1, 1]}
    written(tmp_path / "set", columns, "train", label=classes("a", "b"))
    address = written(tmp_path / "set", columns, "extra", label=classes("a", "b"))
    data = load(address)
    assert [(one.source, one.reason) for one in data.set_aside] == [("train/1", "holds no image")]
    assert any("'extra'" in warning for warning in data.warnings)


@pytest.mark.parametrize(
    ("features", "options", "complaint"),
    [
        ({"fine": classes("a", "b"), "coarse": classes("c", "d")}, {}, "--label-column"),
        ({"x": classes("a", "b")}, {"class_folders": "top"}, "--class-folders is for folders"),
        ({"x": classes("a", "b")}, {"label_column": "y"}, "'y'"),
        ({"x": classes("a", "b"), "mask": datasets.Image()}, {}, "--file-column"),
    ],
)
def test_what_is_open_is_asked_with_the_option_that_settles_it(
    features: dict[str, Any], options: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    columns = {"image": [png(1), png(2)], **{name: [0, 1] for name in features if name != "mask"}}
    if "mask" in features:
        columns["mask"] = [png(1), png(2)]
    with pytest.raises(InputError, match=complaint):
        load(written(tmp_path / "set", columns, **features), **options)


def test_one_of_several_class_columns_is_chosen(tmp_path: Path) -> None:
    columns = {"image": [png(value) for value in range(4)], "fine": [0, 1, 0, 1], "coarse": [1, 1, 0, 0]}
    address = written(tmp_path / "set", columns, fine=classes("a", "b"), coarse=classes("c", "d"))
    assert load(address, label_column="coarse").labels.tolist() == [1, 1, 0, 0]


def test_a_set_that_cannot_be_fetched_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        load("hf:nobody/has-such-a-set")
    assert "hf:nobody/has-such-a-set could not be fetched" in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_without_the_extra_the_install_line_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(InputError, match=r"tenfold\[hub\]"):
        load("hf:some/set")
