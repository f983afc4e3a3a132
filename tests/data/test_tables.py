"""Tables in the forms that programs write; rows of the list of bad inputs go through the program."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from made_up_images import noise_image
from tenfold.cli import app
from tenfold.core.errors import InputError
from tenfold.data.columns import clean, meaning_of
from tenfold.data.tables import Csv, decoded, read_table
from tenfold.report.text import predictions_csv
from tenfold.verbs.predict import Prediction

COUNT = 12


def folder(root: Path, content: str | bytes, name: str = "metadata.csv") -> Path:
    """Twelve images 0.png .. 11.png and a table beside them."""
    root.mkdir(parents=True)
    for index in range(COUNT):
        Image.fromarray(noise_image(index)).save(root / f"{index}.png")
    (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def rows(*columns: Sequence[object], header: str = "file_name,label") -> str:
    return "\n".join([header, *(",".join(map(str, row)) for row in zip(*columns, strict=True))]) + "\n"


FILES = [f"{index}.png" for index in range(COUNT)]
LABELS = ["a", "b"] * (COUNT // 2)
PATIENTS = [index // 4 for index in range(COUNT)]


def check(*arguments: object) -> tuple[int, dict[str, Any], str]:
    """`tenfold check`: its status, what it found, and what it says where it refuses."""
    ran = CliRunner().invoke(app, ["check", *map(str, arguments), "--json"])
    return ran.exit_code, json.loads(ran.stdout) if ran.exit_code == 0 else {}, ran.stderr


@pytest.mark.parametrize(
    "name",
    ["patient", "Patient ID", "PATIENT_ID", "PatientID", "patient-no", "Subject", "subject id", "participant_id",
     "donor", "group_id", "Patienten-Nr.", "anon_patient_id", "pat_id", "MRN", "lesion_id", "caseID", "slide_id"],
)  # fmt: skip
def test_row_63_a_patient_in_any_spelling_is_the_group(tmp_path: Path, name: str) -> None:
    people = [f"P{patient}" for patient in PATIENTS]
    root = folder(tmp_path / "set", rows(FILES, LABELS, people, FILES, header=f"file_name,label,{name},note"))
    status, found, _ = check(root)
    assert status == 0
    assert found["columns"] == [
        f"the column {name!r} is the group: 3 of them, each in one fold",
        "columns not used: 'note'",
    ]
    assert found["columns"][0] in found["actions"]
    table = tmp_path / "vectors.csv"
    table.write_text(rows(LABELS, PATIENTS, range(COUNT), header=f"label,{name},x"))
    status, found, _ = check(table)
    assert (status, found["image_shape"]) == (0, [1, 1, 1])


@pytest.mark.parametrize("name", ["age", "patient_age", "age group", "site", "note", "patientsex", "treatment"])
def test_row_63_other_columns_are_named_and_are_no_group(tmp_path: Path, name: str) -> None:
    root = folder(tmp_path / "set", rows(FILES, LABELS, PATIENTS, header=f"file_name,label,{name}"))
    assert check(root)[1]["columns"] == [f"columns not used: {name!r}"]


def test_row_63_of_two_groups_the_coarser_counts_and_a_contradiction_is_asked_about(tmp_path: Path) -> None:
    header = "file_name,label,subject,patient"
    nested = folder(tmp_path / "nested", rows(FILES, LABELS, [i // 2 for i in range(COUNT)], PATIENTS, header=header))
    assert "'patient' is the group: 3" in check(nested)[1]["columns"][0]
    crossed = folder(
        tmp_path / "crossed", rows(FILES, LABELS, [i % 3 for i in range(COUNT)], PATIENTS, header=header)
    )
    status, _, said = check(crossed)
    assert (status, "--group-column" in said) == (2, True)
    assert "'subject' is the group: 3" in check(crossed, "--group-column", "subject")[1]["columns"][0]
    assert "group" not in check(crossed, "--group-column", "none")[1]["columns"][0]


def test_row_63_a_column_of_kinds_is_no_group(tmp_path: Path) -> None:
    root = folder(
        tmp_path / "set", rows(FILES, LABELS, ["mole", "wart", "scar"] * 4, header="file_name,label,lesion")
    )
    assert "'lesion' does not tell single ones apart" in check(root)[1]["warnings"][0]


def test_row_64_cells_that_say_the_same_are_one(tmp_path: Path) -> None:
    labels = ["caf\u00e9", "cafe\u0301 ", "1", "1.0"] * 3
    patients = ["7", "7.0", "8 ", "8"] * 3
    root = folder(tmp_path / "set", rows(FILES, labels, patients, header="file_name,label,patient"))
    status, found, _ = check(root)
    assert status == 0
    assert found["counts"] == {"1": 6, "caf\u00e9": 6}
    assert "2 of them" in found["columns"][0]
    assert sum("taken as one" in warning for warning in found["warnings"]) == 2
    cases = folder(tmp_path / "cases", rows(FILES, ["cat", "Cat"] * 6))
    assert any("case alone" in warning for warning in check(cases)[1]["warnings"])


@pytest.mark.parametrize("word", ["", " ", "NaN", "nan", "null", "NA", "N/A", "None", "\u00a0"])
@pytest.mark.parametrize("column", ["label", "patient"])
def test_row_65_what_says_nothing_is_refused_with_its_line(tmp_path: Path, word: str, column: str) -> None:
    labels, patients = list(LABELS), [f"p{i}" for i in range(COUNT)]
    (labels if column == "label" else patients)[3] = word
    root = folder(tmp_path / "set", rows(FILES, labels, patients, header="file_name,label,patient"))
    status, _, said = check(root)
    assert status == 2
    assert f"line 5: {column} is" in said
    table = tmp_path / "set.csv"
    table.write_text(rows(labels, patients, range(COUNT), header="label,patient,x"))
    assert "line 5: " in check(table)[2]
    lines = [json.dumps({"file_name": f, "label": None if i == 3 else "a"}) for i, f in enumerate(FILES)]
    assert "line 4: label is blank" in check(folder(tmp_path / "lines", "\n".join(lines), "metadata.jsonl"))[2]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_row_66_encodings(tmp_path: Path, encoding: str) -> None:
    root = folder(tmp_path / "set", rows(FILES, ["M\u00fcll", "b"] * 6).encode(encoding))
    assert check(root)[1]["counts"] == {"M\u00fcll": 6, "b": 6}


@pytest.mark.parametrize(
    ("word", "encoding"),
    [("\u043d\u043e\u0440\u043c\u0430", "cp1251"), ("\u826f\u6027", "gbk"), ("\u732b", "shift_jis"),
     ("caf\u00e9", "mac_roman"), ("\u0141\u00f3d\u017a", "cp1250"), ("M\u00fcll", "cp850")],
)  # fmt: skip
def test_row_66_an_encoding_in_doubt_is_refused_with_its_line(tmp_path: Path, word: str, encoding: str) -> None:
    root = folder(tmp_path / "set", rows(FILES, [word, "b"] * 6).encode(encoding))
    status, _, said = check(root)
    assert status == 2
    assert "metadata.csv line 2: not UTF-8" in said
    mixed = folder(
        tmp_path / "mixed", "file_name,label\n0.png,M\u00fcll\n".encode() + "1.png,M\u00fcll\n".encode("cp1252")
    )
    assert check(mixed)[0] == 2


def test_row_66_a_row_that_is_split_in_the_wrong_place_is_refused(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", "file_name,label\n0.png,a\n1.png,b, black\n")
    assert "line 3: 3 cells, but the header has 2" in check(root)[2]


def test_row_67_columns_under_other_names(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", rows(FILES, LABELS, PATIENTS, header="bild,was,wer"), "liste.csv")
    named = ("--file-column", "bild", "--label-column", "was", "--group-column", "wer")
    status, found, _ = check(root, *named)
    assert (status, found["counts"]) == (0, {"a": 6, "b": 6})
    assert len(found["columns"]) == 3
    status, _, said = check(root, "--file-column", "bild", "--label-column", "what")
    assert status == 2
    assert "no column 'what', which --label-column names (columns: bild, was, wer)" in said
    assert check(root / "liste.csv", *named)[1]["counts"] == {"a": 6, "b": 6}


def test_row_67_columns_of_0_and_1_and_names_without_extension(tmp_path: Path) -> None:
    one, other = ([int(label == name) for label in LABELS] for name in "ab")
    root = folder(tmp_path / "set", rows(range(COUNT), one, other, header="image_id,MEL,NV"))
    found = check(root)[1]
    assert found["counts"] == {"MEL": 6, "NV": 6}
    assert "'MEL', 'NV' of 0 and 1" in found["columns"][1]
    both = folder(tmp_path / "both", rows(range(COUNT), one, [1] * COUNT, header="image_id,MEL,NV"))
    assert "line 2: 2 of the columns 'MEL', 'NV' are 1" in check(both)[2]


def test_row_68_all_missing_files_are_counted(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", rows(["0.png", "x.png", "y.png", "1.png"], "abab"))
    status, _, said = check(root)
    assert status == 2
    assert "line 3: there is no file 'x.png'" in said
    assert "'y.png' (line 4): 2 of 4 files are missing" in said


def test_row_69_arrays(tmp_path: Path) -> None:
    images = noise_image("arrays", COUNT, 8, 8)
    labels = np.arange(COUNT) % 2
    np.savez(tmp_path / "bool.npz", images=images, labels=labels.astype(bool), class_names=["good", "bad"])
    assert check(tmp_path / "bool.npz")[1]["counts"] == {"good": 6, "bad": 6}
    np.savez(tmp_path / "unknown.npz", images=images, labels=labels - 1)
    assert "labels[0] is -1" in check(tmp_path / "unknown.npz")[2]
    np.savez(tmp_path / "named.npz", images=images, y=labels, Patient_ID=PATIENTS, age=labels)
    status, found, _ = check(tmp_path / "named.npz", "--label-column", "y")
    assert status == 0
    assert found["columns"] == ["the array 'Patient_ID' holds the groups: each in one fold", "arrays not used: 'age'"]


def test_row_70_images_that_no_row_names_are_counted(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", rows(FILES[:10], LABELS[:10]))
    assert "2 images are in no row of metadata.csv and not used, such as 10.png" in check(root)[1]["warnings"]


@pytest.mark.parametrize("name", ["a\rb.png", "a\nb.png", 'a"b.png', "a,b.png"])
def test_row_90_a_cell_that_is_written_is_one_cell_to_every_reader(tmp_path: Path, name: str) -> None:
    text = predictions_csv([Prediction(name, "x", 1.0, {"x": 1.0})])
    assert len(list(csv.reader(io.StringIO(text, newline="")))) == 2
    (tmp_path / "a.csv").write_bytes(text.encode())
    assert read_table(tmp_path / "a.csv").cells["file"] == [name]


def test_an_option_for_columns_where_there_are_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    assert "holds no table" in check(tmp_path / "set", "--label-column", "x")[2]


words = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=6)
cells = words.filter(lambda word: clean(word) == word)


SETTINGS = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SETTINGS
@given(
    st.lists(st.tuples(cells, cells), min_size=1, max_size=8),
    st.sampled_from(",;\t"), st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]), st.sampled_from(["", " ", "  "]), st.booleans(),
)  # fmt: skip
def test_any_table_reads_back(
    tmp_path: Path, pairs: list[tuple[str, str]], delimiter: str, end: str, encoding: str, space: str, first: bool
) -> None:
    text = io.StringIO()
    if first:
        text.write(f"sep={delimiter}{end}")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    writer.writerow(["file_name", "label"])
    writer.writerows([name, f"{label}{space}"] for name, label in pairs)
    path = tmp_path / "a.csv"
    path.write_bytes(text.getvalue().encode(encoding))
    table = read_table(path)
    assert table.names == ("file_name", "label")
    assert [clean(cell) for cell in table.cells["label"]] == [label for _, label in pairs]
    assert list(table.lines) == [number + 2 + first for number in range(len(pairs))]


@SETTINGS
@given(st.binary(max_size=200))
def test_no_bytes_are_more_than_refused(tmp_path: Path, content: bytes) -> None:
    for name in ("a.csv", "a.jsonl"):
        (tmp_path / name).write_bytes(content)
        try:
            text, _ = decoded(tmp_path / name)
            assert not any("\ud800" <= letter <= "\udfff" for letter in text)
            read_table(tmp_path / name)
        except InputError:
            pass


@given(st.sampled_from(["patient", "subject", "donor"]), st.sampled_from(["", "id", "no", "number"]),
       st.sampled_from(["", " ", "_", "-", "."]), st.sampled_from([str.upper, str.title, str.lower]))  # fmt: skip
def test_spellings_of_a_group(word: str, suffix: str, between: str, case: Any) -> None:
    name = case(f"{word}{between}{suffix}")
    assert meaning_of(["file_name", "label", name], {}, "t").group == (name,)


def test_numbers_are_read_exactly(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(50, 3)) * 10.0 ** np.arange(-150, 150, 100)
    (tmp_path / "a.csv").write_text("x,y,z\n" + "\n".join(",".join(map(repr, row)) for row in values.tolist()))
    assert np.array_equal(Csv.opened(tmp_path / "a.csv").numbers(["x", "y", "z"]), values)
