"""Images that a table names, a row each: a file, a label, and where there are any a group and a split."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import InputError, listed
from tenfold.data.columns import UNKNOWN, Meaning, clean, group_of, key, meaning_of, shown, spelled_alike
from tenfold.data.decoding.pixels import DecodedImage
from tenfold.data.duplicates import component_numbers
from tenfold.data.readers import ROLES, Manifest, index_labels, read_file, role_of
from tenfold.data.readers.listed_files import FileNames, ListedFiles, listed_files
from tenfold.data.readers.walk import walk
from tenfold.data.tables import SUFFIXES, Csv, Table, read_table

TABLE_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.tsv")
TRUE_OR_FALSE = {"0": False, "1": True, "false": False, "true": True}
NOTHING: Mapping[str, str] = {}


def find_table(root: Path, *, of_any_name: bool = False) -> Path | None:
    """The table of a folder's images: its metadata file, or with `of_any_name` the only table that it holds.

    Raises:
        InputError: it has two metadata files, which might disagree.
    """
    tables = [root / name for name in TABLE_NAMES if (root / name).is_file()]
    if len(tables) > 1:
        raise InputError(f"{root} holds {tables[0].name} and {tables[1].name}; remove one of them")
    if of_any_name and not tables:
        tables = sorted(path for path in root.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
        if len(tables) > 1:
            raise InputError(
                f"{root} holds {tables[0].name} and {tables[1].name}; give the one that lists the images"
            )
    return tables[0] if tables else None


def reads(path: Path) -> bool:
    return path.is_dir() and find_table(path) is not None


def read(root: Path, columns: Mapping[str, str] = NOTHING) -> Manifest:
    """The images that a folder's table names, relative to the folder.

    Images that were made from single ones beside them get the role `grown`.

    Args:
        columns: what the columns for `file`, `label` and `group` are called, where it is not what tenfold knows.

    Raises:
        InputError: with the line at fault: a column is missing, a file is missing, named twice or outside the
            folder, a label or group is blank; or images were made by a network that has learned from all of them.
    """
    table = find_table(root)
    assert table is not None  # which `reads` has seen
    return read_listed(table, columns)


def read_listed(path: Path, columns: Mapping[str, str] = NOTHING) -> Manifest:
    """As `read`, of the images that lie beside a table."""
    root, table = path.parent, read_table(path)
    if not len(table):
        raise InputError(f"{table.name} holds no images; write a line a file under the names of the columns")
    meaning = meaning_of(table.names, columns, table.name)
    files = listed_files(root, table, meaning)
    return images_of(root, table, meaning, files, lambda index: read_file(root / files.names[index]))


def images_of(
    root: Path, table: Table, meaning: Meaning, files: ListedFiles, decode: Callable[[int], DecodedImage]
) -> Manifest:
    """The images that the rows of a table are about.

    Args:
        root: where they lie.
        files: their names, one a row.

    Raises:
        InputError: with the line at fault: a class or a group is missing or blank, a split is not known; or images
            were made by a network that has learned from all of them.
    """
    said = described(table, meaning, files.column)
    own = _Provenance.of(table, files.names)
    own.require_real(root)
    class_names, numbers = index_labels(said.labels)
    return Manifest(
        name=root.resolve().name,
        class_names=class_names,
        labels=numbers,
        sources=files.names,
        decode=decode,
        roles=np.where(own.generated, "grown", said.roles),
        groups=_numbered(said.groups, own),
        group_names=said.groups,
        roles_given_by_user=bool((said.roles != "train").any()),
        columns=() if own.known else said.columns,
        warnings=(*table.warnings, *said.warnings, *(() if own.known else files.unnamed)),
    )


@dataclass(frozen=True, eq=False)
class Described:
    """What the rows of a table say of their images."""

    labels: Sequence[str]
    """N names of classes."""
    groups: tuple[str, ...]
    """N names, or none."""
    roles: npt.NDArray[np.str_]
    """N of `Role`."""
    columns: tuple[str, ...]
    """What the columns were taken for, a sentence each."""
    warnings: tuple[str, ...]


def described(table: Table, meaning: Meaning, file: str) -> Described:
    """What a table says of the images that its column `file` names.

    Raises:
        InputError: with the line at fault: a class or a group is missing or blank, a split is not known.
    """
    labels, taken = _labels(table, meaning)
    group, warnings = _group(table, meaning, labels)
    roles, split = _roles(table, meaning)
    groups = () if group is None else tuple(clean(cell) for cell in table.cells[group])
    told = _told(table, file, taken, group, {file, group, split, *taken})
    return Described(labels, groups, roles, told, tuple(warnings))


def lists_images(csv: Csv, root: Path, columns: Mapping[str, str]) -> bool:
    """Whether a table names images that lie beside it, and holds more than numbers about them."""
    meaning = meaning_of(csv.names, columns, csv.name, labelled=False)
    if meaning.file is None or not csv.lines:
        return False
    first = {name: csv.words(name)[0] for name in csv.names if name}
    numbers = all(re.fullmatch(r"\s*[-+.\d][\d.eE+-]*\s*", first[name]) for name in meaning.rest)
    if meaning.rest and meaning.label and numbers:
        return False
    found = FileNames(walk(root).images)
    return any(found.of(clean(first[name])) for name in meaning.files)


def _labels(table: Table, meaning: Meaning) -> tuple[list[str], tuple[str, ...]]:
    """The class of each row, and the columns that say it: one of words, or several of 0 and 1 with a single 1."""
    columns = meaning.label
    if not columns:
        columns = tuple(name for name in meaning.rest if _is_true_or_false(table.cells[name]))
    if "origin" in table.cells and columns == ("label",):  # written by tenfold: a class may be called `nan`
        return [str(cell) for cell in table.cells["label"]], columns
    if len(columns) == 1 and meaning.label:
        labels = [clean(cell) for cell in table.cells[columns[0]]]
        _require_known(table, labels, columns[0], "fill it in or remove the line")
        return labels, columns
    if len(columns) < 2:
        raise InputError(
            f"{table.name}: there is no column 'label' (columns: {shown(table.names)}); name the column of classes: "
            "--label-column NAME"
        )
    marks = np.array(
        [[TRUE_OR_FALSE.get(clean(cell).lower(), False) for cell in table.cells[name]] for name in columns]
    )
    wrong = np.flatnonzero(marks.sum(axis=0) != 1)
    if len(wrong):
        count = int(marks[:, wrong[0]].sum())
        raise InputError(
            f"{table.where(int(wrong[0]))}: {count} of the columns {listed(columns, 6)} are 1, but an image has one "
            "class; correct it, or name the column or columns of classes: --label-column NAME,NAME"
        )
    return [columns[place] for place in marks.argmax(axis=0)], columns


def _is_true_or_false(cells: Sequence[object]) -> bool:
    return all(clean(cell).lower() in TRUE_OR_FALSE for cell in cells)


def _group(table: Table, meaning: Meaning, labels: Sequence[str]) -> tuple[str | None, list[str]]:
    candidates = {name: [clean(cell) for cell in table.cells[name]] for name in meaning.group}
    group, warnings = group_of(candidates, labels, table.name, chosen=meaning.chosen)
    if group is not None:
        _require_known(table, candidates[group], group, "fill it in or leave the column out")
        warnings += spelled_alike(table.cells[group], f"entries of {group!r}", table.name)
    for name in meaning.label[: len(meaning.label) == 1]:
        warnings += spelled_alike(table.cells[name], "classes", table.name)
    return group, warnings


def _require_known(table: Table, words: Sequence[str], column: str, mend: str) -> None:
    for row, word in enumerate(words):
        if word in UNKNOWN:
            said = f"is {word!r}, which names nothing" if word else "is blank"
            raise InputError(f"{table.where(row)}: {column} {said}; {mend}")


def _roles(table: Table, meaning: Meaning) -> tuple[npt.NDArray[np.str_], str | None]:
    """The role of each row, and the column that says it."""
    words = [clean(cell) for cell in table.cells[meaning.split]] if meaning.split else []
    words = ["train" if word in UNKNOWN else word for word in words]
    if meaning.split is None or (key(meaning.split) != "split" and not all(word.lower() in ROLES for word in words)):
        return np.full(len(table), "train"), None
    roles = [role_of(word, table.where(row)) for row, word in enumerate(words)]
    return np.array(roles, dtype=np.str_), meaning.split


def _told(
    table: Table, file: str, labels: Sequence[str], group: str | None, used: set[str | None]
) -> tuple[str, ...]:
    """What the columns were taken for, one sentence each, where their names do not say it."""
    sentences = [] if file == "file_name" else [f"the column {file!r} names the files"]
    if len(labels) > 1:
        sentences.append(f"the columns {listed(labels, 10)} of 0 and 1 are the classes")
    elif labels[0] != "label":
        sentences.append(f"the column {labels[0]!r} names the class")
    if group is not None:
        count = len({clean(cell) for cell in table.cells[group]})
        sentences.append(f"the column {group!r} is the group: {count:,} of them, each in one fold")
    if unused := [name for name in table.names if name not in used]:
        sentences.append(f"columns not used: {listed(unused)}")
    return tuple(sentences)


@dataclass(frozen=True)
class _Provenance:
    """Where images came from, in the metadata.jsonl of a set that was grown."""

    known: bool
    names: Sequence[str]
    generated: npt.NDArray[np.bool_]
    sources: Sequence[str | None]
    """What each was called before it was exported; parents are named by it."""
    parents: Sequence[Sequence[str]]

    @classmethod
    def of(cls, table: Table, names: Sequence[str]) -> _Provenance:
        nothing: list[Any] = [None] * len(table)
        origin, parents = (table.cells.get(name, nothing) for name in ("origin", "parents"))
        return cls(
            "origin" in table.cells,
            names,
            np.array([cell == "generated" for cell in origin], dtype=np.bool_),
            [None if cell is None else str(cell) for cell in table.cells.get("source", nothing)],
            [[str(one) for one in cell] if isinstance(cell, list) else [] for cell in parents],
        )

    def require_real(self, root: Path) -> None:
        """Refuse images made by a network that has learned from all others."""
        pairs = zip(self.names, self.sources, self.generated, strict=True)
        real = {name for file, source, made in pairs if not made for name in (file, source)}
        made = np.flatnonzero(self.generated)
        if orphans := sum(not real.intersection(self.parents[index]) for index in made.tolist()):
            raise InputError(
                f"{root} is a grown set: {orphans} of its images were made by a network that has learned from all "
                "others, or from images that are not here, so that none is left to judge by; give the original data"
            )


def _numbered(groups: Sequence[str], own: _Provenance) -> npt.NDArray[np.int64]:
    """One number a group; a generated image belongs to all its parents' groups, which makes them one."""
    where_from: dict[str, int] = {}
    links: list[tuple[int, int]] = []
    first_of_group: dict[str, int] = {}
    for index, name in enumerate(own.names):
        where_from.setdefault(name, index)
        source = own.sources[index]
        if source is not None and not own.generated[index]:
            where_from.setdefault(source, index)
    for index, group in enumerate(groups):
        links.append((first_of_group.setdefault(group, index), index))
    for index, parents in enumerate(own.parents):
        # Siblings whose parents are not here still meet in the first of them.
        links += [(where_from.setdefault(parent, index), index) for parent in parents]
    return component_numbers(len(own.names), links)
