"""Gaussian noise at the price of a copy."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from tenfold.core.keys import Key
from tenfold.transforms.draws import uniform

BANK = 2**18
"""Normal draws that are kept; each picture takes a run of them that begins at random."""


class Noise:
    """Gaussian noise for each picture of a batch.

    Drawing a normal number for each pixel takes as long as turning the picture. Here the numbers were drawn once,
    and a picture draws where it begins to read them: within a picture they are independent; two pictures of a
    batch may have the same noise shifted against one another, which no classifier has been seen to mind.

    Args:
        images: B x C x H x W; its shape and device count.
        deviation: B, in the unit of the pictures.
    """

    def __init__(self, images: Tensor, deviation: Tensor, generator: torch.Generator) -> None:
        count = images.shape[1:].numel()
        bank = _bank(images.device, count)
        begins = (uniform((len(images),), generator) * (len(bank) - count + 1)).long().clamp_(max=len(bank) - count)
        self._runs = bank.unfold(0, count, 1)
        self._begins = begins.to(images.device)
        self._deviation = deviation.to(images.device).view(-1, 1, 1, 1)

    def add_to(self, images: Tensor, part: slice = slice(None)) -> Tensor:
        """Add it in place to some of the pictures, which are contiguous floats."""
        noise = self._runs.index_select(0, self._begins[part]).view(images.shape)
        return images.addcmul_(noise, self._deviation[part])


@cache
def _bank(device: torch.device, least: int) -> Tensor:
    generator = Key("transforms/noise").torch_generator()
    size = BANK if 4 * least <= BANK else 4 * least
    return torch.randn(size, generator=generator).to(device)
