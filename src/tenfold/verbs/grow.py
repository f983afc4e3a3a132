"""`grow`: write a grown set as a folder of images with a record of where each came from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.core.options import PROCESSES, GrowOptions
from tenfold.core.output import require_apart
from tenfold.core.progress import about, note
from tenfold.core.results import DryRun
from tenfold.core.types import Data, ImageDataset
from tenfold.generators.generator_io import FILE, save_generator
from tenfold.methods import GeneratorMethod, Grown, Method
from tenfold.runs.arms import Component
from tenfold.runs.code import code_of
from tenfold.runs.directory import CODE, make_ready
from tenfold.training.device import current_device
from tenfold.verbs import on_chosen_device
from tenfold.verbs.generators import generator_key, training_time, truncated
from tenfold.verbs.grown_set import GrowResult, Source, require_room, write_grown
from tenfold.verbs.new_set import new_set
from tenfold.verbs.shards import ALL, Sharded, Which, grow_in_shards
from tenfold.verbs.wanted import chosen_of, full_size_of, labels_of, parse_growing, read_images


@on_chosen_device
def grow(
    data: Data,
    out: str | Path,
    options: GrowOptions | None = None,
    *,
    shard: int | None = None,
    workers: int | None = None,
    on: str = PROCESSES,
    **changes: Any,
) -> GrowResult | Sharded:
    """Make about `options.times` new images for each real one and write OUT/<class>/*.png and OUT/metadata.jsonl.

    A single class, or one with a single image, can be grown; whether growing helps is another question, which
    `prove` answers. A trained generator is kept beside the images as generator.safetensors. Those of its
    images that are near copies of real ones are left out, unless `keep_copies`.

    Real images are written as large as their files are, new ones of a method that changes images with up to 1,024
    pixels, those of a generator as large as what it learned from.

    A generator learns from all classes, also where new images of some are wanted. A command that was killed goes on,
    to the same bits: until all is written, a hidden folder in OUT keeps what it takes.

    With `shards` the set is written as so many .tar files, in which an image is KEY.png, KEY.cls and KEY.json. Each
    has the same bytes wherever and whenever it is made.

    Args:
        options: the method, and how many images of which classes.
        shard: make this one alone, from 0; all, unless given.
        workers: how many shards are made at a time; as many as the device bears, unless given.
        on: where they are made, as in `prove`; elsewhere `out` must be a directory that all machines share.
        changes: fields of `GrowOptions` by name, such as `method="cgan"`; they stand above `options`.

    Raises:
        InputError: the data, the method or OUT cannot be used.
        MethodFailed: the method gave nothing usable; nothing is written.
    """
    options, directory = GrowOptions.of(options, changes), Path(out)
    if (which := Which(shard, workers, on)) != ALL or options.shards is not None:
        return grow_in_shards(data, directory, options, which)
    grower = truncated(parse_growing(options.method).make({}), options.truncation)
    require_apart(directory, data)
    make_ready(directory, "grow")
    real = read_images(data, options)
    labels = labels_of(options.classes, real.class_names)
    require_room(round(options.times * len(real)), real)
    asked = {**options.to_json(), "device": current_device().kind}
    reads = {real.name: real.fingerprint(), CODE: code_of(type(grower).__module__)}
    with new_set(directory, "grow", asked, reads) as new:
        if not new.found:
            note(f"growing {len(real)} images {options.times:g} times with {options.method}")
            with new.trainings():
                grown = _grow(real, grower, options.times, options.seed, labels)
                source = Source("grow", grower.name(), options.seed, options.only_new, options.keep_copies)
                full_size = full_size_of(data, options, real, grower, options.seed)
                result = write_grown(new.folder, real, grown, source, full_size)
                if grown.generator:
                    file = new.folder / FILE
                    save_generator(file, grower.name(), grown.generator, real, grown.details, options.seed)
            new.finish(result.kept)
    return GrowResult.of(new)


@on_chosen_device
def grow_forecast(data: Data, options: GrowOptions | None = None, **changes: Any) -> DryRun:
    """Say what `grow` would make with these options and how long its training takes; writes nothing.

    Raises:
        InputError: the data or the method cannot be used.
        MethodFailed: there is too little to learn from.
    """
    options = GrowOptions.of(options, changes)
    grower = truncated(parse_growing(options.method).make({}), options.truncation)
    real = read_images(data, options)
    count = len(chosen_of(real, options.times, labels_of(options.classes, real.class_names)))
    sentence = f"{grower.name()} would make {count} new images of {len(real)} real ones"
    facts: dict[str, Any] = {"method": grower.name(), "real_images": len(real), "new_images": count}
    if isinstance(grower, GeneratorMethod):
        steps, seconds = training_time(grower, real, options.seed)
        sentence += f", after a training of {steps} steps, {about(seconds)}"
        facts |= {"steps": steps, "seconds": round(seconds, 1)}
    return DryRun(sentence, facts)


def grow_images(real: ImageDataset, component: Component, times: float, seed: int) -> Grown:
    """The new images of one method, fitted on these."""
    method = component.make({})
    return method.grow(real, times, generator_key(method, seed))


def _grow(real: ImageDataset, method: Method, times: float, seed: int, labels: Sequence[int]) -> Grown:
    key = generator_key(method, seed)
    if len(labels) == real.class_count:
        return method.grow(real, times, key)
    chosen = chosen_of(real, times, labels)
    if isinstance(method, GeneratorMethod):
        return method.more(method.learn(real, key), real, chosen, key)
    grown = method.grow(real, times, key)
    return grown.take(np.flatnonzero(np.isin(grown.labels, labels)))
