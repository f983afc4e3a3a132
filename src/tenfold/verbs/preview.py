"""`preview`: a sheet of what a method does to these images, before anybody trains on it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.core.errors import InputError
from tenfold.core.files import write_bytes
from tenfold.core.keys import Key
from tenfold.core.options import PreviewOptions
from tenfold.core.output import new_file, require_apart, unused
from tenfold.core.results import Result
from tenfold.core.types import Data
from tenfold.data.audit import audit, cleaned
from tenfold.data.export import class_folders
from tenfold.data.load import loaded
from tenfold.report.image_sheet import preview_png
from tenfold.report.share_law import ShareLaw
from tenfold.runs.arms import Component, parse_arms
from tenfold.verbs import on_chosen_device
from tenfold.verbs.preview_sheets import changed_sheet, generated_pairs


@dataclass(frozen=True, eq=False)
class Preview(Result):
    """What was drawn and where it lies."""

    file: Path
    method: str
    data: str
    captions: tuple[tuple[tuple[str, ...] | None, ...], ...]
    """Row by row what stands under each image, in parts; None where there is no image."""
    law: ShareLaw | None = None
    """Of the shares in a blend, where the method has one."""

    @property
    def sentence(self) -> str:
        images = sum(caption is not None for row in self.captions for caption in row)
        return f"{self.method} on {self.data}: {images} images in {self.file}." + (
            f" {self.law.sentence}" if self.law else ""
        )

    def to_json(self) -> dict[str, Any]:
        law = self.law and {
            "name": self.law.name,
            "alpha": self.law.alpha,
            "pictures": self.law.shares.shape[1],
            "median_largest_share": round(float(np.median(self.law.largest_shares)), 4),
            "sentence": self.law.sentence,
        }
        return {
            "file": str(self.file),
            "method": self.method,
            "data": self.data,
            "captions": [[caption and list(caption) for caption in row] for row in self.captions],
            "law": law,
        }


@on_chosen_device
def preview(
    method: str,
    data: Data,
    out: str | Path | None = None,
    options: PreviewOptions | None = None,
    **changes: Any,
) -> Preview:
    """Draw `options.rows` real images beside what a method, or several joined by '+', makes of them, as a PNG.

    Transforms are shown at once; a generator is trained first, as `grow` would. Without `out` the file is
    preview-METHOD-DATA.png, with a number if there is one; nothing is overwritten. `changes` are fields of
    `PreviewOptions` by name.

    Raises:
        InputError: the method, the data or `out` cannot be used, or the method changes no images.
        MethodFailed: the generator gave nothing usable.
    """
    options, components = PreviewOptions.of(options, changes), _components(method)
    if out is not None:
        _require_png(Path(out))
        with new_file(Path(out)):
            pass  # before anything is read
    require_apart(Path.cwd() if out is None else Path(out), data)
    data = loaded(data, options)
    file = Path(out) if out is not None else _default_file(method, data.name)
    with new_file(file):
        if data.is_vectors:
            raise InputError(f"{data.name} holds vectors of features, of which there are no images to show")
        real = cleaned(data, audit(data)).part("train")
        key = Key(f"seed-{options.seed}") / "preview"
        methods = [component.make({}) for component in components]
        if methods[-1].trains_generator:
            sheet = generated_pairs(real, components[-1], method, options.rows, options.seed)
        else:
            sheet = changed_sheet(real, methods, method, options.rows, key)
        write_bytes(file, preview_png(sheet))
    captions = tuple(tuple(cell.caption if cell else None for cell in row) for row in sheet.rows)
    return Preview(file, method, real.name, captions, sheet.law)


def _components(text: str) -> tuple[Component, ...]:
    """The methods of an arm; those that have nothing to show are refused before anything is read."""
    arm = parse_arms([text])[-1]
    if arm.percent < 100 or arm.rerun > 1:
        raise InputError(f"preview shows methods and trains no arm; leave the end of '{text}' (@ or #) out")
    for component in arm.components:
        method = component.make({})
        if method.is_control:
            raise InputError(
                f"{component.method} is a control, which adds real images as they are: there is nothing to see "
                "(`tenfold preview raw DATA` shows the real images)"
            )
        if not (method.changes_batches or method.makes_files() or component.method == "raw"):
            raise InputError(f"{component.method} changes no images: there is nothing to see")
        if method.smooths_labels:
            raise InputError(f"{component.method} changes labels and no images: there is nothing to see")
        if method.trains_generator and len(arm.components) > 1:
            raise InputError(f"preview shows a generator alone: tenfold preview {component.method} DATA")
    return arm.components


def _require_png(file: Path) -> None:
    if file.suffix.lower() != ".png":
        raise InputError(f"{file}: the sheet is a PNG; name a file such as preview.png")


def _default_file(method: str, data_name: str) -> Path:
    """A new file in the working directory."""
    words = (re.sub(r"[^\w.+]+", "-", name).strip("-") for name in ("preview", method, data_name))
    (stem,) = class_folders(["-".join(words)])
    return unused(Path(f"{stem}.png"))
