from __future__ import annotations

import gzip
import time
from pathlib import Path

import numpy as np
import pooch
import pytest

from tenfold.core.errors import InputError
from tenfold.data.load import load
from tenfold.data.readers.known import read_idx


@pytest.mark.parametrize(
    ("name", "shape", "classes", "train", "test"),
    [
        ("usps", (1, 16, 16), 10, 200, 2007),
        ("svhn", (3, 32, 32), 10, 200, 0),
        ("emnist_letters", (1, 28, 28), 26, 520, 5200),
        ("pneumoniamnist", (1, 28, 28), 2, 5232, 624),
        ("faces", (1, 64, 64), 40, 400, 0),
        ("wbc", (3, 64, 64), 5, 300, 0),
        ("wbc2", (3, 64, 64), 5, 100, 0),
    ],
)
def test_known_sets(
    data_directory: Path, name: str, shape: tuple[int, int, int], classes: int, train: int, test: int
) -> None:
    dataset = load(name)
    assert dataset.image_shape == shape
    assert dataset.class_count == classes
    assert len(dataset.part("train")) == train
    assert len(dataset.part("test")) == test
    assert dataset.set_aside == ()


def test_mnist_is_quick_and_whole(data_directory: Path) -> None:
    start = time.perf_counter()
    dataset = load("mnist", per_class=50)
    assert time.perf_counter() - start < 5
    assert dataset.part("train").counts().tolist() == [50] * 10
    assert dataset.part("test").counts().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_cells_have_their_published_counts(data_directory: Path) -> None:
    counts = dict(zip(load("wbc").class_names, load("wbc").counts().tolist(), strict=True))
    assert counts == {"basophil": 1, "eosinophil": 22, "lymphocyte": 53, "monocyte": 48, "neutrophil": 176}


@pytest.mark.parametrize("name", ["omniglot", "faces"])
def test_a_set_that_is_not_there_names_what_is_wanted(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for directory in ("", str(tmp_path)):
        monkeypatch.setenv("TENFOLD_DATA", directory)
        with pytest.raises(InputError, match=rf"{name}/.*TENFOLD_DATA"):
            load(name)


def test_no_network_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(address: str, known_hash: str, **_: object) -> str:
        asked.append(known_hash)
        raise ConnectionError("no network")

    monkeypatch.delenv("TENFOLD_DATA", raising=False)
    monkeypatch.setattr(pooch, "retrieve", refuse)
    with pytest.raises(InputError, match=r"TENFOLD_DATA.*ossci-datasets.*failed") as caught:
        load("mnist")
    assert "\n" not in str(caught.value)
    assert asked == ["md5:f68b3c2dcbeaaa9fbdd348bbdeb94873"]


def test_idx_plain_gzipped_and_damaged(tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    content = b"\0\0\x08\x03" + np.array(values.shape, ">u4").tobytes() + values.tobytes()
    path = tmp_path / "images"
    for stored in (content, gzip.compress(content)):
        path.write_bytes(stored)
        assert (read_idx(path) == values).all()
    for broken in (content[:-1], gzip.compress(content)[:-9], b"nothing", b""):
        path.write_bytes(broken)
        with pytest.raises(InputError, match="damaged"):
            read_idx(path)
