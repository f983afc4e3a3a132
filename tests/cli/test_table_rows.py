"""Tables that name files and patients wrongly, and grown sets as real ones, by the rows of bad inputs."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from made_up_sets import QUICK_CGAN

Folders = Callable[..., Path]
GOOD = ["a/000.png,a", "a/001.png,a", "b/000.png,b", "b/001.png,b"]


@pytest.fixture
def said(tenfold: Any, class_folders: Folders) -> Callable[..., str]:
    """What `check` says of a table with these lines beside two classes of three images: one line, exit status 2."""
    root = class_folders({"a": 3, "b": 3})

    def say(*lines: str, header: str = "file_name,label", name: str = "metadata.csv") -> str:
        (root / name).write_text("\n".join([header, *lines][name.endswith("l") :]) + "\n")
        status, _, err = tenfold("check", "set")
        (root / name).unlink()
        assert (status, err.count("\n")) == (2, 1), err
        return str(err)

    return say


@pytest.mark.parametrize("name", ["a/nope.png", "nope", "a", ".", "~/x.png", "a/000.png/x", "b/002.jpeg"])
def test_row_33_a_file_that_is_missing_is_named_with_its_line(said: Any, name: str) -> None:
    assert f"metadata.csv line 6: there is no file '{name}'" in said(*GOOD, f"{name},a")
    assert "'other.png' (line 7): 2 of 6 files are missing" in said(*GOOD, f"{name},a", "other.png,a")


@pytest.mark.parametrize(
    "again", ["a/000.png", "./a/000.png", "a//000.png", "a/./000.png", "a\\000.png", "A/000.PNG"]
)
def test_row_33_a_file_that_stands_twice_is_named_with_both_lines(said: Any, again: str) -> None:
    for label in "ab":
        message = said(*GOOD, f"{again},{label}")
        assert "metadata.csv line 6: 'a/000.png' stands in line 2 already; remove one of the two" in message
    lines = [json.dumps({"file_name": name, "label": "a"}) for name in ("a/000.png", "b/000.png", again)]
    assert "metadata.jsonl line 3: 'a/000.png' stands in line 1 already" in said(*lines, name="metadata.jsonl")


@pytest.mark.parametrize("blank", ["", "  ", "NaN", "n/a", "NULL"])
@pytest.mark.parametrize("column", ["patient_id", "Patient", "group", "subject no"])
def test_row_34_a_blank_patient_is_named_with_its_line(said: Any, column: str, blank: str) -> None:
    lines = ["a/000.png,a,p1", f"a/001.png,a,{blank}", "b/000.png,b,p2"]
    message = said(*lines, header=f"file_name,label,{column}")
    assert f"metadata.csv line 3: {column} is " in message
    assert "fill it in or leave the column out" in message
    rows = [{"file_name": "a/000.png", "label": "a", column: "p1"}, {"file_name": "b/000.png", "label": "b"}]
    for last in ({column: blank}, {column: None}, {}):
        told = said(json.dumps(rows[0]), json.dumps(rows[1] | last), name="metadata.jsonl")
        assert f"metadata.jsonl line 2: {column} is " in told


def zipped(root: Path) -> str:
    with zipfile.ZipFile(root.with_suffix(".zip"), "w") as archive:
        for path in sorted(root.rglob("*")):
            archive.write(path, path.relative_to(root))
    return root.with_suffix(".zip").name


def laid_out(grown: Path, layout: str) -> str:
    """The grown set as people hand it on: whole, without its metadata, under their own table, in other folders."""
    if layout == "in a split":
        shutil.copytree(grown, "parts/train")
        return "parts"
    if layout == "in a folder":
        shutil.copytree(grown, "outer/inner")
        return "outer"
    if layout == "zip":
        return zipped(grown)
    if layout == "whole":
        return str(grown)
    lines = [json.loads(line) for line in (grown / "metadata.jsonl").read_text().splitlines()]
    (grown / "metadata.jsonl").unlink()
    if layout == "own table":
        rows = [f"{line['file_name']},{line['label']}\n" for line in lines]
        (grown / "metadata.csv").write_text("file_name,label\n" + "".join(rows))
    return zipped(grown) if layout == "zip without metadata" else str(grown)


@pytest.mark.parametrize(
    "layout",
    ["whole", "zip", "zip without metadata", "without metadata", "own table", "in a split", "in a folder"],
)
def test_row_35_a_grown_set_is_no_set_of_real_images(tenfold: Any, class_folders: Folders, layout: str) -> None:
    class_folders({"a": 5, "b": 5})
    assert tenfold("grow", "set", "grown", "--with", QUICK_CGAN, "--times", "1", "--keep-copies")[0] == 0
    data = laid_out(Path("grown"), layout)
    for command in ("check DATA", "prove DATA", "grow DATA out --with classical", "prove set --test DATA"):
        status, _, err = tenfold(*command.replace("DATA", data).split())
        assert status == 2, command
        mends = ("give the original data", "unpack it and give the folder", "--class-folders")
        assert any(mend in err for mend in mends), err
    if layout == "in a folder":
        assert "Give outer/inner instead" in err


def test_row_35_images_that_were_turned_stay_beside_their_originals(tenfold: Any, class_folders: Folders) -> None:
    class_folders({"a": 5, "b": 5})
    assert tenfold("grow", "set", "grown", "--with", "classical", "--times", "1")[0] == 0
    status, out, _ = tenfold("check", "grown", "--json")
    assert (status, json.loads(out)["roles"]) == (0, {"train": 10, "grown": 10})
    (Path("grown/metadata.jsonl")).unlink()
    status, _, err = tenfold("check", "grown")
    assert status == 2
    assert "generated-00001.png was made by tenfold" in err
