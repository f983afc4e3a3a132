"""A folder of images whose labels stand beside or above it: COCO or Label Studio JSON, or a CSV named after it."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from tenfold.core.errors import InputError, listed
from tenfold.core.files import parse_json
from tenfold.data.columns import clean
from tenfold.data.readers import Manifest, index_labels, read_file, read_text
from tenfold.data.readers.layout import UNNAMED
from tenfold.data.readers.metadata import find_table
from tenfold.data.readers.walk import Contents, is_image_name, walk
from tenfold.data.tables import read_table

LARGEST_BYTES = 1 << 29
Labels = dict[str, set[str]]
"""What each file name is said to be."""


def reads(path: Path) -> bool:
    return path.is_dir() and find_table(path) is None and next(_tables(path), None) is not None


def read(root: Path) -> Manifest:
    """The images under `root` that the tables beside or above them give a label.

    Raises:
        InputError: none is named, or one has labels that differ.
    """
    contents = walk(root)
    labels: Labels = defaultdict(set)
    tables = []
    for table, more in _tables(root):
        tables.append(table.name)
        for name, said in more.items():
            labels[name] |= said
    found: dict[str, set[str]] = {}
    by_name = _by_name(labels)
    for name in contents.images:
        key = next((key for key in _keys(name) if key in by_name), None)
        if key is not None:
            found[name] = by_name[key]
    if not found:
        raise InputError(f"{tables[0]} names none of the images in {root}; correct the names, or move the file away")
    for name, said in found.items():
        if len(said) > 1:
            raise InputError(f"{tables[0]}: {name!r} is of {listed(sorted(said))}; leave one label an image")
    class_names, indices = index_labels([next(iter(said)) for said in found.values()])
    manifest = Manifest(
        name=root.resolve().name,
        class_names=class_names,
        labels=indices,
        sources=tuple(found),
        decode=lambda index: read_file(root / manifest.sources[index]),
        set_aside=tuple(contents.set_aside),
    )
    return replace(manifest, conversions=_not_used(contents, len(contents.images) - len(found), tables))


def read_unlabelled(root: Path) -> Manifest:
    """All images under `root`, whatever the table says."""
    from tenfold.data.readers import folders

    return folders.read_unlabelled(root)


def _not_used(contents: Contents, unnamed: int, tables: Sequence[str]) -> dict[str, int]:
    contents.others = [name for name in contents.others if PurePosixPath(name).name not in tables]
    return ({UNNAMED: unnamed} if unnamed else {}) | contents.not_read


def _tables(root: Path) -> Iterator[tuple[Path, Labels]]:
    """The files of labels in the folder, and above it where images lie in the folder itself."""
    places = [root, root / "annotations"]
    with_images = any(is_image_name(path.name) for path in root.iterdir())
    if with_images:
        places += [root.resolve().parent, root.resolve().parent / "annotations"]
    for place in places:
        for path in sorted(place.glob("*.json")):
            if path.is_file() and path.stat().st_size <= LARGEST_BYTES and (labels := _read_json(path)):
                yield path, labels
    if with_images:
        for path in sorted(root.resolve().parent.glob("*.csv")):
            if (
                path.is_file()
                and root.resolve().name.lower() in path.stem.lower()
                and (labels := _read_csv(path, root))
            ):
                yield path, labels


def _read_json(path: Path) -> Labels:
    """What a COCO file or an export of Label Studio says; nothing of any other JSON."""
    text = read_text(path)
    try:
        content = json.loads(text)
        labels = _of_coco(content) if isinstance(content, dict) else _of_label_studio(content)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    if "\\ud" in text.lower():
        parse_json(text, str(path))  # which refuses halves of letters
    return labels


def _of_coco(content: dict[str, Any]) -> Labels:
    names = {category["id"]: str(category["name"]) for category in content["categories"]}
    files = {image["id"]: str(image["file_name"]) for image in content["images"]}
    labels: Labels = defaultdict(set)
    for annotation in content["annotations"]:
        labels[files[annotation["image_id"]]].add(names[annotation["category_id"]])
    return labels


def _of_label_studio(tasks: Iterable[dict[str, Any]]) -> Labels:
    labels: Labels = defaultdict(set)
    for task in tasks:
        data = task.get("data", task)
        file = next((value for value in data.values() if isinstance(value, str) and is_image_name(value)), None)
        choices = [str(task["choice"])] if isinstance(task.get("choice"), str) else []
        for result in chain.from_iterable(one.get("result", ()) for one in task.get("annotations", ())):
            choices += map(str, result.get("value", {}).get("choices", ()))
        if file is not None and choices:
            file = unquote(file.rpartition("?d=")[2])
            labels[re.sub(r"^[0-9a-f]{8}-", "", PurePosixPath(file).name) if "/upload/" in file else file].update(
                choices
            )
    return labels


def _read_csv(path: Path, root: Path) -> Labels:
    """A table of two columns, of which one names the folder's images; nothing of any other."""
    try:
        table = read_table(path)
    except InputError:
        return {}
    if len(table.names) != 2 or not len(table):
        return {}
    known = {key for file in root.iterdir() if is_image_name(file.name) for key in _keys(file.name)}
    one, other = ([clean(cell) for cell in table.cells[name]] for name in table.names)
    for files, said in ((one, other), (other, one)):
        if all(any(key in known for key in _keys(file)) for file in files):
            labels: Labels = defaultdict(set)
            for file, label in zip(files, said, strict=True):
                labels[file].add(label)
            return labels
    return {}


def _by_name(labels: Labels) -> Labels:
    """The labels by every form of each name; of names that are equal but for their folders only whole paths count."""
    forms: dict[str, dict[str, set[str]]] = defaultdict(dict)
    for name, said in labels.items():
        for key in _keys(name):
            forms[key][name] = said
    return {
        key: next(iter(named.values())) for key, named in forms.items() if len(named) == 1 or key in named
    } | labels


def _keys(name: str) -> list[str]:
    """The forms in which a file may be named, the surest first: path, name, and that without extension or zeros."""
    path = PurePosixPath(name)
    stem = path.stem if is_image_name(path.name) else path.name
    return [name, path.name, stem, stem.lstrip("0") or "0"]
