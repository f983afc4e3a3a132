"""Augmentation without a search for a policy: each picture draws its own operations."""

from __future__ import annotations

import torch
from torch import Tensor

from tenfold.transforms.draws import Draws, uniform
from tenfold.transforms.operations import COUNT, USUAL, WIDE, operate
from tenfold.transforms.pixels import UNIT, Range


class TrivialAugment:
    """One operation a picture, each as likely as any other, at a strength uniform in -1..1 of the wide space.

    Args:
        seed: begins the stream that is drawn from where a call is given no generator.
        value_range: black and full light, in pictures of floats; uint8 pictures are turned into such.

    Source: Müller & Hutter 2021, TrivialAugment. Strengths are a continuum here, and 31 steps there.
    """

    def __init__(self, *, seed: int = 0, value_range: Range = UNIT) -> None:
        self.value_range = value_range
        self._draws = Draws(seed)

    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A changed copy of each picture: uint8 or float, B x C x H x W -> floats of the same shape."""
        operation, strength = self.draw(len(images), generator or self._draws.generator())
        return operate(images, operation, strength, value_range=self.value_range, space=WIDE)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """For each of `count` pictures an operation and a signed strength, on the generator's device."""
        operation = draw_operations((count,), generator)
        return operation, uniform((count,), generator) * 2 - 1


class RandAugment:
    """A few operations a picture, one after the other, all of one strength, with a sign of its own each.

    Args:
        count: operations a picture.
        strength: 0..1, of the usual space. At 0 the pictures are returned as they are, also by the operations that
            have no strength.
        seed: begins the stream that is drawn from where a call is given no generator.
        value_range: black and full light, in pictures of floats; uint8 pictures are turned into such.

    Raises:
        ValueError: a negative count, or a strength outside 0..1.

    Source: Cubuk et al. 2020, RandAugment, of which most implementations draw the operations once a batch.
    """

    def __init__(self, count: int = 2, strength: float = 0.3, *, seed: int = 0, value_range: Range = UNIT) -> None:
        if count < 0:
            raise ValueError(f"count = {count} is below 0")
        if not 0 <= strength <= 1:
            raise ValueError(f"strength = {strength} is not within 0..1")
        self.count = count
        self.strength = strength
        self.value_range = value_range
        self._draws = Draws(seed)

    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A changed copy of each picture: uint8 or float, B x C x H x W -> floats of the same shape."""
        operations, strengths = self.draw(len(images), generator or self._draws.generator())
        if not self.strength:
            operations, strengths = operations[:0], strengths[:0]
        return operate(images, operations, strengths, value_range=self.value_range, space=USUAL)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Operations and signed strengths, each `self.count` x count, on the generator's device."""
        shape = (self.count, count)
        sign = (uniform(shape, generator) < 0.5).float() * 2 - 1
        return draw_operations(shape, generator), sign * self.strength


def draw_operations(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Each operation as likely as any other."""
    return torch.randint(COUNT, shape, generator=generator, device=generator.device)
