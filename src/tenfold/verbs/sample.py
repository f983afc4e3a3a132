"""`sample`: new labelled images from a generator that was kept."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tenfold.core.files import write_bytes
from tenfold.core.keys import Key
from tenfold.core.options import PROCESSES, SampleOptions
from tenfold.core.output import require_apart
from tenfold.core.progress import about, note
from tenfold.core.results import DryRun, Result
from tenfold.core.types import Data, ImageDataset
from tenfold.generators import CHUNK, Conditions
from tenfold.methods import Grown
from tenfold.report.image_sheet import Sheet, preview_png
from tenfold.runs.code import code_of
from tenfold.runs.directory import CODE, make_ready
from tenfold.training.device import current_device
from tenfold.verbs import on_chosen_device
from tenfold.verbs.generators import classes, generator_key
from tenfold.verbs.grown_set import GrowResult, Source, require_room, write_grown
from tenfold.verbs.new_set import new_set
from tenfold.verbs.orders import Order, draw_ordered, order_of, unchecked
from tenfold.verbs.shards import ALL, Sharded, Which, sample_in_shards
from tenfold.verbs.sheets import WALK, interpolation, new_images, walk_of


@dataclass(frozen=True, eq=False)
class Sampled(Result):
    """What was drawn and where it lies."""

    grown: GrowResult
    checked: bool
    """Against real images: labels and near copies."""
    class_counts: Mapping[str, int]
    """New images of each class, as written."""

    @property
    def directory(self) -> Path:
        return self.grown.directory

    @property
    def sentence(self) -> str:
        if self.checked:
            return self.grown.sentence
        return f"{self.grown.sentence}; no real images were given, so labels and near copies were not checked"

    def to_json(self) -> dict[str, Any]:
        sheets = {name: str(self.directory / f"{name}.png") for name in ("sheet", "interpolation")}
        return self.grown.to_json() | sheets | {"checked": self.checked, "class_counts": dict(self.class_counts)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Sampled:
        grown = GrowResult.from_json(document)
        assert isinstance(grown, GrowResult)
        return cls(grown, document["checked"], document["class_counts"])


@on_chosen_device
def sample(
    generator: str | Path,
    data: Data | None,
    out: str | Path,
    options: SampleOptions | None = None,
    *,
    shard: int | None = None,
    workers: int | None = None,
    on: str = PROCESSES,
    **changes: Any,
) -> Sampled | Sharded:
    """Draw new labelled images: OUT/<class>/*.png, metadata.jsonl, sheet.png and interpolation.png.

    A generator that makes an image from a real one of its class (dagan) makes `times` new images of each one of
    `data`, whose classes it need not have seen. Others draw classes that they have learned. With `data`, images that
    a classifier of it does not recognise and near copies of it are thrown away.

    Args:
        generator: a directory that `fit`, `grow` or `run` wrote, or generator.safetensors.
        data: labelled images; None draws `times` as many of each class as were learned from, unchecked.
        options: how many images, of which classes and of which size; as learned, unless given. With `shards` they
            are written as so many .tar files, without the sheets.
        shard: make this one alone, from 0; all, unless given.
        workers: how many shards are made at a time; as many as the device bears, unless given.
        on: where they are made, as in `prove`; elsewhere `out` must be a directory that all machines share.
        changes: fields of `SampleOptions` by name, such as `times=2`; they stand above `options`.

    Raises:
        InputError: the generator, the data or `out` cannot be used, or they do not fit one another.
        MethodFailed: nothing that was drawn is usable; nothing is written.
    """
    options = SampleOptions.of(options, changes)
    directory = Path(out)
    if (which := Which(shard, workers, on)) != ALL or options.shards is not None:
        return sample_in_shards(generator, data, directory, options, which)
    require_apart(directory, data)
    make_ready(directory, "sample")
    order = order_of(generator, data, options)
    require_room(len(order.chosen), order.real)
    asked = {**options.to_json(), "checked": order.checked, "device": current_device().kind}
    reads = {order.real.name: order.real.fingerprint(), "(generator)": order.generator.hash}
    reads[CODE] = code_of(type(order.method).__module__)
    with new_set(directory, "sample", asked, reads) as new:
        if not new.found:
            note(f"drawing {len(order.chosen)} images with {order.method.name()}")
            new.finish(_drawn(new.folder, order, options))
    return Sampled(GrowResult.of(new), order.checked, new.kept["class_counts"])


def _drawn(folder: Path, order: Order, options: SampleOptions) -> dict[str, Any]:
    """Draw and write everything; gives what is to be known of it."""
    key = generator_key(order.method, options.seed)
    if order.checked:
        grown = order.method.more(order.generator, order.real, order.chosen, key)
    else:
        grown = unchecked(order, np.arange(len(order.chosen)), options.seed, options.size)
    title = f"{order.method.name()}, {order.real.name}"
    sheet = new_images(order.real, grown, title)
    walk = _walk(order, key / "interpolation", grown.images.shape[1:], title)
    source = Source("sample", order.method.name(), options.seed, keep_copies=options.keep_copies)
    result = write_grown(folder, order.real, grown, source)
    write_bytes(folder / "sheet.png", preview_png(sheet))
    write_bytes(folder / "interpolation.png", preview_png(walk))
    return result.kept | {"class_counts": _counts(order.real, grown, options.keep_copies)}


@on_chosen_device
def sample_forecast(
    generator: str | Path,
    data: Data | None,
    options: SampleOptions | None = None,
    **changes: Any,
) -> DryRun:
    """Say what `sample` would draw with these options and how long the drawing takes; writes nothing.

    Raises:
        InputError: as `sample`.
    """
    options = SampleOptions.of(options, changes)
    order = order_of(generator, data, options)
    labels = order.real.labels[order.chosen] if order.checked else order.chosen
    counts = {order.real.class_names[k]: int((labels == k).sum()) for k in order.labels}
    one = replace(order, chosen=order.chosen[:CHUNK])
    started = time.perf_counter()
    draw_ordered(one, np.arange(len(one.chosen)), options.size)
    seconds = (time.perf_counter() - started) * -(-len(order.chosen) // CHUNK)
    each = ", ".join(f"{name}: {count}" for name, count in counts.items())
    drawn = f"{order.method.name()} would draw {len(order.chosen)} images of {classes(len(counts))} ({each})"
    drawn += f", {about(seconds)}"
    unchecked = "; no real images are given, so labels and near copies would not be checked"
    sentence = f"{drawn}, and check them against the real ones" if order.checked else drawn + unchecked
    return DryRun(
        sentence,
        {
            "method": order.method.name(), "new_images": len(order.chosen), "class_counts": counts,
            "checked": order.checked, "seconds": round(seconds, 1),
        },
    )  # fmt: skip


def _walk(order: Order, key: Key, shape: tuple[int, int, int], title: str) -> Sheet:
    """Rows of images on the way from one end to another, for a few real ones or labels."""
    generator = order.generator
    walked, cells = walk_of(order.real, order.labels, generator.reads_images)

    def conditions(end: Key) -> Conditions:
        if not generator.reads_images:
            return Conditions.of_labels(walked)
        seeds = np.array([(end / row).seed for row in range(len(walked))])
        return generator.conditions(order.real, end)(walked, seeds)

    ends = conditions(key / "first"), conditions(key / "second")
    rows = generator.between(ends, torch.linspace(0, 1, WALK).tolist(), key, shape)
    return interpolation(rows, cells, generator, title)


def _counts(real: ImageDataset, grown: Grown, keep_copies: bool) -> dict[str, int]:
    copied = grown.near_copies if len(grown.near_copies) and not keep_copies else np.zeros(len(grown.labels), bool)
    counts = np.bincount(grown.labels[~copied], minlength=real.class_count)
    return {name: int(count) for name, count in zip(real.class_names, counts, strict=True) if count}
