"""One step of an adversarial training: the critic's turns, the generator's turn, and the moving average."""

from __future__ import annotations

import torch
from torch import Tensor

from tenfold.generators.contest import (
    AdversarialConfig,
    Contest,
    critic_loss,
    generator_loss,
    slope_penalty,
    unit_slope_penalty,
)
from tenfold.generators.duel import Duel
from tenfold.generators.losses import disturb
from tenfold.training.device import LARGE, keep_large_blocks


def step(contest: Contest, duel: Duel, config: AdversarialConfig) -> dict[str, Tensor]:
    """One step of the generator after its critic's; what both lost, not yet waited for."""
    progress = duel.step / duel.steps
    rate = config.learning_rate * duel.rate_factor * (1 - (1 - config.last_rate) * progress)
    for optimizer in duel.optimizers.values():
        optimizer.param_groups[0]["lr"] = rate
    fade = min(1.0, progress / config.fade_in_share) if config.fade_in_share else 1.0
    contest.critic.requires_grad_(True)
    for turn in range(config.critic_steps):
        penalised = config.penalty > 0 and (duel.step * config.critic_steps + turn) % config.penalty_every == 0
        figures = _critic_turn(contest, duel, config, fade, penalised)
    contest.critic.requires_grad_(False)  # its weights' slopes are not needed in the generator's turn
    figures["generator_loss"] = _generator_turn(contest, duel, config, fade)
    duel.step += 1
    _follow(duel, config)
    return figures


def _critic_turn(
    contest: Contest, duel: Duel, config: AdversarialConfig, fade: float, penalised: bool
) -> dict[str, Tensor]:
    real, condition, noise = _drawn(contest, duel, config)
    device = real.device.type
    with torch.autocast(device, torch.bfloat16, enabled=config.precision == "bfloat16"), torch.no_grad():
        fake = contest.generator(noise, condition, fade).float()
    real, fake, condition = _seen(real, fake, condition, duel)
    with torch.autocast(device, torch.bfloat16, enabled=config.precision == "bfloat16" and not penalised):
        pictures, twice = torch.cat([real, fake]), torch.cat([condition, condition])
        zero_centred = penalised and config.loss != "wasserstein"
        if zero_centred:
            pictures.requires_grad_()
        scores = contest.critic(pictures, twice, fade).float()
        score_real, score_fake = scores.chunk(2)
        loss = critic_loss(config.loss, score_real, score_fake)
        figures = {
            "critic_loss": loss.detach(),
            "critic_right_on_real": (score_real.detach() > 0).float().mean(),
            "critic_right_on_generated": (score_fake.detach() < 0).float().mean(),
        }
        weight = config.penalty * contest.penalty_scale * config.penalty_every
        if zero_centred:
            # Twice the mean over both halves: a penalty on real and one on generated pictures.
            loss = loss + weight * 2 * slope_penalty(scores, pictures)
        elif penalised:
            loss = loss + weight * unit_slope_penalty(contest.critic, real, fake, condition, fade, duel.random)
    _descend(duel.optimizers["critic"], loss)
    return figures


def _generator_turn(contest: Contest, duel: Duel, config: AdversarialConfig, fade: float) -> Tensor:
    real, condition, noise = _drawn(contest, duel, config)
    with torch.autocast(real.device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
        fake = contest.generator(noise, condition, fade).float()
        view_real, view, given = _seen(real, fake, condition, duel)
        score_real = None
        if config.loss == "relativistic":
            with torch.no_grad():  # the generator has no part in them
                score_real = contest.critic(view_real, given, fade).float()
        loss = generator_loss(config.loss, score_real, contest.critic(view, given, fade).float())
        told = loss.detach()
        if config.variety:
            loss = loss - config.variety * _variety(contest, fake, condition, noise, config, fade, duel.random)
    _descend(duel.optimizers["generator"], loss)
    return told


def _variety(
    contest: Contest,
    fake: Tensor,
    condition: Tensor,
    noise: Tensor,
    config: AdversarialConfig,
    fade: float,
    random: torch.Generator,
) -> Tensor:
    """How much a quarter of the pictures changes with the noise, bounded (after Mao et al. 2019, mode seeking)."""
    part = max(1, len(fake) // 4)
    other = torch.randn(part, config.noise_size, generator=random).to(noise.device)
    apart = (contest.generator(other, condition[:part], fade).float() - fake[:part]).abs().mean((1, 2, 3))
    ratio: Tensor = apart / (other - noise[:part]).abs().mean(1)
    return ratio.clamp(max=config.enough_variety).mean()


def _drawn(contest: Contest, duel: Duel, config: AdversarialConfig) -> tuple[Tensor, Tensor, Tensor]:
    real, condition = contest.draw(config.batch_size, duel.random)
    if real.numel() >= LARGE:
        keep_large_blocks()
    noise = torch.randn(config.batch_size, config.noise_size, generator=duel.random)
    device = contest.probe.device
    return real.to(device), condition.to(device), noise.to(device)


def _seen(real: Tensor, fake: Tensor, condition: Tensor, duel: Duel) -> tuple[Tensor, Tensor, Tensor]:
    """All three as the critic sees them; a condition that is a picture is disturbed like the picture beside it."""
    if condition.dim() == 4:
        real, fake, condition = disturb([real, fake, condition], duel.strength, duel.random, resampled=True)
    else:
        real, fake = disturb([real, fake], duel.strength, duel.random)
    return real, fake, condition


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


@torch.no_grad()
def _follow(duel: Duel, config: AdversarialConfig) -> None:
    """Move the average; its memory grows with what was seen, so that first weights are soon forgotten."""
    span = min(config.average_images, 0.05 * duel.step * config.batch_size)
    memory = 0.5 ** (config.batch_size / max(span, 1.0))
    torch._foreach_lerp_(list(duel.averaged.parameters()), list(duel.generator.parameters()), 1 - memory)
    for slow, fast in zip(duel.averaged.buffers(), duel.generator.buffers(), strict=True):
        slow.copy_(fast)
