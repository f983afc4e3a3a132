"""A conditional variational autoencoder: it learns to draw an image again from a few numbers and its label.

It trains without a critic, so that nothing collapses, but what it draws is blurred: the mean of the images that a
code could stand for. What it is worth, measured on the 200 digits: nothing yet. `prove digits --repeats 1 --arms
classical,classical+vae` found +0.0 points (-1.5 to +1.5), and the validation images of three folds in five wanted
none of its images. It stays as the plainest generator there is, and as the example of how a method is added.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, final

import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from tenfold.augment.tensors import to_float
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.generators import NoiseConfig, NoiseGenerator, details_of
from tenfold.methods import GeneratorMethod
from tenfold.networks.blocks import Residual, build, padded, pyramid, with_gain
from tenfold.training.batches import ImagePool
from tenfold.training.device import Device
from tenfold.training.loop import TrainingLoop
from tenfold.training.schedule import Average, linear
from tenfold.training.step import Look, Step, Trouble, descend_in_parts, is_finite


@dataclass(frozen=True)
class Config(NoiseConfig):
    steps: PositiveInt | None = None
    """Unless given, as many as show each image 60 times, between 400 and 2,000."""
    noise_size: PositiveInt = 16
    """Values of a code."""
    width: PositiveInt = 8
    """Channels of the largest map (twice that for images up to 14 pixels); doubled at each halving, up to four
    times."""
    learning_rate: PositiveFloat = 2e-3
    beta: NonNegativeFloat = 1.0
    """Weight of the codes' distance from a normal distribution, in nats an image, beside half the squared error of
    all pixels in units of `pixel_deviation`."""
    pixel_deviation: PositiveFloat = 0.35
    """Standard deviation of a pixel's error that counts as noise; pixels in [-1, 1]."""


class Vae(NoiseGenerator):
    """The decoder of a trained autoencoder, which draws from codes that nobody has encoded."""

    config: Config

    def start(self, train: ImageDataset, key: Key, device: Device) -> Callable[[int], VaeStep]:
        return lambda attempt: VaeStep(self, train, key / attempt, device)

    def learn(self, train: ImageDataset, key: Key, loop: TrainingLoop) -> Mapping[str, Any]:
        outcome = loop.run(self.start(train, key, loop.device))
        self.network = outcome.step.networks["averaged"]
        return details_of(outcome)

    def make_network(self) -> nn.Module:
        return Decoder(self.image_shape, len(self.class_names), self.config)


@final
class Method(GeneratorMethod):
    Config = Config
    generator_class = Vae
    shown, step_bounds = 60, (400, 2000)


class VaeStep(Step):
    """A step down the evidence bound; a smaller rate for each attempt that ended in NaN.

    Source: Kingma & Welling 2014, equation 10; Higgins et al. 2017 for `beta`.
    """

    look_every = 50
    most_recoveries = 2

    def __init__(self, vae: Vae, train: ImageDataset, key: Key, device: Device) -> None:
        config = vae.config
        if config.steps is None:
            raise ValueError("how many steps?")
        labels, classes = torch.tensor(train.labels), train.class_count
        self.config, self.device, self.steps = config, device.torch, config.steps
        self.weights = 1 / torch.bincount(labels, minlength=classes).clamp(min=1)[labels].double()
        self.images, self.labels = ImagePool(train.rows, device), labels
        self.probe = torch.arange(classes)[torch.bincount(labels, minlength=classes) > 0].to(self.device)
        self.decoder = build(vae.make_network, (key / "decoder").torch_generator()).to(self.device)
        self.encoder = build(
            lambda: Encoder(train.image_shape, classes, config), (key / "encoder").torch_generator()
        ).to(self.device)
        self.averaged = copy.deepcopy(self.decoder).requires_grad_(False).eval()
        self.networks = {"encoder": self.encoder, "decoder": self.decoder, "averaged": self.averaged}
        parameters = [*self.encoder.parameters(), *self.decoder.parameters()]
        rate = config.learning_rate / 3 ** int(key.path.rpartition("/")[2])
        self.optimizers = {"both": torch.optim.Adam(parameters, rate, fused=device.fused)}
        self.schedules = {"both": linear(0.05)}
        self.average = Average("decoder", "averaged", lambda number, steps: max(1 / number, 0.02))
        self.random = (key / "draws").torch_generator()
        self.generators = {"draws": self.random}
        self.most_micro_batches = config.batch_size
        self._loss = torch.zeros(())

    def step(self, number: int) -> dict[str, Tensor]:
        size = self.config.batch_size
        chosen = torch.multinomial(self.weights, size, replacement=True, generator=self.random)
        noise = torch.randn(size, self.config.noise_size, generator=self.random).to(self.device)
        batch = to_float(self.images.at(chosen)), self.labels[chosen].to(self.device), noise
        losses = descend_in_parts(self.optimizers.values(), batch, self.micro_batches, self._losses_of)
        self._loss = losses.pop("loss")
        return losses

    def _losses_of(self, images: Tensor, labels: Tensor, noise: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        config = self.config
        mean, log_variance = self.encoder(images, labels)
        drawn = self.decoder(mean + (log_variance / 2).exp() * noise, labels)
        error = (drawn - images).square().sum((1, 2, 3)).mean()
        distance = (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2
        loss = error / (2 * config.pixel_deviation**2) + config.beta * distance
        told = {"error": error.detach() / images[0].numel(), "distance": distance.detach(), "loss": loss.detach()}
        return loss, told

    @torch.no_grad()
    def look(self, number: int) -> Look:
        if not is_finite(self._loss, *self.decoder.parameters()):
            return Look(trouble=Trouble("the losses became NaN"))
        noise = torch.randn(8 * len(self.probe), self.config.noise_size, generator=Key("look").torch_generator())
        images = self.averaged(noise.to(self.device), self.probe.repeat_interleave(8))
        loss = self._loss.item()
        return Look({"loss": loss}, images.unflatten(0, (len(self.probe), 8)), f"loss {loss:.1f}")


class Encoder(nn.Module):
    """(images B x C x H x W, labels B) -> means and logarithms of the variances of their codes, B x Z each."""

    def __init__(self, shape: tuple[int, int, int], class_count: int, config: Config) -> None:
        super().__init__()
        self.start, widths = pyramid(max(shape[1:]), config.width)
        self.side = self.start * 2 ** (len(widths) - 1)
        self.from_image = nn.Conv2d(shape[0], widths[-1], 3, padding=1)
        self.blocks = nn.ModuleList(Residual(a, b) for a, b in pairwise(widths[::-1]))
        self.embedding = nn.Embedding(class_count, config.noise_size)
        self.to_code = with_gain(nn.Linear(widths[0] * self.start**2 + config.noise_size, 2 * config.noise_size), 0.1)

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.from_image(padded(images, self.side, self.side))
        for block in self.blocks:
            hidden = block(F.avg_pool2d(hidden, 2))
        known = torch.cat([F.leaky_relu(hidden, 0.2).flatten(1), self.embedding(labels)], 1)
        mean, log_variance = self.to_code(known).chunk(2, 1)
        return mean, log_variance


class Decoder(nn.Module):
    """(codes B x Z, labels B) -> images B x C x H x W in [-1, 1]."""

    def __init__(self, shape: tuple[int, int, int], class_count: int, config: Config) -> None:
        super().__init__()
        channels, self.height, self.width = shape
        self.start, widths = pyramid(max(shape[1:]), config.width)
        self.embedding = nn.Embedding(class_count, config.noise_size)
        self.first = nn.Linear(2 * config.noise_size, widths[0] * self.start**2)
        self.blocks = nn.ModuleList(Residual(a, b) for a, b in pairwise(widths))
        self.last = Residual(widths[-1], widths[-1])
        self.to_image = with_gain(nn.Conv2d(widths[-1], channels, 3, padding=1), 0.1)

    def forward(self, codes: Tensor, labels: Tensor, fade: float = 1.0) -> Tensor:
        hidden = self.first(torch.cat([codes, self.embedding(labels)], 1)).unflatten(1, (-1, self.start, self.start))
        hidden = hidden.contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            hidden = F.interpolate(block(hidden), scale_factor=2.0, mode="bilinear", align_corners=False)
        image = torch.tanh(self.to_image(F.leaky_relu(self.last(hidden), 0.2)))
        return image[:, :, : self.height, : self.width]
