"""Sets in shards, made of the same files as a folder of class folders."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Sample = tuple[str, Mapping[str, bytes]]
"""A key, and the content of its members by their extensions."""


def files_of(folder: Path) -> list[tuple[str, bytes]]:
    """(class, content) of every image in class folders, in the order in which these are read."""
    return [(path.parent.name, path.read_bytes()) for path in sorted(folder.rglob("*.png"))]


def write_tar(path: Path, samples: Sequence[Sample]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for key, members in samples:
            for extension, content in members.items():
                entry = tarfile.TarInfo(f"{key}.{extension}")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return path


def write_parquet(
    path: Path, columns: Mapping[str, Sequence[Any]], metadata: Mapping[str, str] | None = None
) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(dict(columns)).replace_schema_metadata(metadata), path, row_group_size=5)
    return path
