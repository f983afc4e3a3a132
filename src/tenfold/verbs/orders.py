"""What a kept generator is to draw: how many new images of which classes, beside which real ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tenfold.core.errors import InputError, did_you_mean
from tenfold.core.keys import Key
from tenfold.core.options import GrowOptions, SampleOptions
from tenfold.core.types import Data, ImageDataset
from tenfold.data.load import loaded
from tenfold.generators import Conditions, Generator, Images, Indices
from tenfold.methods import GeneratorMethod, Grown, KeptGenerator, load_generator
from tenfold.verbs.generators import generator_key, truncated
from tenfold.verbs.grown_set import FILTERS
from tenfold.verbs.wanted import chosen_of, labels_of, read_images, refuse_vectors


@dataclass(frozen=True, eq=False)
class Order:
    """A generator, what it is to draw, and the real images beside it."""

    method: GeneratorMethod
    generator: Generator
    real: ImageDataset
    """Those given; without any, no images, but the generator's classes."""
    chosen: Indices
    """For each new image the real one that it stands beside; without real images its label."""
    labels: tuple[int, ...]
    checked: bool


def order_of(generator: str | Path, data: Data | None, options: SampleOptions) -> Order:
    """Read everything and see that it fits, before anything is drawn."""
    kept = kept_generator(generator, options.truncation)
    if data is None and kept.generator.reads_images:
        raise InputError(
            f"{kept.method.name()} makes new images from real ones: name a set of them, "
            "tenfold sample GENERATOR NEWDATA OUT"
        )
    if data is None:
        return without_images(kept, options)
    real = _fitting(kept.path, kept.generator, data, options)
    if not kept.generator.keeps_class:
        real = _relabelled(real, kept.generator.class_names)
    return order_beside(kept, real, options)


def kept_generator(path: str | Path, truncation: float | None) -> KeptGenerator:
    """A generator as it is in its files, but for the bound on the noise that it draws from."""
    kept = load_generator(Path(path))
    method = truncated(kept.method, truncation)
    kept.generator.config = method.config
    return replace(kept, method=method)


def order_beside(kept: KeptGenerator, real: ImageDataset, options: SampleOptions | GrowOptions) -> Order:
    """New images beside these real ones, which fit the generator."""
    chosen = chosen_of(real, options.times, labels_of(options.classes, real.class_names))
    labels = tuple(np.unique(real.labels[chosen]).tolist())
    return Order(kept.method, kept.generator, real, chosen, labels, checked=True)


def without_images(kept: KeptGenerator, options: SampleOptions) -> Order:
    """As many of each class as were learned from, `times`."""
    method, generator = kept.method, kept.generator
    names, counts, times = generator.class_names, np.array(generator.class_counts), options.times
    if not generator.draws_labels and np.count_nonzero(counts) > 1:
        names, counts = ("unlabelled",), counts.sum(keepdims=True)
    labels = labels_of(options.classes, names)
    wanted = np.round(times * counts).astype(np.int64)
    chosen = np.concatenate([np.full(wanted[label], label, np.int64) for label in sorted(labels)])
    if not len(chosen):
        raise InputError(f"{times:g} times what {method.name()} learned of these classes is not one image")
    nothing = np.zeros(0, np.int64)
    shape = (0, *generator.image_shape)
    real = ImageDataset(
        kept.path.parent.name, np.zeros(shape, np.uint8), nothing, names, nothing, (), np.zeros(0, "<U5")
    )
    real = real.with_columns(value_ranges=generator.value_ranges)
    return Order(method, generator, real, chosen, tuple(label for label in labels if wanted[label]), checked=False)


def _fitting(path: Path, generator: Generator, data: Data, options: SampleOptions) -> ImageDataset:
    """The images at the generator's size, unless another is asked for, and scaled as those it learned from.

    Raises:
        InputError: they are grey where it draws colour, or the other way round.
    """
    channels, side, _ = generator.image_shape
    real = loaded(data, options, generator.value_ranges)
    refuse_vectors(real)
    if options.size is None and real.image_shape[1] != side:
        real = loaded(data, replace(options, size=side), generator.value_ranges)
    if real.image_shape[0] != channels:
        kinds = {1: "grey", 3: "colour"}
        raise InputError(
            f"{real.name} is {kinds[real.image_shape[0]]} and the generator in {path} was trained on "
            f"{kinds[channels]} images; convert the images, or fit a generator on such ones"
        )
    return read_images(real)


def _relabelled(real: ImageDataset, class_names: tuple[str, ...]) -> ImageDataset:
    """The same images with the generator's classes.

    Raises:
        InputError: a class is none of these.
    """
    for name in (real.class_names[label] for label in np.unique(real.labels)):
        if name not in class_names:
            raise InputError(
                f"{real.name} has a class '{name}', which the generator has not learned."
                f"{did_you_mean(name, class_names)}"
            )
    places = np.array([class_names.index(n) if n in class_names else -1 for n in real.class_names], dtype=np.int64)
    return real.with_columns(labels=places[real.labels], class_names=class_names)


def unchecked(order: Order, numbers: Indices, seed: int, size: int | None) -> Grown:
    """The images of these numbers among all that are ordered, held against nothing.

    Args:
        size: of their sides; as learned, unless given.
    """
    key = generator_key(order.method, seed)
    part = replace(order, chosen=order.chosen[numbers])
    seeds = np.array([(key / "sample" / 0 / int(number)).seed for number in numbers], dtype=np.int64)
    return Grown(
        images=draw_ordered(part, seeds, size),
        labels=part.chosen,
        parents=((),) * len(numbers),
        seeds=tuple(int(seed) for seed in seeds),
        generator=order.generator,
        # What `grow` threw away when it made this generator is no count of these images.
        details={name: value for name, value in order.generator.details.items() if name not in FILTERS},
        numbers=numbers,
    )


def draw_ordered(order: Order, seeds: Indices, size: int | None) -> Images:
    """An image a seed, for each that is ordered."""
    channels, height, width = order.generator.image_shape
    shape = order.real.image_shape if order.checked else (channels, size or height, size or width)
    if order.checked:
        conditions = order.generator.conditions(order.real, Key("drawing"))(order.chosen, seeds)
    else:
        conditions = Conditions.of_labels(order.chosen)
    return order.generator.sample(conditions, seeds, shape)
