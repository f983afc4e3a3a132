"""The step of an adversarial training, a generator against a critic, for every method that has both.

At a look, every few steps, it asks for NaN and for collapse, and goes back where it finds one.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.generators import NoiseGenerator, details_of
from tenfold.generators.losses import (
    critic_loss,
    diffaugment,
    generator_loss,
    slope_penalty,
    unit_slope_penalty,
)
from tenfold.generators.problem import STRENGTHS, GanConfig, GanProblem, adapted, monitor, trouble_of
from tenfold.training.device import Device
from tenfold.training.distributed import current_ranks
from tenfold.training.loop import TrainingLoop
from tenfold.training.schedule import Average, linear
from tenfold.training.step import Look, LossOf, Recovery, Step, Trouble, descend_in_parts

MakeProblem = Callable[[Key], GanProblem]
MOST_RECOVERIES = 3


@dataclass(frozen=True, eq=False)
class TrainedGan:
    """A trained generator and what is to be told of its training."""

    generator: nn.Module
    """The moving average, in eval mode."""
    details: dict[str, Any]


def train_gan(make_problem: MakeProblem, config: GanConfig, key: Key, loop: TrainingLoop | None = None) -> TrainedGan:
    """Train the two networks of a problem and return the averaged generator.

    What is not finite takes the training back to its last sound look, at a third of the rate. Images that hardly
    differ over the noise when half the steps are done take it back there once, at half the rate and with a more
    augmented view, and then to the start with other first weights.

    Args:
        make_problem: gives the networks with their first weights; called again for a start with others.
        config: sizes and rates.
        key: names every draw.

    Raises:
        Diverged: a fourth roll-back would be needed.
    """
    loop = loop or TrainingLoop()
    outcome = loop.run(gan_start(make_problem, config, key, loop.device), config.threads)
    return TrainedGan(outcome.step.networks["averaged"].eval(), details_of(outcome))


def gan_start(make_problem: MakeProblem, config: GanConfig, key: Key, device: Device) -> Callable[[int], GanStep]:
    """What the loop starts: attempts at one training, each with first weights of its own."""
    return lambda attempt: GanStep(make_problem(key / attempt), config, key, attempt, device)


class GanGenerator(NoiseGenerator):
    """A generator that was taught by a critic; a method brings both networks and the images between them."""

    config: GanConfig

    @property
    def threads(self) -> int:
        return self.config.threads

    @abstractmethod
    def problem(self, train: ImageDataset, key: Key) -> GanProblem:
        """Networks with first weights, and the images that they are shown.

        Raises:
            MethodFailed: there is too little to learn from.
        """

    def start(self, train: ImageDataset, key: Key, device: Device) -> Callable[[int], GanStep]:
        return gan_start(partial(self.problem, train), self.config, key, device)

    def learn(self, train: ImageDataset, key: Key, loop: TrainingLoop) -> Mapping[str, Any]:
        trained = train_gan(partial(self.problem, train), self.config, key, loop)
        self.network = trained.generator
        return trained.details


class GanStep(Step):
    """A generator's step after its critic's.

    Args:
        problem: of this attempt.
        key: names the draws of all attempts.
    """

    rolls_back = True
    most_recoveries = MOST_RECOVERIES
    remedy = f"{MOST_RECOVERIES} roll-backs"

    def __init__(self, problem: GanProblem, config: GanConfig, key: Key, attempt: int, device: Device) -> None:
        if config.steps is None:
            raise ValueError("how many steps?")

        def adam(network: nn.Module) -> torch.optim.Adam:
            betas = (config.beta1, config.beta2)
            return torch.optim.Adam(network.parameters(), config.learning_rate, betas=betas, fused=device.fused)

        self.problem, self.config, self.key, self.device = problem.to(device.torch), config, key, device
        self.generator, self.critic = problem.generator, problem.critic
        self.averaged = copy.deepcopy(problem.generator).requires_grad_(False)
        self.networks = {"generator": self.generator, "critic": self.critic, "averaged": self.averaged}
        self.optimizers = {"generator": adam(self.generator), "critic": adam(self.critic)}
        self.schedules = dict.fromkeys(self.optimizers, linear(config.last_rate))
        self.average = Average("generator", "averaged", self._average_weight, copies_buffers=True)
        self.random = (key / attempt / "draws").torch_generator()
        self.generators = {"draws": self.random}
        self.values = {"strength": config.augment}
        self.steps, self.look_every = config.steps, config.watch_every
        self.most_micro_batches = max(1, config.batch_size // 2)

    def step(self, number: int) -> dict[str, Tensor]:
        config, progress = self.config, number / self.steps
        fade = min(1.0, progress / config.fade_in_share) if config.fade_in_share else 1.0
        self.critic.requires_grad_(True)
        for turn in range(config.critic_steps):
            penalised = config.penalty > 0 and (number * config.critic_steps + turn) % config.penalty_every == 0
            losses = self._descend("critic", partial(self._critic_loss, fade=fade, penalised=penalised))
        self.critic.requires_grad_(False)  # its weights' slopes are not needed in the generator's step
        return losses | self._descend("generator", partial(self._generator_loss, fade=fade))

    def look(self, number: int) -> Look:
        figures, images = monitor(self.problem, self.averaged, self.config.noise_size)
        if trouble := trouble_of(figures, number / self.steps, self.config.least_diversity):
            return Look(figures, trouble=trouble)
        assert images is not None
        self.values["strength"] = adapted(self.values["strength"], figures, self.config, self.steps)
        if self.problem.probe.dim() == 4:  # an image that is made into others stands first in its row
            images = torch.cat([self.problem.probe[:, None], images], 1)
        note = f"diversity {figures['diversity']:.2f}"
        return Look({"augmentation_strength": self.values["strength"], **figures}, images, note)

    def recovery(self, trouble: Trouble, recoveries: int) -> Recovery:
        return Recovery(restart=_starts_anew(trouble, recoveries), slower=2.0 if trouble.collapsed else 3.0)

    def recovered(self, trouble: Trouble, recoveries: int, values: Mapping[str, Any]) -> None:
        if not _starts_anew(trouble, recoveries):
            # With the draws that led into it, it could only happen again.
            self.random.manual_seed((self.key / "recovery" / recoveries).seed)
        strength = values["strength"]
        self.values["strength"] = min(1.5 * strength, STRENGTHS[1]) if trouble.collapsed else strength

    def _average_weight(self, number: int, steps: int) -> float:
        """The average's memory grows with what was seen, so that first weights are soon forgotten."""
        span = min(self.config.average_images, 0.05 * number * self.config.batch_size)
        return 1 - float(0.5 ** (self.config.batch_size / max(span, 1.0)))

    def _descend(self, name: str, loss_of: LossOf) -> dict[str, Tensor]:
        return descend_in_parts([self.optimizers[name]], self._drawn(), self.micro_batches, loss_of)

    def _critic_loss(
        self, real: Tensor, condition: Tensor, noise: Tensor, fade: float, penalised: bool
    ) -> tuple[Tensor, dict[str, Tensor]]:
        config, problem = self.config, self.problem
        with self.device.autocast(config.precision), torch.no_grad():
            fake = self.generator(noise, condition, fade).float()
        real, fake, condition = self._augmented(real, fake, condition)
        with self.device.autocast(config.precision, enabled=not penalised):
            images, twice = torch.cat([real, fake]), torch.cat([condition, condition])
            zero_centred = penalised and config.loss != "wasserstein"
            if zero_centred:
                images.requires_grad_()
            scores = self.critic(images, twice, fade).float()
            score_real, score_fake = scores.chunk(2)
            loss = critic_loss(config.loss, score_real, score_fake)
            losses = {
                "critic_loss": loss.detach(),
                "critic_right_on_real": (score_real.detach() > 0).float().mean(),
                "critic_right_on_generated": (score_fake.detach() < 0).float().mean(),
            }
            weight = config.penalty * problem.penalty_scale * config.penalty_every
            if zero_centred:
                # Twice the mean over both halves: a penalty on real and one on generated images.
                loss = loss + weight * 2 * slope_penalty(scores, images)
            elif penalised:
                loss = loss + weight * unit_slope_penalty(self.critic, real, fake, condition, fade, self.random)
        return loss, losses

    def _generator_loss(
        self, real: Tensor, condition: Tensor, noise: Tensor, fade: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        config = self.config
        with self.device.autocast(config.precision):
            fake = self.generator(noise, condition, fade).float()
            view_real, view, given = self._augmented(real, fake, condition)
            score_real = None
            if config.loss == "relativistic":
                with torch.no_grad():  # the generator has no part in them
                    score_real = self.critic(view_real, given, fade).float()
            loss = generator_loss(config.loss, score_real, self.critic(view, given, fade).float())
            losses = {"generator_loss": loss.detach()}
            if config.variety:
                loss = loss - config.variety * self._variety(fake, condition, noise, fade)
        return loss, losses

    def _variety(self, fake: Tensor, condition: Tensor, noise: Tensor, fade: float) -> Tensor:
        """How much a quarter of the images changes with the noise, bounded (after Mao et al. 2019, mode seeking)."""
        part, ranks = max(1, len(fake) // 4), current_ranks()
        drawn = torch.randn(part * ranks.count, self.config.noise_size, generator=self.random)
        other = ranks.share(drawn).to(noise.device)
        apart = (self.generator(other, condition[:part], fade).float() - fake[:part]).abs().mean((1, 2, 3))
        ratio: Tensor = apart / (other - noise[:part]).abs().mean(1)
        return ratio.clamp(max=self.config.enough_variety).mean()

    def _drawn(self) -> tuple[Tensor, Tensor, Tensor]:
        """Real images, their conditions, and noise."""
        size = self.config.batch_size
        real, condition = self.problem.draw(self.problem.images, size, self.random)
        noise = torch.randn(size, self.config.noise_size, generator=self.random)
        return real, condition, noise.to(self.device.torch)

    def _augmented(self, real: Tensor, fake: Tensor, condition: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """All three as the critic sees them; a condition that is an image is changed like the image beside it."""
        strength = self.values["strength"]
        if condition.dim() == 4:
            real, fake, condition = diffaugment([real, fake, condition], strength, self.random, resampled=True)
        else:
            real, fake = diffaugment([real, fake], strength, self.random)
        return real, fake, condition


def _starts_anew(trouble: Trouble, recoveries: int) -> bool:
    """The second collapse is one of the first weights."""
    return trouble.collapsed and recoveries > 1
