"""Names that break file systems, pages and spreadsheets, by the rows of the table of bad inputs."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from made_up_sets import SHORT
from tenfold.core.keys import Key
from tenfold.data.load import load
from tenfold.training.classifier import train_classifier
from tenfold.training.classifier_io import save_classifier
from tenfold.training.recipe import Recipe

Folders = Callable[..., Path]
ACCENTS = ["caf\u00e9", "cafe\u0301"]


@pytest.mark.parametrize(
    "name",
    ["../x.png", "a/../../x.png", "/etc/passwd", "C:\\x.png", "..\\x.png", "\\\\server\\x", "a/../a/000.png"],
)
def test_row_36_a_table_names_nothing_outside_its_folder(tenfold: Any, class_folders: Folders, name: str) -> None:
    root = class_folders({"a": 2, "b": 2})
    (root / "metadata.csv").write_text(f'file_name,label\na/000.png,a\n"{name}",a\nb/000.png,b\n')
    status, _, err = tenfold("check", "set")
    assert status == 2
    assert "metadata.csv line 3: " in err
    assert "leaves the data's folder; name files inside set" in err or "there is no file" in err


def grown_folders(tenfold: Any, class_folders: Folders, names: list[str]) -> dict[str, str]:
    """The folder that `grow` gives each class; the classes read back are those that went in."""
    class_folders(dict.fromkeys(names, 2))
    assert tenfold("grow", "set", "out", "--with", "classical", "--times", "1")[0] == 0
    text = Path("out/metadata.jsonl").read_bytes().decode("utf-8", "surrogateescape")
    lines = [json.loads(line) for line in text.splitlines()]
    folders = {line["label"]: line["file_name"].split("/")[0] for line in lines}
    status, _, err = tenfold("check", "out")
    assert status == 0, err
    assert set(load("out").class_names) == set(names) == folders.keys()
    assert all(Path("out", line["file_name"]).is_file() for line in lines)
    return folders


def test_row_37_and_38_folders_are_valid_and_distinct_on_every_system(tenfold: Any, class_folders: Folders) -> None:
    devices = ["CON", "nul.txt", "com1", "x" * 255, "\u732b" * 85, "a:b*c?", "end.", " space "]
    folders = grown_folders(tenfold, class_folders, [*devices, "Cat", "cat", *ACCENTS, "stra\u00dfe", "STRASSE"])
    slugs = list(folders.values())
    assert len({slug.casefold() for slug in slugs}) == len(slugs)
    assert not {slug.split(".")[0].lower() for slug in slugs} & {"con", "nul", "com1"}
    assert max(len(os.fsencode(slug)) for slug in slugs) <= 110
    assert not any(set(slug) & set('<>:"/\\|?*') or slug.strip(". ") != slug for slug in slugs)


def test_row_39_and_42_names_of_every_script_and_bytes_that_are_none_round_trip(
    tenfold: Any, class_folders: Folders
) -> None:
    kept = ["\u05e9\u05dc\u05d5\u05dd", "\U0001f600", "\u0642\u0637\u0629", "\u732b"]
    folders = grown_folders(tenfold, class_folders, [*kept, "new\nline", "car\rret", os.fsdecode(b"bad\xff\xfe")])
    assert {folders[name] for name in kept} == set(kept)
    status, out, _ = tenfold("check", "set")
    assert (status, "new line" in out, "new\nline" in out) == (0, True, False)
    assert set(json.loads(tenfold("check", "set", "--json")[1])["counts"]) >= {"new\nline", *kept}


def test_row_40_markup_in_a_name_is_inert_in_the_report(
    tenfold: Any, class_folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenfold.runs.plan.classifier_for", lambda study: SHORT)
    evil = "<script>alert(1)<\u2215script>"
    root = class_folders({evil: 4, '"><img src=x onerror=1>': 4}, Path(evil))
    (root / evil / "<b>.png").write_bytes(b"<svg onload=alert(1)>")
    study = ("--arms", "raw", "--repeats", "1", "--no-learning-curve", "--workers", "1", "--out", "study")
    assert tenfold("prove", evil, *study)[0] == 0
    page = Path("study/report.html").read_text()
    assert "&lt;script&gt;alert(1)" in page
    assert not any(word in page for word in ("<script>alert", "<img src=x", "<b>.png", "<svg onload"))


def test_row_41_and_42_cells_are_no_formulas_and_are_read_back(tenfold: Any, class_folders: Folders) -> None:
    names = ["=cmd|' /C calc'!A0", "@SUM(A1)", "+1", "-1", "\tx", 'q"u,o', "new\nline"]
    data = load(class_folders(dict.fromkeys(names, 2)))
    classifier = train_classifier(data, None, Recipe(), Key("names"), SHORT)
    save_classifier(Path("model/classifier.safetensors"), classifier, {})
    for name in names:
        status, out, err = tenfold("predict", "model", f"set/{name}")
        assert status == 0, err
        rows = list(csv.reader(io.StringIO(out, newline="")))
        assert len(rows) == 3
        assert {len(row) for row in rows} == {len(rows[0])}
        cells = [cell for row in rows for cell in row if not cell.replace(".", "").isdigit()]
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells), cells
