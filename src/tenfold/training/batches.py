"""Images from which the batches of a training are gathered, on the device where it runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from tenfold.augment.tensors import to_float, to_uint8
from tenfold.core.keys import Key
from tenfold.core.rows import ImageRows, MadeRows
from tenfold.core.types import ImageDataset
from tenfold.networks.blocks import resized
from tenfold.training.device import Device
from tenfold.training.recipe import Recipe

CHUNK_VALUES = 2**24
"""Pixel values that are floats at a time."""
VALUES_OF_VIEWS = 2**20
"""The same of images that are read one by one after they were changed."""
RESIDENT_SHARE = 0.25
"""Of a GPU's free memory; images that take no more live there as a whole."""

VALUES_IN_ONE_GO = 2**15
"""Pixel values that are drawn and transformed together; a batch of 28 x 28 images is above it."""
VALUES_AHEAD, MOST_AHEAD = 2**21, 8
"""Pixel values, and batches, that are made between two steps at most."""


class ImagePool:
    """Images at rest, uint8 or, of vectors, float32: N x C x H x W.

    On a GPU they live in its memory where there is room. On a processor none is copied before it is asked for:
    several processes share the arrays behind them, which may be mapped from a file.
    """

    def __init__(self, rows: ImageRows, device: Device) -> None:
        self.rows, self.device = rows, device
        self.resident: Tensor | None = None
        if device.kind != "cpu":
            free = device.free_bytes()
            if free is None or math.prod(rows.shape) * rows.dtype.itemsize <= RESIDENT_SHARE * free:
                self.resident = torch.tensor(rows[:]).to(device.torch)

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, chosen: Tensor) -> Tensor:
        """A new tensor of the images with these numbers, int64 B on the CPU: B x C x H x W on the device."""
        if self.resident is not None:
            return self.resident.index_select(0, chosen.to(self.device.torch))
        return as_tensor(self.rows, chosen.numpy()).to(self.device.torch)


class PlannedBatches:
    """The batches of a training: images by a plan, as floats in [-1, 1] with soft labels, transformed.

    Some are made ahead, one after the other: after a step the cache holds nothing that they need, and of small images
    a batch in its turn took twice as long. Of tiny images several are made in one go, because calling an operation
    outweighs its arithmetic.

    Args:
        targets: soft labels of all images, N x K, on the device.
        plan: which image stands where in which batch, steps x batch size.
        recipe: its transforms, and the side at which its start reads.
        random: what the transforms draw from.
    """

    def __init__(
        self, images: ImagePool, targets: Tensor, plan: Tensor, recipe: Recipe, random: torch.Generator
    ) -> None:
        self.images, self.targets, self.plan, self.random = images, targets, plan, random
        self.transforms, self.side = recipe.batch_transforms, None if recipe.init is None else recipe.init.side
        channels, *sides = images.rows.shape[1:]
        values = plan.shape[1] * channels * (self.side**2 if self.side else math.prod(sides))
        self.in_one_go = max(1, VALUES_IN_ONE_GO // values)
        # An objective of a method's own may draw between two batches.
        ahead = 1 if recipe.objective else min(MOST_AHEAD, VALUES_AHEAD // values)
        self.ahead = max(ahead, self.in_one_go)
        self.ready: list[tuple[Tensor, Tensor]] = []
        """Made, and not yet learned from."""

    def of_step(self, number: int, steps: int) -> tuple[Tensor, Tensor]:
        """The batch for the step after `number` others, of so many in all."""
        if not self.ready:
            last = max(number + 1, min(number + self.ahead, steps))
            for first in range(number, last, self.in_one_go):
                self.ready += self._made(self.plan[first : first + self.in_one_go])
        return self.ready.pop(0)

    def _made(self, plan: Tensor) -> list[tuple[Tensor, Tensor]]:
        chosen = plan.flatten()
        batch, soft = to_float(self.images.at(chosen)), self.targets.index_select(0, chosen.to(self.targets.device))
        if self.side is not None:
            batch = resized(batch, self.side, self.side)
        for transform in self.transforms:
            batch, soft = transform(batch, soft, self.random)
        size = self.plan.shape[1]
        return list(zip(batch.split(size), soft.split(size), strict=True))


def as_tensor(rows: ImageRows | npt.NDArray[Any], index: npt.NDArray[np.int64] | slice) -> Tensor:
    """Rows at these places, an index or a slice, as a tensor of its own."""
    found = rows[index]
    return torch.from_numpy(found if found.flags.owndata and found.flags.writeable else found.copy())


def some_floats(rows: ImageRows) -> Tensor:
    """Evenly from all images as many as tell how their pixels spread, 500 at most, as networks read them."""
    return to_float(as_tensor(rows, np.unique(np.linspace(0, len(rows) - 1, 500).astype(int))))


def enlarged(data: ImageDataset, shape: tuple[int, int, int]) -> ImageDataset:
    """The images with as many pixels as this shape, C, H, W, has: of new ones there are no more than were made."""
    if data.image_shape == shape:
        return data
    images = np.empty((len(data), *shape), np.uint8)
    size = max(1, CHUNK_VALUES // math.prod(shape))
    for start in range(0, len(data), size):
        part = to_float(as_tensor(data.rows, slice(start, start + size)))
        part = F.interpolate(part, size=shape[1:], mode="bicubic", align_corners=False, antialias=True)
        images[start : start + size] = to_uint8(part.clamp(-1, 1))
    return data.with_columns(images=images)


def with_views(data: ImageDataset, recipe: Recipe, key: Key) -> ImageDataset:
    """What a start learns from: the images, and views of them where it takes no steps in which to change them.

    A view is an image as the recipe's transforms change it, with its label; it is made where it is asked for, and the
    same when it is asked for again.
    """
    how = recipe.init
    if how is None or not how.views or not recipe.batch_transforms:
        return data
    side = how.side or data.image_shape[1]
    shape = (len(data), data.image_shape[0], side, side)
    together = max(1, VALUES_OF_VIEWS // math.prod(shape[1:]))

    def view(number: int) -> MadeRows:
        def made(start: int) -> npt.NDArray[np.uint8]:
            part = slice(start, start + together)
            images = resized(to_float(as_tensor(data.rows, part)), side, side)
            soft = F.one_hot(torch.from_numpy(data.labels[part]), data.class_count).float()
            draws = (key / f"view-{number}" / f"from-{start}").torch_generator()
            for transform in recipe.batch_transforms if number else ():
                images, soft = transform(images, soft, draws)
            return to_uint8(images)

        return MadeRows(made, shape, np.uint8, together)

    views = ImageRows(tuple(view(number) for number in range(how.views + 1)))
    return data.take(np.tile(np.arange(len(data)), how.views + 1)).with_columns(images=views)


def as_floats(rows: ImageRows, change: Callable[[Tensor], Tensor] = lambda images: images) -> Tensor:
    """All images as networks read them, float in [-1, 1]; what `change` makes of them, which treats each by itself.

    A chunk at a time: the floats of all of a large set, four bytes for one, never lie beside what becomes of them.
    """
    size = max(1, CHUNK_VALUES // math.prod(rows.shape[1:]))
    parts = (as_tensor(rows, slice(start, start + size)) for start in range(0, len(rows), size))
    return torch.cat([change(to_float(part)) for part in parts])
