"""A table of features as .csv or .tsv: a row an example, a column `label`, and all else numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tenfold.core.errors import InputError
from tenfold.data.listing import Listing, index_labels
from tenfold.data.roles import role_of
from tenfold.data.vectors import Rows, as_float32, list_vectors

TABLE_SUFFIXES = (".csv", ".tsv")
MEANINGS = {
    "label": ("label", "class"),
    "group": ("group", "patient", "subject"),
    "split": ("split",),
    "source": ("file_name", "id"),
}
"""The columns of a table that are no features, each by the names that it may have."""
MOST_NAMED = 8


def list_table_of_features(path: Path) -> Listing:
    """The rows of a .csv or .tsv: a column `label`, maybe `group`, `split` and `file_name` or `id`, else numbers.

    Raises:
        InputError: with the row and the column at fault.
    """
    rows = read_table(path)
    words = rows.words or {}
    class_names, labels = index_labels(words["label"])
    roles = np.array([role_of(word or "train", path.name) for word in words.get("split", [""] * len(labels))])
    if not (roles == "train").any():
        raise InputError(f"{path} has no row to study; write train into the column split")
    groups = index_labels(words["group"])[1] if "group" in words else None
    return list_vectors(path.stem, rows, class_names, labels, roles, groups)


def read_table(path: Path, *, labelled: bool = True) -> Rows:
    """The rows of a .csv or .tsv with a header; `labelled` tables must have a column `label`.

    Raises:
        InputError: with the row and the column at fault.
    """
    lines = _lines(path)
    header = _header(path, [name.strip() for name in lines[0][1]], labelled)
    numbers: list[list[float]] = []
    words: dict[str, list[str]] = {meaning: [] for meaning in header.words}
    for line, cells in lines[1:]:
        where = f"{path.name} line {line}"
        if len(cells) != header.width:
            raise InputError(f"{where}: {len(cells)} cells, but the header has {header.width}; make them equal")
        for meaning, column in header.words.items():
            word = cells[column].strip()
            if not word and meaning != "split" and labelled:
                raise InputError(f"{where}: {meaning} is blank; fill it in or remove the line")
            if meaning == "split" and labelled:
                role_of(word or "train", where)  # here, where the line is known
            words[meaning].append(word)
        numbers.append([_number(cells[column], where, name) for name, column in header.features.items()])
    names, line_of = tuple(header.features), [line for line, _ in lines[1:]]
    values = as_float32(
        np.array(numbers, dtype=np.float64),
        lambda row, column: f"{path.name}{'' if row is None else f' line {line_of[row]}'}, column {names[column]!r}",
    )
    sources = words.get("source", [""] * len(line_of))
    _reject_twins(path, sources, line_of)
    sources = [source or f"{path.name} line {line}" for source, line in zip(sources, line_of, strict=True)]
    return Rows(values, tuple(sources), names, words)


@dataclass(frozen=True)
class _Header:
    width: int
    words: dict[str, int]
    """Columns that are no features: what they mean, and where they stand."""
    features: dict[str, int]


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """The header and every row, each with its line number; empty lines are passed over."""
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; give it read permission") from error
    first = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = next((mark for mark in "\t,;" if mark in first), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        lines = [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        raise InputError(f"{path.name} line {reader.line_num}: not valid CSV ({error})") from error
    if len(lines) < 2:
        raise InputError(f"{path} holds no rows; wanted a line with the names of the columns, then a line a row")
    return lines


def _header(path: Path, names: list[str], labelled: bool) -> _Header:
    for column, name in enumerate(names, start=1):
        # What pandas calls the column of row numbers: it would tell the class wherever rows are sorted.
        if not name or name.startswith("Unnamed: "):
            raise InputError(f"{path.name}: column {column} has no name; name it, or leave it out if it counts rows")
        if name in names[: column - 1]:
            raise InputError(f"{path.name}: two columns are called {name!r}; rename or remove one of them")
    words = {}
    for meaning, spellings in MEANINGS.items():
        present = [name for name in spellings if name in names]
        if len(present) > 1:
            both = " and ".join(map(repr, present))
            raise InputError(f"{path.name}: the columns {both} mean the same ({meaning}); leave one of them out")
        if present:
            words[meaning] = names.index(present[0])
    shown = ", ".join(names[:MOST_NAMED]) + (", ..." if len(names) > MOST_NAMED else "")
    if labelled and "label" not in words:
        raise InputError(f"{path.name}: there is no column 'label' that names each row's class (columns: {shown})")
    features = {name: column for column, name in enumerate(names) if column not in words.values()}
    if not features:
        raise InputError(
            f"{path.name}: there is no column of numbers beside {shown}; if it lists pictures, call it metadata.csv "
            "and give the folder that holds it"
        )
    return _Header(len(names), words, features)


def _number(cell: str, where: str, name: str) -> float:
    try:
        if "_" in cell:  # which Python reads as part of a number
            raise ValueError
        return float(cell)
    except ValueError:
        said = "is blank" if not cell.strip() else f"{cell.strip()!r} is not a number"
        raise InputError(
            f"{where}, column {name!r}: {said}; write a number such as 0.5 (categories as columns of 0 and 1), "
            "or leave the row or the column out"
        ) from None


def _reject_twins(path: Path, sources: Sequence[str], line_of: Sequence[int]) -> None:
    first: dict[str, int] = {}
    for source, line in zip(sources, line_of, strict=True):
        if source and first.setdefault(source, line) != line:
            raise InputError(
                f"{path.name} line {line}: {source!r} stands in line {first[source]} already; give each row a name "
                "of its own, and rows that belong together the same group"
            )
