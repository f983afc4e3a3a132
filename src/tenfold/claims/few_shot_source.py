"""Sets of many classes, and what the claim `dagan` learns from those that are not to be told apart.

Some classes of a set train a generator and a network that tells them apart, some choose settings, and some are never
seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor

from tenfold.adaptation.dann import features_of
from tenfold.augment.tensors import to_float
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.combine import in_classes
from tenfold.data.load import load
from tenfold.generators import Generator
from tenfold.generators.generator_io import FILE as GENERATOR_FILE
from tenfold.generators.generator_io import save_generator
from tenfold.methods import GeneratorMethod, make_method
from tenfold.networks.blocks import build
from tenfold.networks.convnet import SmallConvNet
from tenfold.runs import Context
from tenfold.training.batches import ImagePool
from tenfold.training.classifier import ClassifierConfig, TrainedClassifier
from tenfold.training.classifier_io import save_classifier
from tenfold.training.device import Device, one_thread
from tenfold.training.recipe import Recipe
from tenfold.training.schedule import warming_cosine
from tenfold.training.step import Look, Step, descend

Config = Mapping[str, Any]
Images = npt.NDArray[np.uint8]

DARK_INK = ("omniglot",)
"""Drawn dark on light: inverted, so that what lies outside the image has the ground's value, which is 0."""
STRONG = "standard"
"""The policy of classical augmentation of the source network, the judge and the strong arms."""
SOURCE_FILE = "source.safetensors"
BATCH_SIZE = 128
LEARNING_RATE = 4e-3
WARMUP = 0.1
"""Of the source network: share of the steps."""
SHRINKAGE = 0.3
"""Of the linear head's covariance, towards its diagonal's mean."""


@dataclass(frozen=True, eq=False)
class ClassSplit:
    """Three sets that share no class; each names its own classes from 0."""

    source: ImageDataset
    validation: ImageDataset
    unseen: ImageDataset


def class_split(data: Config) -> ClassSplit:
    """The set that `data` describes by `set`, `size`, `per_class` and `classes` (source, validation and unseen).

    Raises:
        InputError: the set is not there, or has fewer classes than asked for.
    """
    return _class_split(data["set"], data["size"], data["per_class"], tuple(data["classes"]))


@cache
def _class_split(name: str, size: int, per_class: int | None, counts: tuple[int, int, int]) -> ClassSplit:
    data = load(name, size=size, per_class=per_class)
    data = data.take(np.flatnonzero(data.roles != "reserve"))
    if name in DARK_INK:
        data = replace(data, images=255 - data.images)
    if sum(counts) > data.class_count:
        raise InputError(f"{name} has {data.class_count} classes, and {' + '.join(map(str, counts))} are asked for")
    # From both ends, so that the unseen classes stay the same whatever is taken to train on.
    order = (Key("class split") / name).numpy_generator().permutation(data.class_count)
    names = [data.class_names[label] for label in order]
    from_the_end = names[::-1]
    source, validation, unseen = counts
    return ClassSplit(
        source=in_classes(data.part("train"), names[:source]),
        validation=in_classes(data, from_the_end[unseen : unseen + validation]),
        unseen=in_classes(data, from_the_end[:unseen]),
    )


def samples_and_sealed(unseen: ImageDataset, samples: int, key: Key) -> tuple[ImageDataset, ImageDataset]:
    """So many training images of each class, and the images that serve for accuracy alone.

    Those are the set's own test images where it has some, and all that were not chosen where it has none. The
    samples of a key are among its samples of any larger number.

    Raises:
        InputError: a class has no images left to test with.
    """
    order = key.numpy_generator().permutation(len(unseen))
    chosen: list[int] = []
    for label in range(unseen.class_count):
        members = order[(unseen.labels[order] == label) & (unseen.roles[order] == "train")]
        chosen += members[:samples].tolist()
    own = np.flatnonzero(unseen.roles == "test")
    sealed = own if len(own) else np.setdiff1d(np.arange(len(unseen)), chosen)
    counts = np.bincount(unseen.labels[sealed], minlength=unseen.class_count)
    if len(chosen) < samples * unseen.class_count or not counts.all():
        raise InputError(f"{unseen.name} has too few images a class for {samples} samples and some to test with")
    return unseen.take(np.sort(chosen)), unseen.take(sealed)


def train_generator(config: Config, context: Context) -> dict[str, Any]:
    """Train a dagan on the source classes and leave it as files."""
    source = class_split(config["data"]).source
    method = make_method("dagan", dict(config["options"]))
    assert isinstance(method, GeneratorMethod)
    learned = method.learn(source, Key("dagan") / config["data"]["set"], context.loop())
    save_generator(context.directory / GENERATOR_FILE, "dagan", learned, source, learned.details, seed=0)
    return {"source_images": len(source), "source_classes": source.class_count, "details": dict(learned.details)}


def draws_of(generator: Generator, real: ImageDataset, draws: int, key: Key) -> Images:
    """So many new images of each real one, with nothing thrown away: N x draws x C x H x W."""
    chosen = np.arange(len(real)).repeat(draws)
    seeds = np.array([(key / index).seed for index in range(len(chosen))])
    drawn = generator.sample(generator.conditions(real, key)(chosen, seeds), seeds, real.image_shape)
    return drawn.reshape(len(real), draws, *real.image_shape)


def classical(policy: str | None, train: ImageDataset, key: Key) -> Recipe:
    """Classical augmentation of these images, which may have an upright; None is no policy."""
    if policy is None:
        return Recipe()
    return make_method("classical", {"policy": policy, "flips": "no"}).fit(train, None, key)


def train_source(config: Config, context: Context) -> dict[str, Any]:
    """Train a network on the source classes, the plain way to use them, and leave it as files."""
    source = class_split(config["data"]).source
    with one_thread():
        outcome = context.loop().run(lambda attempt: SourceStep(source, config, context.device))
    step = outcome.step
    assert isinstance(step, SourceStep)
    how = ClassifierConfig(steps=step.steps, width=config["width"])
    classifier = TrainedClassifier(step.network.eval(), how, source.class_names, source.image_shape)
    save_classifier(context.directory / SOURCE_FILE, classifier, {})
    loss = round(outcome.figures["loss"], 4)
    return {"source_images": len(source), "classes": source.class_count, "last_loss": loss}


class SourceStep(Step):
    """Batches of changed images and the cross entropy of their classes."""

    def __init__(self, source: ImageDataset, config: Config, device: Device) -> None:
        key = Key("source classifier") / config["data"]["set"]
        self.steps, self.device = config["steps"], device.torch
        self.images, self.labels = ImagePool(source.rows, device), torch.from_numpy(source.labels)
        shape = (source.image_shape, source.class_count, config["width"])
        network = build(lambda: SmallConvNet(*shape), (key / "weights").torch_generator())
        self.network = network.train().to(device.torch)
        self.adam = torch.optim.AdamW(self.network.parameters(), LEARNING_RATE, weight_decay=0.05, fused=device.fused)
        self.transforms = classical(STRONG, source, key).transforms
        self.draws = (key / "draws").torch_generator()
        self.networks, self.optimizers = {"network": self.network}, {"network": self.adam}
        self.schedules, self.generators = {"network": warming_cosine(WARMUP)}, {"draws": self.draws}
        self.loss = torch.zeros(())

    def step(self, number: int) -> dict[str, Tensor]:
        chosen = torch.randint(len(self.images), (BATCH_SIZE,), generator=self.draws)
        # Takes its place among the draws, and decides nothing: the figures that were measured were drawn with it.
        torch.randint(1, (BATCH_SIZE,), generator=self.draws)
        batch, labels = to_float(self.images.at(chosen)), self.labels[chosen]
        for transform in self.transforms:
            batch, labels = transform(batch, labels, self.draws)
        logits = self.network(batch.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits, labels.to(self.device), label_smoothing=0.1)
        descend(self.adam, loss)
        self.loss = loss.detach()
        return {"loss": self.loss}

    def look(self, number: int) -> Look:
        return Look({"loss": self.loss.item()})


def head_predictions(classifier: TrainedClassifier, train: ImageDataset, images: Images) -> npt.NDArray[np.int64]:
    """Classes of uint8 N x C x H x W after a linear head on the source network's features.

    The head is linear discriminant analysis with a shrunk covariance: with five samples a class and more than a
    hundred classes, logistic regression and nearest means were 0 to 1 points behind it on the classes that are there
    to choose by. A single sample a class says nothing of the covariance, and the nearest one decides.
    """
    with one_thread():
        known, asked = _features(classifier, train.images), _features(classifier, images)
    if len(train) == train.class_count:
        return np.asarray(train.labels[(asked @ known.T).argmax(1)])
    head = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=SHRINKAGE).fit(known, train.labels)
    return np.asarray(head.predict(asked))


def _features(classifier: TrainedClassifier, images: Images) -> npt.NDArray[np.float32]:
    """uint8 N x C x H x W -> N x F of length 1, the square roots of what the network gives: few values are large."""
    rows = torch.from_numpy(features_of(classifier, images))
    return F.normalize(rows.clamp(min=0).sqrt()).numpy()
