"""What the new images of a fold are like. Told beside the verdict, and never part of it.

The inner validation images stand for real ones that no method has seen; the test fold stays sealed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.evaluate.diagnose import diagnose
from tenfold.nets import backbones
from tenfold.nets.blocks import to_float
from tenfold.train.classifier import ClassifierConfig, TrainedClassifier, train_classifier
from tenfold.train.recipe import Recipe

Features = npt.NDArray[np.float32]


def inspect(
    recipe: Recipe, train: ImageDataset, validation: ImageDataset, key: Key, config: ClassifierConfig
) -> dict[str, float]:
    """Fidelity, diversity and memorisation of the recipe's new images, and what they teach on their own.

    `generated_alone` is the balanced accuracy on the inner images of a classifier that saw no real image,
    `real_alone` of one that saw nothing else. Features are those of the latter. Figures that these images do
    not allow are left out.

    Raises:
        Diverged: a classifier's loss became NaN.
    """
    generated = recipe.extra
    if generated is None or not len(validation):
        return {}
    without = replace(recipe, extra=None)
    reader = train_classifier(train, validation, without, key / "classifier", config)
    alone = train_classifier(generated, validation, without, key / "classifier", config)
    figures = diagnose(generated, train, validation, features_of(reader), _imagenet_features())
    return figures | {"real_alone": reader.inner_score, "generated_alone": alone.inner_score}


def features_of(classifier: TrainedClassifier) -> Callable[[npt.NDArray[np.uint8]], Features]:
    """The last hidden layer as a function of uint8 N x C x H x W, giving N x F."""

    @torch.inference_mode()
    def features(images: npt.NDArray[np.uint8]) -> Features:
        parts = torch.tensor(images).split(256)
        return torch.cat([classifier.network.features(to_float(part)) for part in parts]).numpy()

    return features


def _imagenet_features() -> Callable[[npt.NDArray[np.uint8]], Features] | None:
    return backbones.imagenet_features if backbones.available() else None
