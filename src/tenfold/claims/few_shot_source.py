"""The plain way to use source classes: a network that tells them apart, and a linear head on the new classes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor

from tenfold.augment.tensors import to_float
from tenfold.claims.base import hash_of
from tenfold.claims.few_shot_sets import class_split
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.methods import make_method
from tenfold.networks.blocks import build
from tenfold.networks.convnet import SmallConvNet
from tenfold.training.classifier import ClassifierConfig, TrainedClassifier
from tenfold.training.device import one_thread
from tenfold.training.store import load_classifier, save_classifier

BATCH_SIZE = 128
LEARNING_RATE = 4e-3
WARMUP = 0.1
"""Share of the steps."""
SHRINKAGE = 0.3
"""Of the covariance, towards its diagonal's mean."""


def source_file(settings: Mapping[str, Any]) -> str:
    return f"source-{settings['data']['set']}-{hash_of(settings)}.safetensors"


@one_thread()
def train_source_classifier(settings: Mapping[str, Any], files: Path) -> dict[str, Any]:
    """Train a network on the source classes and leave it as files.

    With 4 `turns`, each class turned by a multiple of 90 degrees counts as a class of its own.
    """
    source = class_split(settings["data"]).source
    turns, steps, key = settings["turns"], settings["steps"], Key("source classifier") / settings["data"]["set"]
    images, labels = torch.from_numpy(source.images), torch.from_numpy(source.labels)
    kinds = source.class_count * turns
    network = build(
        lambda: SmallConvNet(source.image_shape, kinds, settings["width"]), (key / "weights").torch_generator()
    ).train()
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=0.05, fused=True)
    change = make_method("classical", {"policy": settings["policy"], "flips": "no"}).fit(source, None, key).transforms
    draws = (key / "draws").torch_generator()
    for step in range(1, steps + 1):
        chosen = torch.randint(len(images), (BATCH_SIZE,), generator=draws)
        turn = torch.randint(turns, (BATCH_SIZE,), generator=draws)
        batch = _turned(to_float(images[chosen]), turn)
        for transform in change:
            batch, _ = transform(batch, turn, draws)
        logits = network(batch.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits, labels[chosen] * turns + turn, label_smoothing=0.1)
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * _rate(step / steps)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    names = tuple(f"{name}, turned {90 * turn}" for name in source.class_names for turn in range(turns))
    config = ClassifierConfig(steps=steps, width=settings["width"])
    name = source_file(settings)
    save_classifier(files / name, TrainedClassifier(network.eval(), config, names, source.image_shape), {})
    written = [name, str(Path(name).with_suffix(".json"))]
    return {"files": written, "source_images": len(source), "classes": kinds, "last_loss": round(loss.item(), 4)}


def head_predictions(
    settings: Mapping[str, Any], files: Path, train: ImageDataset, images: npt.NDArray[np.uint8]
) -> npt.NDArray[np.int64]:
    """Classes of uint8 N x C x H x W after a linear head on the source network's features.

    The head is linear discriminant analysis with a shrunk covariance: with five samples a class and more than a
    hundred classes, logistic regression and nearest means were 0 to 1 points behind it on the classes that are there
    to choose by. A single sample a class says nothing of the covariance, and the nearest one decides.
    """
    classifier = load_classifier(files / source_file(settings))
    with one_thread():
        known, asked = _features(classifier, train.images), _features(classifier, images)
    if len(train) == train.class_count:
        return np.asarray(train.labels[(asked @ known.T).argmax(1)])
    head = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=SHRINKAGE).fit(known, train.labels)
    return np.asarray(head.predict(asked))


@torch.inference_mode()
def _features(classifier: TrainedClassifier, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """uint8 N x C x H x W -> N x F of length 1, the square roots of what the network gives: few values are large."""
    parts = [to_float(part).contiguous(memory_format=torch.channels_last) for part in torch.tensor(images).split(256)]
    rows = torch.cat([classifier.network.features(part) for part in parts])
    return F.normalize(rows.clamp(min=0).sqrt()).numpy()


def _turned(images: Tensor, turns: Tensor) -> Tensor:
    """Each image by its own multiple of 90 degrees."""
    turned = images.clone()
    for turn in range(1, 4):
        chosen = turns == turn
        turned[chosen] = images[chosen].rot90(turn, (2, 3))
    return turned


def _rate(progress: float) -> float:
    if progress < WARMUP:
        return progress / WARMUP
    return 0.5 * (1 + math.cos(math.pi * (progress - WARMUP) / (1 - WARMUP)))
