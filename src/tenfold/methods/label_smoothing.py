"""Label smoothing: a share of every label is spread evenly over all classes.

Source: Szegedy et al. 2016, "Rethinking the Inception Architecture", section 7. No deviation: the class itself
gets its part of what is spread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

import torch
from pydantic import Field
from torch import Tensor

from tenfold import methods
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.training.recipe import Recipe


@dataclass(frozen=True)
class Config:
    share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """What is taken from the label; 0 leaves it as it is."""


@final
class Method(methods.Method):
    Config = Config
    changes_batches = True
    smooths_labels = True
    reads_vectors = True

    def fit(self, train: ImageDataset, reserve: ImageDataset | None, key: Key) -> Recipe:
        def smooth(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
            share = self.config.share
            return images, labels * (1 - share) + share / labels.shape[1]

        return Recipe(transforms=(smooth,))
