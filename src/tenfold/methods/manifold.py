"""Manifold MixUp: two images are blended inside the classifier, at a layer drawn anew for each batch.

Source: Verma et al. 2019. Deviation: a weight for each image, where the original draws one for the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from pydantic import PositiveFloat
from torch import Tensor

from tenfold import methods
from tenfold.augment.manifold import ManifoldMixUp
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.networks.convnet import Classifier
from tenfold.training.recipe import Recipe, cross_entropy


@dataclass(frozen=True)
class Config:
    alpha: PositiveFloat = 2.0
    """The paper's value on CIFAR: most blends are near one half. Smaller values blend less."""


@final
class Method(methods.Method):
    Config = Config
    changes_batches = True
    mixes_labels = True
    reads_vectors = True
    has_objective = True

    def fit(self, train: ImageDataset, reserve: ImageDataset | None, key: Key) -> Recipe:
        mix = ManifoldMixUp(self.config.alpha)

        def objective(network: Classifier, images: Tensor, soft_labels: Tensor, generator: torch.Generator) -> Tensor:
            features, mixed = mix.through(network, network.features, images, soft_labels, generator)
            return cross_entropy(network.head(features), mixed)

        return Recipe(objective=objective)
