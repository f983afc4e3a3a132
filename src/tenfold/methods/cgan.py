"""A small conditional GAN for few images: one network learns all classes and draws new images of each.

Residual generator and critic without normalisation, label embedding in the generator, projection in the critic
(Miyato & Koyama 2018), relativistic pair loss with zero-centred gradient penalties on real and on generated
images (Huang et al. 2024, R3GAN), and the loop's differentiable augmentation and moving average. Deviations: the
penalties are taken every few steps and scaled up; conditioning fades in, since conditioning itself makes small sets
collapse (Shahbazi et al. 2022).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Self, final

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.generators.gan import GanGenerator
from tenfold.generators.problem import GanConfig, GanProblem, labelled_problem
from tenfold.methods import GeneratorMethod
from tenfold.networks.blocks import Residual, padded, pyramid, with_gain
from tenfold.training.batches import as_floats

LARGEST_SIDE = 40
"""Larger images are drawn at half the side and enlarged."""

SMALL_SIDE, STEPS = 14, (250, 1000)
"""Steps for images up to that side, at twice the learning rate, and for larger ones. On 8 x 8 digits it draws as
well as in 400 at the usual rate; 200 at that are too few (benchmarks/results/recognised.md)."""


@dataclass(frozen=True)
class Config(GanConfig):
    steps: PositiveInt | None = None
    """Unless given, 250 at twice the learning rate for images of up to 14 pixels, and 1,000 for larger ones."""
    width: PositiveInt = 8
    """Channels of the largest map (twice that for images up to 14 pixels); doubled at each halving, up to
    four times."""


class Cgan(GanGenerator):
    config: Config

    def problem(self, train: ImageDataset, key: Key) -> GanProblem:
        images = as_floats(train.rows, shrunk)
        return labelled_problem(
            images,
            train,
            self.make_network,
            lambda: Critic(self._shape, train.class_count, self.config),
            self.config.hold_out,
            key,
        )

    def make_network(self) -> nn.Module:
        return Generator(self._shape, len(self.class_names), self.config)

    @property
    def _shape(self) -> tuple[int, int, int]:
        """C, H, W of what the networks draw and see."""
        channels, height, width = self.image_shape
        return channels, *shrunk(torch.zeros(1, 1, height, width, device="cpu")).shape[2:]


_Config = Config


@final
class Method(GeneratorMethod):
    Config = Config
    config: _Config
    generator_class = Cgan

    def for_set(self, train: ImageDataset) -> Self:
        if self.config.steps is not None:
            return self
        large = max(train.image_shape[1:]) > SMALL_SIDE
        rate = self.config.learning_rate * (1 if large else 2)
        return type(self)(replace(self.config, steps=STEPS[large], learning_rate=rate))


class Generator(nn.Module):
    """(noise B x Z, labels B) -> images B x C x H x W in [-1, 1]."""

    def __init__(self, shape: tuple[int, int, int], class_count: int, config: Config) -> None:
        super().__init__()
        channels, self.height, self.width = shape
        self.noise_size = config.noise_size
        self.start, widths = pyramid(max(shape[1:]), config.width)
        self.embedding = nn.Embedding(class_count, config.noise_size)
        self.first = nn.Linear(2 * config.noise_size, widths[0] * self.start**2)
        self.blocks = nn.ModuleList(Residual(a, b) for a, b in pairwise(widths))
        self.last = Residual(widths[-1], widths[-1])
        self.to_picture = with_gain(nn.Conv2d(widths[-1], channels, 3, padding=1), 0.1)  # starts near grey

    def forward(self, noise: Tensor, labels: Tensor, fade: float = 1.0) -> Tensor:
        code = torch.cat([noise, self.embedding(labels) * fade], dim=1)
        hidden = self.first(code).unflatten(1, (-1, self.start, self.start))
        hidden = hidden.contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            hidden = F.interpolate(block(hidden), scale_factor=2.0, mode="bilinear", align_corners=False)
        image = torch.tanh(self.to_picture(F.leaky_relu(self.last(hidden), 0.2)))
        return image[:, :, : self.height, : self.width]


class Critic(nn.Module):
    """(images, labels) -> realness B; the projection reads the label."""

    def __init__(self, shape: tuple[int, int, int], class_count: int, config: Config) -> None:
        super().__init__()
        self.start, widths = pyramid(max(shape[1:]), config.width)
        self.side = self.start * 2 ** (len(widths) - 1)
        self.from_picture = nn.Conv2d(shape[0], widths[-1], 3, padding=1)
        self.first = Residual(widths[-1], widths[-1])
        self.blocks = nn.ModuleList(Residual(a, b) for a, b in pairwise(widths[::-1]))
        self.features = nn.Linear(widths[0] * self.start**2, 128)
        self.embedding = nn.Embedding(class_count, 128)
        self.real = nn.Linear(128, 1)

    def forward(self, images: Tensor, labels: Tensor, fade: float = 1.0) -> Tensor:
        hidden = self.first(self.from_picture(padded(images, self.side, self.side)))
        for block in self.blocks:
            hidden = block(F.avg_pool2d(hidden, 2))
        hidden = F.leaky_relu(self.features(F.leaky_relu(hidden, 0.2).flatten(1)), 0.2)
        projection = (hidden * self.embedding(labels)).sum(1) / math.sqrt(hidden.shape[1])
        score: Tensor = self.real(hidden).squeeze(1) + fade * projection
        return score


def shrunk(images: Tensor) -> Tensor:
    """Float images as the networks see them: over 40 pixels at half the side, which keeps a step affordable.

    The classifier's first layer halves such images too.
    """
    return images if max(images.shape[2:]) <= LARGEST_SIDE else F.avg_pool2d(images, 2, ceil_mode=True)
