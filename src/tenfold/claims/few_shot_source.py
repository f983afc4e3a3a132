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
from torch import Tensor

from tenfold.claims.base import hash_of
from tenfold.claims.few_shot_sets import class_split
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.methods.base import make_method
from tenfold.nets.blocks import build
from tenfold.nets.classifiers import SmallConvNet
from tenfold.nets.threads import one_thread
from tenfold.train.classifier import ClassifierConfig, TrainedClassifier
from tenfold.train.store import load_classifier, save_classifier
from tenfold.transforms.pixels import to_float

BATCH_SIZE = 64
LEARNING_RATE = 4e-3
WARMUP = 0.1
"""Share of the steps."""
STRENGTHS = (1.0, 10.0, 100.0, 1000.0)
"""C of the linear head: larger trusts the samples more."""
WITHOUT_CHOICE = 100.0
"""C where a single sample a class leaves nothing to choose it by."""


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
) -> tuple[npt.NDArray[np.int64], float]:
    """Classes of uint8 N x C x H x W after a linear head on the source network's features, and the C it was given."""
    classifier = load_classifier(files / source_file(settings))
    with one_thread():
        known, labels = _features(classifier, train.images), torch.from_numpy(train.labels)
        strength = _chosen_strength(known, labels, train.class_count)
        weights = linear_head(known, labels, train.class_count, strength)
        scores = _with_bias(_features(classifier, images)) @ weights
    return scores.argmax(1).numpy(), strength


def linear_head(features: Tensor, labels: Tensor, class_count: int, strength: float) -> Tensor:
    """Multinomial logistic regression: features N x F, labels N -> weights (F + 1) x K, the bias last.

    Lowers |weights|^2 / 2 + C times the sum of the cross entropies; the bias is free.
    """
    inputs = _with_bias(features)
    weights = torch.zeros(inputs.shape[1], class_count, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=100, history_size=10, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        fit = F.cross_entropy(inputs @ weights, labels)
        total = fit + weights[:-1].square().sum() / (2 * strength * len(labels))
        total.backward()
        return total

    optimizer.step(loss)
    return weights.detach()


def _chosen_strength(features: Tensor, labels: Tensor, class_count: int) -> float:
    """The C with which held-back samples are recognised most often; the smallest of equals."""
    place = torch.zeros_like(labels)
    for label in range(class_count):
        members = labels == label
        place[members] = torch.arange(int(members.sum()))
    folds = min(3, int(torch.bincount(labels).min()))
    if folds < 2:
        return WITHOUT_CHOICE

    def right(strength: float) -> int:
        found = 0
        for fold in range(folds):
            held = place % folds == fold
            weights = linear_head(features[~held], labels[~held], class_count, strength)
            found += int(((_with_bias(features[held]) @ weights).argmax(1) == labels[held]).sum())
        return found

    return max(STRENGTHS, key=right)


@torch.inference_mode()
def _features(classifier: TrainedClassifier, images: npt.NDArray[np.uint8]) -> Tensor:
    """uint8 N x C x H x W -> N x F of length 1."""
    parts = [to_float(part).contiguous(memory_format=torch.channels_last) for part in torch.tensor(images).split(256)]
    return F.normalize(torch.cat([classifier.network.features(part) for part in parts])).clone()


def _with_bias(features: Tensor) -> Tensor:
    return torch.cat([features, torch.ones(len(features), 1)], 1)


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
