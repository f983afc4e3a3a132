"""Shards of the library webdataset, read beside class folders of the same files."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_up_shards import files_of, write_tar

from tenfold.core.errors import InputError
from tenfold.data.audit import audit
from tenfold.data.load import load, load_unlabelled
from tenfold.data.readers import manifest_of

Folders = Callable[..., Path]


@pytest.mark.parametrize("kind", ["json", "cls", "txt"])
def test_the_fingerprint_is_that_of_class_folders(kind: str, class_folders: Folders, tmp_path: Path) -> None:
    folder, shards = class_folders({"cat": 4, "dog": 3, "eel": 4}), tmp_path / "shards"
    said = {
        "json": lambda label: json.dumps({"label": label}),
        "cls": lambda label: str(["cat", "dog", "eel"].index(label)),
        "txt": str,
    }[kind]
    samples = [
        (f"{number:04d}", {kind: said(label).encode(), "png": content})
        for number, (label, content) in enumerate(files_of(folder))
    ]
    for start in range(0, len(samples), 4):
        write_tar(shards / f"{start:03d}.tar", samples[start : start + 4])
    if kind == "cls":
        (shards / "classnames.txt").write_text("cat\ndog\neel\n")
    data = load(shards)
    assert data.fingerprint() == load(folder).fingerprint()
    assert data.sources[5] == "004.tar/0005.png"
    assert load(shards / "*.tar").fingerprint() == data.fingerprint()
    assert load(str(shards / "{000,004,008}.tar")).class_names == ("cat", "dog", "eel")
    assert len(load_unlabelled(shards / "000.tar")) == 4


def test_the_numbers_of_classes_stay_where_nothing_names_them(class_folders: Folders, tmp_path: Path) -> None:
    files = files_of(class_folders({"a": 2, "b": 2}))
    path = write_tar(tmp_path / "x.tar", [(str(n), {"cls": b"%d\n" % (9 + n % 2), "png": f}) for n, (_, f) in
                                          enumerate(files)])  # fmt: skip
    assert load(path).class_names == ("9", "10")


def test_bad_members_are_set_aside_as_files_of_a_folder_are(class_folders: Folders, tmp_path: Path) -> None:
    files = files_of(class_folders({"a": 3, "b": 3}))
    good = [(f"g{number}", {"cls": label.encode(), "png": content}) for number, (label, content) in enumerate(files)]
    bad = [
        ("empty", {"cls": b"a", "png": b""}),
        ("page", {"cls": b"a", "jpg": b"<!doctype html>"}),
        ("unlabelled", {"png": good[0][1]["png"]}),
        ("lonely", {"cls": b"a"}),
        ("torn", {"json": b'{"label":', "png": good[2][1]["png"]}),
        ("g1", {"cls": b"b", "png": good[1][1]["png"]}),
    ]
    path = write_tar(tmp_path / "set.tar", [*good, *bad])
    with tarfile.open(path, "a") as archive:
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    findings = audit(load(path))
    assert findings.images == 6
    reasons = {one.source: one.reason for one in findings.set_aside}
    assert "is damaged or no JSON" in reasons.pop("set.tar/torn.json")
    assert reasons == {
        "set.tar/torn.png": "nothing says of which class it is",
        "set.tar/empty.png": "empty file (0 bytes)",
        "set.tar/page.jpg": "a web page, not an image",
        "set.tar/unlabelled.png": "nothing says of which class it is",
        "set.tar/lonely": "no image lies beside what is said of it",
        "set.tar/g1": "stands in the shard already",
        "set.tar/link.png": "not a regular file, skipped",
    }
    assert "8 images that cannot be used: set aside and listed" in findings.actions


def test_fields_are_columns_and_the_test_shards_are_sealed(class_folders: Folders, tmp_path: Path) -> None:
    files = files_of(class_folders({"a": 6, "b": 6}))
    for part, chosen in (("train", files[::2]), ("test", files[1::2])):
        samples = [
            (f"{n}", {"json": json.dumps({"diagnosis": label, "patient_id": f"{part}{n // 2}"}).encode(), "png": f})
            for n, (label, f) in enumerate(chosen)
        ]
        write_tar(tmp_path / "cells" / f"{part}-00000.tar", samples)
    data = load(tmp_path / "cells")
    assert (len(data.part("train")), len(data.part("test"))) == (6, 6)
    assert len(set(data.part("train").groups.tolist())) == 3
    assert any("'patient_id' is the group" in sentence for sentence in data.columns)
    assert load(tmp_path / "cells", group_column="none").groups.tolist() == list(range(12))


def test_a_subset_decodes_only_what_it_uses(
    class_folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_of(class_folders({"a": 20, "b": 20}))
    path = write_tar(tmp_path / "x.tar", [(f"{n}", {"cls": c.encode(), "png": f}) for n, (c, f) in enumerate(files)])
    decoded: list[int] = []
    manifest = manifest_of(path)
    assert manifest.decode is not None
    assert np.array_equal(manifest.decode(25).pixels, load(path).images[25, 0])
    from tenfold.data.readers import webdataset

    real = webdataset.decode
    monkeypatch.setattr(webdataset, "decode", lambda *given: decoded.append(1) or real(*given))
    monkeypatch.setattr("tenfold.data.load.LARGEST_RESERVE", 4)
    assert len(load(path, per_class=3)) == 10
    assert len(decoded) == 10


def test_fields_without_end_and_fields_that_are_called_like_ours(tmp_path: Path) -> None:
    image = b"x"
    odd = [
        (f"{n}", {"json": json.dumps({f"field {n}": 1, "label": "a"}).encode(), "png": image}) for n in range(1001)
    ]
    with pytest.raises(InputError, match="more than 1,000 different fields"):
        manifest_of(write_tar(tmp_path / "odd.tar", odd))
    ours = [("1", {"json": json.dumps({"(image)": "y", "label": "a"}).encode(), "png": image})]
    assert manifest_of(write_tar(tmp_path / "ours.tar", ours)).sources == ("ours.tar/1.png",)
    some = [("1", {"cls": b"0", "png": image}), ("2", {"png": image})]
    (tmp_path / "classnames.txt").write_text("cat\n")
    assert manifest_of(write_tar(tmp_path / "some.tar", some)).class_names == ("cat",)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "unpack it"), (b"x" * 2000, "unpack it"), (b"\x1f\x8b" + b"x" * 600, "unpack it")],
)
def test_damaged_and_compressed_shards_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(InputError, match=message):
        load(tmp_path / "x.tar")


def test_a_shard_that_was_cut_is_named(class_folders: Folders, tmp_path: Path) -> None:
    files = files_of(class_folders({"a": 4, "b": 4}))
    path = write_tar(tmp_path / "x.tar", [(f"{n}", {"cls": c.encode(), "png": f}) for n, (c, f) in enumerate(files)])
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"x\.tar is no \.tar that can be read"):
        load(path)


def test_class_folders_in_a_tar_are_to_be_unpacked(class_folders: Folders, tmp_path: Path) -> None:
    folder = class_folders({"a": 2, "b": 2})
    with tarfile.open(tmp_path / "folder.tar", "w") as archive:
        archive.add(folder, "set")
    with pytest.raises(InputError, match="unpack it and give the folder"):
        load(tmp_path / "folder.tar")
