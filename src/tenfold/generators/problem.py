"""What a method brings to an adversarial training: two networks and real images; and what looks make of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.generators import NoiseConfig
from tenfold.generators.losses import Loss
from tenfold.networks.blocks import build
from tenfold.training.device import Precision
from tenfold.training.step import Trouble, is_finite

Pair = tuple[Tensor, Tensor]
"""Real images, float B x C x H x W in [-1, 1], and the condition under which each is to be drawn: labels int64 B,
or images of the same class, B x C x H x W."""

GRACE = 0.5
"""Share of the steps after which a lack of diversity is a collapse and no slow start."""
TOO_SURE = 0.5
"""The critic's lead on images that it was trained on, above which its view is augmented more."""
STRENGTHS = (0.25, 2.0)
PROBES = 8
"""Images drawn under each condition to measure how much they differ."""
MOST_PENALISED = 3 * 32 * 32
"""Values of an image up to which the gradient penalty grows with them. Growing on, it leaves the critic blind: a
dcgan drew noise at 128 x 128 pixels."""


@dataclass(frozen=True)
class GanConfig(NoiseConfig):
    """How two networks are trained against one another; methods bring other defaults."""

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
    """Strength of the augmentation of what the critic sees, at the start."""
    adapt: bool = True
    """Raise the strength where the critic knows its training images from held-out ones, lower it where not."""
    hold_out: NonNegativeFloat = 0.1
    """Share of the images kept from training for that; none where a class would miss them."""
    least_diversity: NonNegativeFloat = 0.25
    """Collapse alarm: spread over the noise, relative to the real images' spread."""
    watch_every: PositiveInt = 50
    """Steps between two looks at losses and diversity, which may end in a roll-back."""
    precision: Precision = "float32"
    """bfloat16: forward passes in half precision, but for those with a penalty."""
    threads: NonNegativeInt = 1
    """Processor threads; 0 is all there are. More than one pays for large networks only."""


@dataclass(eq=False)
class GanProblem:
    """A generator, a critic, and the real images between them."""

    generator: nn.Module
    """(noise B x Z, condition, fade 0..1) -> images B x C x H x W in [-1, 1]; `fade` is the weight of labels."""
    critic: nn.Module
    """(images, condition, fade) -> scores B, higher for what looks real."""
    images: Tensor
    """Real ones to learn from, as the networks see them: N x C x H x W."""
    draw: Callable[[Tensor, int, torch.Generator], Pair]
    """(`images`, how many, draws) -> real images and conditions for one step, where `images` are."""
    probe: Tensor
    """Conditions under which variety is measured: P of them."""
    probe_spread: Tensor
    """P: how far real images under each condition differ, as their standard deviation, a mean over pixels."""
    held_out: Pair | None = None
    """Real images that `draw` never gives; None where there are too few to spare any."""
    penalty_scale: float = 1.0
    """By what the configured penalty is multiplied for images of this size."""

    def to(self, device: torch.device) -> GanProblem:
        """Everything on this device."""
        self.generator.to(device)
        self.critic.to(device)
        self.images, self.probe, self.probe_spread = (
            one.to(device) for one in (self.images, self.probe, self.probe_spread)
        )
        if self.held_out is not None:
            self.held_out = self.held_out[0].to(device), self.held_out[1].to(device)
        return self


def labelled_problem(
    images: Tensor,
    train: ImageDataset,
    generator: Callable[[], nn.Module],
    critic: Callable[[], nn.Module],
    hold_out: float,
    key: Key,
) -> GanProblem:
    """A problem whose condition is the label; classes are drawn equally often.

    Args:
        images: those of `train` as the networks see them, float N x C x H x W.
        generator: makes the network; its first weights are drawn here, as the critic's are.
    """
    labels = torch.tensor(train.labels)
    learned, apart = held_out(train, hold_out, key)
    own = labels[learned]
    weights = 1 / torch.bincount(own, minlength=train.class_count).clamp(min=1)[own]

    def draw(pool: Tensor, count: int, random: torch.Generator) -> Pair:
        chosen = torch.multinomial(weights, count, replacement=True, generator=random)
        return pool[chosen.to(pool.device)], own[chosen].to(pool.device)

    probe, spread = spread_of(images, labels, train.class_count)
    return GanProblem(
        generator=build(generator, (key / "generator").torch_generator()),
        critic=build(critic, (key / "critic").torch_generator()),
        images=images[learned],
        draw=draw,
        probe=probe,
        probe_spread=spread,
        held_out=(images[apart], labels[apart]) if len(apart) else None,
        penalty_scale=min(images[0].numel(), MOST_PENALISED) / 64,
    )


def held_out(train: ImageDataset, share: float, key: Key) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Indices to learn from, and some to hold out for the critic's lead: of no class more than `share` of its images.

    None are held out where that would be fewer than eight.
    """
    apart: list[int] = []
    order = (key / "held out").numpy_generator().permutation(len(train))
    for label in range(train.class_count):
        members = order[train.labels[order] == label]
        apart += members[: int(len(members) * share)].tolist()
    if len(apart) < 8:
        apart = []
    return np.setdiff1d(np.arange(len(train)), apart), np.array(sorted(apart), dtype=np.int64)


def spread_of(images: Tensor, labels: Tensor, class_count: int) -> tuple[Tensor, Tensor]:
    """Up to 16 classes with two images or more, and how far each one's images differ: the probe of a problem."""
    several = [label for label in range(class_count) if int((labels == label).sum()) > 1][:16]
    several = several or [int(labels[0])]
    spread = [images[labels == label].std(0, correction=0).mean() for label in several]
    return torch.tensor(several), torch.stack(spread)


@torch.no_grad()
def monitor(problem: GanProblem, averaged: nn.Module, noise_size: int) -> tuple[dict[str, float], Tensor | None]:
    """Diversity, the critic's lead, and the images P x 8 x C x H x W that the average draws; None if not finite.

    Diversity is 1 where images differ over the noise as much as real ones of the same condition. The lead is 0 where
    held-out images score as those that were trained on, 1 where they score as generated ones.
    """
    if not is_finite(*problem.generator.parameters(), *problem.critic.parameters(), *averaged.parameters()):
        return {"diversity": math.nan}, None
    device, random = problem.probe.device, Key("look").torch_generator()  # no draws of the training's own
    noise = torch.randn(PROBES * len(problem.probe), noise_size, generator=random).to(device)
    averaged.eval()
    images = averaged(noise, problem.probe.repeat_interleave(PROBES, 0), 1.0).float()
    images = images.unflatten(0, (len(problem.probe), PROBES))
    varied = problem.probe_spread > 0
    ratios = (images.std(1, correction=0).mean((1, 2, 3)) / problem.probe_spread)[varied]
    figures = {"diversity": ratios.median().item() if len(ratios) else 1.0}
    if problem.held_out is not None:
        problem.critic.eval()
        unseen, condition = problem.held_out
        known, its_condition = problem.draw(problem.images, len(unseen), random)
        fake = averaged(noise[: len(unseen)], its_condition[: len(noise)], 1.0)
        trained, held, drawn = (
            problem.critic(shown, given, 1.0).mean().item()
            for shown, given in ((known, its_condition), (unseen, condition), (fake, its_condition[: len(noise)]))
        )
        problem.critic.train()
        figures["critic_lead"] = max(-1.0, min(2.0, (trained - held) / max(trained - drawn, 1e-6)))
    return figures, images


def trouble_of(figures: dict[str, float], progress: float, least_diversity: float) -> Trouble | None:
    """What is wrong with what the monitor has seen after this share of the steps, if anything."""
    if not math.isfinite(figures["diversity"]):
        return Trouble("the losses became NaN")
    if figures["diversity"] < least_diversity and progress >= GRACE:
        share = f"{figures['diversity']:.0%}"
        return Trouble(f"collapsed: images of one kind differ only {share} as much as real ones", collapsed=True)
    return None


def adapted(strength: float, figures: dict[str, float], config: GanConfig, steps: int) -> float:
    """The strength of augmentation for what follows: larger where the critic leads on its training images.

    After Karras et al. 2020 (ADA), which reads the same lead and changes a probability. From one end of the
    strengths to the other takes at least half the training.
    """
    if not (config.adapt and config.augment and "critic_lead" in figures):
        return strength
    factor: float = (STRENGTHS[1] / STRENGTHS[0]) ** (2 * config.watch_every / steps)
    wanted = strength * (factor if figures["critic_lead"] > TOO_SURE else 1 / factor)
    return min(max(wanted, min(STRENGTHS[0], config.augment)), STRENGTHS[1])
