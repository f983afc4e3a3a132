"""Images in .tar files as the library webdataset reads them: KEY.jpg beside KEY.cls, KEY.json or KEY.txt.

The headers are read once, with what is said of each image; an image itself where it lies, when it is wanted.
"""

from __future__ import annotations

import tarfile
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tenfold.core.errors import InputError, first_line
from tenfold.core.files import parse_json
from tenfold.core.types import SetAside
from tenfold.data.columns import LABELS, key
from tenfold.data.decoding import decode
from tenfold.data.decoding.pixels import DecodedImage, UnreadableError
from tenfold.data.readers import LARGEST_FILE_BYTES, Manifest, read_text, shard_files
from tenfold.data.readers.shard_files import IMAGE, SPLIT, TAR, Shards
from tenfold.data.readers.walk import is_clutter, is_image_name
from tenfold.data.tables import Table

CLASS_NAMES = "classnames.txt"
"""Beside the shards, where there is one: the names of class 0, 1, ... of KEY.cls, a line each."""
SAID = ("json", "cls", "txt")
"""Kinds of members that say something of the image of their key."""
LARGEST_SAID_BYTES = 1 << 24
MOST_FIELDS = 1000
MOST_SHARED = 10_000
NOTHING: Mapping[str, str] = {}


def reads(path: Path) -> bool:
    return shard_files.shards_at(path, TAR) is not None


def read(path: Path, columns: Mapping[str, str] = NOTHING) -> Manifest:
    """The images of all shards, labelled by what lies beside each under the same key.

    The fields of KEY.json are columns, as those of a metadata file; where none of them is a label, KEY.cls is it, or
    KEY.txt. Shards whose names say `test` are sealed.

    Args:
        columns: what the fields for `label` and `group` are called, where it is not what tenfold knows.

    Raises:
        InputError: a shard is damaged or compressed, or holds no such samples; or as for a table of files.
    """
    shards, found = _found(path)
    if not found.cells.keys() - {SPLIT}:
        raise _no_samples(path)
    manifest = shard_files.samples(shards, found.table(shards), columns, found.image)
    return replace(manifest, set_aside=(*found.set_aside, *manifest.set_aside))


def read_unlabelled(path: Path) -> Manifest:
    """The images of all shards, whatever is said of them."""
    shards, found = _found(path)
    manifest = shard_files.unlabelled(shards, found.table(shards), found.image)
    return replace(manifest, set_aside=tuple(found.set_aside))


@dataclass
class _Sample:
    """The members of one key."""

    key: str
    images: list[tarfile.TarInfo] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    """What they say of the image."""


@dataclass
class _Found:
    """Where each image lies, and columns of what is said of them: some 300 bytes an image."""

    paths: tuple[Path, ...]
    names: list[str] = field(default_factory=list)
    places: array[int] = field(default_factory=lambda: array("q"))
    """The number of the shard, the first byte in it and the bytes of each image, one behind the other."""
    cells: dict[str, list[Any]] = field(default_factory=dict)
    set_aside: list[SetAside] = field(default_factory=list)
    _shared: dict[str, str] = field(default_factory=dict)
    """Words that many samples have: each is held once."""

    def add(self, number: int, shard: str, sample: _Sample) -> None:
        if not sample.images:
            self.set_aside.append(SetAside(f"{shard}/{sample.key}", "no image lies beside what is said of it"))
            return
        member = min(sample.images, key=lambda one: one.name.count("."))  # photo.jpg before photo.mask.png
        self.names.append(f"{shard}/{member.name}")
        self.places.extend((number, member.offset_data, member.size))
        for name, value in sample.fields.items():
            column = self.cells.setdefault(name, [])
            column += [None] * (len(self.names) - 1 - len(column))
            column.append(self._once(value))
        if len(self.cells) > MOST_FIELDS:
            raise InputError(f"{shard}: the .json of its samples have more than {MOST_FIELDS:,} different fields")

    def image(self, index: int) -> DecodedImage:
        """Decode one image.

        Raises:
            UnreadableError: nothing in it can be used.
        """
        number, start, size = self.places[3 * index : 3 * index + 3]
        if size > LARGEST_FILE_BYTES:
            raise UnreadableError("larger than 512 MB")
        try:
            with open(self.paths[number], "rb") as file:
                file.seek(start)
                content = file.read(size)
        except OSError as error:
            raise UnreadableError(f"cannot be opened: {error.strerror}") from error
        return decode(content, Path(self.names[index]).suffix)

    def table(self, shards: Shards) -> Table:
        """What is said of each image; what some lack is None there."""
        count = len(self.names)
        for column in self.cells.values():
            column += [None] * (count - len(column))
        numbers, text = self.cells.pop("cls", None), self.cells.get("txt")
        labelled = any(pattern.fullmatch(key(name)) for name in self.cells for pattern in LABELS)
        if not labelled and (label := _by_number(shards.root / CLASS_NAMES, numbers) if numbers else text):
            self.cells["label"] = label
        cells = {**self.cells, IMAGE: self.names}
        return Table(shards.name, tuple(cells), range(1, count + 1), cells)

    def _once(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        known = self._shared
        return known.setdefault(value, value) if len(known) < MOST_SHARED else known.get(value, value)


def _found(path: Path) -> tuple[Shards, _Found]:
    shards = shard_files.shards_at(path, TAR)
    assert shards is not None  # which `reads` has seen
    found = _Found(shards.paths)
    has_parts = len(set(shards.splits)) > 1
    for number, (name, split) in enumerate(zip(shards.names, shards.splits, strict=True)):
        seen: set[str] = set()
        for sample in _samples(shards.paths[number], name, found.set_aside):
            if sample.key in seen:
                found.set_aside.append(SetAside(f"{name}/{sample.key}", "stands in the shard already"))
                continue
            seen.add(sample.key)
            if has_parts:
                sample.fields.setdefault(SPLIT, split)
            found.add(number, name, sample)
    if not found.names:
        raise _no_samples(path)
    return shards, found


def _no_samples(path: Path) -> InputError:
    return InputError(
        f"{path} holds no images KEY.jpg with KEY.cls, KEY.json or KEY.txt beside them; if it holds class folders, "
        "unpack it and give the folder"
    )


def _samples(path: Path, shard: str, set_aside: list[SetAside]) -> Iterator[_Sample]:
    """The samples of a shard in their order: members one behind the other whose names are alike up to the dot."""
    sample = _Sample("")
    try:
        with open(path, "rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # or else the header of each member is kept
                folder, slash, name = member.name.rpartition("/")
                stem, _, extension = name.partition(".")
                if is_clutter(name) or member.isdir():
                    continue
                if not member.isfile():
                    set_aside.append(SetAside(f"{shard}/{member.name}", "not a regular file, skipped"))
                    continue
                if folder + slash + stem != sample.key:
                    if sample.key:
                        yield sample
                    sample = _Sample(folder + slash + stem)
                kind = extension.rpartition(".")[2].lower()
                if is_image_name(name):
                    sample.images.append(member)
                elif kind in SAID and member.size <= LARGEST_SAID_BYTES:
                    file.seek(member.offset_data)
                    try:
                        sample.fields |= _fields(kind, file.read(member.size), member.name)
                    except InputError as error:
                        set_aside.append(SetAside(f"{shard}/{member.name}", first_line(error)))
        if sample.key:
            yield sample
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        raise InputError(
            f"{path} is no .tar that can be read ({first_line(error)}); fetch it again, or unpack it and give the "
            "folder"
        ) from error


def _fields(kind: str, content: bytes, name: str) -> dict[str, Any]:
    """What a member says, by the names of its columns."""
    if kind == "json":
        told = parse_json(content, name)
        fields = told if isinstance(told, dict) else {"label": told}
        return {key: None if isinstance(value, dict) else value for key, value in fields.items()}
    return {kind: content.decode("utf-8", "surrogateescape").strip()}


def _by_number(path: Path, numbers: list[Any]) -> list[Any]:
    """The classes by their names, where a file beside the shards has them and a line for each number."""
    lines = read_text(path).splitlines() if path.is_file() else []
    known = {str(number): line.strip() for number, line in enumerate(lines) if line.strip()}
    return [known.get(number) for number in numbers] if known.keys() >= set(numbers) - {None} else numbers
