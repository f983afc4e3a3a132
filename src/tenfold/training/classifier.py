"""The one classifier loop: every arm is read by it, so that arms differ in their recipe and in nothing else."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from tenfold.augment.tensors import to_float
from tenfold.core.errors import TenfoldError
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.networks.backbone_classifier import BackboneNet, Network
from tenfold.networks.blocks import build
from tenfold.networks.convnet import SmallConvNet, VectorNet
from tenfold.networks.threads import one_thread
from tenfold.training.course import draw_plan, follow, warm_cosine
from tenfold.training.feature_cache import frozen_features
from tenfold.training.inner import inner_loss, inner_score
from tenfold.training.recipe import Recipe, Start, Transform, plain_objective

VALUES_IN_ONE_GO = 2**15
"""Pixel values that are drawn and transformed together; a batch of 28 x 28 pictures is above it."""


class Diverged(TenfoldError):
    """The loss became NaN or infinite, and smaller steps did not mend it."""


@dataclass(frozen=True)
class ClassifierConfig:
    """How every classifier is trained; part of the frozen plan."""

    steps: int = 400
    batch_size: int = 64
    width: int = 24
    learning_rate: float = 4e-3
    weight_decay: float = 0.05
    warmup_share: float = 0.1
    average_span: float = 0.05
    """Memory of the weights' moving average, as a share of all steps."""
    average_every: int = 4
    looks: int = 10
    """How often the inner validation images are looked at to choose the weights that are kept."""
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
    """Balanced accuracy on the inner validation images; 0 where there were none."""
    inner_loss: float = 0.0
    """Cross entropy there, at the temperature that suits them best."""
    details: dict[str, Any] = field(default_factory=dict)
    feature_names: tuple[str, ...] = ()
    """F, of vectors whose columns had names, in the order in which the network reads them; else empty."""

    @property
    def reads_vectors(self) -> bool:
        """Whether it reads rows of numbers and no pictures."""
        return isinstance(self.network, VectorNet)

    def probabilities(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """uint8 N x C x H x W, or vectors float32 N x F x 1 x 1 -> N x K, rows summing to 1."""
        return _probabilities(self.network, images)


@one_thread()
def train_classifier(
    train: ImageDataset, validation: ImageDataset | None, recipe: Recipe, key: Key, config: ClassifierConfig
) -> TrainedClassifier:
    """Train one classifier on real images and what the recipe adds to them.

    The learning rate follows one cosine; the weights kept are a moving average, taken at the look with the
    fewest errors on `validation` (the latest of equals), or at the end where there is none. A loss that is
    not finite starts the training again with a third of the learning rate, twice at most.

    Raises:
        Diverged: three attempts ended in NaN.
    """
    if validation is not None and not len(validation):
        validation = None  # so few groups that the inner split got none
    if (start := recipe.init) is not None:
        own = {name: getattr(start, name) for name in ("steps", "batch_size", "learning_rate")}
        config = replace(config, **{name: value for name, value in own.items() if value is not None})
    for attempt in range(3):
        rate = config.learning_rate / 3**attempt
        try:
            return _attempt(train, validation, recipe, key, config, rate)
        except _NotFinite:
            continue
    raise Diverged("the classifier's loss became NaN three times, each time with a smaller learning rate")


class _NotFinite(Exception):
    pass


def _attempt(
    train: ImageDataset,
    validation: ImageDataset | None,
    recipe: Recipe,
    key: Key,
    config: ClassifierConfig,
    learning_rate: float,
) -> TrainedClassifier:
    clock = _Clock()
    with clock("setup"):
        pool = train if recipe.extra is None else train.joined(recipe.extra)
        images, labels = torch.tensor(pool.images), torch.tensor(pool.labels)
        targets = F.one_hot(labels, train.class_count).float()
        network = begin(pool, validation, recipe.init, key / "weights", config.width)
        averaged = copy.deepcopy(network).eval()
        draws = (key / "batches").torch_generator()
        schedule = draw_plan(
            pool.labels, train.class_count, config.steps, config.batch_size, config.most_repeats, draws
        )
        groups = _parameter_groups(network, recipe.init.rates if recipe.init else {})
        optimizer = torch.optim.AdamW(groups, learning_rate, weight_decay=config.weight_decay, fused=True)
        generator = (key / "transforms").torch_generator()
        objective = recipe.objective or plain_objective
        best_state, best_score, best_step = None, 0.0, config.steps
        look_every = max(1, config.steps // config.looks)
    if validation is not None and (recipe.init is not None or not config.steps):
        with clock("validation"):  # training on need not be better than what it begins with
            best_state, best_step = copy.deepcopy(averaged.state_dict()), 0
            best_score = inner_score(_probabilities(averaged, validation.images), validation.labels)

    network.train()
    batches = _batches(images, targets, schedule, recipe.transforms, generator)
    for step in range(1, config.steps + 1):
        with clock("batches"):
            batch, soft = next(batches)
            for group in optimizer.param_groups:
                group["lr"] = group["share"] * learning_rate * warm_cosine(step / config.steps, config.warmup_share)
        with clock("forward/backward/step"):
            batch = batch.contiguous(memory_format=torch.channels_last)
            loss, features = objective(network, batch, soft, generator)
            if recipe.auxiliary is not None:
                loss = loss + recipe.auxiliary(features, generator)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        if step % config.average_every == 0 or step == config.steps:
            with clock("average"):
                memory = max(1.0, min(step, config.average_span * config.steps) / config.average_every)
                follow(averaged, network, 1 / memory)
        if step % look_every == 0 or step == config.steps:
            with clock("validation"):
                if not math.isfinite(loss.item()):
                    raise _NotFinite
                if validation is not None and step >= config.steps // 3:
                    score = inner_score(_probabilities(averaged, validation.images), validation.labels)
                    if score >= best_score:
                        best_state, best_score, best_step = copy.deepcopy(averaged.state_dict()), score, step
    if best_state is not None:
        averaged.load_state_dict(best_state)
    score, loss_there = 0.0, 0.0
    if validation is not None:
        rows = _probabilities(averaged, validation.images)
        score, loss_there = inner_score(rows, validation.labels), inner_loss(rows, validation.labels)
    return TrainedClassifier(
        averaged,
        config,
        train.class_names,
        train.image_shape,
        score,
        loss_there,
        {
            "real_images": len(train),
            "extra_images": 0 if recipe.extra is None else len(recipe.extra),
            "steps": config.steps,
            "kept_step": best_step,
            "seconds": {name: round(seconds, 3) for name, seconds in clock.seconds.items()},
        },
        train.feature_names,
    )


def begin(train: ImageDataset, validation: ImageDataset | None, start: Start | None, key: Key, width: int) -> Network:
    """The network that a training begins with: where `start` says, or the judge's own with fresh weights."""
    if start is not None:
        return start.network(train, validation, key)
    kind: type[SmallConvNet | VectorNet] = VectorNet if train.is_vectors else SmallConvNet
    network = build(lambda: kind(train.image_shape, train.class_count, width), key.torch_generator())
    if isinstance(network, VectorNet):
        network.standardise.fit(torch.tensor(train.images).flatten(1))
    return network


def _parameter_groups(network: Network, rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """What learns, by the share of the learning rate at which it does."""
    slow = {name: list(network.get_submodule(name).parameters()) for name in rates}
    apart = {id(one) for parameters in slow.values() for one in parameters}
    rest = [one for one in network.parameters() if id(one) not in apart]
    return [{"params": rest, "share": 1.0}, *({"params": slow[name], "share": rates[name]} for name in rates)]


def _batches(
    images: Tensor, targets: Tensor, schedule: Tensor, transforms: Sequence[Transform], generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """The scheduled batches as floats in [-1, 1] with soft labels, transformed.

    Of tiny pictures several batches are made in one go, because calling an operation outweighs its arithmetic.
    """
    batch_size = schedule.shape[1]
    for chosen in schedule.split(max(1, VALUES_IN_ONE_GO // (batch_size * images[0].numel()))):
        batch, soft = to_float(images.index_select(0, chosen.flatten())), targets.index_select(0, chosen.flatten())
        for transform in transforms:
            batch, soft = transform(batch, soft, generator)
        yield from zip(batch.split(batch_size), soft.split(batch_size), strict=True)


@torch.inference_mode()
def _probabilities(network: Network, images: npt.NDArray[Any], chunk: int = 256) -> npt.NDArray[np.float32]:
    network.eval()
    if isinstance(network, BackboneNet) and network.frozen:
        return torch.softmax(network.head(frozen_features(network, images)), dim=1).numpy()
    chunk = 64 if isinstance(network, BackboneNet) else chunk  # whose maps are larger
    rows = [
        torch.softmax(network(to_float(part).contiguous(memory_format=torch.channels_last)), dim=1)
        for part in torch.tensor(images).split(chunk)
    ]
    return torch.cat(rows).numpy() if rows else np.zeros((0, network.head.out_features), np.float32)


class _Clock:
    """Seconds spent in each named phase of a training."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - start
