"""What the new images of a fold are like. Told beside the verdict, and never part of it.

The validation images stand for real ones that no method has seen; the test fold stays sealed.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tenfold.augment.tensors import to_float
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.evaluation.fidelity import diagnose
from tenfold.methods import spread
from tenfold.networks import pretrained
from tenfold.networks.blocks import device_of
from tenfold.training.classifier import ClassifierConfig, TrainedClassifier, train_classifier
from tenfold.training.feature_cache import imagenet_features
from tenfold.training.recipe import Recipe

Images = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]

MOST_FOR_A_BACKBONE = 128
"""Images of each kind that go through a backbone, which takes as long for one as a small network for a thousand."""
SAMPLES_A_CLASS = 4
MOST_CLASSES = 12


def diagnostics_of(
    recipe: Recipe, train: ImageDataset, validation: ImageDataset, key: Key, config: ClassifierConfig
) -> dict[str, float]:
    """Fidelity, diversity and memorisation of the recipe's new images, and what they teach on their own.

    `generated_alone` is the balanced accuracy on the validation images of a classifier that saw no real image,
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


def features_of(classifier: TrainedClassifier) -> Callable[[Images], Features]:
    """The last hidden layer as a function of uint8 N x C x H x W, giving N x F."""

    @torch.inference_mode()
    def features(images: Images) -> Features:
        parts = torch.tensor(images).split(256)
        device = device_of(classifier.network)
        return torch.cat([classifier.network.features(to_float(part.to(device))) for part in parts]).cpu().numpy()

    return features


def _imagenet_features() -> Callable[[Images], Features] | None:
    if not pretrained.available():
        return None

    def features(images: Images) -> Features:
        share = min(1.0, MOST_FOR_A_BACKBONE / len(images))
        return imagenet_features(images[spread(share, len(images))])

    return features


def samples(generated: ImageDataset) -> dict[str, Any]:
    """A few new images of each class as plain JSON, so that a report can show what a fold was trained on."""
    labels = np.unique(generated.labels)[:MOST_CLASSES]
    shown = generated.take(
        np.concatenate([np.flatnonzero(generated.labels == label)[:SAMPLES_A_CLASS] for label in labels])
    )
    packed = base64.b64encode(zlib.compress(shown.images.tobytes())).decode("ascii")
    return {"labels": shown.labels.tolist(), "shape": list(shown.images.shape), "images": packed}


def unpacked(packed: Mapping[str, Any]) -> tuple[Images, npt.NDArray[np.int64]]:
    """The images and labels of `samples`."""
    values = np.frombuffer(zlib.decompress(base64.b64decode(packed["images"])), dtype=np.uint8)
    return values.reshape(packed["shape"]), np.array(packed["labels"], dtype=np.int64)
