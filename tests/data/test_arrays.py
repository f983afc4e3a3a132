from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import noise_picture
from tenfold.core.errors import InputError
from tenfold.data.load import load


def save(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("shape", "channels"), [((6, 8, 8), 1), ((6, 8, 8, 1), 1), ((6, 8, 8, 3), 3), ((6, 3, 8, 8), 3)]
)
def test_layouts(tmp_path: Path, shape: tuple[int, ...], channels: int) -> None:
    images = noise_picture(shape, *shape)
    dataset = load(save(tmp_path / "set.npz", images=images, labels=[0, 1, 2, 0, 1, 2]))
    assert dataset.name == "set"
    assert dataset.image_shape == (channels, 8, 8)
    if shape[1] == 3:
        assert (dataset.images == images).all()
    assert dataset.class_names == ("0", "1", "2")


def test_names_groups_and_split(tmp_path: Path) -> None:
    dataset = load(
        save(
            tmp_path / "set.npz",
            images=noise_picture("names", 4, 8, 8),
            labels=np.array([[1], [0], [1], [0]]),
            class_names=np.array(["cat", "dog"]),
            groups=np.array(["x", "y", "x", "z"]),
            split=np.array(["train", "train", "reserve", "test"]),
        )
    )
    assert dataset.class_names == ("cat", "dog")
    assert dataset.labels.tolist() == [1, 0, 1, 0]
    assert dataset.groups.tolist() == [0, 1, 0, 2]
    assert dataset.roles.tolist() == ["train", "train", "reserve", "test"]


def test_text_labels(tmp_path: Path) -> None:
    dataset = load(save(tmp_path / "set.npz", images=noise_picture(1, 2, 8, 8), labels=["dog", "cat"]))
    assert dataset.class_names == ("cat", "dog")
    assert dataset.labels.tolist() == [1, 0]


def test_medmnist_layout(tmp_path: Path) -> None:
    parts: dict[str, Any] = {}
    for part, count in (("train", 4), ("val", 2), ("test", 3)):
        parts[f"{part}_images"] = noise_picture(part, count, 8, 8)
        parts[f"{part}_labels"] = (np.arange(count) % 2)[:, None]
    dataset = load(save(tmp_path / "set.npz", **parts))
    assert dataset.roles.tolist() == ["train"] * 6 + ["test"] * 3
    assert (dataset.part("test").images[:, 0] == parts["test_images"]).all()


def test_real_values_are_scaled_and_nan_is_set_aside(tmp_path: Path) -> None:
    images = noise_picture("real", 4, 8, 8) / 255
    images[2, 0, 0] = np.nan
    dataset = load(save(tmp_path / "set.npz", images=images, labels=[0, 1, 0, 1]))
    assert (dataset.images[0, 0] == np.rint(images[0] * 255)).all()
    assert [entry.source for entry in dataset.set_aside] == ["set[2]"]
    assert dataset.labels.tolist() == [0, 1, 1]


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("pickled code ran",))


def test_pickled_objects_are_refused_unopened(tmp_path: Path) -> None:
    labels = np.array([Bomb(), Bomb()], dtype=object)
    path = save(tmp_path / "set.npz", images=noise_picture(1, 2, 8, 8), labels=labels)
    with pytest.raises(InputError, match="pickled objects"):
        load(path)


@pytest.mark.parametrize("suffix", [".pkl", ".pt", ".pth"])
def test_pickle_files_are_refused_unopened(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"set{suffix}"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError, match="pickled code"):
        load(path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((2, 8, 8), np.uint8)}, "no array 'labels'"),
        ({"images": np.zeros((2, 8, 8), np.uint8), "labels": [0]}, "labels has shape"),
        ({"images": np.zeros((2, 8), np.uint8), "labels": [0, 1]}, "images have shape"),
        ({"images": np.zeros((2, 8, 8), complex), "labels": [0, 1]}, "complex"),
        ({"images": np.zeros((2, 8, 8), np.uint8), "labels": [0.5, 1]}, "whole numbers"),
        (
            {"images": np.zeros((2, 8, 8), np.uint8), "labels": [0, 5], "class_names": ["a", "b"]},
            "2 class names",
        ),
        ({"images": np.zeros((2, 8, 8), np.uint8), "labels": [0, 0], "class_names": ["a", "b"]}, "class 'b'"),
        (
            {"images": np.zeros((2, 8, 8), np.uint8), "labels": ["a", "b"], "groups": ["p", " "]},
            "groups is blank",
        ),
        ({"images": np.zeros((0, 8, 8), np.uint8), "labels": np.zeros(0, int)}, "no images"),
        ({"test_images": np.zeros((2, 8, 8), np.uint8), "test_labels": [0, 1]}, "test images only"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(save(tmp_path / "set.npz", **arrays))


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "set.npz", images=noise_picture(1, 2, 8, 8), labels=[0, 1])
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="damaged"):
        load(path)
