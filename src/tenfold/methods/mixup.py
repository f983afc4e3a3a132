"""MixUp: images and labels of two images blended with one weight.

Source: Zhang et al. 2018. Deviation: each image draws its own weight from Beta(alpha, alpha), where most
implementations draw one for the batch (`weights=batch`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, final

from pydantic import Field, PositiveFloat

from tenfold import methods
from tenfold.augment.mixing import MixUp
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.training.recipe import Recipe


@dataclass(frozen=True)
class Config:
    alpha: PositiveFloat = 0.2
    """0.2 to 0.4 are usual; towards 0 it is ordinary training, large values underfit."""
    ways: Annotated[int, Field(ge=2)] = 2
    """How many images are blended."""
    weights: Literal["image", "batch"] = "image"
    """Who has a weight of its own."""
    within_class: bool = False
    """Blend images of one class only; it helps less."""


@final
class Method(methods.Method):
    Config = Config
    changes_batches = True
    mixes_labels = True
    reads_vectors = True

    def fit(self, train: ImageDataset, reserve: ImageDataset | None, key: Key) -> Recipe:
        config = self.config
        mix = MixUp(config.alpha, ways=config.ways, weights=config.weights, within_class=config.within_class)
        return Recipe(transforms=(mix,))
