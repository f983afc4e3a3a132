"""A set as a folder that any tool reads: one PNG an image, one folder a class, and metadata.jsonl."""

from __future__ import annotations

import json
import re
import struct
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from imagecodecs import png_encode

from tenfold.core.files import json_bytes, write_many
from tenfold.core.parallel import in_threads
from tenfold.core.types import ImageDataset
from tenfold.data.decoding.pixels import MADE_MARK
from tenfold.data.value_range import EXPORTED

LONGEST_SLUG_BYTES = 100
FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
WINDOWS_DEVICES = frozenset({"con", "prn", "aux", "nul"}).union(
    f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)
)
LEVEL = 3
"""Of compression: fast."""
FullSizes = Callable[[int], tuple[npt.NDArray[np.uint8], Mapping[str, object]] | None]
"""Image i, C x H x W of its own, and what its line says of it beside; None where the set's own is all there is."""


def export(
    directory: Path,
    dataset: ImageDataset,
    provenance: Sequence[Mapping[str, object]],
    full_size: FullSizes = lambda index: None,
) -> None:
    """Write every image to directory/<class>/<name>.png and one line about each to metadata.jsonl.

    A line holds file_name, label, group, source, split where it is not train, and the fields of the image's
    entry in `provenance` (origin real|generated, parents, seed, method, generator). Parents are named by
    their `source`. What values of more than 8 bits were scaled by stands in value_ranges.json. `directory` must be
    empty or new; it appears whole or not at all. `full_size` is asked for each image, in order, as it is written.

    Raises:
        ValueError: `provenance` has not one entry an image.
        InputError: `directory` is not empty.
        SystemFault: the disk is full or the directory cannot be written.
    """
    if len(provenance) != len(dataset):
        raise ValueError(f"{len(provenance)} provenance entries for {len(dataset)} images")
    write_many(directory, _files(dataset, provenance, full_size))


def class_folders(class_names: Sequence[str]) -> tuple[str, ...]:
    """A folder name for each class: close to the class's name, valid on every system, and distinct on all.

    Names that are equal but for case or Unicode form would be one folder on some systems; they get numbers.
    """
    taken: set[str] = set()
    folders = []
    for name in class_names:
        slug = base = _slug(name)
        number = 1
        while _as_seen_by_careless_systems(slug) in taken:
            number += 1
            slug = f"{base}-{number}"
        taken.add(_as_seen_by_careless_systems(slug))
        folders.append(slug)
    return tuple(folders)


def _files(
    dataset: ImageDataset, provenance: Sequence[Mapping[str, object]], full_size: FullSizes
) -> Iterator[tuple[str, bytes]]:
    folders = class_folders(dataset.class_names)
    lines: list[str] = []

    def images() -> Iterator[tuple[str, npt.NDArray[np.uint8], bool]]:
        numbers: Counter[str] = Counter()
        for index, entry in enumerate(provenance):
            stem = f"{folders[dataset.labels[index]]}/{_slug(str(entry.get('origin', 'image')))}"
            numbers[stem] += 1
            file_name = f"{stem}-{numbers[stem]:05d}.png"
            image, told = full_size(index) or (dataset.rows[index], {})
            lines.append(line(dataset, index, {**entry, **told, "file_name": file_name}) + "\n")
            yield file_name, image, entry.get("origin") == "generated"

    yield from in_threads(lambda one: (one[0], png(one[1], made=one[2])), images())
    # Names that are no valid UTF-8 go out as the bytes they came in as.
    if dataset.value_ranges:
        yield EXPORTED, json_bytes(dict(dataset.value_ranges))
    yield "metadata.jsonl", "".join(lines).encode("utf-8", "surrogateescape")


def line(dataset: ImageDataset, index: int, told: Mapping[str, object]) -> str:
    """What is said of one image, as JSON: what is told of it, then what the set says."""
    said: dict[str, object] = {
        "label": dataset.class_names[dataset.labels[index]],
        "group": int(dataset.groups[index]),
        "source": dataset.sources[index],
    }
    if dataset.roles[index] != "train":
        said["split"] = str(dataset.roles[index])
    return json.dumps({**told, **said}, ensure_ascii=False, default=_plain)


def png(image: npt.NDArray[np.uint8], *, made: bool) -> bytes:
    """One image, C x H x W, as a file, which says of itself if it was made, whatever becomes of metadata.jsonl."""
    pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    content = bytes(png_encode(np.ascontiguousarray(pixels), LEVEL))
    return content[:AFTER_HEADER] + MADE_CHUNK + content[AFTER_HEADER:] if made else content


def _text_chunk(word: str, text: str) -> bytes:
    """A chunk of a PNG: how many bytes, its kind, a word and what it says, and a checksum."""
    content = b"tEXt" + word.encode("latin-1") + b"\0" + text.encode("latin-1")
    return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))


AFTER_HEADER = 33
"""Bytes of a PNG before its second chunk."""
MADE_CHUNK = _text_chunk(*MADE_MARK)


def _plain(value: object) -> object:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"provenance holds a {type(value).__name__}, which JSON cannot hold")


def _slug(name: str) -> str:
    text = unicodedata.normalize("NFC", name)
    # Categories C are controls, direction marks, surrogates: invisible, or no valid name everywhere.
    text = "".join("_" if unicodedata.category(letter).startswith("C") else letter for letter in text)
    text = FORBIDDEN.sub("_", text).lstrip(". ").encode()[:LONGEST_SLUG_BYTES].decode(errors="ignore")
    text = text.rstrip(". ") or "_"  # after the cut, which may end the name at a space
    stem, dot, rest = text.partition(".")  # NUL.txt is the device too
    return f"{stem.strip()}_{dot}{rest}" if stem.strip().lower() in WINDOWS_DEVICES else text


def _as_seen_by_careless_systems(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()
