"""Control: the real images copied until the set is as large as a grown one. It must never come out as a help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from pydantic import PositiveFloat

from tenfold import methods
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.training.recipe import Recipe


@dataclass(frozen=True)
class Config:
    times: PositiveFloat = 2.0
    """Copies of each real image, on average."""


@final
class Method(methods.Method):
    Config = Config
    is_control = True
    reads_vectors = True

    def fit(self, train: ImageDataset, reserve: ImageDataset | None, key: Key) -> Recipe:
        return Recipe(extra=train.take(methods.spread(self.config.times, len(train))))
