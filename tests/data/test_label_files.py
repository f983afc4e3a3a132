from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tenfold.core.errors import InputError
from tenfold.data.load import load, load_unlabelled

Folders = Callable[..., Path]


def coco(names: dict[str, list[str]]) -> dict[str, Any]:
    """File names with their categories, as COCO writes them."""
    classes = sorted({label for labels in names.values() for label in labels})
    return {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(names)],
        "categories": [{"id": 10 + number, "name": name} for number, name in enumerate(classes)],
        "annotations": [
            {"id": 0, "image_id": number, "category_id": 10 + classes.index(label)}
            for number, labels in enumerate(names.values())
            for label in labels
        ],
    }


def test_half_a_letter_is_refused(class_folders: Folders) -> None:
    root = class_folders({".": 2})
    (root / "labels.json").write_text(json.dumps(coco({"000.png": ["\ud800"], "001.png": ["a"]})))
    with pytest.raises(InputError, match="surrogates not allowed"):
        load(root)


NAMES = {"000.png": ["cat"], "001.png": ["dog"], "002.png": ["dog", "dog"]}


@pytest.mark.parametrize(
    "place", ["set/labels.json", "set/annotations/train.json", "labels.json", "annotations/x.json"]
)
def test_coco_beside_or_above(place: str, class_folders: Folders, tmp_path: Path) -> None:
    root = class_folders({".": 4})
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text(json.dumps(coco(NAMES)))
    data = load(root)
    assert [data.class_names[label] for label in data.labels] == ["cat", "dog", "dog"]
    assert any("does not name" in what and count == 1 for what, count in data.conversions.items())
    assert len(load_unlabelled(root)) == 4


def test_two_categories_of_one_image_are_refused(class_folders: Folders) -> None:
    root = class_folders({".": 3})
    (root / "labels.json").write_text(json.dumps(coco({**NAMES, "000.png": ["cat", "dog"]})))
    with pytest.raises(InputError, match=r"'000\.png' is of 'cat', 'dog'"):
        load(root)


def test_label_studio(class_folders: Folders) -> None:
    root = class_folders({"images": 3})
    paths = ["/data/upload/1/0123abcd-000.png", "/data/local-files/?d=images/001.png", "s3://bucket/002.png"]
    tasks = [
        {"data": {"image": path}, "annotations": [{"result": [{"type": "choices", "value": {"choices": [label]}}]}]}
        for path, label in zip(paths, ["cat", "dog", "cat"], strict=True)
    ]
    (root / "export.json").write_text(json.dumps(tasks))
    assert load(root).labels.tolist() == [0, 1, 0]
    (root / "export.json").write_text(
        json.dumps([{"image": paths[0], "choice": "a"}, {"image": paths[2], "choice": "b"}])
    )
    assert load(root).sources == ("images/000.png", "images/002.png")


@pytest.mark.parametrize("content", ["[]", "{}", "[1]", '{"images": 3}', "nothing", "[" * 9000])
def test_other_json_is_none_of_ours(content: str, class_folders: Folders) -> None:
    root = class_folders({"a": 2, "b": 2})
    (root / "settings.json").write_text(content)
    assert load(root).class_names == ("a", "b")


def test_a_table_above_that_is_named_after_the_folder(class_folders: Folders, tmp_path: Path) -> None:
    root = class_folders({".": 3}, tmp_path / "all/Part 1")
    (tmp_path / "all/Labels of Part 1.csv").write_text("image ID,class\r\n0,1\r\n1,2\r\n2,2\r\n")
    assert load(root).labels.tolist() == [0, 1, 1]
    with pytest.raises(InputError, match=r"give .*Part 1"):
        load(root.parent)


def test_a_table_above_is_read_as_any_other_table(class_folders: Folders, tmp_path: Path) -> None:
    root = class_folders({".": 3}, tmp_path / "all/Part 1")
    (tmp_path / "all/Part 1.csv").write_bytes("image;class\r0;cat\r1;cat \r2;dog\r".encode("utf-8-sig"))
    assert load(root).class_names == ("cat", "dog")


def test_idx_files(tmp_path: Path) -> None:
    def write(name: str, values: np.ndarray[Any, Any]) -> None:
        head = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(head + values.astype(np.uint8).tobytes()))

    for part, count in (("train", 4), ("t10k", 2)):
        write(f"{part}-images-idx3-ubyte", np.arange(count * 64).reshape(count, 8, 8) % 251)
        write(f"{part}-labels-idx1-ubyte", np.arange(count) % 2)
    data = load(tmp_path)
    assert data.roles.tolist() == ["train"] * 4 + ["test"] * 2
    assert data.images[1, 0, 0, 0] == 64
    write("t10k-labels-idx1-ubyte", np.arange(3))
    with pytest.raises(InputError, match="one image for each label"):
        load(tmp_path)
