"""The article on MixUp: its network and training on the whole of MNIST, begun as Keras begins them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.training.batches import ImagePool
from tenfold.training.device import Device
from tenfold.training.loop import TrainingLoop
from tenfold.training.recipe import Transform
from tenfold.training.step import Step, descend

BATCH_SIZE = 64
LEARNING_RATE = 3e-3
KERAS_EPSILON = 1e-7
DROPOUT = 0.1


def train_article(
    train: ImageDataset,
    test: ImageDataset,
    transforms: Sequence[Transform],
    epochs: int,
    key: Key,
    loop: TrainingLoop,
) -> npt.NDArray[np.bool_]:
    """The article's training; which test images its last weights recognise.

    The whole set stays one uint8 tensor and a batch is picked by index: a loader would take as long as the network.
    """
    step = loop.run(lambda attempt: ArticleStep(train, transforms, epochs, key, loop.device)).step
    with torch.inference_mode():
        weights, predicted = list(step.networks["network"].parameters()), []
        for part in torch.tensor(test.images).split(500):
            images = part.to(loop.device.torch).float().mul_(1 / 255)
            predicted.append(_logits(weights, images, None).argmax(1).cpu())
    return np.asarray(torch.cat(predicted).numpy() == test.labels)


class ArticleStep(Step):
    """A batch of an epoch's order, the recipe's transforms, and plain cross entropy at one rate."""

    def __init__(
        self, train: ImageDataset, transforms: Sequence[Transform], epochs: int, key: Key, device: Device
    ) -> None:
        self.images, self.key, self.transforms = ImagePool(train.rows, device), key, transforms
        self.targets = F.one_hot(torch.tensor(train.labels), train.class_count).float().to(device.torch)
        self.each = math.ceil(len(train) / BATCH_SIZE)
        self.steps, self.epoch = epochs * self.each, -1
        self.batches: list[Tensor] = []
        self.drops, self.draws = ((key / name).torch_generator() for name in ("dropout", "transforms"))
        network = nn.ParameterList(_first_weights(train, (key / "weights").torch_generator())).to(device.torch)
        self.weights = list(network.parameters())
        self.adam = torch.optim.Adam(self.weights, LEARNING_RATE, eps=KERAS_EPSILON, fused=device.fused)
        self.networks, self.optimizers = {"network": network}, {"network": self.adam}
        self.generators = {"dropout": self.drops, "transforms": self.draws}

    def step(self, number: int) -> dict[str, Tensor]:
        chosen = self._order(number // self.each)[number % self.each]
        batch = self.images.at(chosen).float().mul_(1 / 255)
        soft = self.targets.index_select(0, chosen.to(self.targets.device))
        for transform in self.transforms:
            batch, soft = transform(batch, soft, self.draws)
        loss = F.cross_entropy(_logits(self.weights, batch, self.drops), soft)
        descend(self.adam, loss)
        return {"loss": loss.detach()}

    def _order(self, epoch: int) -> Sequence[Tensor]:
        """The batches of an epoch, whose order follows those of the epochs before it."""
        if epoch != self.epoch:
            orders = (self.key / "batches").torch_generator()
            drawn = [torch.randperm(len(self.images), generator=orders) for _ in range(epoch + 1)]
            self.epoch, self.batches = epoch, list(drawn[-1].split(BATCH_SIZE))
        return self.batches


def _first_weights(train: ImageDataset, generator: torch.Generator) -> list[Tensor]:
    """Kernel and bias of each layer."""
    shapes = ((32, train.image_shape[0], 3, 3), (64, 32, 3, 3), (train.class_count, 64))
    weights = []
    for shape in shapes:
        weights.append(nn.init.xavier_uniform_(torch.empty(shape), generator=generator))
        weights.append(torch.zeros(shape[0]))
    return weights


def _logits(weights: Sequence[Tensor], images: Tensor, drops: torch.Generator | None) -> Tensor:
    """Float B x 1 x 28 x 28 in 0..1 -> B x 10; `drops` draws what dropout leaves out, None for testing."""
    hidden = F.relu(F.conv2d(images, weights[0], weights[1], stride=2))
    hidden = F.relu(F.conv2d(hidden, weights[2], weights[3], stride=2))
    if drops is None:
        return F.linear(hidden.mean((2, 3)), weights[4], weights[5])
    # What dropout adds to the kept values is added after the average, where there are fewer of them.
    kept = hidden * (torch.rand(hidden.shape, generator=drops) >= DROPOUT).to(hidden.device)
    return F.linear(kept.mean((2, 3)) / (1 - DROPOUT), weights[4], weights[5])
