"""New images with where each came from, and the loop that draws until unusable ones are replaced.

Unusable is what has a wrong label, or is a near copy of a real image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.core.keys import Key
from tenfold.core.rows import ImageRows
from tenfold.core.types import ImageDataset, ImagesOfRows
from tenfold.data.duplicates import copy_threshold, nearest
from tenfold.generators import Generator, Images, Indices, Judge
from tenfold.training.classifier import ClassifierConfig, train_classifier
from tenfold.training.recipe import standard_augmentation

FILTER = ClassifierConfig(steps=200)
"""Of the classifier that checks labels."""
ROUNDS = 4
"""How often images are drawn at most: once, and rejected ones three times more."""


@dataclass(frozen=True, eq=False)
class Grown:
    """New labelled images and where each came from."""

    images: Any
    """uint8 N x C x H x W; of rows that are made when they are asked for, all at once: `rows` gives some."""
    labels: Indices
    """N."""
    parents: tuple[tuple[int, ...], ...]
    """For each new image the real ones it was made from, as indices into the training set; () when it was
    made from what a network learned of all of them."""
    seeds: tuple[int, ...]
    generator: Generator | None = None
    """What made them, where something had learned to."""
    details: Mapping[str, Any] = field(default_factory=dict)
    near_copies: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    """N marks of what a generator only remembered; empty of methods whose images are siblings by design."""
    numbers: Indices = field(default_factory=lambda: np.zeros(0, np.int64))
    """N: each one's own among all that were wanted, of which some may not be usable; empty where all are here."""
    rows: ImageRows = field(init=False, repr=False)

    def take(self, indices: Indices) -> Grown:
        """Those at these places."""
        return replace(
            self,
            images=self.rows.take(indices),
            labels=self.labels[indices],
            parents=tuple(self.parents[i] for i in indices),
            seeds=tuple(self.seeds[i] for i in indices),
            near_copies=self.near_copies[indices] if len(self.near_copies) else self.near_copies,
            numbers=self.numbers[indices] if len(self.numbers) else self.numbers,
        )

    def as_dataset(self, train: ImageDataset) -> ImageDataset:
        """The new images as a set of their own; a child shares the group of its first parent."""
        rows: Any = self.rows
        fresh = int(train.groups.max(initial=-1)) + 1
        groups = [train.groups[p[0]] if p else fresh + i for i, p in enumerate(self.parents)]
        return ImageDataset(
            name=f"{train.name}, grown",
            images=rows,
            labels=self.labels,
            class_names=train.class_names,
            groups=np.asarray(groups, dtype=np.int64),
            sources=tuple(f"grown[{i}]" for i in range(len(self.labels))),
            roles=np.full(len(self.labels), "train"),
            value_ranges=train.value_ranges,
        )


Grown.images = ImagesOfRows()  # here, as in the class it would be a default


def spread(times: float, images: int) -> Indices:
    """About `times` x `images` indices, at least one, in rising order and spread evenly over all images.

    Images often stand in the order of their classes: taking them from the front would leave the last ones short.
    """
    count = max(1, round(times * images))
    return np.arange(count, dtype=np.int64) * images // count


@dataclass(frozen=True, eq=False)
class Usable:
    """What is left of N wanted images."""

    kept: Indices
    """Which of the N have the label they were drawn for."""
    images: Images
    """Of those that are kept."""
    seeds: tuple[int, ...]
    near_copies: npt.NDArray[np.bool_]
    counts: dict[str, int]
    """Images drawn, of a wrong label, near copies, and usable at last."""


@dataclass(frozen=True, eq=False)
class Filters:
    """What new images are held against."""

    judge: Judge | None
    """A classifier of the real images; None where every label is taken for right."""
    real: ImageDataset
    threshold: float
    """At this distance from a real image, or nearer, one is a near copy."""

    @classmethod
    def of(cls, judge: Judge | None, real: ImageDataset) -> Filters:
        return cls(judge, real, copy_threshold(real.images, real.groups))

    def wrong(self, images: Images, labels: Indices) -> npt.NDArray[np.bool_]:
        """Which are not recognised as their class."""
        return self.judge(images) != labels if self.judge else np.zeros(len(labels), np.bool_)

    def copied(self, images: Images) -> npt.NDArray[np.bool_]:
        """Which are near copies."""
        return np.asarray(nearest(images, self.real.images)[1] <= self.threshold)


def classifier_of(real: ImageDataset, key: Key) -> Judge | None:
    """What checks labels; None where there is nothing to tell apart."""
    if len(np.unique(real.labels)) < 2:
        return None
    classifier = train_classifier(real, None, standard_augmentation(), key / "label filter", FILTER)
    return lambda images: np.asarray(classifier.probabilities(images).argmax(1))


def draw(generator: Generator, chosen: Indices, numbers: Indices, filters: Filters, key: Key) -> Grown:
    """A new image for each of the chosen real ones, as far as usable; maybe none.

    Args:
        chosen: real images, as indices into those of `filters`.
        numbers: which of all wanted images each one is: it has the same bytes whatever is drawn beside it.
    """
    real = filters.real
    conditions_of = generator.conditions(real, key)
    parents: list[tuple[int, ...]] = [()] * len(chosen)

    def images(places: Indices, seeds: Indices) -> Images:
        conditions = conditions_of(chosen[places], seeds)
        for place, its_parents in zip(places, conditions.parents, strict=True):
            parents[place] = its_parents
        return generator.sample(conditions, seeds, real.image_shape)

    usable = draw_usable(real.labels[chosen], numbers, images, filters, key)
    return Grown(
        images=usable.images,
        labels=real.labels[chosen[usable.kept]],
        parents=tuple(parents[place] for place in usable.kept),
        seeds=usable.seeds,
        generator=generator,
        details={**generator.details, **usable.counts},
        near_copies=usable.near_copies,
        numbers=numbers[usable.kept],
    )


def draw_usable(
    labels: Indices, numbers: Indices, draw: Callable[[Indices, Indices], Images], filters: Filters, key: Key
) -> Usable:
    """Draw an image for each of N labels; rejected ones anew with other seeds, three times at most.

    Args:
        numbers: N, each image's own, of which its seeds are made: it is the same whatever is drawn beside it.
        draw: (places among the N, a seed for each) -> their images.
    """
    images = np.zeros((len(labels), *filters.real.image_shape), np.uint8)
    seeds = np.zeros(len(labels), np.int64)
    wrong, copied = np.ones(len(labels), bool), np.zeros(len(labels), bool)
    drawn = wrong_ones = copies = 0
    for round_ in range(ROUNDS):
        missing = np.flatnonzero(wrong | copied)
        if not len(missing):
            break
        seeds[missing] = [(key / "sample" / round_ / int(number)).seed for number in numbers[missing]]
        images[missing] = draw(missing, seeds[missing])
        wrong[missing] = filters.wrong(images[missing], labels[missing])
        copied[missing] = filters.copied(images[missing])
        drawn += len(missing)
        wrong_ones += int(wrong[missing].sum())
        copies += int((copied & ~wrong)[missing].sum())
    kept = np.flatnonzero(~wrong)
    usable = int((~copied[kept]).sum())
    counts = {"drawn": drawn, "wrong_label": wrong_ones, "near_copies": copies, "usable": usable}
    return Usable(kept, images[kept], tuple(int(seed) for seed in seeds[kept]), copied[kept], counts)
