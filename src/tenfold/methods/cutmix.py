"""CutMix: a box of each image is replaced by another image's, and the label by as much.

Source: Yun et al. 2019. Deviation: a box for each image, where the original draws one for the batch
(`weights=batch`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from pydantic import PositiveFloat

from tenfold import methods
from tenfold.augment.mixing import CutMix
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.training.recipe import Recipe


@dataclass(frozen=True)
class Config:
    alpha: PositiveFloat = 1.0
    """At 1 boxes of all areas are equally likely; towards 0 nothing or nearly everything is replaced."""
    weights: Literal["image", "batch"] = "image"
    """Who has a box of its own."""


@final
class Method(methods.Method):
    Config = Config
    changes_batches = True
    mixes_labels = True

    def fit(self, train: ImageDataset, reserve: ImageDataset | None, key: Key) -> Recipe:
        return Recipe(transforms=(CutMix(self.config.alpha, weights=self.config.weights),))
