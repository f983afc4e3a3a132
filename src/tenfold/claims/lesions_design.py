"""The liver-lesion study's design on other pictures: three unequal classes of about 60 images, three folds.

Its lesions cannot be had; white blood cells stand in for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
import torch

from tenfold.augment.classical import Classical
from tenfold.augment.sampled_parameters import Ranges
from tenfold.augment.tensors import SIGNED, to_uint8
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset, Split
from tenfold.data.audit import audit, cleaned
from tenfold.data.load import load
from tenfold.data.splits import make_splits, plan_folds
from tenfold.methods import make_method, spread
from tenfold.training.recipe import Recipe

Indices = npt.NDArray[np.int64]

WANTED = (65, 64, 53)
"""The study's lesions of each class, the most first."""
FOLDS = 3
TURNED = 9
"""Turned copies of each image that a generator learns from beside it: 64 images become 640, as in the article."""
CLASSICAL = {"policy": "standard", "flips": "both", "degrees": 180}
"""A cell has no upright."""

Amount = int | None
"""New pictures for each real one, made once; None is a new draw at every step, and so no end of them."""


@cache
def pool(size: int) -> ImageDataset:
    """Independent images of the three largest classes, the largest first; S x S pixels."""
    data = load("wbc", size=size)
    data = cleaned(data, audit(data))
    _, first = np.unique(data.groups, return_index=True)  # of equal images one
    data = data.take(first)
    largest = np.argsort(-data.counts(), kind="stable")[: len(WANTED)]
    chosen = data.take(np.flatnonzero(np.isin(data.labels, largest)))
    rank = np.zeros(data.class_count, np.int64)
    rank[largest] = np.arange(len(largest))
    names = tuple(data.class_names[label] for label in largest)
    return replace(chosen, labels=rank[chosen.labels], class_names=names)


def deal(labels: Indices, wanted: Sequence[int] = WANTED) -> list[Indices]:
    """Every image in one pile: of each class as many piles as images are wanted, or as there are.

    A seed takes one image of each pile. So it draws its images anew, and still each row of a table of piles x seeds
    is independent of all others, which is what intervals over images and seeds take.
    """
    order = Key("lesions/piles").numpy_generator().permutation(len(labels))
    piles: list[Indices] = []
    for label, most in enumerate(wanted):
        members = order[labels[order] == label]
        count = min(most, len(members))
        piles += [members[start::count] for start in range(count)]
    return piles


def study_of(data: ImageDataset, key: Key) -> ImageDataset:
    """One image of each pile of `pool`'s images, in the order of the piles."""
    random = (key / "images").numpy_generator()
    return data.take([pile[random.integers(len(pile))] for pile in deal(data.labels)])


def folds_of(study: ImageDataset, key: Key) -> list[Split]:
    """Three folds, each with inner images of its training part to choose by."""
    return make_splits(study, plan_folds(study, FOLDS), 0, key)


def classical(train: ImageDataset, amount: Amount, key: Key) -> Recipe:
    """Classical augmentation of these images; with 0 there is none."""
    if amount == 0:
        return Recipe()
    method = make_method("classical", dict(CLASSICAL))
    if amount is None:
        return method.fit(train, None, key)
    return Recipe(extra=method.grow(train, amount, key).as_dataset(train))


def turned(train: ImageDataset, key: Key, times: int = TURNED) -> ImageDataset:
    """These images and `times` copies of each, turned by any angle and mirrored at random."""
    change = Classical(Ranges(degrees=180), flips="both", value_range=SIGNED)
    parents = spread(times, len(train))
    images = to_uint8(change(torch.tensor(train.images[parents]), key.torch_generator()))
    return train.joined(replace(train.take(parents), images=images))


def words(amount: Amount) -> str:
    """What a table calls it."""
    if amount is None:
        return "drawn anew at every step"
    return f"{amount} for each real image" if amount else "real images alone"
