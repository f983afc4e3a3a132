"""Images in .parquet files, as hubs give them out: a column of their bytes, and columns of what is said of them.

Columns beside the images are read whole; images some rows at a time, when they are wanted.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

from tenfold.core.errors import InputError, first_line, listed
from tenfold.data.decoding import decode
from tenfold.data.decoding.pixels import DecodedImage, UnreadableError
from tenfold.data.readers import Manifest, read_file, shard_files
from tenfold.data.readers.metadata import find_table
from tenfold.data.readers.shard_files import IMAGE, PARQUET, SPLIT
from tenfold.data.readers.walk import stays_inside
from tenfold.data.tables import Table

AT_ONCE = 32
"""Rows whose images are read together."""
NOTHING: Mapping[str, str] = {}


def reads(path: Path) -> bool:
    return shard_files.shards_at(path, PARQUET) is not None and not (path.is_dir() and find_table(path))


def read(path: Path, columns: Mapping[str, str] = NOTHING) -> Manifest:
    """The images of all files, labelled by a column; a class's number becomes its name where a hub has named it.

    Files whose names say `test` are sealed.

    Args:
        columns: what the columns for `file` (the images), `label` and `group` are called.

    Raises:
        InputError: the extra is not installed, a file is damaged or lacks a column of the first one, or there is no
            column of images or of labels; or as for a table of files.
    """
    files = _Files(path)
    image = files.image_column(columns.get("file"))
    asked = {**files.sole_class_label(), **columns}
    return shard_files.samples(files.shards, files.table(image), asked, _Images(files, image))


def read_unlabelled(path: Path) -> Manifest:
    """The images of all files, whatever is said of them."""
    files = _Files(path)
    image = files.image_column(None)
    return shard_files.unlabelled(files.shards, files.table(image), _Images(files, image))


class _Files:
    """The files of a set; all have the columns of the first one.

    Raises:
        InputError: as for `read`.
    """

    def __init__(self, path: Path) -> None:
        shards = shard_files.shards_at(path, PARQUET)
        assert shards is not None  # which `reads` has seen
        self.path, self.shards = path, shards
        self.groups: list[tuple[Path, int]] = []
        """The parts of each file that can be read alone."""
        rows: list[int] = []
        schemas = []
        for one in shards.paths:
            with _opened(one) as file:
                schemas.append(file.schema_arrow)
                self.groups += [(one, group) for group in range(file.num_row_groups)]
                rows += [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        self.starts = [0, *accumulate(rows)]
        """The number of each group's first row, and of all rows."""
        self.schema = schemas[0]
        if len(set(self.schema.names)) < len(self.schema.names):
            raise InputError(f"{shards.paths[0]} has two columns of one name; rename or remove one of them")
        for one, schema in zip(shards.paths, schemas, strict=True):
            if missing := [name for name in self.schema.names if name not in schema.names]:
                raise InputError(f"{one} has no column {missing[0]!r}, but {shards.paths[0]} has; give one set alone")
        if not self.starts[-1]:
            raise InputError(f"{path} holds no rows; give files that hold some")
        self.features = _features(self.schema)

    def image_column(self, asked: str | None) -> str:
        """The column that holds the images.

        Raises:
            InputError: there is none, or there are several and none was asked for.
        """
        of_hub = [name for name, feature in self.features.items() if feature.get("_type") == "Image"]
        columns = of_hub or [field.name for field in self.schema if _holds_files(field.type)]
        wanted = columns[0] if asked is None and len(columns) == 1 else asked
        if wanted is not None and wanted in columns:
            return wanted
        if not columns:
            names = listed(self.schema.names, 8)
            raise InputError(f"{self.path} has no column with the bytes of image files (columns: {names}); give one")
        raise InputError(f"{self.path}: say which column holds the images ({listed(columns, 8)}): --file-column NAME")

    def sole_class_label(self) -> dict[str, str]:
        """The column that a hub calls the classes, if there is a single one."""
        columns = [name for name, feature in self.features.items() if feature.get("_type") == "ClassLabel"]
        return {"label": columns[0]} if len(columns) == 1 else {}

    def table(self, image: str) -> Table:
        """What is said of each image; columns of lists or bytes say nothing."""
        plain = [field.name for field in self.schema if field.name != image and _is_plain(field.type)]
        cells: dict[str, list[Any]] = {name: [] for name in self.schema.names if name != image}
        names: list[str] = []
        splits: list[str] = []
        for path, name, split in zip(self.shards.paths, self.shards.names, self.shards.splits, strict=True):
            with _opened(path) as file:
                told = file.read(columns=plain, use_threads=False)
                count = file.metadata.num_rows
                for column, of in cells.items():
                    of += self._words(column, told.column(column)) if column in plain else [None] * count
            names += [f"{name}/{row}" for row in range(count)]
            splits += [split] * count
        if len(set(splits)) > 1 and SPLIT not in cells:
            cells[SPLIT] = splits
        cells = {**cells, IMAGE: names}
        return Table(self.shards.name, tuple(cells), range(1, len(names) + 1), cells)

    def _words(self, name: str, column: Any) -> list[Any]:
        """The cells of a column; classes by their names, as far as they have one."""
        cells: list[Any] = column.to_pylist()
        known = self.features.get(name, {}).get("names")
        if not isinstance(known, list):
            return cells
        return [known[cell] if isinstance(cell, int) and 0 <= cell < len(known) else None for cell in cells]


class _Images:
    """Decodes image i; of those that are asked for in rising order each is read from the disk once."""

    def __init__(self, files: _Files, column: str) -> None:
        self._files, self._column = files, column
        self._group = -1
        self._batches: Iterator[Sequence[Any]] = iter(())
        self._start, self._batch = 0, []  # type: tuple[int, Sequence[Any]]

    def __call__(self, index: int) -> DecodedImage:
        """
        Raises:
            UnreadableError: nothing in it can be used.
        """
        content = self._cell(index)
        if isinstance(content, dict):
            content = content.get("bytes") or content.get("path")
        if isinstance(content, bytes):
            return decode(content)
        if not content:
            raise UnreadableError("holds no image")
        path = self._files.shards.root / content
        if not stays_inside(path, self._files.shards.root):
            raise UnreadableError(f"is the name of a file outside of the data: {content}")
        return read_file(path)

    def _cell(self, index: int) -> Any:
        group = bisect_right(self._files.starts, index) - 1
        if group != self._group or index < self._start:
            self._group, self._start, self._batch = group, self._files.starts[group], []
            self._batches = self._read(*self._files.groups[group])
        while index >= self._start + len(self._batch):
            self._start += len(self._batch)
            self._batch = next(self._batches)
        return self._batch[index - self._start].as_py()

    def _read(self, path: Path, group: int) -> Iterator[Sequence[Any]]:
        with _opened(path) as file:
            for batch in file.iter_batches(AT_ONCE, row_groups=[group], columns=[self._column], use_threads=False):
                yield batch.column(0)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A file, mapped into the memory.

    Raises:
        InputError: the extra is not installed, or the file cannot be read.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        line = "pip install -c constraints.txt 'tenfold[parquet]'"
        raise InputError(f"{path} needs the extra parquet: {line}") from None
    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            yield file
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise InputError(f"{path} cannot be read: {first_line(error)}; fetch or save it again") from error


def _features(schema: Any) -> dict[str, dict[str, Any]]:
    """What the hub's library wrote of each column; nothing where another program wrote the file."""
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        return {name: feature for name, feature in features.items() if isinstance(feature, dict)}
    except (TypeError, KeyError, ValueError, AttributeError, RecursionError):
        return {}


def _holds_files(kind: Any) -> bool:
    """Whether a column's type is bytes, or the hub's {bytes, path}."""
    from pyarrow import types

    if types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _is_plain(kind: Any) -> bool:
    from pyarrow import types

    return not (types.is_nested(kind) or _holds_files(kind) or types.is_fixed_size_binary(kind))
