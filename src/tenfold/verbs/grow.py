"""`grow`: write a grown set as a folder of pictures with a record of where each came from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from tenfold.core.errors import InputError
from tenfold.core.files import prepare_output, write_bytes, write_json
from tenfold.core.keys import Key
from tenfold.core.progress import note, warn
from tenfold.core.types import ImageDataset
from tenfold.data.audit import audit, cleaned
from tenfold.data.export import export
from tenfold.data.loading import load
from tenfold.data.copies import copies_among
from tenfold.methods.base import Grown, MethodFailed, method_class
from tenfold.study.arms import Component, parse_component


class OnlyCopied(MethodFailed):
    """Every image that the generator made is a near copy of a real one: there is nothing new to write."""

    exit_status = InputError.exit_status


@dataclass(frozen=True)
class GrowResult:
    """What was written and where."""

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

    @property
    def sentence(self) -> str:
        beside = f" beside {self.real_images} real ones" if self.real_images else ""
        return f"{self.new_images} new images made by {self.method}{beside} in {self.directory}{self._copies}"

    @property
    def _copies(self) -> str:
        if not self.near_copies:
            return ""
        one = self.near_copies == 1
        copies = "1 near copy of a real image" if one else f"{self.near_copies} near copies of real images"
        if self.kept_copies:
            return f" (with {copies}, marked in metadata.jsonl)"
        return f" ({copies} left out; tenfold grow --keep-copies keeps {'it' if one else 'them'})"

    def to_json(self) -> dict[str, Any]:
        return {
            "directory": str(self.directory),
            "method": self.method,
            "real_images": self.real_images,
            "new_images": self.new_images,
            "generator_hash": self.generator_hash,
            "details": dict(self.details),
            "near_copies": self.near_copies,
            "kept_copies": self.kept_copies,
        }


def grow(
    data: str | Path | ImageDataset,
    out: str | Path,
    *,
    method: str,
    times: float = 10.0,
    only_new: bool = False,
    keep_copies: bool = False,
    seed: int = 0,
    size: int | None = None,
    per_class: int | None = None,
    images: int | None = None,
) -> GrowResult:
    """Make about `times` new images for each real one and write OUT/<class>/*.png and OUT/metadata.jsonl.

    A single class, or one with a single image, can be grown; whether growing helps is another question, which
    `prove` answers. A trained generator is kept beside the pictures as generator.safetensors. Those of its
    images that are near copies of real ones are left out, unless `keep_copies`.

    Raises:
        InputError: the data, the method or OUT cannot be used.
        MethodFailed: the method gave nothing usable; nothing is written.
    """
    directory = Path(out)
    component = parse_growing(method)
    prepare_output(directory)
    if not isinstance(data, ImageDataset):
        data = load(data, size=size, per_class=per_class, images=images, seed=seed)
    refuse_vectors(data)
    findings = audit(data)
    for warning in findings.warnings:
        warn(warning)
    real = cleaned(data, findings).part("train")
    note(f"growing {len(real)} images {times:g} times with {method}")
    grown = grow_images(real, component, times, seed)
    result = write_grown(directory, real, grown, component.method, seed, only_new=only_new, keep_copies=keep_copies)
    if grown.generator:
        save_generator(directory / "generator.safetensors", real, grown, component.method)
    return result


def refuse_vectors(data: ImageDataset) -> None:
    """Vectors are mixed while training, and no method writes new ones down.

    Raises:
        InputError: the set holds vectors.
    """
    if data.is_vectors:
        raise InputError(
            f"{data.name} holds vectors, and what is grown are files of pictures; `tenfold prove` tells whether "
            "mixing the vectors while training helps"
        )


def parse_growing(text: str) -> Component:
    """A method that makes new image files, read from `name` or `name(option=value,...)`.

    Raises:
        InputError: the text does not read as that, or the method makes none.
    """
    component = parse_component(text)
    if not component.make({}).makes_files():
        raise InputError(f"{component.method} makes no new image files; it works on batches while training")
    return component


def grow_images(real: ImageDataset, component: Component, times: float, seed: int) -> Grown:
    """The new images of one method, fitted on these."""
    return component.make({}).grow(real, times, Key(f"seed-{seed}") / "grow" / component.method)


def write_grown(
    directory: Path,
    real: ImageDataset,
    grown: Grown,
    method: str,
    seed: int,
    *,
    only_new: bool,
    keep_copies: bool = False,
) -> GrowResult:
    """Write the pictures and metadata.jsonl; a directory that has them already is left as it is.

    A generator's near copies of real images are left out, or with `keep_copies` written and marked "near_copy".

    Raises:
        OnlyCopied: nothing else was made; nothing is written.
    """
    copied = _near_copies(real, grown, method)
    written = np.arange(len(copied)) if keep_copies else np.flatnonzero(~copied)
    if not len(written):
        raise OnlyCopied(
            f"all {len(copied)} images that {method} made are near copies of real ones: give it more images or "
            "take another method (tenfold grow --keep-copies writes them all the same)"
        )
    generator_hash = hashlib.sha256(_weights(grown)).hexdigest()[:16] if grown.generator else None
    made = grown.as_dataset(real).take(written)
    new_records: list[Mapping[str, object]] = [
        {
            "origin": "generated",
            "method": method,
            "parents": [real.sources[parent] for parent in grown.parents[index]],
            "seed": grown.seeds[index],
            "run_seed": seed,
            "generator": generator_hash,
        }
        | ({"near_copy": True} if copied[index] else {})
        for index in written
    ]
    real_records: list[Mapping[str, object]] = [{"origin": "real"}] * len(real)
    whole, records = (made, new_records) if only_new else (real.joined(made), real_records + new_records)
    if not (directory / "metadata.jsonl").exists():
        export(directory, whole, records)
    return GrowResult(
        directory,
        method,
        0 if only_new else len(real),
        len(made),
        generator_hash,
        grown.details,
        near_copies=int(copied.sum()),
        kept_copies=keep_copies,
    )


def save_generator(path: Path, real: ImageDataset, grown: Grown, method: str) -> None:
    """The generator's weights, and beside them as JSON what it takes to use them."""
    write_bytes(path, _weights(grown))
    write_json(
        path.with_suffix(".json"),
        {
            "method": method,
            "class_names": list(real.class_names),
            "image_shape": list(real.image_shape),
            "real_images": len(real),
            "details": dict(grown.details),
        },
    )


def _near_copies(real: ImageDataset, grown: Grown, method: str) -> npt.NDArray[np.bool_]:
    """Which new images a generator only remembered; one mark each."""
    if not method_class(method).trains_generator:
        # Augmented siblings are near copies by design, and say so through their parents.
        return np.zeros(len(grown.images), dtype=np.bool_)
    return copies_among(grown.images, real.images, real.groups)[0]


def _weights(grown: Grown) -> bytes:
    """The generator as a safetensors file, which wants each array to lie in the memory in the order of its axes."""
    return safetensors.numpy.save({name: np.ascontiguousarray(value) for name, value in grown.generator.items()})
