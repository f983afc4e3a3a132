from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_up_sets import SHORT, easy_set, easy_vectors
from tenfold.core.errors import InputError
from tenfold.core.files import read_json, write_json
from tenfold.core.keys import Key
from tenfold.networks.convnet import ResidualNet
from tenfold.training.classifier import TrainedClassifier, train_classifier
from tenfold.training.classifier_io import load_classifier, save_classifier
from tenfold.training.recipe import Recipe


def trained(shape: tuple[int, int, int] = (1, 8, 8), *, residual: bool = False) -> TrainedClassifier:
    config = replace(SHORT, residual=residual)
    return train_classifier(easy_set([6, 6], shape), None, Recipe(), Key("store"), config)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "classifier.safetensors"
    save_classifier(path, trained(), {"arm": "raw"})
    return path


@pytest.mark.parametrize(
    ("shape", "residual"), [((1, 8, 8), False), ((3, 45, 45), False), ((3, 32, 32), True)], ids=str
)
def test_a_classifier_comes_back_as_it_was(tmp_path: Path, shape: tuple[int, int, int], residual: bool) -> None:
    classifier, images = trained(shape, residual=residual), easy_set([20, 20], shape, key="fresh").images
    save_classifier(tmp_path / "c.safetensors", classifier, {"arm": "raw"})
    again = load_classifier(tmp_path / "c.safetensors")
    assert np.array_equal(again.probabilities(images), classifier.probabilities(images))
    assert (again.class_names, again.image_shape) == (classifier.class_names, shape)
    assert again.config == replace(SHORT, residual=residual)
    assert isinstance(again.network, ResidualNet) == residual
    assert read_json(tmp_path / "c.json")["arm"] == "raw"


def test_a_classifier_of_vectors_comes_back_as_it_was(tmp_path: Path) -> None:
    data = replace(easy_vectors([9, 9, 9]), feature_names=tuple("abcdef"))
    classifier = train_classifier(data, None, Recipe(), Key("store"), SHORT)
    save_classifier(tmp_path / "c.safetensors", classifier, {"arm": "raw"})
    again = load_classifier(tmp_path / "c.safetensors")
    fresh = easy_vectors([20, 20, 20], key="fresh").images
    assert np.array_equal(again.probabilities(fresh), classifier.probabilities(fresh))
    assert again.probabilities(fresh[:0]).shape == (0, 3)
    assert (again.reads_vectors, again.image_shape, again.feature_names) == (True, (6, 1, 1), tuple("abcdef"))
    damaged("network", "SmallConvNet")(tmp_path / "c.safetensors")
    with pytest.raises(InputError, match="do not hold a classifier"):
        load_classifier(tmp_path / "c.safetensors")


def test_the_temperature_comes_back_and_files_made_before_it_are_read(tmp_path: Path) -> None:
    classifier, images = replace(trained(), temperature=2.5), easy_set([9, 9], key="fresh").images
    save_classifier(tmp_path / "c.safetensors", classifier, {})
    assert np.array_equal(
        load_classifier(tmp_path / "c.safetensors").probabilities(images), classifier.probabilities(images)
    )
    document = read_json(tmp_path / "c.json")
    assert document.pop("temperature") == 2.5
    write_json(tmp_path / "c.json", document)
    assert load_classifier(tmp_path / "c.safetensors").temperature == 1.0
    for none in (0.0, -1.0, "warm", None):
        write_json(tmp_path / "c.json", document | {"temperature": none})
        with pytest.raises(InputError, match="do not hold a classifier"):
            load_classifier(tmp_path / "c.safetensors")


def test_files_made_before_there_were_vectors_are_read(kept: Path) -> None:
    document = read_json(kept.with_suffix(".json"))
    del document["feature_names"]
    write_json(kept.with_suffix(".json"), document)
    again = load_classifier(kept)
    assert (again.reads_vectors, again.feature_names) == (False, ())


def test_the_runs_directory_will_do(kept: Path) -> None:
    assert load_classifier(kept.parent).class_names == ("class 0", "class 1")


def damaged(key: str, value: Any) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        document = read_json(path.with_suffix(".json"))
        write_json(path.with_suffix(".json"), {**document, key: value})

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-40]),
        lambda path: path.write_bytes(pickle.dumps({"a": 1})),
        lambda path: path.with_suffix(".json").write_text("{"),
        lambda path: path.with_suffix(".json").write_text("[]"),
        lambda path: path.with_suffix(".json").write_text("{}"),
        lambda path: path.with_suffix(".json").write_bytes(b"\xff\xfe\x00"),
        damaged("image_shape", [1]),
        damaged("image_shape", [3, 8, 8]),
        damaged("image_shape", 8),
        damaged("image_shape", [1, -8, 8]),
        damaged("image_shape", [1, 8, 1]),
        damaged("image_shape", [1, 1, 1]),
        damaged("image_shape", [1, 8, 2**40]),
        damaged("image_shape", [1, 8.5, 8]),
        damaged("image_shape", "888"),
        damaged("class_names", ["only one"]),
        damaged("class_names", None),
        damaged("class_names", [None, 1]),
        damaged("network", "VectorNet"),
        damaged("network", "no such"),
        damaged("network", None),
        damaged("config", {"no such": 1}),
    ],
)
def test_what_is_damaged_is_refused(kept: Path, damage: Callable[[Path], None]) -> None:
    damage(kept)
    with pytest.raises(InputError, match="do not hold a classifier"):
        load_classifier(kept)


def test_without_its_json_it_is_no_classifier(kept: Path) -> None:
    kept.with_suffix(".json").unlink()
    with pytest.raises(InputError, match=r"classifier\.json is missing"):
        load_classifier(kept)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pkl", ".bin"])
def test_weights_that_may_run_code_are_not_even_opened(tmp_path: Path, suffix: str) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (pytest.fail, ("the file was unpickled",))

    path = tmp_path / f"classifier{suffix}"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match="may run code"):
        load_classifier(path)


def test_no_classifier_says_what_makes_one(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no.safetensors"):
        with pytest.raises(InputError, match="`tenfold run DATA` makes one"):
            load_classifier(path)
