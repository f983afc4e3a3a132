"""All state of an adversarial training, which one safetensors file holds and from which it goes on to the bit."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn

from tenfold.core.keys import Key
from tenfold.generators.contest import AdversarialConfig, Contest
from tenfold.training.packing import packed, unpack

PLAIN = ("step", "steps", "rate_factor", "strength", "recoveries", "attempt")
"""What is kept beside the tensors."""


@dataclass(eq=False)
class Duel:
    """Two networks, the moving average of the first, their optimisers, and the draws to come."""

    generator: nn.Module
    critic: nn.Module
    averaged: nn.Module
    optimizers: dict[str, torch.optim.Adam]
    random: torch.Generator
    steps: int
    strength: float
    """Of what disturbs the critic's view."""
    step: int = 0
    rate_factor: float = 1.0
    """What roll-backs have made of the learning rate."""
    recoveries: int = 0
    attempt: int = 0
    """Names the start whose pictures and first weights these are: 0, or the roll-back that made another."""

    @classmethod
    def start(cls, contest: Contest, config: AdversarialConfig, key: Key) -> Duel:
        """At step 0, with the contest's first weights."""

        def adam(network: nn.Module) -> torch.optim.Adam:
            betas = (config.beta1, config.beta2)
            return torch.optim.Adam(network.parameters(), config.learning_rate, betas=betas, fused=True)

        return cls(
            generator=contest.generator,
            critic=contest.critic,
            averaged=copy.deepcopy(contest.generator).requires_grad_(False),
            optimizers={"generator": adam(contest.generator), "critic": adam(contest.critic)},
            random=(key / "draws").torch_generator(),
            steps=config.steps,
            strength=config.augment,
        )

    def packed(self) -> bytes:
        """Everything as a safetensors file."""
        return packed(self._networks(), self.optimizers, self.random, {name: getattr(self, name) for name in PLAIN})

    def restore(self, file: bytes) -> None:
        """Take up what `packed` gave, in place.

        Raises:
            InputError: it is no such file, or of other networks.
        """
        for name, value in unpack(file, self._networks(), self.optimizers, self.random, PLAIN).items():
            setattr(self, name, value)

    def _networks(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "critic": self.critic, "averaged": self.averaged}
