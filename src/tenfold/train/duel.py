"""All state of an adversarial training, which one safetensors file holds and from which it goes on to the bit."""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.train.contest import AdversarialConfig, Contest

NETWORKS = ("generator", "critic", "averaged")
LEARNERS = ("generator", "critic")
PLAIN = ("step", "steps", "rate_factor", "strength", "recoveries", "attempt")
"""What is kept as JSON in the file's header."""


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
        told = {name: getattr(self, name) for name in PLAIN}
        # Floats go through JSON unharmed: what is written of them is exact.
        return safetensors.torch.save(dict(self._tensors()), {"duel": json.dumps(told, sort_keys=True)})

    def restore(self, packed: bytes) -> None:
        """Take up what `packed` gave, in place.

        Raises:
            InputError: it is no such file, or of other networks.
        """
        try:
            told = json.loads(_header(packed)["__metadata__"]["duel"])
            tensors = safetensors.torch.load(packed)
            for name in NETWORKS:
                own = {key: tensors.pop(f"{name}/{key}") for key in getattr(self, name).state_dict()}
                getattr(self, name).load_state_dict(own)
            for name in LEARNERS:
                optimizer = self.optimizers[name]
                optimizer.state.clear()
                for index, parameter in enumerate(optimizer.param_groups[0]["params"]):
                    prefix = f"{name}_optimizer/{index}/"
                    for slot in [key for key in tensors if key.startswith(prefix)]:
                        value = tensors.pop(slot)
                        # In the parameter's own memory format, as the optimiser made it.
                        kept = torch.zeros_like(parameter).copy_(value) if value.dim() else value.to(parameter.device)
                        optimizer.state[parameter][slot.removeprefix(prefix)] = kept
            self.random.set_state(tensors.pop("random"))
            if tensors:
                raise ValueError(f"also holds {sorted(tensors)}")
            for name in PLAIN:
                setattr(self, name, told[name])
        except (SafetensorError, RuntimeError, LookupError, ValueError, TypeError, struct.error) as error:
            raise InputError("the checkpoint is of another training; choose another directory") from error

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        for name in NETWORKS:
            for key, value in getattr(self, name).state_dict().items():
                yield f"{name}/{key}", value.detach().contiguous()
        for name in LEARNERS:
            optimizer = self.optimizers[name]
            for index, parameter in enumerate(optimizer.param_groups[0]["params"]):
                for slot, value in optimizer.state.get(parameter, {}).items():
                    yield f"{name}_optimizer/{index}/{slot}", value.contiguous()
        yield "random", self.random.get_state()


def _header(packed: bytes) -> dict[str, dict[str, str]]:
    """A safetensors file begins with the length of its JSON header, 8 bytes little-endian."""
    (length,) = struct.unpack_from("<Q", packed)
    header: dict[str, dict[str, str]] = json.loads(packed[8 : 8 + length])
    return header


def attempt_of(packed: bytes) -> int:
    """Which start a checkpoint goes back to, known before the networks are made.

    Raises:
        InputError: it is no checkpoint.
    """
    try:
        return int(json.loads(_header(packed)["__metadata__"]["duel"])["attempt"])
    except (LookupError, ValueError, TypeError, struct.error) as error:
        raise InputError("the checkpoint is of another training; choose another directory") from error
