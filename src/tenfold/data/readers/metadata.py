"""A folder with metadata.csv or metadata.jsonl: file_name, label, optional group, optional split."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import InputError
from tenfold.core.types import Role
from tenfold.data.duplicates import component_numbers
from tenfold.data.readers import Manifest, index_labels, read_file, read_text, role_of
from tenfold.data.readers.table import csv_lines
from tenfold.data.readers.walk import stays_inside

TABLE_NAMES = ("metadata.csv", "metadata.jsonl")
ALIASES = {"class": "label", "patient": "group", "subject": "group"}


@dataclass(frozen=True)
class _Row:
    file_name: str
    label: str
    group: str | None
    role: Role
    generated: bool
    source: str | None
    """Where the image came from before it was exported; parents are named by it."""
    parents: tuple[str, ...]


def find_table(root: Path) -> Path | None:
    """The folder's metadata file, if it has one.

    Raises:
        InputError: it has two, which might disagree.
    """
    tables = [root / name for name in TABLE_NAMES if (root / name).is_file()]
    if len(tables) > 1:
        raise InputError(f"{root} holds metadata.csv and metadata.jsonl; remove one of them")
    return tables[0] if tables else None


def reads(path: Path) -> bool:
    return path.is_dir() and find_table(path) is not None


def read(root: Path) -> Manifest:
    """The images that a folder's metadata file names, relative to the folder.

    Images that were made from single ones beside them get the role `grown`.

    Raises:
        InputError: with the line at fault: a column is missing, a file is missing, named twice or outside the
            folder, a label or group is blank; or images were made by a network that has learned from all of them.
    """
    table = find_table(root)
    assert table is not None  # which `reads` has seen
    rows = _rows(root, table)
    real = {name for row in rows if not row.generated for name in (row.file_name, row.source)}
    orphans = sum(row.generated and not real.intersection(row.parents) for row in rows)
    if orphans:
        raise InputError(
            f"{root} is a grown set: {orphans} of its images were made by a network that has learned from all "
            "others, or from images that are not here, so that none is left to judge by; give the original data"
        )
    class_names, labels = index_labels([row.label for row in rows])
    return Manifest(
        name=root.resolve().name,
        class_names=class_names,
        labels=labels,
        sources=tuple(row.file_name for row in rows),
        decode=lambda index: read_file(root / rows[index].file_name),
        roles=np.array(["grown" if row.generated else row.role for row in rows], dtype=np.str_),
        groups=_groups(rows),
        group_names=tuple(row.group.strip() for row in rows if row.group is not None),
        roles_given_by_user=any(row.role != "train" for row in rows),
    )


def _rows(root: Path, table: Path) -> list[_Row]:
    rows: list[_Row] = []
    line_of: dict[str, int] = {}
    for line, record in _records(table):
        where = f"{table.name} line {line}"
        row = _row(record, where)
        _check_file(root, row.file_name, where)
        if row.file_name in line_of:
            raise InputError(
                f"{where}: {row.file_name!r} stands in line {line_of[row.file_name]} already; remove one of the two"
            )
        line_of[row.file_name] = line
        rows.append(row)
    without_group = [row.file_name for row in rows if row.group is None]
    if 0 < len(without_group) < len(rows):
        line = line_of[without_group[0]]
        raise InputError(f"{table.name} line {line}: group is missing; fill it in or leave the column out")
    return rows


def _records(table: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each row by the names of its columns, with its line number."""
    if table.suffix == ".csv":
        (_, header), *lines = csv_lines(table) or [(0, [])]
        names = [name.strip() for name in header]
        for line, cells in lines:
            yield line, dict(zip(names, [*cells, *[""] * len(names)], strict=False))
        return
    for line, content in enumerate(read_text(table).split("\n"), start=1):
        if not content.strip():
            continue
        try:
            record = json.loads(content)
        except ValueError as error:
            raise InputError(f"{table.name} line {line}: not valid JSON ({error})") from error
        if not isinstance(record, dict):
            raise InputError(f"{table.name} line {line}: wanted an object with file_name and label")
        yield line, record


def _row(record: Mapping[str, Any], where: str) -> _Row:
    for alias, column in ALIASES.items():
        if alias in record and column not in record:
            record = {**record, column: record[alias]}
    for column in ("file_name", "label"):
        if column not in record:
            raise InputError(f"{where}: there is no column {column!r} (columns: {', '.join(record)})")
        if _text(record[column]) is None:
            raise InputError(f"{where}: {column} is blank; fill it in or remove the line")
    if "group" in record and _text(record["group"]) is None:
        raise InputError(f"{where}: group is blank; fill it in or leave the column out")
    parents = record.get("parents") or []
    return _Row(
        file_name=str(record["file_name"]),
        label=str(record["label"]),
        group=_text(record.get("group")),
        role=role_of(_text(record.get("split")) or "train", where),
        generated=record.get("origin") == "generated",
        source=_text(record.get("source")),
        parents=tuple(map(str, parents)) if isinstance(parents, list) else (),
    )


def _text(value: object) -> str | None:
    """A cell's text; None when there is nothing in it."""
    return None if value is None or not str(value).strip() else str(value)


def _check_file(root: Path, name: str, where: str) -> None:
    parts = re.split(r"[/\\]", name)
    if ".." in parts or Path(name).is_absolute() or re.match(r"[A-Za-z]:[/\\]", name) or "\0" in name:
        raise InputError(f"{where}: {name!r} leaves the data's folder; name files inside {root}")
    path = root / name
    if not stays_inside(path, root):
        raise InputError(f"{where}: {name!r} is a link that leaves the data's folder; copy the file into it")
    if not path.is_file():
        raise InputError(f"{where}: there is no file {name!r} in {root}; correct the name or remove the line")


def _groups(rows: Sequence[_Row]) -> npt.NDArray[np.int64]:
    """One number a group; a generated image belongs to all its parents' groups, which makes them one."""
    where_from: dict[str, int] = {}
    links: list[tuple[int, int]] = []
    first_of_group: dict[str, int] = {}
    for index, row in enumerate(rows):
        where_from.setdefault(row.file_name, index)
        if row.source is not None and not row.generated:
            where_from.setdefault(row.source, index)
    for index, row in enumerate(rows):
        if row.group is not None:
            links.append((first_of_group.setdefault(row.group, index), index))
        # Siblings whose parents are not here still meet in the first of them.
        links += [(where_from.setdefault(parent, index), index) for parent in row.parents]
    return component_numbers(len(rows), links)
