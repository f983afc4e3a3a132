"""Fine-tuning a network that has seen other images, from a linear head on (LP-FT).

The head is fitted first, so that the backbone is not bent by the gradients of a head that knows nothing; then both
learn, with batch normalisation and the first layers as they came. The head alone is kept where the validation images
find it better by more than a standard error. Source: Kumar et al. 2022.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, final

from pydantic import Field, PositiveFloat, PositiveInt

from tenfold import methods
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.training.backbone_start import BackboneConfig, BackboneStart
from tenfold.training.recipe import Recipe

SHOWN, STEPS = 20, (120, 400)
"""How often each training image is shown, and the fewest and most steps that are taken for it."""


@dataclass(frozen=True)
class Config(BackboneConfig):
    mirror: Literal["auto", "no", "yes"] = "no"
    """Fit the head to mirror images too; `auto` trains twice, to choose."""
    side: PositiveInt | Literal["auto"] = 160
    steps: PositiveInt | None = None
    """Unless given, as many as show each training image 20 times, between 120 and 400."""
    batch_size: PositiveInt = 32
    learning_rate: PositiveFloat = 1e-4
    """Of the head; ten times as much undid what it was fitted to (cifar10, 20 a class, 2 draws: 70.3 %, not 72.3)."""
    backbone_rate: Annotated[float, Field(ge=0)] = 1.0
    """Of the backbone, as a share of the head's."""
    fewest: PositiveInt = 5
    """Training images a class, on average, below which the head alone is taken: they do not say where to move."""


_Config = Config


@final
class Method(BackboneStart, methods.Method):
    Config = Config
    is_start = True
    config: _Config

    def fit(self, train: ImageDataset, reserve: ImageDataset | None, key: Key) -> Recipe:
        classes = max(1, int((train.counts() > 0).sum()))
        if len(train) / classes < self.config.fewest:
            return Recipe(init=self.start(train.image_shape[1]), details={"fine_tuned": False})
        start = self.start(
            train.image_shape[1],
            frozen=False,
            steps=self.config.steps or min(max(SHOWN * len(train) // self.config.batch_size, STEPS[0]), STEPS[1]),
            batch_size=self.config.batch_size,
            learning_rate=self.config.learning_rate,
            rates={"trunk": self.config.backbone_rate},
        )
        return Recipe(init=start, details={"fine_tuned": True})
