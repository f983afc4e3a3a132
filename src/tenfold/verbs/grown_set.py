"""A grown set on the disk: its images, where each came from, and what is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.core.configuration import to_json
from tenfold.core.errors import InputError
from tenfold.core.memory import require_memory
from tenfold.core.progress import progress
from tenfold.core.results import Result
from tenfold.core.types import ImageDataset
from tenfold.data.export import export
from tenfold.generators import Indices
from tenfold.methods import Grown, MethodFailed
from tenfold.verbs.full_size import FullSize
from tenfold.verbs.new_set import NewSet

BYTES_OF_A_RECORD = 1000
FILTERS = ("drawn", "wrong_label", "near_copies", "usable")
"""What a generator's method counts while it throws images away."""
REAL: Mapping[str, object] = {"origin": "real"}
Records = list[Mapping[str, object]]
"""What metadata.jsonl says of each image beside what the set says."""


class OnlyCopied(MethodFailed):
    """Every image that the generator made is a near copy of a real one: there is nothing new to write."""

    exit_status = InputError.exit_status


@dataclass(frozen=True, eq=False)
class GrowResult(Result):
    """What was written and where."""

    derived = ("filters",)

    directory: Path
    method: str
    real_images: int
    new_images: int
    """As written: without the near copies that were left out."""
    generator_hash: str | None
    details: Mapping[str, Any] = field(default_factory=dict)
    near_copies: int = 0
    """Generated images that lie as near to a real one as hardly any two real images do."""
    kept_copies: bool = False
    """Whether near copies were written too, had there been any."""
    command: str = "grow"
    found: bool = False
    """It was there already: nothing was made."""

    @classmethod
    def of(cls, new: NewSet) -> GrowResult:
        """What a set holds that was made, or found, by what was kept of it."""
        told = cls.from_json({**new.kept, "directory": new.directory, "found": new.found})
        assert isinstance(told, GrowResult)
        return told

    @property
    def kept(self) -> dict[str, Any]:
        """All of it that stays true wherever the directory lies."""
        document: dict[str, Any] = to_json(self)
        return {name: value for name, value in document.items() if name not in ("directory", "found")}

    @property
    def filters(self) -> dict[str, int] | None:
        """Images drawn, of a wrong label, near copies and usable; None of methods that throw none away."""
        if not all(name in self.details for name in FILTERS):
            return None
        return {name: int(self.details[name]) for name in FILTERS}

    @property
    def sentence(self) -> str:
        beside = f" beside {self.real_images} real ones" if self.real_images else ""
        remarks = "; ".join(filter(None, (self._drawn, self._copies)))
        made = f"{self.new_images} new images made by {self.method}{beside} in {self.directory}"
        made = f"{made} ({remarks})" if remarks else made
        return f"{made}; they were there already" if self.found else made

    @property
    def _drawn(self) -> str:
        if (counts := self.filters) is None:
            return ""
        wrong, copies = counts["wrong_label"], counts["near_copies"]
        parts = [
            f"{wrong} not recognised as {'its' if wrong == 1 else 'their'} class" if wrong else "",
            copies_in_words(copies) if copies else "",
        ]
        return f"{counts['drawn']} drawn, {', '.join(filter(None, parts)) or 'none rejected'}"

    @property
    def _copies(self) -> str:
        if not self.near_copies:
            return ""
        copies = copies_in_words(self.near_copies)
        if self.kept_copies:
            return f"with {copies}, marked in metadata.jsonl"
        them = "it" if self.near_copies == 1 else "them"
        return f"{copies} left out; tenfold {self.command} --keep-copies keeps {them}"

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in super().to_json().items() if name != "command"}


def copies_in_words(count: int) -> str:
    return "1 near copy of a real image" if count == 1 else f"{count} near copies of real images"


@dataclass(frozen=True)
class Source:
    """What made new images, and which of them are written."""

    command: str
    method: str
    seed: int
    only_new: bool = True
    keep_copies: bool = False


def require_room(count: int, real: ImageDataset) -> None:
    """See that so many new images can be made: they are held until they are written, each with where it came from.

    Raises:
        InputError: they do not fit into the memory.
    """
    shape = " x ".join(map(str, real.image_shape))
    each = 2 * int(np.prod(real.image_shape)) + BYTES_OF_A_RECORD
    require_memory(count, each, f"new images of {shape}", "take a smaller --times or --size")


def write_grown(
    directory: Path, real: ImageDataset, grown: Grown, source: Source, full_size: FullSize | None = None
) -> GrowResult:
    """Write the images and metadata.jsonl; a directory that has them already is left as it is.

    A generator's near copies of real images are left out, or with `keep_copies` written and marked "near_copy".
    Images of `real` and `grown` that `full_size` has with more pixels are written with these.

    Raises:
        OnlyCopied: nothing else was made; nothing is written.
    """
    written = to_write(grown, source)
    copied = int(grown.near_copies.sum())
    if not len(written):
        raise OnlyCopied(
            f"all {copied} images that {source.method} made are near copies of real ones: give it more images "
            f"or take another method (tenfold {source.command} --keep-copies writes them all the same)"
        )
    generator_hash = grown.generator.hash if grown.generator else None
    kept = grown.take(written)
    made = kept.as_dataset(real)
    reals = 0 if source.only_new else len(real)
    new_records: Records = new_image_records(real, kept, source, generator_hash)
    real_records: Records = [REAL] * len(real)
    whole, records = (made, new_records) if source.only_new else (real.joined(made), real_records + new_records)
    if not (directory / "metadata.jsonl").exists():
        if full_size is None:
            export(directory, whole, records)
        else:
            with progress("images", len(whole)) as bar:
                export(directory, whole, records, full_size.images(reals, kept, bar))
    return GrowResult(
        directory,
        source.method,
        reals,
        len(made),
        generator_hash,
        grown.details,
        near_copies=copied,
        kept_copies=source.keep_copies,
        command=source.command,
    )


def to_write(grown: Grown, source: Source) -> Indices:
    """Those of the new images that are written: all, or all but near copies."""
    if source.keep_copies or not len(grown.near_copies):
        return np.arange(len(grown.labels))
    return np.flatnonzero(~grown.near_copies)


def new_image_records(real: ImageDataset, grown: Grown, source: Source, generator_hash: str | None) -> Records:
    """Where each of these new images comes from."""
    copied = grown.near_copies if len(grown.near_copies) else np.zeros(len(grown.labels), dtype=np.bool_)
    return [
        {
            "origin": "generated",
            "method": source.method,
            "parents": [real.sources[parent] for parent in grown.parents[index]],
            "seed": grown.seeds[index],
            "run_seed": source.seed,
            "generator": generator_hash,
        }
        | ({"near_copy": True} if copied[index] else {})
        for index in range(len(grown.labels))
    ]
