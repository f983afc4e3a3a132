"""`tenfold check`: what is in a set and what is wrong with it, before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tenfold.core.files import write_json
from tenfold.core.options import DataOptions
from tenfold.core.types import Data
from tenfold.data.audit import Audit, audit
from tenfold.data.load import loaded


def check(data: Data, options: DataOptions | None = None, *, out: str | Path | None = None, **changes: Any) -> Audit:
    """Counts, faults and duplicates of a labelled image set, and what will be done about each.

    With `out`, out/check.json is written. `changes` are fields of `DataOptions` by name: `size` (pixels), and
    `per_class` or `images`, which limit what is studied.

    Raises:
        InputError: the data cannot be used at all.
        SystemFault: `out` cannot be written.
    """
    findings = audit(loaded(data, DataOptions.of(options, changes)))
    if out is not None:
        write_json(Path(out) / "check.json", findings.to_json())
    return findings
