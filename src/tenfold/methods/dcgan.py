"""DCGAN: strided convolutions against transposed ones, with the plain binary loss (Radford et al. 2015).

Few labelled images are drawn by one network a class, trained one after another, as in the liver-lesion study of
Frid-Adar et al. 2018. The preset `article` has the network and the schedule of the cell article that this project
repeats; `quick` is a small one for small images, with maps of the image's own size and without normalisation,
which would undo what truncation does to the noise. Deviations of `article`: the generator's step sees as many
images as the critic sees generated ones; the averaged generator draws; first weights are those of `nets.blocks`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Literal, final

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.generators import Generator as AnyGenerator
from tenfold.generators.filtering import Filters
from tenfold.generators.gan import GanGenerator, train_gan
from tenfold.generators.losses import Loss
from tenfold.generators.problem import GanConfig, GanProblem, labelled_problem
from tenfold.methods import GeneratorMethod, Grown, MethodFailed
from tenfold.networks.blocks import SeededDropout, channels_last, empty, padded, with_gain
from tenfold.training.batches import as_floats
from tenfold.training.loop import TrainingLoop
from tenfold.training.step import TrainingFailed

SLOPES: Mapping[str, float] = {"quick": 0.2, "article": 0.02}
"""Of the leaky rectifiers, below 0."""
DROPPED: Mapping[str, float] = {"quick": 0.2, "article": 0.4}
"""Share of the critic's last values that dropout takes away."""

NEAR_GREY = 0.25
"""The gain of the generator's last layer: first images at which tanh still has slopes."""


@dataclass(frozen=True)
class Config(GanConfig):
    """Options that are not given are the preset's; those that are given win over it."""

    preset: Literal["quick", "article"] = "quick"
    classes: Literal["one_a_class", "embedded", "none"] = "one_a_class"
    """One network a class, one network that is told the label, or one that knows of no classes."""
    loss: Loss = "binary"
    fade_in_share: NonNegativeFloat = 0.0
    steps: PositiveInt = 300
    """Of each network: with one a class the time grows with the classes."""
    learning_rate: PositiveFloat = 1e-3
    beta1: NonNegativeFloat = 0.5
    beta2: NonNegativeFloat = 0.99
    augment: NonNegativeFloat = 0.0
    width: PositiveInt = 12
    """Channels of the largest map (quick: twice that for images up to 14 pixels), doubled at each halving, up to
    four times; article: of every map but the generator's first, which has eight times as many."""


PRESETS: Mapping[str, Config] = {
    "quick": Config(),
    "article": Config(
        preset="article",
        steps=2000,  # the article does not tell how many
        batch_size=128,  # real ones; with as many generated ones the critic sees 256
        noise_size=100,
        learning_rate=2e-4,
        last_rate=1.0,
        beta2=0.999,
        penalty=0.0,
        hold_out=0.0,
        watch_every=100,
        width=128,
    ),
}


class Dcgan(GanGenerator):
    config: Config

    @property
    def draws_labels(self) -> bool:
        return self.config.classes != "none"

    def problem(self, train: ImageDataset, key: Key) -> GanProblem:
        """Of all these images; `learn` hands over those of one class, where each has its own network."""
        shape, class_count = train.image_shape, train.class_count
        return labelled_problem(
            as_floats(train.rows),
            train,
            self._of_class,
            lambda: Critic(shape, class_count, self.config, key / "dropout"),
            self.config.hold_out,
            key,
        )

    def learn(self, train: ImageDataset, key: Key, loop: TrainingLoop) -> Mapping[str, Any]:
        if self.config.classes != "one_a_class":
            return super().learn(train, key, loop)
        together, details = channels_last(empty(self._one_a_class)).to(loop.device.torch), []
        for label in np.flatnonzero(train.counts()).tolist():
            name, images = train.class_names[label], train.take(np.flatnonzero(train.labels == label))
            part = loop.part(_part_name(label, name))
            try:
                trained = train_gan(partial(self.problem, images), self.config, key / "class" / label, part)
            except TrainingFailed as error:
                raise MethodFailed(f"dcgan, class '{name}': {error}") from error
            together.of_class[label] = trained.generator
            details.append(trained.details)
        self.network = together
        return _summary(details)

    def make_network(self) -> nn.Module:
        return self._one_a_class() if self.config.classes == "one_a_class" else self._of_class()

    def _one_a_class(self) -> OneAClass:
        return OneAClass([self._of_class() for _ in self.class_names])

    def _of_class(self) -> Generator:
        return Generator(self.image_shape, len(self.class_names), self.config)


_Config = Config


@final
class Method(GeneratorMethod):
    Config, PRESETS = Config, PRESETS
    config: _Config
    generator_class = Dcgan

    def trainings(self, train: ImageDataset) -> int:
        return int(np.count_nonzero(train.counts())) if self.config.classes == "one_a_class" else 1

    @property
    def logs_every_step(self) -> bool:
        return self.config.preset == "article"

    def grow(self, train: ImageDataset, times: float, key: Key) -> Grown:
        self._refuse_several(train)  # before time is spent on a training
        return super().grow(train, times, key)

    def filters(self, generator: AnyGenerator, real: ImageDataset, key: Key) -> Filters:
        self._refuse_several(real)
        return super().filters(generator, real, key)

    def _refuse_several(self, real: ImageDataset) -> None:
        if self.config.classes == "none" and (several := np.count_nonzero(real.counts())) > 1:
            raise MethodFailed(
                f"{self.name()}(classes=none) draws images without labels, and these are of {several} "
                "classes; take classes=one_a_class or classes=embedded"
            )


class Generator(nn.Module):
    """(noise B x Z, labels B) -> images B x C x H x W in [-1, 1]; labels count with `classes=embedded` alone."""

    def __init__(self, shape: tuple[int, int, int], class_count: int, config: Config) -> None:
        super().__init__()
        channels, self.height, self.width = shape
        self.noise_size = config.noise_size
        self.start, widths = map_widths(max(shape[1:]), config)
        self.quick, embedded = config.preset == "quick", config.classes == "embedded"
        if not self.quick:
            widths = [8 * config.width, *widths[1:-1], channels]
        self.slope = SLOPES[config.preset]
        self.embedding = nn.Embedding(class_count, config.noise_size) if embedded else None
        self.first = nn.Linear((1 + embedded) * config.noise_size, widths[0] * self.start**2)
        self.ups = nn.ModuleList(_doubling(a, b) for a, b in pairwise(widths))
        self.to_picture: nn.Module = nn.Identity()
        if self.quick:
            self.to_picture = with_gain(nn.Conv2d(widths[-1], channels, 3, padding=1), NEAR_GREY)
        else:
            self.ups[-1] = _doubling(widths[-2], channels, NEAR_GREY)

    def forward(self, noise: Tensor, labels: Tensor, fade: float = 1.0) -> Tensor:
        code = noise if self.embedding is None else torch.cat([noise, self.embedding(labels) * fade], dim=1)
        hidden = self.first(code).unflatten(1, (-1, self.start, self.start))
        hidden = hidden.contiguous(memory_format=torch.channels_last)
        for up in self.ups:
            hidden = up(F.leaky_relu(hidden, self.slope))
        if self.quick:
            hidden = self.to_picture(F.leaky_relu(hidden, self.slope))
        return torch.tanh(hidden)[:, :, : self.height, : self.width]


class OneAClass(nn.Module):
    """(noise B x Z, labels B) -> images, each drawn by the generator of its class."""

    def __init__(self, of_class: Sequence[nn.Module]) -> None:
        super().__init__()
        self.of_class = nn.ModuleList(of_class)

    def forward(self, noise: Tensor, labels: Tensor, fade: float = 1.0) -> Tensor:
        # Which classes there are is only asked where the answer need not be waited for.
        present = labels.unique().tolist() if labels.device.type == "cpu" else range(len(self.of_class))
        images: Tensor = self.of_class[present[0]](noise, labels, fade)
        for label in present[1:]:
            # Of all rows: in a batch of another size sums could be taken in another order.
            drawn = self.of_class[label](noise, labels, fade)
            images = torch.where((labels == label)[:, None, None, None], drawn, images)
        return images


class Critic(nn.Module):
    """(images, labels) -> realness B; a projection reads the label, with `classes=embedded` alone."""

    def __init__(self, shape: tuple[int, int, int], class_count: int, config: Config, dropout: Key) -> None:
        super().__init__()
        self.start, widths = map_widths(max(shape[1:]), config)
        self.side = self.start * 2 ** (len(widths) - 1)
        self.quick, self.slope = config.preset == "quick", SLOPES[config.preset]
        if not self.quick:
            widths = [*widths[:-1], shape[0]]
        features = widths[0] * self.start**2
        self.from_picture = nn.Conv2d(shape[0], widths[-1], 3, padding=1) if self.quick else nn.Identity()
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairwise(widths[::-1]))
        self.dropout = SeededDropout(DROPPED[config.preset], dropout)
        self.real = with_gain(nn.Linear(features, 1), 1.0)
        self.embedding = nn.Embedding(class_count, features) if config.classes == "embedded" else None

    def forward(self, images: Tensor, labels: Tensor, fade: float = 1.0) -> Tensor:
        hidden = padded(images, self.side, self.side)
        if self.quick:
            hidden = F.leaky_relu(self.from_picture(hidden), self.slope)
        for down in self.downs:
            hidden = F.leaky_relu(down(hidden), self.slope)
        hidden = self.dropout(hidden.flatten(1))
        score: Tensor = self.real(hidden).squeeze(1)
        if self.embedding is not None:
            score = score + fade * (hidden * self.embedding(labels)).sum(1) / math.sqrt(hidden.shape[1])
        return score


def map_widths(side: int, config: Config) -> tuple[int, list[int]]:
    """The smallest map's side (4..7, tiny images less), and channels from there to a map that holds the image.

    Each map has twice the side of the one before. `article` has no map of the image's size but the image.
    """
    depth = max(1, math.ceil(math.log2(side / 7)))
    start = math.ceil(side / 2**depth)
    if config.preset == "article":
        return start, [config.width] * (depth + 1)
    largest = 2 * config.width if depth == 1 else config.width  # small maps cost little
    return start, [largest * min(4, 2**halvings) for halvings in range(depth, -1, -1)]


def _doubling(inputs: int, outputs: int, gain: float = 2.0) -> nn.ConvTranspose2d:
    """To twice the side. `build` divides by 16 x outputs, but each value is a sum over 4 x inputs."""
    return with_gain(nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1), gain * 4 * outputs / inputs)


def _part_name(label: int, name: str) -> str:
    """A folder's name: the number keeps names apart that differ in other letters alone."""
    return f"class-{label}-{re.sub('[^A-Za-z0-9]+', '-', name)[:40]}".strip("-")


def _summary(details: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of several trainings: steps and roll-backs in all, the least diversity, the largest of the rest."""
    together: dict[str, Callable[[list[Any]], Any]] = {"generator_steps": sum, "recoveries": sum, "diversity": min}
    names = dict.fromkeys(name for one in details for name in one)
    return {name: together.get(name, max)([one[name] for one in details if name in one]) for name in names}
