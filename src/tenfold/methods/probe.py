"""A linear head on the features of a network that has seen other images and is not trained further.

The cheapest answer to few labels, and often the strongest where the images resemble what the network has seen: each
image is read once, and the head takes seconds. Ridge or logistic regression, as validation images choose.
"""

from __future__ import annotations

from typing import final

from tenfold import methods
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.training.backbone_start import BackboneConfig, BackboneStart
from tenfold.training.recipe import Recipe

Config = BackboneConfig


@final
class Method(BackboneStart, methods.Method):
    Config = Config
    is_start = True
    takes_no_steps = True

    def fit(self, train: ImageDataset, reserve: ImageDataset | None, key: Key) -> Recipe:
        return Recipe(init=self.start(train.image_shape[1]))
