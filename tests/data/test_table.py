from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenfold.core.errors import InputError
from tenfold.data.load import load
from tenfold.data.readers.table import read_vectors


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_table_with_everything(tmp_path: Path) -> None:
    text = "id,x,label,patient,split,y\nr1,1.5,b,p,train,-2\nr2,1e3,a,q,,0\nr3,.5,b,p,reserve,7\n\nr4,9,a,s,test,1\n"
    data = load(write(tmp_path / "cells.csv", text))
    assert data.name == "cells"
    assert data.is_vectors
    assert data.images[:, :, 0, 0].tolist() == [[1.5, -2], [1000, 0], [0.5, 7], [9, 1]]
    assert data.feature_names == ("x", "y")
    assert data.class_names == ("a", "b")
    assert data.labels.tolist() == [1, 0, 1, 0]
    assert data.groups.tolist() == [0, 1, 0, 2]
    assert data.sources == ("r1", "r2", "r3", "r4")
    assert data.roles.tolist() == ["train", "train", "reserve", "test"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "label,x,y\n1,2,3\n0,5,6\n"),
        ("a.CSV", "\ufeff label , x ,y\r\n1, 2 ,3\r\n0,5,6\r\n"),
        ("a.csv", "label;x;y\n1;2;3\n0;5;6"),
        ("a.tsv", "label\tx\ty\n1\t2\t3\n\n0\t5\t6\n\n"),
        ("a.csv", '"x","y","class"\n2,3,"1"\n+5,"6.0",0\n'),
    ],
)
def test_separators_quotes_and_line_ends(tmp_path: Path, name: str, text: str) -> None:
    data = load(write(tmp_path / name, text))
    assert data.images[:, :, 0, 0].tolist() == [[2, 3], [5, 6]]
    assert (data.feature_names, data.class_names) == (("x", "y"), ("0", "1"))
    assert data.labels.tolist() == [1, 0]
    assert data.sources[0] == f"{name} line 2"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "holds no rows"),
        ("label,x\n", "holds no rows"),
        ("label,x\na,1\n", "a single row"),
        ("x,y\n1,2\n3,4\n", r"no column 'label' .*\(columns: x, y\)"),
        ("1,2\n3,4\n", "no column 'label'"),
        ("label\na\nb\n", "no column of numbers"),
        ("file_name,label\na.png,a\nb.png,b\n", "none of them lies beside it"),
        ("label,x\na,1\n,2\n", "line 3: label is blank"),
        ("label,x\na,1\n  ,2\n", "line 3: label is blank"),
        ("label,group,x\na,p,1\nb,,2\n", "line 3: group is blank"),
        ("label,id,x\na,p,1\nb,,2\n", "line 3: source is blank"),
        ("label,id,x\na,p,1\nb,q,2\nb,p,2\n", "line 4: 'p' stands in line 2 already"),
        ("label,split,x\na,train,1\nb,exam,2\n", "line 3: split 'exam' is not known"),
        ("label,split,x\na,test,1\nb,test,2\n", "no row to study"),
        ("label,x\na,1\nb,two\n", "line 3, column 'x': 'two' is not a number; write a number"),
        ("label,x\na,1\nb,\n", "line 3, column 'x': is blank; write a number"),
        ("label,x\na,1\nb,1_000\n", "'1_000' is not a number"),
        ("label;x\na;1\nb;2,5\n", "'2,5' is not a number"),
        ("label,x\na,1\nb,NA\n", "line 3, column 'x': 'NA' is not a number"),
        ("label,x\na,1\n\nb,nan\n", "line 4, column 'x': nan is not a finite number"),
        ("label,x\na,1\nb,-inf\n", "line 3, column 'x': -inf is not a finite number"),
        ("label,x\na,1\nb,1e400\n", "line 3, column 'x': inf is not a finite number"),
        ("label,x\na,1\nb,1e39\n", r"line 3, column 'x': 1e\+39 is beyond 1e\+30; rescale"),
        ("label,x\na,1700000000001\nb,1700000000002\n", "a.csv, column 'x': its values differ by less"),
        ("label,x,y\na,1,2\nb,1\n", "line 3: 2 cells, but the header has 3"),
        ("label,x,y\na,1,2\nb,1,2,3\n", "line 3: 4 cells, but the header has 3"),
        (",label,x\n0,a,1\n1,b,2\n", "column 1 has no name"),
        ("label,Unnamed: 0,x\na,0,1\nb,1,2\n", "column 2 has no name"),
        ("label,x,x\na,0,1\nb,1,2\n", "two columns are called 'x'"),
        ("label,class,x\na,0,1\nb,1,2\n", "'label' and 'class' mean the same"),
        ("label,patient,group,x\na,0,1,2\nb,1,1,3\na,1,1,4\n", "'patient', 'group' may each name the group"),
        ("label,x\na," + "1" * 200_000 + "\nb,2\n", "line 2, column 'x': inf is not a finite number"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        load(write(tmp_path / "a.csv", text))


def test_labels_are_not_asked_for_when_predicting(tmp_path: Path) -> None:
    rows = read_vectors(write(tmp_path / "a.csv", "x,label,split\n1,,exam\n2,a,\n"))
    assert rows.values.tolist() == [[1], [2]]
    rows = read_vectors(write(tmp_path / "b.csv", "x,id\n1,r\n2,\n"))
    assert rows.sources == ("r", "b.csv line 3")


def test_a_file_of_another_kind_names_what_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"or a \.csv"):
        load(write(tmp_path / "a.xlsx", "x"))


finite = st.floats(-(2.0**96), 2.0**96, width=32).filter(lambda value: value == 0 or abs(value) > 1e-30)
rows = st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(finite, min_size=width, max_size=width), min_size=2))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows)
def test_what_is_written_is_what_is_read(tmp_path: Path, values: list[list[float]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*(f"x{column}" for column in range(len(values[0]))), "label"])
    writer.writerows([*row, "ab"[index % 2]] for index, row in enumerate(values))
    data = load(write(tmp_path / "a.csv", text.getvalue()))
    assert np.array_equal(data.images[:, :, 0, 0], np.array(values, np.float32))
