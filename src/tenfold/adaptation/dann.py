"""A classifier of labelled source pictures that is to work on unlabelled target pictures.

Source and target pass through the network together. A domain head may read the features through a layer that turns
its gradient round (DANN), the confusion between classes on the target may be made small (MCC), and a moving average
of the network may teach it what it is sure of on the target (self-training).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.augment.tensors import to_float
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.networks.blocks import build
from tenfold.networks.convnet import SmallConvNet
from tenfold.networks.threads import one_thread
from tenfold.training.classifier import ClassifierConfig, Diverged, TrainedClassifier
from tenfold.training.course import draw_plan, follow, warm_cosine
from tenfold.training.recipe import Transform

HIDDEN = 128
"""Units of the domain head's hidden layer."""
TEMPERATURE = 2.5
"""Of the target's probabilities whose confusion is counted, as published."""


class _Turned(torch.autograd.Function):
    """Hands values on and turns their gradient round."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.weight * gradient, None


def turned(features: Tensor, weight: float) -> Tensor:
    """The features as they are; on the way back their gradient times -weight.

    Source: Ganin et al. 2016, the gradient reversal layer.
    """
    result: Tensor = _Turned.apply(features, weight)  # type: ignore[no-untyped-call]
    return result


def reversal(progress: float) -> float:
    """The weight in the reversal layer at a share of the training: 0 at its begin, nearly 1 at its end.

    Source: Ganin et al. 2016, section 5.2.2.
    """
    return 2 / (1 + math.exp(-10 * progress)) - 1


def domain_head(features: int, domains: int, key: Key) -> nn.Sequential:
    """Features B x F -> logits of the domains B x D."""
    return build(
        lambda: nn.Sequential(nn.Linear(features, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, domains)),
        key.torch_generator(),
    )


def class_confusion(logits: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Of a batch B x K without labels: how much probability goes to pairs of different classes, 0 at best.

    Source: Jin et al. 2020, equations 2 to 5.
    """
    rows = (logits / temperature).softmax(1)
    entropy = -(rows * rows.clamp(min=1e-8).log()).sum(1)
    weights = 1 + (-entropy.detach()).exp()
    weights = len(rows) * weights / weights.sum()
    together = (rows * weights[:, None]).T @ rows
    together = together / together.sum(1, keepdim=True)
    return (together.sum() - together.trace()) / rows.shape[1]


def pseudo_label_loss(logits: Tensor, teacher: nn.Module, shown: Tensor, threshold: float) -> Tensor:
    """Cross entropy of B x K logits of changed pictures against what a teacher is sure of on the unchanged ones.

    Args:
        shown: uint8 B x C x H x W, the unchanged pictures.
        threshold: confidence from which on the teacher's word counts; the other pictures add 0 to the mean.

    Source: Sohn et al. 2020, FixMatch, with a moving average as the teacher.
    """
    with torch.no_grad():
        rows = teacher(to_float(shown).contiguous(memory_format=torch.channels_last)).softmax(1)
        sure, named = rows.max(1)
    surprise = F.cross_entropy(logits, named, reduction="none")
    loss: Tensor = (surprise * (sure >= threshold)).mean()
    return loss


def mutual_information(probabilities: npt.NDArray[np.float32]) -> float:
    """How sure and how evenly spread predictions N x K are: entropy of the mean minus mean entropy, over log K.

    1 where every picture is given a class for sure and classes come equally often; 0 where nothing is said.
    """
    rows = probabilities.astype(np.float64).clip(1e-12)
    mean = rows.mean(0)
    value = -(mean * np.log(mean)).sum() + (rows * np.log(rows)).sum(1).mean()
    return float(value / math.log(rows.shape[1]))


Images = npt.NDArray[np.uint8]

PUBLISHED_RATE, PUBLISHED_MOMENTUM = 0.01, 0.9
LARGEST_GRADIENT = 2.0
"""Norm of a step's gradient over all weights."""


@dataclass(frozen=True)
class DomainConfig:
    """How one arm is trained."""

    adversary: float = 0.0
    """Weight of the turned gradient when it is fully there; 0 is no domain head."""
    confusion: float = 0.0
    """Weight of the class confusion on the target."""
    teacher: float = 0.0
    """Weight of the loss on what the moving average is sure of on the target; 0 is none."""
    threshold: float = 0.9
    """Confidence from which on the teacher's word counts."""
    steps: int = 400
    batch_size: int = 64
    """Of the sources together, and once more of the target."""
    width: int = 24
    published: bool = False
    """SGD with momentum and a rate of 0.01 / (1 + 10 p)^0.75, as Ganin et al. 2016 train, in place of AdamW and of
    the three options below."""
    learning_rate: float = 4e-3
    weight_decay: float = 0.05
    warmup_share: float = 0.1
    average_span: float = 0.05
    """Memory of the weights' moving average, as a share of all steps."""

    @property
    def reads_target(self) -> bool:
        """Whether anything is learned from the target."""
        return any((self.adversary, self.confusion, self.teacher))


@one_thread()
def train_domains(
    sources: Sequence[ImageDataset],
    target: Images,
    transforms: Sequence[Transform],
    key: Key,
    config: DomainConfig,
    *,
    init: Mapping[str, Tensor] | None = None,
    after_step: Callable[[], None] = lambda: None,
) -> TrainedClassifier:
    """Train on labelled sources beside unlabelled target pictures; the weights kept are a moving average.

    The learning rate follows one cosine, with AdamW, as for every classifier here, unless `published`. Classes of a
    source come equally often, as far as there are images.

    Args:
        sources: sets of the same classes and image shape; each has an equal part of every batch.
        target: uint8 N x C x S x S.
        transforms: applied to source and target batches alike.
        init: weights to begin with, which are also the first teacher.

    Raises:
        Diverged: the loss became NaN.
    """
    first = sources[0]
    network = build(
        lambda: SmallConvNet(first.image_shape, first.class_count, config.width), (key / "weights").torch_generator()
    ).train()
    if init is not None:
        network.load_state_dict(dict(init))
    head = domain_head(network.feature_count, len(sources) + 1, key / "domain head")
    averaged = _teacher(network)
    learned = [*network.parameters(), *(head.parameters() if config.adversary else ())]
    optimizer = _optimizer(learned, config)
    batches = Batches(sources, target if config.reads_target else target[:0], transforms, key / "draws", config)
    memory = max(1.0, config.average_span * config.steps)
    for step in range(1, config.steps + 1):
        progress = step / config.steps
        optimizer.param_groups[0]["lr"] = _rate(progress, config)
        batch, labels, shown = batches.draw(step - 1)
        features = network.features(batch)
        logits = network.head(features)
        of_target = logits[len(labels) :]
        loss = F.cross_entropy(logits[: len(labels)], labels)
        if config.confusion:
            loss = loss + config.confusion * class_confusion(of_target)
        if config.teacher:
            loss = loss + config.teacher * pseudo_label_loss(of_target, averaged, shown, config.threshold)
        if config.adversary:
            domains = head(turned(features, config.adversary * reversal(progress)))
            loss = loss + F.cross_entropy(domains, batches.domains)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        # Without it one batch in which a class is missing can throw the weights away: such trainings collapsed.
        nn.utils.clip_grad_norm_(learned, LARGEST_GRADIENT)
        optimizer.step()
        follow(averaged, network, 1 / (memory if init is not None else min(float(step), memory)))
        after_step()
    if not math.isfinite(loss.item()):
        raise Diverged("the loss became NaN while source and target were trained together")
    return TrainedClassifier(
        averaged.eval(),
        ClassifierConfig(steps=config.steps, batch_size=config.batch_size, width=config.width),
        first.class_names,
        first.image_shape,
    )


class Batches:
    """Source pictures by a plan, then as many of the target."""

    def __init__(
        self, sources: Sequence[ImageDataset], target: Images, transforms: Sequence[Transform], key: Key,
        config: DomainConfig,
    ) -> None:  # fmt: skip
        part = -(-config.batch_size // len(sources))
        self._classes = sources[0].class_count
        self._pools = [(torch.tensor(source.images), torch.tensor(source.labels)) for source in sources]
        self._plans = [
            draw_plan(
                source.labels,
                source.class_count,
                config.steps,
                part,
                ClassifierConfig.most_repeats,
                (key / "source" / number).torch_generator(),
            )
            for number, source in enumerate(sources)
        ]
        self._target = torch.tensor(target)
        self._shown = config.batch_size if len(target) else 0
        self._transforms = transforms
        self._random = (key / "transforms").torch_generator()
        sizes = torch.tensor([part] * len(sources) + [self._shown])
        self.domains = torch.arange(len(sources) + 1).repeat_interleave(sizes)
        """Of each picture of a batch: the number of its source, and of the target the last number."""

    def draw(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """The batch as the network reads it, the labels of its source part, and its target part untransformed."""
        pairs = zip(self._pools, self._plans, strict=True)
        drawn = [
            (images.index_select(0, plan[step]), labels.index_select(0, plan[step]))
            for (images, labels), plan in pairs
        ]
        chosen = torch.randint(max(1, len(self._target)), (self._shown,), generator=self._random)
        shown = self._target.index_select(0, chosen)
        batch = to_float(torch.cat([*(images for images, _ in drawn), shown]))
        # The labels play no part in what is done to a picture.
        soft = torch.zeros(len(batch), self._classes)
        for transform in self._transforms:
            batch, soft = transform(batch, soft, self._random)
        labels = torch.cat([labels for _, labels in drawn])
        return batch.contiguous(memory_format=torch.channels_last), labels, shown


def _teacher(network: SmallConvNet) -> SmallConvNet:
    """A copy that normalises by the pictures it is shown, and keeps its own figures for later.

    Those are of changed pictures of both domains. Labelling plain target pictures by them, the teacher fell behind
    the network that it taught, and trainings ended with one class for all.
    """
    copied = copy.deepcopy(network).train()
    for norm in copied.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 0.0
    return copied


def _optimizer(learned: list[nn.Parameter], config: DomainConfig) -> torch.optim.Optimizer:
    if config.published:
        return torch.optim.SGD(learned, PUBLISHED_RATE, momentum=PUBLISHED_MOMENTUM, fused=True)
    return torch.optim.AdamW(learned, config.learning_rate, weight_decay=config.weight_decay, fused=True)


def _rate(progress: float, config: DomainConfig) -> float:
    if config.published:
        return float(PUBLISHED_RATE * (1 + 10 * progress) ** -0.75)
    return config.learning_rate * warm_cosine(progress, config.warmup_share)


@one_thread()
@torch.no_grad()
def with_statistics_of(classifier: TrainedClassifier, images: Images) -> TrainedClassifier:
    """The same weights with batch normalisation's figures taken from other pictures.

    Source: Li et al. 2016, AdaBN.
    """
    network = copy.deepcopy(classifier.network).train()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean over all batches
    for part in torch.tensor(images).split(256):
        network(to_float(part).contiguous(memory_format=torch.channels_last))
    return TrainedClassifier(network.eval(), classifier.config, classifier.class_names, classifier.image_shape)


@one_thread()
@torch.no_grad()
def features_of(classifier: TrainedClassifier, images: Images) -> npt.NDArray[np.float32]:
    """uint8 N x C x S x S -> N x F, what the network's last layer reads."""
    parts = [
        classifier.network.features(to_float(part).contiguous(memory_format=torch.channels_last))
        for part in torch.tensor(images).split(256)
    ]
    found: npt.NDArray[np.float32] = torch.cat(parts).numpy()
    return found
