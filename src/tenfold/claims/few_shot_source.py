"""The plain way to use source classes: a network that tells them apart, and a linear head on the new classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor

from tenfold.adaptation.dann import features_of
from tenfold.augment.tensors import to_float
from tenfold.claims.base import hash_of
from tenfold.claims.few_shot_sets import class_split
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.methods import make_method
from tenfold.networks.blocks import build
from tenfold.networks.convnet import SmallConvNet
from tenfold.training.batches import ImagePool
from tenfold.training.classifier import ClassifierConfig, TrainedClassifier
from tenfold.training.device import Device, one_thread
from tenfold.training.loop import TrainingLoop
from tenfold.training.schedule import warming_cosine
from tenfold.training.step import Look, Step, descend
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
    loop = TrainingLoop(checkpoint=files / f"{source_file(settings)}.checkpoint")
    outcome = loop.run(lambda attempt: SourceStep(source, settings, loop.device))
    step = outcome.step
    assert isinstance(step, SourceStep)
    kinds, turns = source.class_count * settings["turns"], range(settings["turns"])
    names = tuple(f"{name}, turned {90 * turn}" for name in source.class_names for turn in turns)
    config = ClassifierConfig(steps=settings["steps"], width=settings["width"])
    name = source_file(settings)
    save_classifier(files / name, TrainedClassifier(step.network.eval(), config, names, source.image_shape), {})
    loop.forget()
    written = [name, str(Path(name).with_suffix(".json"))]
    return {
        "files": written, "source_images": len(source), "classes": kinds,
        "last_loss": round(outcome.figures["loss"], 4),
    }  # fmt: skip


class SourceStep(Step):
    """Batches of turned and changed images, the cross entropy of class and turn."""

    def __init__(self, source: ImageDataset, settings: Mapping[str, Any], device: Device) -> None:
        key = Key("source classifier") / settings["data"]["set"]
        self.steps, self.turns, self.device = settings["steps"], settings["turns"], device.torch
        self.images, self.labels = ImagePool(source.rows, device), torch.from_numpy(source.labels)
        shape = (source.image_shape, source.class_count * self.turns, settings["width"])
        network = build(lambda: SmallConvNet(*shape), (key / "weights").torch_generator())
        self.network = network.train().to(device.torch)
        self.adam = torch.optim.AdamW(self.network.parameters(), LEARNING_RATE, weight_decay=0.05, fused=device.fused)
        options = {"policy": settings["policy"], "flips": "no"}
        self.transforms = make_method("classical", options).fit(source, None, key).transforms
        self.draws = (key / "draws").torch_generator()
        self.networks, self.optimizers = {"network": self.network}, {"network": self.adam}
        self.schedules, self.generators = {"network": warming_cosine(WARMUP)}, {"draws": self.draws}
        self.loss = torch.zeros(())

    def step(self, number: int) -> dict[str, Tensor]:
        chosen = torch.randint(len(self.images), (BATCH_SIZE,), generator=self.draws)
        turn = torch.randint(self.turns, (BATCH_SIZE,), generator=self.draws)
        batch = _turned(to_float(self.images.at(chosen)), turn)
        for transform in self.transforms:
            batch, _ = transform(batch, turn, self.draws)
        logits = self.network(batch.contiguous(memory_format=torch.channels_last))
        targets = (self.labels[chosen] * self.turns + turn).to(self.device)
        loss = F.cross_entropy(logits, targets, label_smoothing=0.1)
        descend(self.adam, loss)
        self.loss = loss.detach()
        return {"loss": self.loss}

    def look(self, number: int) -> Look:
        return Look({"loss": self.loss.item()})


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


def _features(classifier: TrainedClassifier, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """uint8 N x C x H x W -> N x F of length 1, the square roots of what the network gives: few values are large."""
    rows = torch.from_numpy(features_of(classifier, images))
    return F.normalize(rows.clamp(min=0).sqrt()).numpy()


def _turned(images: Tensor, turns: Tensor) -> Tensor:
    """Each image by its own multiple of 90 degrees; `turns` on the CPU."""
    turned = images.clone()
    for turn in range(1, 4):
        chosen = (turns == turn).nonzero().flatten().to(images.device)
        turned[chosen] = images[chosen].rot90(turn, (2, 3))
    return turned
