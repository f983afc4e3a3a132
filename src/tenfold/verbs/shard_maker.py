"""What makes a shard of a grown set: its plan, the real images, and its number among the shards, nothing else.

Every image has a number among all of them, and its draws are named by that; shard 17 of 1,000 holds the images 17,
1017, 2017, ... So every shard holds all classes, none depends on another, and each can be made anywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.core.configuration import from_json
from tenfold.core.files import write_json, write_parts
from tenfold.core.keys import Key
from tenfold.core.options import GrowOptions, SampleOptions
from tenfold.core.types import ImageDataset
from tenfold.data.export import line, png
from tenfold.data.originals import Image
from tenfold.data.tar_shards import Sample, shard_name, tar_parts
from tenfold.generators import Indices
from tenfold.generators.filtering import draw
from tenfold.methods import Grown
from tenfold.verbs.full_size import FullSize
from tenfold.verbs.generators import generator_key
from tenfold.verbs.grown_set import FILTERS, REAL, Source, new_image_records, to_write
from tenfold.verbs.orders import Order, kept_generator, order_beside, unchecked, without_images
from tenfold.verbs.wanted import chosen_of, full_size_of, labels_of, parse_growing

AT_ONCE = 256
"""Images that are made together: no more of a shard are held."""
COUNTED = ("real_images", "new_images", *FILTERS)

Draw = Callable[[Indices, Key], Grown]
"""(numbers among all new images, a name for draws that they share) -> those that can be used, with their numbers."""


@dataclass(frozen=True)
class Plan:
    """All that a shard is made from, beside the real images: plain values, which any process can be sent."""

    command: str
    method: str
    """The name of what makes the new images."""
    options: Mapping[str, Any]
    """Of `GrowOptions` or `SampleOptions`."""
    shards: int
    generator: str | None = None
    """Its file; None of a method that has learned nothing."""
    data: str | None = None
    """Where the real images' files are, for those that have more pixels than were read."""


@dataclass(frozen=True, eq=False)
class Maker:
    """A plan with what was read for it."""

    real: ImageDataset
    source: Source
    count: int
    """New images that are wanted in all."""
    draw: Draw
    shards: int
    generator_hash: str | None = None
    full_size: FullSize | None = None

    def write(self, directory: Path, shard: int) -> dict[str, int]:
        """Write a shard, then, beside it, what it holds: `COUNTED` and its hash."""
        counts = Counter[str](dict.fromkeys(COUNTED, 0))
        path = directory / shard_name(shard, self.shards)
        digest = write_parts(path, tar_parts(self._samples(shard, counts)))
        write_json(path.with_suffix(".json"), {**counts, "sha256": digest})
        return dict(counts)

    def _samples(self, shard: int, counts: Counter[str]) -> Iterator[Sample]:
        if not self.source.only_new:
            for rows in _blocks(np.arange(shard, len(self.real), self.shards)):
                yield from self._real_images(rows, counts)
        key = generator_key(self.source.method, self.source.seed) / f"shard-{shard}-of-{self.shards}"
        for number, numbers in enumerate(_blocks(np.arange(shard, self.count, self.shards))):
            yield from self._new_images(self.draw(numbers, key / number), counts)

    def _real_images(self, rows: Indices, counts: Counter[str]) -> Iterator[Sample]:
        part = self.real.take(rows)
        images = part.rows[:]
        counts["real_images"] += len(rows)
        for index, row in enumerate(rows.tolist()):
            larger = None if self.full_size is None else self.full_size.originals.image(row)
            image = images[index] if larger is None else larger
            yield f"real-{row:08d}", _members(part, index, png(image, made=False), REAL)

    def _new_images(self, grown: Grown, counts: Counter[str]) -> Iterator[Sample]:
        counts.update({name: grown.details[name] for name in FILTERS if name in grown.details})
        grown = grown.take(to_write(grown, self.source))
        counts["new_images"] += len(grown.labels)
        fresh = int(self.real.groups.max(initial=-1)) + 1
        numbers = grown.numbers.tolist()
        groups = [self.real.groups[p[0]] if p else fresh + n for p, n in zip(grown.parents, numbers, strict=True)]
        sources = tuple(f"grown[{number}]" for number in numbers)
        made = grown.as_dataset(self.real).with_columns(groups=np.array(groups, np.int64), sources=sources)
        images = made.rows[:]
        records = new_image_records(self.real, grown, self.source, self.generator_hash)
        for index, (number, record) in enumerate(zip(numbers, records, strict=True)):
            image, told = self._larger(number, grown.parents[index]) or (images[index], {})
            yield f"generated-{number:08d}", _members(made, index, png(image, made=True), {**record, **told})

    def _larger(self, number: int, parents: tuple[int, ...]) -> tuple[Image, Mapping[str, object]] | None:
        return None if self.full_size is None else self.full_size.new(parents, self.full_size.key / number)


def _members(data: ImageDataset, index: int, image: bytes, told: Mapping[str, object]) -> dict[str, bytes]:
    label = str(data.labels[index]).encode()
    return {"png": image, "cls": label, "json": line(data, index, told).encode("utf-8", "surrogateescape")}


def _blocks(numbers: Indices) -> Iterator[Indices]:
    return (numbers[start : start + AT_ONCE] for start in range(0, len(numbers), AT_ONCE))


def maker_of(plan: Plan, real: ImageDataset | None) -> Maker:
    """What makes the shards of a plan.

    Args:
        real: the real images; None where the generator draws what is held against nothing.

    Raises:
        InputError: the generator cannot be read.
        MethodFailed: nothing that it makes may be used.
    """
    kinds: dict[str, type[GrowOptions] | type[SampleOptions]] = {"grow": GrowOptions, "sample": SampleOptions}
    options = from_json(kinds[plan.command], plan.options)
    if plan.generator is None:
        assert real is not None
        assert isinstance(options, GrowOptions)
        return _of_changes(plan, options, real)
    kept = kept_generator(plan.generator, options.truncation)
    if real is None:
        assert isinstance(options, SampleOptions)
        order, size = without_images(kept, options), options.size
        draw: Draw = lambda numbers, _: unchecked(order, numbers, options.seed, size)  # noqa: E731
    else:
        order = order_beside(kept, real, options)
        draw = _beside(order, options.seed)
    source = _source(plan, options)
    full_size = None
    if not source.only_new and plan.data is not None:
        full_size = full_size_of(plan.data, options, order.real, order.method, options.seed)
    return Maker(
        order.real, source, len(order.chosen), draw, plan.shards, order.generator.hash, full_size
    )  # fmt: skip


def _beside(order: Order, seed: int) -> Draw:
    """Images of a generator that are held against the real ones."""
    key = generator_key(order.method, seed)
    chosen = order.chosen[np.argsort(order.real.labels[order.chosen], kind="stable")]
    filters = order.method.filters(order.generator, order.real, key)
    return lambda numbers, _: draw(order.generator, chosen[numbers], numbers, filters, key)


def _of_changes(plan: Plan, options: GrowOptions, real: ImageDataset) -> Maker:
    """Real images, changed."""
    method = parse_growing(options.method).make({})
    change = method.changing(real)
    assert change is not None  # it has learned nothing, so that is all it can do
    parents = chosen_of(real, options.times, labels_of(options.classes, real.class_names))

    def draw(numbers: Indices, key: Key) -> Grown:
        of = parents[numbers]
        return Grown(
            images=change(real.rows[of], key),
            labels=real.labels[of],
            parents=tuple((int(parent),) for parent in of),
            seeds=(key.seed,) * len(of),
            numbers=numbers,
        )

    full_size = plan.data and full_size_of(plan.data, options, real, method, options.seed)
    return Maker(real, _source(plan, options), len(parents), draw, plan.shards, None, full_size or None)


def _source(plan: Plan, options: GrowOptions | SampleOptions) -> Source:
    only_new = options.only_new if isinstance(options, GrowOptions) else True
    return Source(plan.command, plan.method, options.seed, only_new, options.keep_copies)
