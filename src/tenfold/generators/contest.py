"""What a method brings to the adversarial loop, and the losses between which it can choose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

Loss = Literal["relativistic", "binary", "wasserstein"]
Precision = Literal["float32", "bfloat16"]

Pair = tuple[Tensor, Tensor]
"""Real pictures, float B x C x H x W in [-1, 1], and the condition under which each is to be drawn: labels int64 B,
or pictures of the same class, B x C x H x W."""


@dataclass(eq=False)
class Contest:
    """A generator, a critic, and the real pictures between them."""

    generator: nn.Module
    """(noise B x Z, condition, fade 0..1) -> pictures B x C x H x W in [-1, 1]; `fade` is the weight of labels."""
    critic: nn.Module
    """(pictures, condition, fade) -> scores B, higher for what looks real."""
    draw: Callable[[int, torch.Generator], Pair]
    """(how many, draws) -> real pictures and conditions for one step."""
    probe: Tensor
    """Conditions under which variety is measured: P of them."""
    probe_spread: Tensor
    """P: how far real pictures under each condition differ, as their standard deviation, a mean over pixels."""
    held_out: Pair | None = None
    """Real pictures that `draw` never gives; None where there are too few to spare any."""
    penalty_scale: float = 1.0
    """By what the configured penalty is multiplied for pictures of this size."""

    def to(self, device: torch.device) -> Contest:
        """Networks and fixed pictures on `device`; what `draw` gives is moved step by step."""
        self.generator.to(device)
        self.critic.to(device)
        self.probe, self.probe_spread = self.probe.to(device), self.probe_spread.to(device)
        if self.held_out is not None:
            self.held_out = self.held_out[0].to(device), self.held_out[1].to(device)
        return self


@dataclass(frozen=True)
class AdversarialConfig:
    """How two networks are trained against one another; methods bring other defaults."""

    steps: PositiveInt = 400
    batch_size: PositiveInt = 32
    noise_size: PositiveInt = 32
    learning_rate: PositiveFloat = 1.5e-3
    last_rate: PositiveFloat = 0.25
    """The rate falls evenly to this share of itself."""
    beta1: NonNegativeFloat = 0.0
    """Of Adam: the memory of slopes."""
    beta2: NonNegativeFloat = 0.9
    """Of Adam: the memory of squared slopes."""
    loss: Loss = "relativistic"
    penalty: NonNegativeFloat = 0.3
    """Weight of the gradient penalty."""
    penalty_every: PositiveInt = 4
    """The penalty is taken every so many steps, and counts so much more."""
    critic_steps: PositiveInt = 1
    """Steps of the critic for each of the generator."""
    fade_in_share: NonNegativeFloat = 0.3
    """Conditioning on the class grows from 0 to 1 over this share of the steps."""
    variety: NonNegativeFloat = 0.0
    """Weight of the reward for differing over the noise."""
    enough_variety: NonNegativeFloat = 0.12
    """Of pixel values for each unit of noise; what differs more earns no more."""
    average_images: PositiveInt = 4000
    """Half-life of the generator's moving average, in images seen."""
    augment: NonNegativeFloat = 1.0
    """Strength of what disturbs the critic's view, at the start."""
    adapt: bool = True
    """Raise the strength where the critic knows its training pictures from held-out ones, lower it where not."""
    hold_out: NonNegativeFloat = 0.1
    """Share of the pictures kept from training for that; none where a class would miss them."""
    least_diversity: NonNegativeFloat = 0.25
    """Collapse alarm: spread over the noise, relative to the real images' spread."""
    watch_every: PositiveInt = 50
    """Steps between two looks at losses and diversity, which may end in a roll-back."""
    precision: Precision = "float32"
    """bfloat16: forward passes in half precision, but for those with a penalty."""
    threads: NonNegativeInt = 1
    """Processor threads; 0 is all there are. More than one pays for large networks only."""


def critic_loss(kind: Loss, real: Tensor, fake: Tensor) -> Tensor:
    """What the critic lowers, from its scores of as many real as generated pictures, both B."""
    if kind == "relativistic":  # Jolicoeur-Martineau 2018; a pair shares its condition
        return F.softplus(fake - real).mean()
    if kind == "binary":
        return (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2
    return (fake - real).mean()


def generator_loss(kind: Loss, real: Tensor | None, fake: Tensor) -> Tensor:
    """What the generator lowers; only the relativistic loss looks at real pictures too."""
    if kind == "relativistic":
        assert real is not None
        return F.softplus(real - fake).mean()
    if kind == "binary":
        return F.softplus(-fake).mean()
    return -fake.mean()


def slope_penalty(scores: Tensor, pictures: Tensor) -> Tensor:
    """Mean squared slope of the critic at these pictures: towards 0, so that it stays flat where data are."""
    (slope,) = torch.autograd.grad(scores.sum(), pictures, create_graph=True)
    return slope.square().sum((1, 2, 3)).mean()


def unit_slope_penalty(
    critic: nn.Module, real: Tensor, fake: Tensor, condition: Tensor, fade: float, random: torch.Generator
) -> Tensor:
    """Between real and generated pictures the slope's norm, over all values of a picture, is driven to 1.

    Source: Gulrajani et al. 2017, WGAN-GP.
    """
    share = torch.rand(len(real), 1, 1, 1, generator=random, device=random.device).to(real.device)
    between = (share * real + (1 - share) * fake).detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(between, condition, fade).sum(), between, create_graph=True)
    return (slope.square().sum((1, 2, 3)).add(1e-12).sqrt() - 1).square().mean()
