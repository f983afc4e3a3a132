"""Classical augmentation: each image of a batch is turned, moved, scaled and lit with a draw of its own.

Arms use it while training (`fit`), `grow` writes its images to files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Self, final

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor

from tenfold import methods
from tenfold.augment.automatic import RandAugment, TrivialAugment
from tenfold.augment.classical import Classical
from tenfold.augment.sampled_parameters import POLICIES, Flips, Ranges, SampledParameters
from tenfold.augment.tensors import SIGNED, to_float, to_uint8
from tenfold.core.keys import Key
from tenfold.core.rows import ImageRows, MadeRows
from tenfold.core.types import ImageDataset
from tenfold.data.images import padded
from tenfold.training.recipe import Recipe

AT_ONCE = 256
"""Images that `grow` changes together, under one seed."""

MANY = 2000
"""Training images from which on the usual policy of grey ones is `light`. A classifier's steps show each of fewer
images a dozen times and more, so that it could learn them by heart; there `standard` is the best of the named
policies or as good. With 4,200 images `light` was 0.2 and 2.9 points better (benchmarks/results/augmentation.md)."""


@dataclass(frozen=True)
class Config:
    """Whether to mirror is chosen by validation images, if it is `auto`; where there are none, it is not done."""

    policy: Literal["auto", "light", "standard", "crops", "strong", "trivial", "rand"] = "auto"
    """`auto` is `crops` for colour images, `standard` for grey ones, or `light` for many of these.
    `trivial` and `rand` are TrivialAugment and RandAugment, which do one or two things to each image."""
    flips: Literal["auto", "no", "horizontal", "both"] = "auto"
    """Mirror left-right, or also upside down, each with probability 1/2. It turns letters and digits into others."""
    quarter_turns: bool = False
    """Turn by a random multiple of 90 degrees."""
    degrees: Annotated[float, Field(ge=0, le=180)] | None = None
    """Turn by up to so much either way; 180 suits images that have no upright. The policy's own if not given."""


@final
class Method(methods.Method):
    Config = Config
    changes_batches = True
    usual_policy = "standard"

    def for_set(self, train: ImageDataset) -> Self:
        method = type(self)(self.config)
        grey = "light" if len(train) >= MANY else "standard"
        method.usual_policy = "crops" if train.image_shape[0] > 1 else grey
        return method

    def search_space(self) -> Mapping[str, tuple[str, ...]]:
        """The policy follows from the channels and the number of images: short tries would choose it by how fast it
        is learned from, and full trainings by the luck of few validation images (benchmarks/results/augmentation.md).

        Upside down has to be asked for: on images with an upright it cost 2 to 7 points, and few validation images
        may choose it all the same (benchmarks/results/augmentation.md).
        """
        candidates = {"policy": (self.usual_policy,), "flips": ("no", "horizontal")}
        return {name: values for name, values in candidates.items() if getattr(self.config, name) == "auto"}

    def fit(self, train: ImageDataset, reserve: ImageDataset | None, key: Key) -> Recipe:
        return Recipe(transforms=(self.for_set(train)._augmentation(),))

    def changing(self, train: ImageDataset) -> methods.Change:
        change = self.for_set(train)._augmentation()

        def changed(images: npt.NDArray[np.uint8], key: Key) -> npt.NDArray[np.uint8]:
            if self.config.quarter_turns and images.shape[2] != images.shape[3]:
                squares = [padded(image.transpose(1, 2, 0), max(image.shape)) for image in images]
                images = np.stack(squares).transpose(0, 3, 1, 2).astype(np.uint8, copy=False)
            batch = to_float(torch.tensor(images))
            return to_uint8(change(batch, torch.zeros(len(batch)), key.torch_generator())[0])

        return changed

    def grow(self, train: ImageDataset, times: float, key: Key) -> methods.Grown:
        change = self.changing(train)
        parents = methods.spread(times, len(train))
        starts = np.arange(len(parents)) // AT_ONCE * AT_ONCE

        def make(start: int) -> npt.NDArray[np.uint8]:
            return change(train.rows[parents[start : start + AT_ONCE]], key / start)

        # Made while they are written: 20,000 images would not be held in memory.
        shape = (len(parents), *train.image_shape)
        return methods.Grown(
            images=ImageRows((MadeRows(make, shape, np.uint8, AT_ONCE),)),
            labels=train.labels[parents],
            parents=tuple((int(parent),) for parent in parents),
            seeds=tuple((key / int(start)).seed for start in starts),
        )

    def _augmentation(self) -> Augmentation:
        return Augmentation(replace(self.config, **self.default_options()))


class Augmentation:
    """The transforms of one configuration in which nothing is left to choose."""

    def __init__(self, config: Config) -> None:
        named = config.policy in POLICIES
        ranges = POLICIES[config.policy] if named else Ranges()
        if config.degrees is not None:
            ranges = replace(ranges, degrees=config.degrees)
        flips: Flips = "no" if config.flips == "auto" else config.flips
        self.classical = Classical(ranges, flips=flips, quarter_turns=config.quarter_turns, value_range=SIGNED)
        self.automatic = (
            None if named else (TrivialAugment if config.policy == "trivial" else RandAugment)(value_range=SIGNED)
        )

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Float B x C x H x W in [-1, 1] -> the same, changed; the labels stay."""
        changed, _ = self._changed(images, generator)
        return changed, labels

    def described(
        self, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, list[str]]:
        """The same, with what was drawn for each image in words."""
        changed, changes = self._changed(images, generator)
        coloured = images.shape[1] == 3
        return changed, labels, [changes.describe(index, coloured=coloured) for index in range(len(images))]

    def _changed(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, SampledParameters]:
        if self.automatic is not None:
            images = self.automatic(images, generator)
        changes = self.classical.draw(len(images), generator)
        return self.classical.apply(images, changes, generator), changes
