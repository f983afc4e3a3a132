"""MixUp: pictures and labels of two images blended with one weight (Zhang et al. 2018).

Each image draws its own weight from Beta(alpha, alpha), where most implementations draw one for the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from pydantic import PositiveFloat
from torch import Tensor

from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.methods import base
from tenfold.train.recipe import Recipe
from tenfold.transforms.draws import beta


@dataclass(frozen=True)
class Config:
    alpha: PositiveFloat = 0.2
    """0.2 to 0.4 are usual; towards 0 it is ordinary training, large values underfit."""


@final
class Method(base.Method):
    Config = Config
    mixes_labels = True
    reads_vectors = True

    def fit(self, train: ImageDataset, reserve: ImageDataset | None, key: Key) -> Recipe:
        def transform(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
            return mix(images, labels, self.config.alpha, generator)

        return Recipe(transforms=(transform,))


def mix(images: Tensor, labels: Tensor, alpha: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Blend each image of the batch with a randomly chosen one.

    Args:
        images: float B x C x H x W.
        labels: float B x K, rows summing to 1.
        alpha: of the Beta law; above 0.
    """
    partner = torch.randperm(len(images), generator=generator, device=images.device)
    weight = beta(alpha, len(images), generator)
    mixed = torch.lerp(images, images.index_select(0, partner), weight.view(-1, 1, 1, 1))
    return mixed, torch.lerp(labels, labels.index_select(0, partner), weight.view(-1, 1))
