"""The one classifier training: every arm is read by it, so that arms differ in their recipe and in nothing else."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.core.keys import Key
from tenfold.core.rows import ImageRows
from tenfold.core.types import ImageDataset, ValueRanges
from tenfold.networks.backbone_classifier import Network
from tenfold.networks.blocks import build
from tenfold.networks.convnet import ResidualNet, SmallConvNet, VectorNet
from tenfold.training.batches import ImagePool, PlannedBatches, enlarged, some_floats, with_views
from tenfold.training.calibration import at_temperature
from tenfold.training.device import Device, one_thread
from tenfold.training.inference import network_features, network_probabilities, validated
from tenfold.training.loop import TrainingLoop
from tenfold.training.recipe import HeadObjective, Recipe, Start, plain_objective
from tenfold.training.schedule import Average, draw_plan, warming_cosine
from tenfold.training.step import Look, Step, Trouble, descend_in_parts, is_finite
from tenfold.training.validation import validation_score


@dataclass(frozen=True)
class ClassifierConfig:
    """How every classifier is trained; part of the frozen plan."""

    steps: int = 400
    batch_size: int = 64
    width: int = 24
    residual: bool = False
    """Whether images are read by the residual network, each in about twice the time."""
    learning_rate: float = 4e-3
    weight_decay: float = 0.05
    warmup_share: float = 0.1
    average_span: float = 0.05
    """Memory of the weights' moving average, as a share of all steps."""
    average_every: int = 4
    looks: int = 10
    """How often the validation images are looked at to choose the weights that are kept."""
    most_repeats: float = 10.0
    """A rare class is drawn more often than its share, but no image more than this many times as often."""


@dataclass(frozen=True, eq=False)
class TrainedClassifier:
    """A network with what is needed to use it again."""

    network: Network
    config: ClassifierConfig
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    """C, H, W; of vectors F, 1, 1."""
    inner_score: float = 0.0
    """Balanced accuracy on the validation images; 0 where there were none."""
    inner_loss: float = 0.0
    """Cross entropy there, at the temperature that suits them best."""
    details: dict[str, Any] = field(default_factory=dict)
    feature_names: tuple[str, ...] = ()
    """F, of vectors whose columns had names, in the order in which the network reads them; else empty."""
    value_ranges: ValueRanges = field(default_factory=dict)
    """What the values of the files it learned from were scaled by, and later files' are."""
    temperature: float = 1.0
    """What the logits are divided by, so that of images recognised with 80 % confidence about 80 % are right."""
    mirrored: bool = False
    """Whether what it says of an image is the mean over the image and its mirror image."""

    @property
    def reads_vectors(self) -> bool:
        """Whether it reads rows of numbers and no images."""
        return isinstance(self.network, VectorNet)

    def probabilities(self, images: npt.NDArray[Any] | ImageRows) -> npt.NDArray[np.float32]:
        """uint8 N x C x H x W, or vectors float32 N x F x 1 x 1 -> N x K, rows summing to 1.

        Of rows that are there with more pixels too, those are read that the network has learned from.
        """
        rows = network_probabilities(self.network, self._read(images), mirrored=self.mirrored)
        return at_temperature(rows, self.temperature)

    def features(self, images: npt.NDArray[Any] | ImageRows) -> npt.NDArray[np.float32]:
        """The same -> N x F, what the network's last layer reads: images that look alike to it lie near."""
        return network_features(self.network, self._read(images))

    def _read(self, images: npt.NDArray[Any] | ImageRows) -> npt.NDArray[Any] | ImageRows:
        return images.at(self.image_shape) if isinstance(images, ImageRows) else images


@dataclass(frozen=True, eq=False)
class ClassifierTask:
    """What a classifier is trained on, and how."""

    train: ImageDataset
    validation: ImageDataset | None
    recipe: Recipe
    key: Key
    config: ClassifierConfig


@one_thread()
def train_classifier(
    train: ImageDataset,
    validation: ImageDataset | None,
    recipe: Recipe,
    key: Key,
    config: ClassifierConfig,
    loop: TrainingLoop | None = None,
) -> TrainedClassifier:
    """Train one classifier on real images and what the recipe adds to them.

    The learning rate follows one cosine; the weights kept are a moving average, taken at the look with the
    fewest errors on `validation` (the latest of equals), or at the end where there is none. A loss that is
    not finite starts the training again with a third of the learning rate, twice at most.

    Args:
        loop: with a checkpoint, for a training that a kill should not undo.

    Raises:
        Diverged: three attempts ended in NaN.
        TooLittleMemory: the device has too little.
    """
    if validation is not None and not len(validation):
        validation = None  # so few groups that the validation split got none
    if (start := recipe.init) is not None:
        if start.reads_large:
            train, validation = train.large, None if validation is None else validation.large
            if recipe.extra is not None:
                recipe = replace(recipe, extra=enlarged(recipe.extra.large, train.image_shape))
        own = {name: getattr(start, name) for name in ("steps", "batch_size", "learning_rate")}
        config = replace(config, **{name: value for name, value in own.items() if value is not None})
    task, loop = ClassifierTask(train, validation, recipe, key, config), loop or TrainingLoop()
    outcome = loop.run(lambda attempt: ClassifierStep(task, attempt, loop.device))
    step = outcome.step
    averaged: Network = step.networks["averaged"]  # type: ignore[assignment]  # it is a copy of one
    if step.best_weights:
        averaged.load_state_dict(step.best_weights)
    score, loss, mirrored = validated(averaged, validation)
    details = {
        "real_images": len(train),
        "extra_images": 0 if recipe.extra is None else len(recipe.extra),
        "steps": config.steps,
        "kept_step": step.values["best_step"],
        "mirrored": mirrored,
        "seconds": {name: round(seconds, 3) for name, seconds in outcome.seconds.items()},
        "device": outcome.device,
        **outcome.shortage,
    }
    return TrainedClassifier(
        averaged, config, train.class_names, train.image_shape, score, loss, details, train.feature_names,
        train.value_ranges, mirrored=mirrored,
    )  # fmt: skip


class ClassifierStep(Step):
    """Batches by a plan, the recipe's transforms and its objective; looks choose the weights that are kept."""

    most_recoveries = 2

    def __init__(self, task: ClassifierTask, attempt: int, device: Device) -> None:
        train, recipe, config, key = task.train, task.recipe, task.config, task.key
        pool = train if recipe.extra is None else train.joined(recipe.extra)
        self.task, self.steps = task, config.steps
        seen = with_views(pool, recipe, key / "views")
        self.network = begin(seen, task.validation, recipe.init, key / "weights", config).to(device.torch)
        self.averaged = copy.deepcopy(self.network).eval()
        self.networks = {"network": self.network, "averaged": self.averaged}
        drawn = config.steps, config.batch_size, config.most_repeats, (key / "batches").torch_generator()
        plan = draw_plan(pool.labels, train.class_count, *drawn)
        groups = _parameter_groups(self.network, config.learning_rate / 3**attempt, recipe.init)
        self.optimizers = {"network": torch.optim.AdamW(groups, weight_decay=config.weight_decay, fused=device.fused)}
        self.schedules = {"network": warming_cosine(config.warmup_share)}
        self.average = Average("network", "averaged", self._average_weight)
        self.random = (key / "transforms").torch_generator()
        self.generators = {"transforms": self.random}
        targets = F.one_hot(torch.tensor(pool.labels), train.class_count).float().to(device.torch)
        self.batches = PlannedBatches(ImagePool(pool.rows, device), targets, plan, recipe, self.random)
        self.objective = recipe.objective or plain_objective
        if isinstance(self.objective, HeadObjective):
            self.networks["head"] = self.objective.head(self.network).to(device.torch)
            self.optimizers["head"] = self.objective.optimizer(self.networks["head"])
        self.look_every = max(1, config.steps // config.looks)
        self.most_micro_batches = max(1, config.batch_size // 2)  # batch normalisation takes two images at least
        self.values = {"best_score": 0.0, "best_step": config.steps}
        self.loss = torch.zeros(())
        self.network.train()

    def begin(self) -> None:
        if self.task.validation is not None and (self.task.recipe.init is not None or not self.steps):
            with self.timed("validation"):  # training on usually helps, and few images cannot tell
                score, count = self._score(self.task.validation), len(self.task.validation)
                self._keep(score - math.sqrt(score * (1 - score) / count), 0)

    def step(self, number: int) -> dict[str, Tensor]:
        with self.timed("batches"):
            batch, soft = self.batches.of_step(number, self.steps)
        with self.timed("forward/backward/step"):
            batch = batch.contiguous(memory_format=torch.channels_last)
            losses = descend_in_parts(
                self.optimizers.values(), (batch, soft), self.micro_batches, partial(self._loss, number=number)
            )
        self.loss = losses["loss"]
        return losses

    def look(self, number: int) -> Look:
        validation = self.task.validation
        with self.timed("validation"):
            if not is_finite(self.loss):
                return Look(trouble=Trouble("the classifier's loss became NaN"))
            if validation is None or number < self.steps // 3:
                return Look()
            score = self._score(validation)
            if score >= self.values["best_score"]:
                self._keep(score, number)
        return Look({"inner_score": score})

    def restored(self, number: int) -> None:
        self.batches.ready = []

    def between_batches(self, number: int) -> bool:
        return not self.batches.ready

    def _loss(self, images: Tensor, labels: Tensor, number: int) -> tuple[Tensor, dict[str, Tensor]]:
        if isinstance(self.objective, HeadObjective):
            progress = (number + 1) / self.steps
            loss = self.objective.loss(self.network, self.networks["head"], images, labels, self.random, progress)
        else:
            loss = self.objective(self.network, images, labels, self.random)
        return loss, {"loss": loss.detach()}

    def _score(self, validation: ImageDataset) -> float:
        return validation_score(network_probabilities(self.averaged, validation.rows), validation.labels)

    def _keep(self, score: float, number: int) -> None:
        self.best_weights = copy.deepcopy(self.averaged.state_dict())
        self.values = {"best_score": score, "best_step": number}

    def _average_weight(self, number: int, steps: int) -> float:
        config = self.task.config
        if number % config.average_every and number != steps:
            return 0.0
        return 1 / max(1.0, min(number, config.average_span * steps) / config.average_every)


def begin(
    train: ImageDataset, validation: ImageDataset | None, start: Start | None, key: Key, config: ClassifierConfig
) -> Network:
    """The network that a training begins with: where `start` says, or the judge's own with fresh weights."""
    if start is not None:
        return start.network(train, validation, key)
    kind = VectorNet if train.is_vectors else ResidualNet if config.residual else SmallConvNet
    network = build(lambda: kind(train.image_shape, train.class_count, config.width), key.torch_generator())
    if isinstance(network, VectorNet):
        network.standardise.fit(torch.tensor(train.images).flatten(1))
    elif isinstance(network, ResidualNet):
        network.whiten(some_floats(train.rows))
    return network


def _parameter_groups(network: nn.Module, rate: float, start: Start | None) -> list[dict[str, Any]]:
    """What learns, by the share of the learning rate at which it does."""
    shares = start.rates if start else {}
    slow = {name: list(network.get_submodule(name).parameters()) for name in shares}
    apart = {id(one) for parameters in slow.values() for one in parameters}
    rest = [one for one in network.parameters() if id(one) not in apart]
    return [{"params": rest, "lr": rate}, *({"params": slow[name], "lr": shares[name] * rate} for name in shares)]
