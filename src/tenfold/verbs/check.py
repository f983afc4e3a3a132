"""`tenfold check`: what is in a set and what is wrong with it, before anything is trained."""

from __future__ import annotations

from pathlib import Path

from tenfold.core.files import write_json
from tenfold.core.types import ImageDataset
from tenfold.data.audit import Audit, audit
from tenfold.data.load import load


def check(
    data: str | Path | ImageDataset,
    *,
    size: int | None = None,
    per_class: int | None = None,
    images: int | None = None,
    out: Path | None = None,
    seed: int = 0,
) -> Audit:
    """Counts, faults and duplicates of a labelled image set, and what will be done about each.

    `size` is in pixels; `per_class` or `images` limit what is studied. With `out`, out/check.json is written.

    Raises:
        InputError: the data cannot be used at all.
        SystemFault: `out` cannot be written.
    """
    if not isinstance(data, ImageDataset):
        data = load(data, size=size, per_class=per_class, images=images, seed=seed)
    findings = audit(data)
    if out is not None:
        write_json(out / "check.json", findings.to_json())
    return findings
