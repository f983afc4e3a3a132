"""A table of features as .csv or .tsv: a row an example, a column `label`, and all else numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import InputError
from tenfold.data.readers import Manifest, index_labels, read_text, role_of, studied_roles

SUFFIXES = (".csv", ".tsv")
MEANINGS = {
    "label": ("label", "class"),
    "group": ("group", "patient", "subject"),
    "split": ("split",),
    "source": ("file_name", "id"),
}
"""The columns of a table that are no features, each by the names that it may have."""
MOST_NAMED = 8
LARGEST = 1e30
"""Beyond it the float32 that networks read has no room left for differences and squares."""

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Rows:
    """What a file of vectors holds, before anything is made of its labels."""

    values: Values
    """N x F."""
    sources: tuple[str, ...]
    feature_names: tuple[str, ...] = ()
    """F; empty where the columns have no names."""
    words: Mapping[str, list[str]] | None = None
    """The columns that are no features, by what they mean: {"label": [...]}; None for an .npz."""


def reads(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in SUFFIXES


def read(path: Path) -> Manifest:
    """The rows of a .csv or .tsv: a column `label`, maybe `group`, `split` and `file_name` or `id`, else numbers.

    Raises:
        InputError: with the row and the column at fault.
    """
    rows = read_vectors(path)
    words = rows.words or {}
    class_names, labels = index_labels(words["label"])
    split = words.get("split", [""] * len(labels))
    nothing = f"{path} has no row to study; write train into the column split"
    roles = studied_roles((word or "train" for word in split), path.name, nothing)
    groups = words.get("group", [])
    return Manifest(
        name=path.stem,
        class_names=class_names,
        labels=labels,
        sources=rows.sources,
        vectors=rows.values,
        roles=roles,
        groups=index_labels(groups)[1],
        group_names=tuple(groups),
        feature_names=rows.feature_names,
        roles_given_by_user=bool((roles != "train").any()),
    )


def read_vectors(path: Path, *, labelled: bool = True) -> Rows:
    """The rows of a .csv or .tsv with a header; `labelled` tables must have a column `label`.

    Raises:
        InputError: with the row and the column at fault.
    """
    lines = csv_lines(path)
    if len(lines) < 2:
        raise InputError(f"{path} holds no rows; wanted a line with the names of the columns, then a line a row")
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


def csv_lines(path: Path) -> list[tuple[int, list[str]]]:
    """The header and every row, each with its line number; cells between tabs, commas or semicolons, as the first
    line has them. Empty lines are passed over.

    Raises:
        InputError: the file cannot be read, or a line is no CSV.
    """
    text = read_text(path)
    first = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = next((mark for mark in "\t,;" if mark in first), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        return [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        raise InputError(f"{path.name} line {reader.line_num}: not valid CSV ({error})") from error


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
            f"{path.name}: there is no column of numbers beside {shown}; if it lists images, call it metadata.csv "
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


def in_order(values: Values, names: Sequence[str], wanted: Sequence[str], count: int, what: str) -> Values:
    """N x F (x 1 x 1) with the columns in the order `wanted`; as they are where one of the two has no names.

    Raises:
        InputError: there are not `count` columns, or one that is wanted is missing.
    """
    missing = [name for name in wanted if name not in names] if names else []
    hint = f" (there is no column {missing[0]!r})" if missing else ""
    if values.shape[1] != count:
        raise InputError(
            f"{what} has {values.shape[1]} features where {count} are wanted{hint}; give the same columns"
        )
    if missing:
        raise InputError(f"{what} has no column {missing[0]!r}; name the columns as they were named in training")
    return values[:, [list(names).index(name) for name in wanted]] if names and wanted else values


def as_float32(values: npt.NDArray[Any], where: Callable[[int | None, int], str]) -> Values:
    """The values as networks read them; `where` names a cell, or with None a whole column.

    Raises:
        InputError: one is NaN, infinite or too large, or a column loses all that it tells.
    """
    exact = values if values.dtype == np.float32 else values.astype(np.float64)
    usable = np.abs(exact) <= LARGEST
    if not usable.all():
        row, column = (int(place) for place in np.argwhere(~usable)[0])
        value = float(exact[row, column])
        fault = f"beyond {LARGEST:g}; rescale it" if np.isfinite(value) else "not a finite number; fill it in"
        raise InputError(f"{where(row, column)}: {value:g} is {fault}, or leave the row or the column out")
    kept: Values = exact.astype(np.float32) + np.float32(0)  # -0 becomes 0, so that equal rows are equal bytes
    lost = (exact != exact[:1]).any(axis=0) & (kept == kept[:1]).all(axis=0)
    if lost.any():
        raise InputError(
            f"{where(None, int(np.argmax(lost)))}: its values differ by less than the 7 digits that are kept can "
            "tell; subtract their mean, or rescale them"
        )
    return kept
