"""AugMix: blends of randomly changed copies, and predictions that must agree on them (Hendrycks et al. 2020).

The consistency term asks that the image and two blends of it be told alike. It is a loss of its own, so that of
all methods of an arm only one may bring one; without it AugMix is an augmentation like others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from tenfold import methods
from tenfold.augment.augmix import AugMix, jensen_shannon
from tenfold.augment.tensors import SIGNED
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.networks.convnet import Classifier
from tenfold.training.recipe import Recipe, cross_entropy


@dataclass(frozen=True)
class Config:
    strength: Annotated[float, Field(ge=0, le=1)] = 0.3
    consistency: NonNegativeFloat = 12.0
    """Weight of the Jensen-Shannon term; 0 trains on one blend of each image instead of the image and two, at
    about a third of the time."""
    chains: PositiveInt = 3
    depth: PositiveInt = 3
    """Most operations in a chain; each chain has 1..depth."""
    alpha: PositiveFloat = 1.0
    """Of the laws of the weights; small values let one chain, or the image itself, have nearly all."""


@final
class Method(methods.Method):
    Config = Config
    changes_batches = True
    has_objective = True

    def fit(self, train: ImageDataset, reserve: ImageDataset | None, key: Key) -> Recipe:
        config = self.config
        augmix = AugMix(config.chains, (1, config.depth), config.alpha, config.strength, value_range=SIGNED)

        def transform(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
            return augmix(images, generator), labels

        def objective(network: Classifier, images: Tensor, soft_labels: Tensor, generator: torch.Generator) -> Tensor:
            return consistent(network, images, soft_labels, augmix, config.consistency, generator)

        return Recipe(objective=objective) if config.consistency else Recipe(transforms=(transform,))


def consistent(
    network: Classifier,
    images: Tensor,
    soft_labels: Tensor,
    augmix: AugMix,
    weight: float,
    generator: torch.Generator,
) -> Tensor:
    """Cross entropy of the images, and `weight` x the divergence of the predictions for them and two blends.

    All three go through the network as one batch, so that batch normalisation sees them together.
    """
    blends = augmix(torch.cat([images, images]), generator)
    together = torch.cat([images, blends]).contiguous(memory_format=torch.channels_last)
    logits = network.head(network.features(together))
    clean = logits[: len(images)]
    return cross_entropy(clean, soft_labels) + weight * jensen_shannon(logits.chunk(3))
