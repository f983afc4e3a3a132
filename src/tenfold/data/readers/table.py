"""A table of features as .csv or .tsv: a row an example, a column `label`, and all else numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import InputError, listed
from tenfold.data.columns import UNKNOWN, Meaning, clean, group_of, meaning_of, shown, spelled_alike
from tenfold.data.readers import Manifest, index_labels, metadata, role_of, studied_roles
from tenfold.data.tables import SUFFIXES, Csv

USUAL_LABELS = ("label", "class")
NOTHING: Mapping[str, str] = {}
LARGEST = 1e30
"""Beyond it the float32 that networks read has no room left for differences and squares."""

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Rows:
    """What a file of vectors holds."""

    values: Values
    """N x F."""
    sources: tuple[str, ...]
    feature_names: tuple[str, ...] = ()
    """F; empty where the columns have no names."""
    labels: Sequence[str] = ()
    """N where they are asked for."""
    groups: Sequence[str] = ()
    splits: Sequence[str] = ()
    columns: tuple[str, ...] = ()
    """What the columns were taken for, a sentence each."""
    warnings: tuple[str, ...] = ()


def reads(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in SUFFIXES


def read(path: Path, columns: Mapping[str, str] = NOTHING) -> Manifest:
    """The rows of a .csv or .tsv: a column of classes, maybe of groups, splits and names, else numbers.

    A table that lists images beside it, and holds more than numbers about them, is read as `metadata` reads it.

    Args:
        columns: what the columns for `file`, `label` and `group` are called, where it is not what tenfold knows.

    Raises:
        InputError: with the row and the column at fault.
    """
    table = Csv.opened(path)
    if metadata.lists_images(table, path.parent, columns):
        return metadata.read_listed(path, columns)
    rows = _read(table, meaning_of(table.names, columns, table.name))
    class_names, labels = index_labels(rows.labels)
    nothing = f"{path} has no row to study; write train into the column split"
    roles = studied_roles(rows.splits or ["train"] * len(labels), path.name, nothing)
    return Manifest(
        name=path.stem,
        class_names=class_names,
        labels=labels,
        sources=rows.sources,
        vectors=rows.values,
        roles=roles,
        groups=index_labels(rows.groups)[1],
        group_names=tuple(rows.groups),
        feature_names=rows.feature_names,
        roles_given_by_user=bool((roles != "train").any()),
        columns=rows.columns,
        warnings=rows.warnings,
    )


def read_vectors(path: Path, wanted: Sequence[str] = (), file_column: str | None = None) -> Rows:
    """The rows of a .csv or .tsv with a header, whose labels are not asked for.

    Args:
        file_column: the column that names the rows.
        wanted: the columns that are features; unless given, or none of them is there, all that mean nothing else.

    Raises:
        InputError: with the row and the column at fault.
    """
    table = Csv.opened(path)
    _require_named(table)
    asked = {} if file_column is None else {"file": file_column}
    meaning = meaning_of(table.names, asked, table.name, labelled=False)
    features = tuple(name for name in wanted if name in table.names) or meaning.rest
    values = _values(table, features)
    words = table.words(meaning.file) if meaning.file and meaning.file not in features else [""] * len(values)
    unused = [name for name in table.names if name not in (*features, meaning.file)]
    told = (f"columns not used: {listed(unused)}",) if unused else ()
    return Rows(values, _sources(table, list(map(clean, words))), features, columns=told)


def _read(table: Csv, meaning: Meaning) -> Rows:
    """All of a labelled table."""
    _require_named(table)
    if len(meaning.label) != 1:
        raise InputError(
            f"{table.name}: there is no column 'label' that names each row's class (columns: {shown(table.names)}); "
            "name it: --label-column NAME"
        )
    if not meaning.rest:
        raise InputError(
            f"{table.name}: there is no column of numbers beside {shown(table.names)}; if it lists images, none "
            "of them lies beside it"
        )
    label = meaning.label[0]
    raw = {name: table.words(name) for name in (label, meaning.file, meaning.split, *meaning.group) if name}
    words = {name: list(map(clean, cells)) for name, cells in raw.items()}
    group, warnings = group_of(
        {name: words[name] for name in meaning.group}, words[label], table.name, chosen=meaning.chosen
    )
    for what, name in (("label", label), ("group", group), ("source", meaning.file)):
        for row, word in enumerate(words[name] if name else ()):
            if word in UNKNOWN:
                said = f"is {word!r}, which names nothing" if word else "is blank"
                raise InputError(f"{table.where(row)}: {what} {said}; fill it in or remove the line")
    splits = ["train" if word in UNKNOWN else word for word in words[meaning.split]] if meaning.split else []
    for row, word in enumerate(splits):
        role_of(word, table.where(row))
    for what, name in (("classes", label), (f"entries of {group!r}", group)):
        warnings += spelled_alike(raw[name], what, table.name) if name else []
    told = [f"the column {label!r} names the class"] if label not in USUAL_LABELS else []
    if group:
        told.append(f"the column {group!r} is the group: {len(set(words[group])):,} of them, each in one fold")
    used = {label, group, meaning.file, meaning.split, *meaning.rest}
    if unused := [name for name in table.names if name not in used]:
        told.append(f"columns not used: {listed(unused)}")
    sources = _sources(table, words[meaning.file] if meaning.file else [""] * len(splits or words[label]))
    return Rows(
        _values(table, meaning.rest), sources, meaning.rest, words[label], words[group] if group else [], splits,
        tuple(told), (*table.warnings, *warnings),
    )  # fmt: skip


def _require_named(table: Csv) -> None:
    """Refuse what is no table of rows whose columns all have a name, and rows of another width."""
    if not table.names or not table.lines:
        raise InputError(
            f"{table.name} holds no rows; wanted a line with the names of the columns, then a line a row"
        )
    for column, name in enumerate(table.names, start=1):
        # What pandas calls the column of row numbers: it would tell the class wherever rows are sorted.
        if not name or name.startswith("Unnamed: "):
            raise InputError(f"{table.name}: column {column} has no name; name it, or leave it out if it counts rows")
    table.require_distinct_names()
    wide = len(table.names)
    for row, width in enumerate(table.widths):
        if width != wide:
            raise InputError(f"{table.where(row)}: {width} cells, but the header has {wide}; make them equal")


def _values(table: Csv, names: tuple[str, ...]) -> Values:
    return as_float32(
        table.numbers(names),
        lambda row, column: f"{table.name if row is None else table.where(row)}, column {names[column]!r}",
    )


def _sources(table: Csv, names: Sequence[str]) -> tuple[str, ...]:
    """The name of each row, or where it stands."""
    first: dict[str, int] = {}
    for name, line in zip(names, table.lines, strict=True):
        if name and first.setdefault(name, line) != line:
            raise InputError(
                f"{table.name} line {line}: {name!r} stands in line {first[name]} already; give each row a name "
                "of its own, and rows that belong together the same group"
            )
    return tuple(name or f"{table.name} line {line}" for name, line in zip(names, table.lines, strict=True))


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
