"""The judge's own network at another width: the classical answer to few images is a smaller network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

from pydantic import PositiveInt

from tenfold import methods
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.networks.backbone_classifier import Network
from tenfold.networks.convnet import ResidualNet
from tenfold.training.classifier import ClassifierConfig, begin
from tenfold.training.recipe import Recipe, Start


@dataclass(frozen=True)
class Config:
    width: PositiveInt | Literal["auto"] = "auto"
    """Channels of the first layer; the usual is 24, and `auto` lets validation images choose between 24, 12, 6 and
    48."""


@final
class Method(methods.Method):
    Config = Config
    is_start = True
    reads_vectors = True

    def search_space(self) -> Mapping[str, tuple[str, ...]]:
        return {"width": ("24", "12", "6", "48")} if self.config.width == "auto" else {}

    def fit(self, train: ImageDataset, reserve: ImageDataset | None, key: Key) -> Recipe:
        width = int(self.default_options().get("width", self.config.width))

        def network(images: ImageDataset, validation: ImageDataset | None, draws: Key) -> Network:
            config = ClassifierConfig(width=width, residual=ResidualNet.suits(images.image_shape))
            return begin(images, validation, None, draws, config)

        return Recipe(init=Start(network))
