"""What sets in shards share: which files they are made of, and what becomes of the samples that these hold.

DATA is one file, a folder of them, or a pattern such as `train-{000..127}.tar`.
"""

from __future__ import annotations

import glob
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, product
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import InputError
from tenfold.core.types import SetAside
from tenfold.data.columns import UNKNOWN, Meaning, clean, meaning_of
from tenfold.data.decoding.pixels import DecodedImage
from tenfold.data.readers import ROLES, UNLABELLED, Manifest, metadata
from tenfold.data.readers.listed_files import ListedFiles
from tenfold.data.readers.walk import is_clutter, is_image_name
from tenfold.data.tables import Table
from tenfold.data.value_range import ranges_beside

PARQUET, TAR = ".parquet", ".tar"
IMAGE, SPLIT = "(image)", "split"
"""Columns of the table of samples: the name of each image, and the part of the data that its file belongs to."""
NO_LABEL = "nothing says of which class it is"
MOST_FILES = 1_000_000
"""That braces may name."""
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d{1,9})\.\.(\d{1,9})")
_WORDS = re.compile(r"[^A-Za-z]+")


@dataclass(frozen=True)
class Shards:
    """The files of a set, in the order of their names."""

    root: Path
    """The folder in which all of them lie."""
    paths: tuple[Path, ...]

    @property
    def name(self) -> str:
        """Of the set."""
        return self.paths[0].stem if len(self.paths) == 1 else self.root.resolve().name

    @property
    def names(self) -> tuple[str, ...]:
        """Of the files, relative to the folder."""
        return tuple(path.relative_to(self.root).as_posix() for path in self.paths)

    @property
    def splits(self) -> tuple[str, ...]:
        """The part of the data that each file's name or folder names, such as `test`; else `train`.

        Where no name says `train`, `test` and the like are no parts: somebody named these files alone to study them.
        """
        words = [[word.lower() for word in _WORDS.split(name)] for name in self.names]
        parts = [next((word for word in of if word in ROLES), "train") for of in words]
        return tuple(parts if any(ROLES[part] == "train" for part in parts) else ["train"] * len(parts))


def shards_at(path: Path, suffix: str) -> Shards | None:
    """The shards that a path means, whose names end in `suffix` (".tar"); None where it means something else.

    A folder is one of shards where it holds no images beside them.
    """
    if path.is_file():
        return Shards(path.parent, (path,)) if path.suffix.lower() == suffix else None
    found = _in_folder(path, suffix) if path.is_dir() else matching(str(path))
    if not found or any(one.suffix.lower() != suffix for one in found):
        return None
    root = path if path.is_dir() else Path(os.path.commonpath([one.parent for one in found]))
    return Shards(root, tuple(sorted(found)))


def holds_shards(path: Path) -> bool:
    return any(shards_at(path, suffix) is not None for suffix in (PARQUET, TAR))


def matching(pattern: str) -> list[Path]:
    """The files that a pattern of *, ?, [] and {} names.

    Raises:
        InputError: one that braces name is not there, or they name too many.
    """
    found: list[Path] = []
    for name in _without_braces(pattern):
        files = sorted(glob.glob(name)) if glob.has_magic(name) else [name]
        if "{" in pattern and not all(map(os.path.isfile, files)):
            raise InputError(f"{pattern}: there is no file {name}; correct the range or fetch what is missing")
        found += [Path(file) for file in files if os.path.isfile(file)]
    return found


def _without_braces(pattern: str) -> list[str]:
    """`a-{00..02}` as a-00, a-01 and a-02, `{a,b}` as a and b."""
    texts = _BRACES.split(pattern)[::2]
    choices = [_choices(inside) for inside in _BRACES.findall(pattern)]
    if (count := math.prod(map(len, choices))) > MOST_FILES:
        raise InputError(f"{pattern} names {count:,} files; name fewer")
    return ["".join(chain(*zip(texts, (*chosen, ""), strict=True))) for chosen in product(*choices)]


def _choices(inside: str) -> Sequence[str]:
    if (numbers := _RANGE.fullmatch(inside)) is None:
        return inside.split(",")
    first, last = (int(number) for number in numbers.groups())
    width = len(numbers[1]) if numbers[1].startswith("0") else 0
    return [f"{number:0{width}d}" for number in range(first, min(last, first + MOST_FILES) + 1)]


def _in_folder(root: Path, suffix: str) -> list[Path]:
    """Nothing from where the first image is met: a folder of images is seen as one at once, however large it is."""
    found: list[Path] = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not is_clutter(name))
        names = [name for name in names if not is_clutter(name)]
        if any(map(is_image_name, names)):
            return []
        found += [Path(folder, name) for name in names if name.lower().endswith(suffix)]
    return found


def samples(
    shards: Shards, table: Table, asked: Mapping[str, str], decode: Callable[[int], DecodedImage]
) -> Manifest:
    """The images of which each row of a table tells; those whose label is missing are set aside.

    Args:
        table: with the name of each row's image in the column `IMAGE`.
        asked: what the columns for `label` and `group` are called, where it is not what tenfold knows.
        decode: image i of the table.

    Raises:
        InputError: no image has a label; or as for a table of files.
    """
    meaning = meaning_of(table.names, {**asked, "file": IMAGE}, shards.name)
    rows = _labelled(table, meaning)
    if not len(rows):
        raise InputError(f"{shards.root}: of none of the {len(table):,} images in {shards.name} the class is known")
    names = table.cells[IMAGE]
    without = np.setdiff1d(np.arange(len(table)), rows).tolist()
    if without:
        cells = {name: [column[row] for row in rows] for name, column in table.cells.items()}
        table = Table(table.name, table.names, [table.lines[row] for row in rows], cells, table.warnings)
    files = ListedFiles(IMAGE, tuple(table.cells[IMAGE]), ())
    manifest = metadata.images_of(shards.root, table, meaning, files, lambda index: decode(int(rows[index])))
    return replace(
        manifest,
        name=shards.name,
        set_aside=tuple(SetAside(names[row], NO_LABEL) for row in without),
        columns=tuple(sentence for sentence in manifest.columns if IMAGE not in sentence),
        value_ranges=ranges_beside(shards.root),
    )


def unlabelled(shards: Shards, table: Table, decode: Callable[[int], DecodedImage]) -> Manifest:
    """All images, whatever is said of them."""
    splits = table.cells.get(SPLIT, ["train"] * len(table))
    roles = np.array([ROLES.get(str(split).lower(), "train") for split in splits], np.str_)
    labels = np.zeros(len(table), np.int64)
    return Manifest(shards.name, (UNLABELLED,), labels, tuple(table.cells[IMAGE]), decode, roles=roles)


def _labelled(table: Table, meaning: Meaning) -> npt.NDArray[np.int64]:
    if len(meaning.label) != 1:
        return np.arange(len(table))
    made_by_tenfold = "origin" in table.cells  # where a class may be called `nan`
    cells = table.cells[meaning.label[0]]
    known = [cell is not None and (made_by_tenfold or clean(cell) not in UNKNOWN) for cell in cells]
    return np.flatnonzero(known)
