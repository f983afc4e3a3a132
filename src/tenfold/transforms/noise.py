"""Gaussian noise at the price of a copy."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from tenfold.core.keys import Key
from tenfold.transforms.draws import uniform

BANK = 2**18
"""Normal draws that are kept; each picture takes a run of them that begins at random."""


def add_noise(images: Tensor, deviation: Tensor, generator: torch.Generator) -> Tensor:
    """Add Gaussian noise in place.

    Drawing a normal number for each pixel takes as long as turning the picture. Here the numbers were drawn once,
    and a picture draws where it begins to read them: within a picture they are independent; two pictures of a
    batch may have the same noise shifted against one another, which no classifier has been seen to mind.

    Args:
        images: float B x C x H x W, contiguous.
        deviation: B, in the unit of the pictures.
    """
    count = images.shape[1:].numel()
    bank = _bank(images.device, count)
    starts = (uniform((len(images),), generator) * (len(bank) - count + 1)).long().clamp_(max=len(bank) - count)
    noise = bank.unfold(0, count, 1).index_select(0, starts.to(images.device)).view(images.shape)
    return images.addcmul_(noise, deviation.view(-1, 1, 1, 1))


@cache
def _bank(device: torch.device, least: int) -> Tensor:
    generator = Key("transforms/noise").torch_generator()
    size = BANK if 4 * least <= BANK else 4 * least
    return torch.randn(size, generator=generator).to(device)
