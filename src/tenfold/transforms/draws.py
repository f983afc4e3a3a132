"""Draws for a whole batch, one for each image, from an explicit generator.

Parameters are few, so they are drawn where the generator lives and then moved: from a generator on the CPU a
batch gets the same draws on every device.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from tenfold.core.keys import Key


class Draws:
    """Where a transform draws from that is handed no generator: a stream of its own that goes on call by call.

    The worker processes of a DataLoader start as copies of one another, and again in each epoch; there the stream
    is named by the worker's own seed, so that no two of them, and no two epochs, draw the same.
    """

    def __init__(self, seed: int) -> None:
        self._key = Key(f"transform/{seed}")
        self._generators: dict[int | None, torch.Generator] = {}

    def generator(self) -> torch.Generator:
        worker = get_worker_info()
        name = None if worker is None else int(worker.seed)
        if name not in self._generators:
            key = self._key if name is None else self._key / name
            self._generators[name] = key.torch_generator()
        return self._generators[name]


def uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Uniform draws in 0..1, on the generator's device."""
    return torch.rand(shape, generator=generator, device=generator.device)


def beta(alpha: float, count: int, generator: torch.Generator) -> Tensor:
    """`count` draws from Beta(alpha, alpha), as a share of two Gamma draws.

    torch's own Beta distribution takes no generator; its Gamma kernel does.
    """
    return dirichlet(alpha, 2, count, generator)[:, 0]


def dirichlet(alpha: float, shares: int, count: int, generator: torch.Generator) -> Tensor:
    """`count` draws of `shares` positive numbers that sum to 1: count x shares, Dirichlet(alpha, ..., alpha).

    In logarithms, and by Gamma(alpha) = Gamma(alpha + 1) * uniform ** (1 / alpha): draws for a small alpha are
    too small for a float.
    """
    rate = torch.full((count, shares), alpha + 1, device=generator.device, dtype=torch.float64)
    exponent = torch.rand(rate.shape, generator=generator, device=generator.device, dtype=torch.float64)
    smallest = torch.finfo(torch.float64).tiny
    logs = torch._standard_gamma(rate, generator=generator).log_() + exponent.clamp_min_(smallest).log_() / alpha
    return torch.softmax(logs, dim=1).float()
