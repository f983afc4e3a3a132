"""`tenfold check`: what is in a set and what is wrong with it, before anything is trained."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tenfold.core.configuration import hash_of
from tenfold.core.errors import InputError
from tenfold.core.files import read_json, write_json
from tenfold.core.options import DataOptions
from tenfold.core.output import locked, require_apart
from tenfold.core.types import Data
from tenfold.data.audit import Audit, audit
from tenfold.data.load import loaded


def check(data: Data, options: DataOptions | None = None, *, out: str | Path | None = None, **changes: Any) -> Audit:
    """Counts, faults and duplicates of a labelled image set, and what will be done about each.

    With `out`, out/check.json is written. `changes` are fields of `DataOptions` by name: `size` (pixels), and
    `per_class` or `images`, which limit what is studied.

    Raises:
        InputError: the data cannot be used at all, or `out` cannot be written or holds the check of another set.
    """
    options = DataOptions.of(options, changes)
    if out is None:
        return audit(loaded(data, options))
    require_apart(Path(out), data)
    with locked(Path(out)):
        file, where = Path(out) / "check.json", _place(data)
        if os.path.lexists(file) and not _is_of(file, where):
            raise InputError(f"{file} is of another set and nothing is overwritten; choose another --out")
        findings = audit(loaded(data, options))
        write_json(file, findings.to_json() | {"place": where})
    return findings


def _place(data: Data) -> str:
    """Tells sets of the same name apart, and stays the same while one is mended: a hash of where it lies."""
    return hash_of(os.path.realpath(data) if isinstance(data, str | Path) else data.fingerprint())


def _is_of(file: Path, place: str) -> bool:
    """Whether an earlier check of the set in that place wrote it."""
    try:
        before = read_json(file)
    except (InputError, OSError):
        return False
    return isinstance(before, dict) and before.get("place") == place
