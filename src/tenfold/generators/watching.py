"""The looks of an adversarial training: is it sound, is what it draws varied, does its critic know the pictures?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tenfold.core.keys import Key
from tenfold.generators.contest import AdversarialConfig, Contest
from tenfold.generators.duel import Duel

GRACE = 0.5
"""Share of the steps after which a lack of diversity is a collapse and no slow start."""
TOO_SURE = 0.5
"""The critic's lead on pictures that it was trained on, above which its view is disturbed more."""
STRENGTHS = (0.25, 2.0)
PROBES = 8
"""Pictures drawn under each condition to measure how much they differ."""


@dataclass(frozen=True)
class Trouble:
    """Why a training goes back."""

    text: str
    collapsed: bool = False


@torch.no_grad()
def look(contest: Contest, duel: Duel, config: AdversarialConfig) -> tuple[dict[str, float], Tensor | None]:
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


def trouble_of(
    seen: dict[str, float], pictures: Tensor | None, duel: Duel, config: AdversarialConfig
) -> Trouble | None:
    """What is wrong with what a look has seen, if anything."""
    if pictures is None or not math.isfinite(seen["diversity"]):
        return Trouble("the losses became NaN")
    if seen["diversity"] < config.least_diversity and duel.step >= GRACE * duel.steps:
        share = f"{seen['diversity']:.0%}"
        return Trouble(f"collapsed: pictures of one kind differ only {share} as much as real ones", collapsed=True)
    return None


def adapt(duel: Duel, seen: dict[str, float], config: AdversarialConfig) -> None:
    """Disturb the critic's view more where it leads on its training pictures, less where not.

    After Karras et al. 2020 (ADA), which reads the same lead and changes a probability. From one end of the
    strengths to the other takes at least half the training.
    """
    if config.adapt and config.augment and "critic_lead" in seen:
        factor = (STRENGTHS[1] / STRENGTHS[0]) ** (2 * config.watch_every / duel.steps)
        wanted = duel.strength * (factor if seen["critic_lead"] > TOO_SURE else 1 / factor)
        duel.strength = min(max(wanted, min(STRENGTHS[0], config.augment)), STRENGTHS[1])
