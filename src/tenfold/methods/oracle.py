"""Control: more *real* images in place of generated ones, which says what a generated image could be worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from pydantic import PositiveFloat

from tenfold import methods
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.training.recipe import Recipe


@dataclass(frozen=True)
class Config:
    times: PositiveFloat = 2.0
    """Further real images for each one at hand, as far as the reserve goes."""


@final
class Method(methods.Method):
    Config = Config
    is_control = True
    reads_vectors = True
    needs_reserve = True

    def fit(self, train: ImageDataset, reserve: ImageDataset | None, key: Key) -> Recipe:
        if reserve is None or not len(reserve):
            raise InputError("the arm 'oracle' needs more real images than the study uses (--per-class, --images)")
        wanted = min(len(reserve), round(self.config.times * len(train)))
        return Recipe(extra=reserve.take(key.numpy_generator().permutation(len(reserve))[:wanted]))
