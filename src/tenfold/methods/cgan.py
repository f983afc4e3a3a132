"""A small conditional GAN for few images: one network learns all classes and draws new pictures of each.

Residual generator and critic without normalisation, label embedding in the generator, projection in the critic
(Miyato & Koyama 2018), relativistic pair loss with zero-centred gradient penalties on real and on generated
pictures (Huang et al. 2024, R3GAN), differentiable augmentation of all that the critic sees (Zhao et al. 2020),
and a moving average of the generator's weights. Deviations: the penalties are taken every few steps and scaled
up; conditioning fades in, since conditioning itself makes small sets collapse (Shahbazi et al. 2022).
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import final

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.methods import base
from tenfold.nets.blocks import build, with_gain
from tenfold.nets.threads import one_thread
from tenfold.train.recipe import Recipe
from tenfold.transforms.pixels import to_float, to_uint8

LARGEST_SIDE = 40
"""Larger pictures are drawn at half the side and enlarged."""


@dataclass(frozen=True)
class Config:
    times: PositiveFloat = 2.0
    """Generated images for each real one, when used as an arm."""
    steps: PositiveInt = 400
    batch_size: PositiveInt = 32
    width: PositiveInt = 8
    """Channels of the largest map (twice that for pictures up to 14 pixels); doubled at each halving, up to
    four times."""
    noise_size: PositiveInt = 32
    learning_rate: PositiveFloat = 1.5e-3
    penalty: NonNegativeFloat = 0.3
    """Gamma of the gradient penalties for a picture of 8 x 8 x 1; grows with the number of values."""
    penalty_every: PositiveInt = 4
    fade_in_share: NonNegativeFloat = 0.3
    """Conditioning on the class grows from 0 to 1 over this share of the steps."""
    average_images: PositiveInt = 4000
    """Half-life of the generator's moving average, in images seen."""
    least_diversity: NonNegativeFloat = 0.25
    """Collapse alarm: spread over the noise within a class, relative to the real images' spread."""


@final
class Method(base.Method):
    Config = Config
    trains_generator = True

    def fit(self, train: ImageDataset, reserve: ImageDataset | None, key: Key) -> Recipe:
        grown = self.grow(train, self.config.times, key)
        return Recipe(extra=grown.as_dataset(train), details=grown.details)

    def grow(self, train: ImageDataset, times: float, key: Key) -> base.Grown:
        generator, details = train_generator(train, self.config, key)
        labels = np.sort(train.labels[base.spread(times, len(train))])
        seeds = [(key / "sample" / i).seed for i in range(len(labels))]
        images = sample(generator, labels, seeds, train.image_shape[1])
        details = details | {"diversity": _check_diversity(images, labels, train, self.config)}
        return base.Grown(
            images=images,
            labels=labels,
            parents=((),) * len(labels),
            seeds=tuple(seeds),
            generator={name: value.numpy() for name, value in generator.state_dict().items()},
            details=details,
        )


class Generator(nn.Module):
    """(noise B x Z, labels B) -> pictures B x C x H x W in [-1, 1]."""

    def __init__(self, shape: tuple[int, int, int], class_count: int, config: Config) -> None:
        super().__init__()
        channels, self.height, self.width = shape
        self.noise_size = config.noise_size
        self.start, widths = _pyramid(max(shape[1:]), config.width)
        self.embedding = nn.Embedding(class_count, config.noise_size)
        self.first = nn.Linear(2 * config.noise_size, widths[0] * self.start**2)
        self.blocks = nn.ModuleList(Residual(a, b) for a, b in pairwise(widths))
        self.last = Residual(widths[-1], widths[-1])
        self.to_picture = with_gain(nn.Conv2d(widths[-1], channels, 3, padding=1), 0.1)  # starts near grey

    def forward(self, noise: Tensor, labels: Tensor, conditioning: float = 1.0) -> Tensor:
        code = torch.cat([noise, self.embedding(labels) * conditioning], dim=1)
        hidden = self.first(code).unflatten(1, (-1, self.start, self.start))
        hidden = hidden.contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            hidden = F.interpolate(block(hidden), scale_factor=2.0, mode="bilinear", align_corners=False)
        picture = torch.tanh(self.to_picture(F.leaky_relu(self.last(hidden), 0.2)))
        return picture[:, :, : self.height, : self.width]


class Critic(nn.Module):
    """(pictures, labels) -> realness B; the projection reads the label."""

    def __init__(self, shape: tuple[int, int, int], class_count: int, config: Config) -> None:
        super().__init__()
        self.start, widths = _pyramid(max(shape[1:]), config.width)
        self.side = self.start * 2 ** (len(widths) - 1)
        self.from_picture = nn.Conv2d(shape[0], widths[-1], 3, padding=1)
        self.first = Residual(widths[-1], widths[-1])
        self.blocks = nn.ModuleList(Residual(a, b) for a, b in pairwise(widths[::-1]))
        self.features = nn.Linear(widths[0] * self.start**2, 128)
        self.embedding = nn.Embedding(class_count, 128)
        self.real = nn.Linear(128, 1)

    def forward(self, pictures: Tensor, labels: Tensor, conditioning: float = 1.0) -> Tensor:
        missing = (0, self.side - pictures.shape[3], 0, self.side - pictures.shape[2])
        padded = F.pad(pictures, missing, mode="replicate").contiguous(memory_format=torch.channels_last)
        hidden = self.first(self.from_picture(padded))
        for block in self.blocks:
            hidden = block(F.avg_pool2d(hidden, 2))
        hidden = F.leaky_relu(self.features(F.leaky_relu(hidden, 0.2).flatten(1)), 0.2)
        projection = (hidden * self.embedding(labels)).sum(1) / math.sqrt(hidden.shape[1])
        score: Tensor = self.real(hidden).squeeze(1) + conditioning * projection
        return score


class Residual(nn.Module):
    """Two 3x3 convolutions whose sum with the input starts as the identity, which needs no normalisation."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        same = inputs == outputs
        # No rectifier follows the shortcut, so its gain is 1.
        self.skip = nn.Identity() if same else with_gain(nn.Conv2d(inputs, outputs, 1, bias=False), 1.0)
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = with_gain(nn.Conv2d(outputs, outputs, 3, padding=1), 0.0)

    def forward(self, hidden: Tensor) -> Tensor:
        changed = self.second(F.leaky_relu(self.first(F.leaky_relu(hidden, 0.2)), 0.2))
        total: Tensor = self.skip(hidden) + changed
        return total


def _pyramid(side: int, width: int) -> tuple[int, list[int]]:
    """The smallest map's side (4..7) and the widths from there up to the largest map."""
    halvings = max(0, math.ceil(math.log2(side / 7)))
    largest_map_width = width * 2 if halvings <= 1 else width
    return math.ceil(side / 2**halvings), [largest_map_width * min(4, 2**k) for k in range(halvings, -1, -1)]


def shrunk(images: Tensor) -> Tensor:
    """Float pictures as the networks see them: over 40 pixels at half the side, which keeps a step affordable.

    The classifier's first layer halves such pictures too.
    """
    return images if max(images.shape[2:]) <= LARGEST_SIDE else F.avg_pool2d(images, 2, ceil_mode=True)


@one_thread()
def train_generator(train: ImageDataset, config: Config, key: Key) -> tuple[Generator, dict[str, float]]:
    """Train on these images alone and return the averaged generator.

    Raises:
        MethodFailed: the losses became NaN three times.
    """
    for attempt in range(3):
        trained = _attempt(train, config, key / attempt, config.learning_rate / 3**attempt)
        if trained is not None:
            return trained
    raise base.MethodFailed("cgan: the losses became NaN three times, each time with a smaller learning rate")


def _attempt(
    train: ImageDataset, config: Config, key: Key, learning_rate: float
) -> tuple[Generator, dict[str, float]] | None:
    random = (key / "draws").torch_generator()
    images, labels = shrunk(to_float(torch.tensor(train.images))), torch.tensor(train.labels)
    shape, class_count = (images.shape[1], images.shape[2], images.shape[3]), train.class_count
    generator = build(lambda: Generator(shape, class_count, config), (key / "generator").torch_generator())
    critic = build(lambda: Critic(shape, class_count, config), (key / "critic").torch_generator())
    averaged = copy.deepcopy(generator)
    weights = 1 / torch.bincount(labels, minlength=class_count).clamp(min=1)[labels]
    gamma = config.penalty * images[0].numel() / 64
    optimizers = [
        torch.optim.Adam(network.parameters(), learning_rate, betas=(0.0, 0.9), fused=True)
        for network in (generator, critic)
    ]

    def draw() -> tuple[Tensor, Tensor, Tensor]:
        chosen = torch.multinomial(weights, config.batch_size, replacement=True, generator=random)
        noise = torch.randn(config.batch_size, config.noise_size, generator=random)
        return images[chosen], labels[chosen], noise

    critic_loss = torch.zeros(())
    for step in range(config.steps):
        progress = step / config.steps
        conditioning = progress / config.fade_in_share if progress < config.fade_in_share else 1.0
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = learning_rate * (1 - 0.75 * progress)
        for optimizer, learner in zip(optimizers[::-1], (critic, generator), strict=True):
            critic.requires_grad_(learner is critic)  # its weights' slopes are not needed in the generator's step
            real, target, noise = draw()
            with torch.set_grad_enabled(learner is generator):
                fake = generator(noise, target, conditioning)
            pictures = disturb(torch.cat([real, fake]), random)
            penalised = learner is critic and step % config.penalty_every == 0
            if penalised:
                pictures = pictures.detach().requires_grad_()
            score_real, score_fake = critic(pictures, target.repeat(2), conditioning).chunk(2)
            sign = 1 if learner is critic else -1
            loss = F.softplus(sign * (score_fake - score_real)).mean()
            if learner is critic:
                critic_loss = loss.detach()
            if penalised:
                total = score_real.sum() + score_fake.sum()
                (slope,) = torch.autograd.grad(total, pictures, create_graph=True)
                per_picture = slope.square().sum((1, 2, 3)).mean()
                loss = loss + config.penalty_every * gamma * per_picture
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        span = min(config.average_images, 0.05 * (step + 1) * config.batch_size)
        memory = 0.5 ** (config.batch_size / max(span, 1.0))
        with torch.no_grad():
            torch._foreach_lerp_(list(averaged.parameters()), list(generator.parameters()), 1 - memory)
        if step % 50 == 49 and not math.isfinite(loss.item() + critic_loss.item()):
            return None
    if not all(weights.isfinite().all() for weights in averaged.parameters()):
        return None  # the last steps, or a training too short to be looked at above
    return averaged, {"generator_steps": config.steps, "critic_loss": round(critic_loss.item(), 4)}


def disturb(pictures: Tensor, random: torch.Generator) -> Tensor:
    """The same small random shift and change of light for the real and the generated half of the batch.

    Differentiable: what the critic sees of a generated picture, the generator learns from.
    """
    half, _, height, width = len(pictures) // 2, *pictures.shape[1:]
    reach = max(1, round(min(height, width) / 8))
    padded = F.pad(pictures, (reach,) * 4, mode="replicate")
    offset = torch.randint(2 * reach + 1, (2, half), generator=random).repeat(1, 2)
    rows = offset[0][:, None] + torch.arange(height)
    columns = offset[1][:, None] + torch.arange(width)
    every = torch.arange(2 * half)[:, None, None]
    moved = padded.permute(0, 2, 3, 1)[every, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    light = (torch.rand(2, half, 1, 1, 1, generator=random) - 0.5).repeat(1, 2, 1, 1, 1) * 0.4
    return moved * (1 + light[0]) + light[1]


@torch.inference_mode()
def sample(generator: Generator, labels: npt.NDArray[np.int64], seeds: list[int], side: int) -> npt.NDArray[np.uint8]:
    """One picture a seed: what a seed gives does not depend on its neighbours in the batch.

    Returns:
        uint8 N x C x side x side, enlarged where the generator draws smaller ones.
    """
    rows = [torch.randn(generator.noise_size, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    pictures = []
    for noise, wanted in zip(torch.stack(rows).split(128), torch.tensor(labels).split(128), strict=True):
        drawn = generator(noise, wanted)
        if drawn.shape[2] < side:
            drawn = F.interpolate(drawn, size=(side, side), mode="bilinear", align_corners=False)
        pictures.append(to_uint8(drawn))
    return np.concatenate(pictures)


def _check_diversity(
    images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], train: ImageDataset, config: Config
) -> float:
    """The median over classes of generated spread / real spread (standard deviation a pixel).

    Raises:
        MethodFailed: the generator draws the same picture whatever the noise.
    """
    ratios = []
    for label in np.unique(labels):
        real, made = train.images[train.labels == label], images[labels == label]
        if len(real) > 1 and len(made) > 1 and (spread := real.std(0).mean()) > 0:
            ratios.append(made.std(0).mean() / spread)
    diversity = float(np.median(ratios)) if ratios else 1.0
    if diversity < config.least_diversity:
        raise base.MethodFailed(
            f"cgan collapsed: its pictures of one class differ only {diversity:.0%} as much as real ones; "
            "nothing is used from it"
        )
    return round(diversity, 4)
