"""Sets in .parquet files, read beside class folders of the same files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_up_shards import files_of, write_parquet

from tenfold.core.errors import InputError
from tenfold.data.audit import audit
from tenfold.data.load import load, load_unlabelled
from tenfold.data.readers import manifest_of, parquet

pytest.importorskip("pyarrow")

Folders = Callable[..., Path]
CLASSES = ["cat", "dog", "eel"]
HUB = {
    "huggingface": json.dumps(
        {"info": {"features": {"image": {"_type": "Image"}, "label": {"names": CLASSES, "_type": "ClassLabel"}}}}
    )
}


def columns(files: list[tuple[str, bytes]], *, hub: bool) -> dict[str, list[Any]]:
    if not hub:
        return {"image": [content for _, content in files], "label": [label for label, _ in files]}
    images = [{"bytes": content, "path": "x.png"} for _, content in files]
    return {"image": images, "label": [CLASSES.index(label) for label, _ in files]}


@pytest.mark.parametrize("hub", [True, False])
def test_the_fingerprint_is_that_of_class_folders(hub: bool, class_folders: Folders, tmp_path: Path) -> None:
    folder, shards = class_folders({"cat": 14, "dog": 13, "eel": 14}), tmp_path / "shards"
    files = files_of(folder)
    for start in range(0, len(files), 20):
        chosen = columns(files[start : start + 20], hub=hub)
        write_parquet(shards / "data" / f"{start:03d}.parquet", chosen, HUB if hub else None)
    data = load(shards)
    assert data.fingerprint() == load(folder).fingerprint()
    assert data.sources[25] == "data/020.parquet/5"
    assert load(shards / "data" / "*.parquet").fingerprint() == data.fingerprint()
    assert len(load_unlabelled(shards / "data" / "040.parquet")) == 1
    decode = manifest_of(shards).decode
    assert decode is not None
    backwards = [decode(index).pixels.tobytes() for index in reversed(range(len(data)))]
    assert backwards[::-1] == [image.tobytes() for image in data.images]


def test_parts_and_patients_are_read(class_folders: Folders, tmp_path: Path) -> None:
    files = files_of(class_folders({"cat": 6, "dog": 6}))
    for part, chosen in (("train", files[::2]), ("test", files[1::2])):
        patients = [f"{part}{n // 2}" for n in range(6)]
        told = {**columns(chosen, hub=True), "patient_id": patients, "boxes": [[1, 2]] * 6}
        write_parquet(tmp_path / "cells" / f"{part}-00000-of-00001.parquet", told, HUB)
    data = load(tmp_path / "cells")
    assert (len(data.part("train")), len(data.part("test"))) == (6, 6)
    assert data.class_names == ("cat", "dog")
    assert len(set(data.part("train").groups.tolist())) == 3
    assert any("'boxes'" in sentence for sentence in data.columns)


def test_bad_rows_are_set_aside_as_files_of_a_folder_are(class_folders: Folders, tmp_path: Path) -> None:
    told = columns(files_of(class_folders({"cat": 6, "dog": 4})), hub=True)
    told["image"][0] = {"bytes": b"", "path": None}
    told["image"][1] = {"bytes": b"<!doctype html>", "path": None}
    told["image"][2] = {"bytes": None, "path": "../outside.png"}
    told["image"][3] = None
    told["label"][4] = None
    told["label"][9] = -1
    (tmp_path / "outside.png").write_bytes(b"x")
    findings = audit(load(write_parquet(tmp_path / "rows" / "set.parquet", told, HUB)))
    assert findings.images == 4
    assert {one.source: one.reason for one in findings.set_aside} == {
        "set.parquet/0": "holds no image",
        "set.parquet/1": "a web page, not an image",
        "set.parquet/2": "is the name of a file outside of the data: ../outside.png",
        "set.parquet/3": "holds no image",
        "set.parquet/4": "nothing says of which class it is",
        "set.parquet/9": "nothing says of which class it is",
    }


def test_rows_may_name_files_beside_them(class_folders: Folders) -> None:
    folder = class_folders({"cat": 2, "dog": 2})
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    images = [{"bytes": None, "path": name} for name in names]
    path = write_parquet(folder / "set.parquet", {"image": images, "label": [name[:3] for name in names]})
    assert load(path).fingerprint() == load(folder).fingerprint()


def test_a_subset_reads_no_more_rows_than_it_must(
    class_folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_of(class_folders({"cat": 20, "dog": 20}))
    path = write_parquet(tmp_path / "set.parquet", columns(files, hub=False))
    decoded: list[int] = []
    real = parquet.decode
    monkeypatch.setattr(parquet, "decode", lambda *given: decoded.append(1) or real(*given))
    monkeypatch.setattr("tenfold.data.load.LARGEST_RESERVE", 4)
    assert len(load(path, per_class=3)) == len(decoded) == 10


@pytest.mark.parametrize(
    ("told", "options", "message"),
    [
        ({"x": [1, 2], "label": ["a", "b"]}, {}, "no column with the bytes of image files"),
        ({"one": [b"x", b"y"], "two": [b"x", b"y"]}, {}, "--file-column"),
        ({"image": [b"x", b"y"], "kind": ["a", "b"]}, {}, "--label-column"),
        ({"image": [b"x", b"y"], "label": ["", "nan"]}, {}, "of none of the 2 images"),
        ({"image": [b"x", b"y"], "label": ["a", "b"]}, {"label_column": "kind"}, "'kind'"),
    ],
)
def test_what_is_missing_is_asked_for(
    told: dict[str, list[Any]], options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        load(write_parquet(tmp_path / "set.parquet", told), **options)


def test_a_damaged_file_and_one_of_another_set_are_named(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1x")
    with pytest.raises(InputError, match=r"bad\.parquet cannot be read"):
        load(tmp_path / "bad.parquet")
    write_parquet(tmp_path / "two" / "a.parquet", {"image": [b"x"], "label": ["a"]})
    write_parquet(tmp_path / "two" / "b.parquet", {"image": [b"x"], "name": ["a"]})
    with pytest.raises(InputError, match=r"b\.parquet has no column 'label'"):
        load(tmp_path / "two")


def test_without_the_extra_the_install_line_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_parquet(tmp_path / "set.parquet", {"image": [b"x"], "label": ["a"]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install -c constraints.txt 'tenfold\[parquet\]'"):
        load(path)
