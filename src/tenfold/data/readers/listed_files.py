"""Finds the files that a table names: with or without folders and extension, and in any form of Unicode."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tenfold.core.errors import InputError, listed
from tenfold.data.columns import UNKNOWN, Meaning, clean, shown
from tenfold.data.readers.walk import is_image_name, stays_inside, walk
from tenfold.data.tables import Table

MOST_LISTED = 5


@dataclass(frozen=True)
class ListedFiles:
    column: str
    names: tuple[str, ...]
    """N paths inside the folder."""
    unnamed: tuple[str, ...]
    """A warning of images that no row names, if there are any."""


@dataclass
class FileNames:
    """The images of a folder by what a table may call them: with or without their folders and their extension."""

    names: Sequence[str]
    ways: list[dict[str, list[str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for way in (
            str,
            lambda name: str(PurePosixPath(name).with_suffix("")),
            _last,
            lambda name: _last(name, True),
        ):
            by_name: dict[str, list[str]] = {}
            for name in self.names:
                by_name.setdefault(_form(way(name)), []).append(name)
            self.ways.append(by_name)
        self.exact = frozenset(self.names)

    def of(self, wanted: str) -> list[str]:
        """The files that are meant: none, one, or several where it is not clear."""
        if wanted in self.exact:
            return [wanted]
        wanted = _form(str(PurePosixPath(wanted.replace("\\", "/"))))  # also of ./x and a//x
        return next((found for by_name in self.ways if (found := by_name.get(wanted))), [])


def _last(name: str, bare: bool = False) -> str:
    path = PurePosixPath(name)
    return path.stem if bare else path.name


def _form(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def listed_files(root: Path, table: Table, meaning: Meaning) -> ListedFiles:
    """The file of each row, in the first of the columns that may name files whose first cell does."""
    if meaning.file is None:
        raise InputError(
            f"{table.name}: there is no column 'file_name' (columns: {shown(table.names)}); name the "
            "column of files: --file-column NAME"
        )
    images = walk(root).images
    known = FileNames(images)
    candidates = [name for name in meaning.files if len(table) and known.of(clean(table.cells[name][0]))]
    column = candidates[0] if candidates else meaning.file
    names: list[str] = []
    missing: list[int] = []
    row_of: dict[str, int] = {}
    for row, cell in enumerate(table.cells[column]):
        name = _file(root, cell, known, table.where(row), column)
        if name is None:
            missing.append(row)
            continue
        if (first := row_of.setdefault(name, row)) != row:
            raise InputError(
                f"{table.where(row)}: {name!r} stands in line {table.lines[first]} already; remove one of the two"
            )
        names.append(name)
    if missing:
        raise _missing(root, table, column, missing)
    left = [name for name in images if is_image_name(name) and name not in row_of]
    others = f"{len(left)} {'image is' if len(left) == 1 else 'images are'} in no row of {table.name} and not used"
    return ListedFiles(column, tuple(names), (f"{others}, such as {left[0]}",) if left else ())


def _file(root: Path, cell: object, known: FileNames, where: str, column: str) -> str | None:
    """The path of a row's file inside the folder; None where there is no such file."""
    text, written = clean(cell), str(cell)
    if text in UNKNOWN:
        raise InputError(f"{where}: {column} is blank; fill it in or remove the line")
    parts = re.split(r"[/\\]", text)
    if ".." in parts or Path(text).is_absolute() or re.match(r"[A-Za-z]:[/\\]", text) or "\0" in text:
        raise InputError(f"{where}: {text!r} leaves the data's folder; name files inside {root}")
    found = [written] if written in known.exact else known.of(text)
    if len(found) > 1:
        raise InputError(f"{where}: {text!r} may be {listed(found, 3)}; write the whole name")
    if found:
        return found[0]
    for name in (written, text):
        if (root / name).is_file():
            if not stays_inside(root / name, root):
                raise InputError(f"{where}: {name!r} is a link that leaves the data's folder; copy the file into it")
            return str(PurePosixPath(name))
    return None


def _missing(root: Path, table: Table, column: str, rows: Sequence[int]) -> InputError:
    first = f"{table.where(rows[0])}: there is no file {clean(table.cells[column][rows[0]])!r} in {root}"
    if len(rows) == 1:
        return InputError(f"{first}; correct the name or remove the line")
    others = [f"{clean(table.cells[column][row])!r} (line {table.lines[row]})" for row in rows[1 : 1 + MOST_LISTED]]
    more = ", ..." if len(rows) > 1 + MOST_LISTED else ""
    return InputError(
        f"{first}, nor {', '.join(others)}{more}: {len(rows):,} of {len(table):,} files are missing; correct their "
        "names or remove the lines"
    )
