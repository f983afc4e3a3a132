"""Sets of the Hugging Face hub: `hf:NAME`, `hf:NAME:CONFIGURATION`, or `hf:` and a directory in the hub's layout.

The library `datasets` fetches and caches them; images are decoded by tenfold, only those that are wanted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.core.errors import InputError, first_line, listed
from tenfold.data.columns import meaning_of
from tenfold.data.decoding import decode
from tenfold.data.decoding.pixels import DecodedImage, UnreadableError
from tenfold.data.readers import ROLES, UNLABELLED, Manifest, index_labels, read_file
from tenfold.data.readers.metadata import described
from tenfold.data.tables import Table

PREFIX = "hf:"
SPLIT = "split"
NOTHING: Mapping[str, str] = {}


def read(data: str, columns: Mapping[str, str] = NOTHING, *, labelled: bool = True) -> Manifest:
    """The images of a set of the hub; its test split is sealed.

    Args:
        columns: what the columns for `file` (the images), `label` and `group` are called.

    Raises:
        InputError: the extra is not installed, the set cannot be fetched, or it has no column of images or labels.
    """
    parts = _fetched(data)
    parts, left_out = _studied(parts)
    features = next(iter(parts.values())).features
    image = _image_column(data, features, columns)
    table = _table(data, parts, image)
    asked = {**_sole_class_label(features, columns), **columns, "file": image}
    files = [part.select_columns([image]) for part in parts.values()]
    places = [(part, row) for part in files for row in range(len(part))]

    def decoded(index: int) -> DecodedImage:
        part, row = places[index]
        content = part[row][image]
        if content and content["bytes"] is not None:
            return decode(content["bytes"])
        if content and content["path"]:  # a folder of files in the hub's layout
            return read_file(Path(content["path"]))
        raise UnreadableError("holds no image")

    if not labelled:
        class_names, labels = index_labels([UNLABELLED] * len(table))
        roles = np.array([ROLES.get(str(split).lower(), "train") for split in table.cells[SPLIT]], np.str_)
        return Manifest(data, class_names, labels, tuple(table.cells[image]), decoded, roles=roles)
    said = described(table, meaning_of(table.names, asked, data), image)
    class_names, labels = index_labels(said.labels)
    return Manifest(
        data,
        class_names,
        labels,
        tuple(table.cells[image]),
        decoded,
        roles=said.roles,
        groups=index_labels(said.groups)[1],
        group_names=said.groups,
        roles_given_by_user=bool((said.roles != "train").any()),
        columns=said.columns,
        warnings=(*said.warnings, *left_out),
    )


def _fetched(data: str) -> dict[str, Any]:
    """Split -> its rows, with images as the bytes of their files."""
    try:
        import datasets
    except ImportError:
        raise InputError(f"{data} needs the extra hub: pip install -c constraints.txt 'tenfold[hub]'") from None
    name, _, configuration = data.removeprefix(PREFIX).partition(":")
    try:
        found = datasets.load_dataset(name, configuration or None)
    except (OSError, ValueError, ImportError, datasets.exceptions.DatasetsError) as error:
        raise InputError(
            f"{data} could not be fetched: {first_line(error)}. Check the name and the network; "
            "hf:NAME:CONFIGURATION names one of several configurations"
        ) from error
    plain = datasets.Image(decode=False)
    for column, feature in next(iter(found.values())).features.items():
        if isinstance(feature, datasets.Image):
            found = found.cast_column(column, plain)
    return dict(found)


def _studied(parts: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The splits whose names say what they are for, or all where none does, and a warning of the others."""
    known = {split: part for split, part in parts.items() if split.lower() in ROLES and len(part)}
    others = [split for split in parts if split not in known]
    if not known or not others:
        return {split: part for split, part in parts.items() if len(part)}, []
    return known, [f"the splits {listed(others)} are not read"]


def _image_column(data: str, features: Mapping[str, Any], asked: Mapping[str, str]) -> str:
    columns = [name for name, feature in features.items() if type(feature).__name__ == "Image"]
    wanted = asked.get("file", columns[0] if len(columns) == 1 else None)
    if wanted in columns:
        return str(wanted)
    if not columns:
        raise InputError(f"{data} has no column of images (columns: {listed(list(features), 8)}); give another set")
    raise InputError(f"{data}: say which column holds the images ({listed(columns, 8)}): --file-column NAME")


def _sole_class_label(features: Mapping[str, Any], asked: Mapping[str, str]) -> dict[str, str]:
    """The column that the set itself calls its classes, if there is a single one."""
    columns = [name for name, feature in features.items() if type(feature).__name__ == "ClassLabel"]
    return {"label": columns[0]} if len(columns) == 1 and "label" not in asked else {}


def _table(data: str, parts: Mapping[str, Any], image: str) -> Table:
    """What is said of each image, in the form that all tables have; the images are called by split and row."""
    names = [name for name in next(iter(parts.values())).column_names if name != image]
    rows = sum(map(len, parts.values()))
    cells: dict[str, list[Any]] = {
        image: [f"{split}/{row}" for split, part in parts.items() for row in range(len(part))],
        **{name: [cell for part in parts.values() for cell in _words(part, name)] for name in names},
    }
    if SPLIT not in cells:
        cells[SPLIT] = [split for split, part in parts.items() for _ in range(len(part))]
    return Table(data, tuple(cells), range(1, rows + 1), cells)


def _words(part: Any, name: str) -> Iterator[Any]:
    """The cells of a column; classes by their names."""
    feature = part.features[name]
    if type(feature).__name__ not in ("ClassLabel", "Value"):
        return iter([None] * len(part))  # a list or another image: nothing that could be a class or a group
    cells = part[name][:] if len(part) else []
    if type(feature).__name__ == "Value":
        return iter(cells)
    known = feature.names
    return (None if cell is None or cell < 0 else known[cell] for cell in cells)
