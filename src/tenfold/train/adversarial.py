"""The one adversarial loop: a generator and a critic, trained against one another by every method that has both.

At a look, every few steps, it asks for NaN and for collapse, and goes back where it finds one. All state is in a
`Duel`, and checkpoints are looks, so that a training that was killed repeats to the bit what it would have done.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.core.errors import TenfoldError
from tenfold.core.keys import Key
from tenfold.nets.memory import LARGE, keep_large_blocks
from tenfold.nets.threads import threads
from tenfold.train.contest import (
    AdversarialConfig,
    Contest,
    critic_loss,
    generator_loss,
    slope_penalty,
    unit_slope_penalty,
)
from tenfold.train.duel import Duel, attempt_of
from tenfold.train.keeping import Keeper
from tenfold.transforms.disturbing import disturb

MOST_RECOVERIES = 3
GRACE = 0.5
"""Share of the steps after which a lack of diversity is a collapse and no slow start."""
TOO_SURE = 0.5
"""The critic's lead on pictures that it was trained on, above which its view is disturbed more."""
STRENGTHS = (0.25, 2.0)
PROBES = 8
"""Pictures drawn under each condition to measure how much they differ."""
PACE_STEPS = (4, 24)
"""Steps between which the pace is taken; the first ones are slower."""


class TrainingFailed(TenfoldError):
    """The losses became NaN, or the generator collapsed, more often than the loop mends it."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """A trained generator and what is to be told of its training."""

    generator: nn.Module
    """The moving average, in eval mode."""
    details: dict[str, Any]


def compete(
    make_contest: Callable[[Key], Contest], config: AdversarialConfig, key: Key, keeper: Keeper | None = None
) -> Outcome:
    """Train the two networks of a contest and return the averaged generator.

    What is not finite takes the training back to its last sound look, at a third of the rate. Pictures that hardly
    differ over the noise when half the steps are done take it back there once, at half the rate and with a more
    disturbed view, and then to the start with other first weights.

    Args:
        make_contest: gives the networks with their first weights; called again for a start with others.
        config: sizes and rates.
        key: names every draw.
        keeper: where checkpoints, metrics and grids are kept; nothing is, unless given.

    Raises:
        TrainingFailed: a fourth roll-back would be needed.
    """
    with threads(config.threads):
        return _compete(make_contest, config, key, keeper or Keeper())


def seconds_a_step(make_contest: Callable[[Key], Contest], config: AdversarialConfig, key: Key) -> float:
    """How long a step takes here, from about twenty of them that are thrown away."""
    first, last = PACE_STEPS
    with threads(config.threads):
        contest, duel = _started(make_contest, config, key, 0)
        for step in range(last):
            if step == first:
                start = time.perf_counter()
            _step(contest, duel, config)
    return (time.perf_counter() - start) / (last - first)


def _compete(make_contest: Callable[[Key], Contest], config: AdversarialConfig, key: Key, keeper: Keeper) -> Outcome:
    kept = keeper.checkpoint()
    contest, duel = _started(make_contest, config, key, 0 if kept is None else attempt_of(kept))
    if kept is not None:
        duel.restore(kept)
    sound, started = duel.packed(), time.perf_counter()
    seen, pictures = _look(contest, duel, config)
    with keeper.progress(duel.steps, duel.step) as bar:
        while duel.step < duel.steps:
            figures = _step(contest, duel, config)
            keeper.log(duel.step, figures)
            if duel.step == PACE_STEPS[0]:
                started = time.perf_counter()
            elif duel.step == PACE_STEPS[1]:
                pace = (time.perf_counter() - started) / (PACE_STEPS[1] - PACE_STEPS[0])
                duel.steps = min(duel.steps, keeper.affordable_steps(pace, duel.step))
                bar.total = duel.steps
            if duel.step % config.watch_every and duel.step != duel.steps:
                continue
            seen, pictures = _look(contest, duel, config)
            trouble = _trouble(seen, pictures, duel, config)
            bar.advance(duel.step - bar.done, note=f"diversity {seen.get('diversity', 1.0):.2f}")
            if trouble is None:
                assert pictures is not None
                _adapt(duel, seen, config)
                sound = duel.packed()
                keeper.look(duel, seen, sound, contest, pictures)
                continue
            keeper.trouble(duel.step, trouble.text)
            contest, duel = _recovered(make_contest, contest, duel, config, key, sound, trouble)
            sound = duel.packed()
    return Outcome(
        duel.averaged.eval(),
        {
            "generator_steps": duel.step,
            "recoveries": duel.recoveries,
            "augmentation_strength": round(duel.strength, 4),
            **{name: round(value, 4) for name, value in seen.items()},
        },
    )


@dataclass(frozen=True)
class _Trouble:
    text: str
    collapsed: bool = False


def _started(
    make_contest: Callable[[Key], Contest], config: AdversarialConfig, key: Key, attempt: int
) -> tuple[Contest, Duel]:
    key = key / attempt
    contest = make_contest(key).to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    duel = Duel.start(contest, config, key)
    duel.attempt = attempt
    return contest, duel


def _recovered(
    make_contest: Callable[[Key], Contest],
    contest: Contest,
    duel: Duel,
    config: AdversarialConfig,
    key: Key,
    sound: bytes,
    trouble: _Trouble,
) -> tuple[Contest, Duel]:
    """The training as it was at the last sound look, or a new one, with smaller steps."""
    recoveries, rate, strength, steps = duel.recoveries + 1, duel.rate_factor, duel.strength, duel.steps
    if recoveries > MOST_RECOVERIES:
        raise TrainingFailed(f"{trouble.text}, and {MOST_RECOVERIES} roll-backs did not mend it")
    if trouble.collapsed and recoveries > 1:
        contest, duel = _started(make_contest, config, key, recoveries)
    else:
        duel.restore(sound)
        duel.random.manual_seed((key / "recovery" / recoveries).seed)
    duel.recoveries, duel.steps = recoveries, steps
    duel.rate_factor = rate / (2 if trouble.collapsed else 3)
    duel.strength = min(1.5 * strength, STRENGTHS[1]) if trouble.collapsed else strength
    return contest, duel


def _step(contest: Contest, duel: Duel, config: AdversarialConfig) -> dict[str, Tensor]:
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


@torch.no_grad()
def _look(contest: Contest, duel: Duel, config: AdversarialConfig) -> tuple[dict[str, float], Tensor | None]:
    """Diversity, the critic's lead, and the pictures P x 8 x C x H x W that the average draws; None if not finite.

    Diversity is 1 where pictures differ over the noise as much as real ones of the same condition. The lead is 0
    where held-out pictures score as those that were trained on, 1 where they score as generated ones.
    """
    weights = [*duel.generator.parameters(), *duel.critic.parameters(), *duel.averaged.parameters()]
    if not all(value.isfinite().all() for value in weights):
        return {"diversity": math.nan}, None
    device, random = contest.probe.device, Key("look").torch_generator()  # no draws of the training's own
    noise = torch.randn(PROBES * len(contest.probe), config.noise_size, generator=random).to(device)
    duel.averaged.eval()
    pictures = duel.averaged(noise, contest.probe.repeat_interleave(PROBES, 0), 1.0).float()
    pictures = pictures.unflatten(0, (len(contest.probe), PROBES))
    told = contest.probe_spread > 0
    ratios = (pictures.std(1, correction=0).mean((1, 2, 3)) / contest.probe_spread)[told]
    seen = {"diversity": ratios.median().item() if len(ratios) else 1.0}
    if contest.held_out is not None:
        duel.critic.eval()
        unseen, condition = contest.held_out
        known, its_condition = (one.to(device) for one in contest.draw(len(unseen), random))
        fake = duel.averaged(noise[: len(unseen)], its_condition[: len(noise)], 1.0)
        trained, held, drawn = (
            duel.critic(pictures, given, 1.0).mean().item()
            for pictures, given in ((known, its_condition), (unseen, condition), (fake, its_condition[: len(noise)]))
        )
        duel.critic.train()
        seen["critic_lead"] = max(-1.0, min(2.0, (trained - held) / max(trained - drawn, 1e-6)))
    return seen, pictures


def _trouble(
    seen: dict[str, float], pictures: Tensor | None, duel: Duel, config: AdversarialConfig
) -> _Trouble | None:
    if pictures is None or not math.isfinite(seen["diversity"]):
        return _Trouble("the losses became NaN")
    if seen["diversity"] < config.least_diversity and duel.step >= GRACE * duel.steps:
        share = f"{seen['diversity']:.0%}"
        return _Trouble(f"collapsed: pictures of one kind differ only {share} as much as real ones", collapsed=True)
    return None


def _adapt(duel: Duel, seen: dict[str, float], config: AdversarialConfig) -> None:
    """Disturb the critic's view more where it leads on its training pictures, less where not.

    After Karras et al. 2020 (ADA), which reads the same lead and changes a probability. From one end of the
    strengths to the other takes at least half the training.
    """
    if config.adapt and config.augment and "critic_lead" in seen:
        factor = (STRENGTHS[1] / STRENGTHS[0]) ** (2 * config.watch_every / duel.steps)
        wanted = duel.strength * (factor if seen["critic_lead"] > TOO_SURE else 1 / factor)
        duel.strength = min(max(wanted, min(STRENGTHS[0], config.augment)), STRENGTHS[1])
