"""A classifier of labelled source images that is to work on unlabelled target images.

Source and target pass through the network together. A domain head may read the features through a layer that turns
its gradient round (DANN), the confusion between classes on the target may be made small (MCC), and a moving average
of the network may teach it what it is sure of on the target (self-training).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.adaptation.alignment import class_confusion, domain_head, pseudo_label_loss, reversal, turned
from tenfold.augment.tensors import to_float
from tenfold.core.keys import Key
from tenfold.core.rows import ImageRows
from tenfold.core.types import ImageDataset
from tenfold.networks.blocks import build, device_of
from tenfold.networks.convnet import SmallConvNet
from tenfold.training.batches import ImagePool
from tenfold.training.classifier import ClassifierConfig, TrainedClassifier
from tenfold.training.device import Device, one_thread
from tenfold.training.loop import TrainingLoop
from tenfold.training.recipe import Transform
from tenfold.training.schedule import Average, draw_plan, inverse_decay, warming_cosine
from tenfold.training.step import Look, Step, Trouble, is_finite

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


@dataclass(frozen=True, eq=False)
class DomainTask:
    """What is trained on, and how."""

    sources: Sequence[ImageDataset]
    """Sets of the same classes and image shape; each has an equal part of every batch."""
    target: Images
    """uint8 N x C x S x S."""
    transforms: Sequence[Transform]
    """Applied to source and target batches alike."""
    key: Key
    config: DomainConfig
    init: Mapping[str, Tensor] | None = None
    """Weights to begin with, which are also the first teacher."""


@one_thread()
def train_domains(task: DomainTask, loop: TrainingLoop | None = None) -> TrainedClassifier:
    """Train on labelled sources beside unlabelled target images; the weights kept are a moving average.

    The learning rate follows one cosine, with AdamW, as for every classifier here, unless `published`. Classes of a
    source come equally often, as far as there are images.

    Raises:
        Diverged: the loss became NaN.
        TooLittleMemory: the device has too little.
    """
    loop, config, first = loop or TrainingLoop(), task.config, task.sources[0]
    outcome = loop.run(lambda attempt: DomainStep(task, loop.device))
    averaged = outcome.step.networks["averaged"].eval()
    assert isinstance(averaged, SmallConvNet)
    how = ClassifierConfig(steps=config.steps, batch_size=config.batch_size, width=config.width)
    return TrainedClassifier(averaged, how, first.class_names, first.image_shape, value_ranges=first.value_ranges)


class DomainStep(Step):
    """A joint batch of source and target, and the losses that the configuration gives a weight."""

    def __init__(self, task: DomainTask, device: Device) -> None:
        config, key, first = task.config, task.key, task.sources[0]
        self.config, self.steps = config, config.steps
        self.network = build(
            lambda: SmallConvNet(first.image_shape, first.class_count, config.width),
            (key / "weights").torch_generator(),
        ).train()
        if task.init is not None:
            self.network.load_state_dict(dict(task.init))
        self.network.to(device.torch)
        self.head = domain_head(self.network.feature_count, len(task.sources) + 1, key / "domain head")
        self.head.to(device.torch)
        self.averaged = _teacher(self.network)
        self.networks = {"network": self.network, "head": self.head, "averaged": self.averaged}
        self.learned = [*self.network.parameters(), *(self.head.parameters() if config.adversary else ())]
        self.optimizer = _optimizer(self.learned, config, device)
        self.optimizers = {"network": self.optimizer}
        self.schedules = {"network": inverse_decay if config.published else warming_cosine(config.warmup_share)}
        memory = max(1.0, config.average_span * config.steps)
        begun = task.init is not None
        self.average = Average(
            "network", "averaged", lambda number, steps: 1 / (memory if begun else min(float(number), memory))
        )
        self.batches = Batches(task, device)
        self.generators = {"transforms": self.batches.random}
        self.loss = torch.zeros(())

    def step(self, number: int) -> dict[str, Tensor]:
        config, progress = self.config, (number + 1) / self.steps
        batch, labels, shown = self.batches.draw(number)
        features = self.network.features(batch)
        logits = self.network.head(features)
        of_target = logits[len(labels) :]
        loss = F.cross_entropy(logits[: len(labels)], labels)
        if config.confusion:
            loss = loss + config.confusion * class_confusion(of_target)
        if config.teacher:
            loss = loss + config.teacher * pseudo_label_loss(of_target, self.averaged, shown, config.threshold)
        if config.adversary:
            domains = self.head(turned(features, config.adversary * reversal(progress)))
            loss = loss + F.cross_entropy(domains, self.batches.domains)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        # Without it one batch in which a class is missing can throw the weights away: such trainings collapsed.
        nn.utils.clip_grad_norm_(self.learned, LARGEST_GRADIENT)
        self.optimizer.step()
        self.loss = loss.detach()
        return {"loss": self.loss}

    def look(self, number: int) -> Look:
        if is_finite(self.loss):
            return Look()
        return Look(trouble=Trouble("the loss became NaN while source and target were trained together"))


class Batches:
    """Source images by a plan, then as many of the target."""

    def __init__(self, task: DomainTask, device: Device) -> None:
        config, key = task.config, task.key / "draws"
        part = -(-config.batch_size // len(task.sources))
        target = task.target if config.reads_target else task.target[:0]
        self._device, self._transforms = device.torch, task.transforms
        self._classes = task.sources[0].class_count
        self._pools = [ImagePool(source.rows, device) for source in task.sources]
        self._labels = [torch.tensor(source.labels).to(device.torch) for source in task.sources]
        self._plans = [
            draw_plan(
                source.labels,
                source.class_count,
                config.steps,
                part,
                ClassifierConfig.most_repeats,
                (key / "source" / number).torch_generator(),
            )
            for number, source in enumerate(task.sources)
        ]
        self._target = ImagePool(ImageRows((target,)), device)
        self._shown = config.batch_size if len(target) else 0
        self.random = (key / "transforms").torch_generator()
        sizes = torch.tensor([part] * len(task.sources) + [self._shown])
        self.domains = torch.arange(len(task.sources) + 1).repeat_interleave(sizes).to(device.torch)
        """Of each image of a batch: the number of its source, and of the target the last number."""

    def draw(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """The batch as the network reads it, the labels of its source part, and its target part untransformed."""
        drawn = [pool.at(plan[number]) for pool, plan in zip(self._pools, self._plans, strict=True)]
        chosen = torch.randint(max(1, len(self._target)), (self._shown,), generator=self.random)
        shown = self._target.at(chosen)
        batch = to_float(torch.cat([*drawn, shown]))
        # The labels play no part in what is done to an image.
        soft = torch.zeros(len(batch), self._classes, device=self._device)
        for transform in self._transforms:
            batch, soft = transform(batch, soft, self.random)
        places = [plan[number].to(self._device) for plan in self._plans]
        labels = torch.cat([of.index_select(0, at) for of, at in zip(self._labels, places, strict=True)])
        return batch.contiguous(memory_format=torch.channels_last), labels, shown


def _teacher(network: SmallConvNet) -> SmallConvNet:
    """A copy that normalises by the images it is shown, and keeps its own figures for later.

    Those are of changed images of both domains. Labelling plain target images by them, the teacher fell behind
    the network that it taught, and trainings ended with one class for all.
    """
    copied = copy.deepcopy(network).train()
    for norm in copied.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 0.0
    return copied


def _optimizer(learned: list[nn.Parameter], config: DomainConfig, device: Device) -> torch.optim.Optimizer:
    if config.published:
        return torch.optim.SGD(learned, PUBLISHED_RATE, momentum=PUBLISHED_MOMENTUM, fused=device.fused)
    return torch.optim.AdamW(learned, config.learning_rate, weight_decay=config.weight_decay, fused=device.fused)


@one_thread()
@torch.no_grad()
def with_statistics_of(classifier: TrainedClassifier, images: Images) -> TrainedClassifier:
    """The same weights with batch normalisation's figures taken from other images.

    Source: Li et al. 2016, AdaBN.
    """
    network = copy.deepcopy(classifier.network).train()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean over all batches
    for part in _parts(images, network):
        network(part)
    config, names, shape = classifier.config, classifier.class_names, classifier.image_shape
    return TrainedClassifier(network.eval(), config, names, shape, value_ranges=classifier.value_ranges)


@one_thread()
@torch.no_grad()
def features_of(classifier: TrainedClassifier, images: Images) -> npt.NDArray[np.float32]:
    """uint8 N x C x S x S -> N x F, what the network's last layer reads."""
    features = [classifier.network.features(part) for part in _parts(images, classifier.network)]
    rows: npt.NDArray[np.float32] = torch.cat(features).cpu().numpy()
    return rows


def _parts(images: Images, network: nn.Module) -> Iterator[Tensor]:
    """Batches as the network reads them, where it lives."""
    for part in torch.tensor(images).split(256):
        yield to_float(part.to(device_of(network))).contiguous(memory_format=torch.channels_last)
