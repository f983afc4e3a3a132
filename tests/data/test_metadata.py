from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenfold.core.errors import InputError
from tenfold.data.load import load

Folders = Callable[..., Path]


@pytest.fixture
def root(class_folders: Folders) -> Path:
    """Four images in one folder, so that the labels come from the table alone."""
    return class_folders({"pictures": 4})


def csv_rows(*rows: str) -> str:
    return "\n".join(rows) + "\n"


def write_jsonl(root: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """A line for each image, numbered from 0, with this said of it."""
    lines = [json.dumps({"file_name": f"pictures/00{i}.png", **row}) for i, row in enumerate(rows)]
    (root / "metadata.jsonl").write_text("\n".join(lines))


def test_csv_with_groups_and_splits(root: Path) -> None:
    table = csv_rows(
        "file_name,label,group,split",
        "pictures/000.png,b,ann,train",
        "pictures/001.png,a,bob,validation",
        "pictures/002.png,b,ann,reserve",
        "pictures/003.png,a,eve,test",
    )
    (root / "metadata.csv").write_text("\ufeff" + table, "utf-8")
    dataset = load(root)
    assert dataset.class_names == ("a", "b")
    assert dataset.labels.tolist() == [1, 0, 1, 0]
    assert dataset.groups[0] == dataset.groups[2]
    assert len(set(dataset.groups)) == 3
    assert dataset.roles.tolist() == ["train", "train", "reserve", "test"]


def test_aliases_and_semicolons(root: Path) -> None:
    (root / "metadata.csv").write_text(
        csv_rows("file_name;class;patient", "pictures/000.png;a;7", "pictures/001.png;b;7")
    )
    dataset = load(root)
    assert dataset.class_names == ("a", "b")
    assert len(set(dataset.groups)) == 1


def test_jsonl(root: Path) -> None:
    write_jsonl(root, ({"label": i % 2, "group": i // 2} for i in range(4)))
    dataset = load(root)
    assert dataset.class_names == ("0", "1")
    assert dataset.groups.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["where,label", "pictures/000.png,a"], r"no column 'file_name' \(columns: where, label\); .* --file-column"),
        (["file_name,label", "pictures/000.png,"], "line 2: label is blank"),
        (["file_name,label", "pictures/000.png,a", "pictures/009.png,a"], "line 3: there is no file"),
        (["file_name,label", "pictures/000.png,a", "pictures/000.png,b"], "line 3: .* in line 2"),
        (
            ["file_name,label,patient", "pictures/000.png,a,7", "pictures/001.png,b, "],
            "line 3: patient is blank",
        ),
        (["file_name,label", "../secret.png,a"], "line 2: .* leaves the data's folder"),
        (["file_name,label", "/etc/hostname,a"], "line 2: .* leaves the data's folder"),
        (["file_name,label", r"C:\x.png,a"], "line 2: .* leaves the data's folder"),
        (["file_name,label,split", "pictures/000.png,a,later"], "line 2: split 'later'"),
        (["file_name,label"], "holds no images"),
    ],
)
def test_a_faulty_line_is_named(root: Path, rows: list[str], message: str) -> None:
    (root / "metadata.csv").write_text(csv_rows(*rows))
    with pytest.raises(InputError, match=message):
        load(root)


def test_invalid_json_names_its_line(root: Path) -> None:
    (root / "metadata.jsonl").write_text('{"file_name": "pictures/000.png", "label": "a"}\n{oops}\n')
    with pytest.raises(InputError, match="line 2 is damaged or no JSON"):
        load(root)


def test_half_a_letter_is_refused_as_it_cannot_be_written_again(root: Path) -> None:
    (root / "metadata.jsonl").write_text('{"file_name": "pictures/000.png", "label": "\\ud800"}\n')
    with pytest.raises(InputError, match="line 1 is damaged"):
        load(root)


CELLS = st.one_of(
    st.sampled_from(
        ["pictures/000.png", "001", "a", "b", "1", "1.0", "train", "NaN", "", "label", "file_name", "id"]
    ),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=4),
)


@given(
    st.lists(st.lists(CELLS, min_size=1, max_size=4), min_size=1, max_size=5),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_table_is_read_or_refused(
    root: Path, rows: list[list[str]], delimiter: str, encoding: str, end: str, usual: bool
) -> None:
    rows = [["file_name", "label"], ["pictures/000.png", "a"], *rows] if usual else rows
    content = end.join(delimiter.join(row) for row in rows)
    (root / "metadata.csv").write_bytes(content.encode(encoding))
    with suppress(InputError):
        assert len(load(root)) > 0


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["pictures/000.png", "a"]) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


NAMES = ("file_name", "label", "group", "split", "origin", "parents", "source")


@given(st.lists(st.dictionaries(st.sampled_from(NAMES), VALUES), min_size=1, max_size=3))
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_lines_of_json_are_read_or_refused(root: Path, records: list[dict[str, Any]]) -> None:
    usual = {"file_name": "pictures/001.png", "label": "a"}
    (root / "metadata.jsonl").write_text("".join(json.dumps(usual | record) + "\n" for record in records))
    with suppress(InputError):
        assert len(load(root)) > 0


def test_a_link_out_of_the_folder_is_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes((root / "pictures/000.png").read_bytes())
    (root / "pictures/link.png").symlink_to(tmp_path / "secret.png")
    (root / "metadata.csv").write_text(csv_rows("file_name,label", "pictures/link.png,a"))
    with pytest.raises(InputError, match="leaves the data's folder"):
        load(root)


def test_two_tables_are_refused(root: Path) -> None:
    for name in ("metadata.csv", "metadata.jsonl"):
        (root / name).write_text("")
    with pytest.raises(InputError, match="remove one of them"):
        load(root)


def test_made_images_are_grown_and_share_a_group_with_their_parents(root: Path) -> None:
    real = [{"label": "a", "origin": "real", "source": f"scan-{i}"} for i in (1, 2)]
    made = [{"label": "a", "origin": "generated", "parents": [of]} for of in ("scan-1", "pictures/001.png")]
    write_jsonl(root, real + made)
    data = load(root)
    assert data.groups.tolist() == [0, 1, 0, 1]
    assert data.roles.tolist() == ["train", "train", "grown", "grown"]


def test_siblings_without_their_parents_are_refused(root: Path) -> None:
    write_jsonl(root, ({"label": "a", "origin": "generated", "parents": [f"scan-{i % 2}"]} for i in range(4)))
    with pytest.raises(InputError, match="4 of its images"):
        load(root)
