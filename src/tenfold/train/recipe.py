"""What a method gives to the classifier loop: four optional slots, and recipes that add up.

A GAN, MixUp and a pre-trained backbone have no `sample()` in common. What they have in common is that one
classifier loop can read what they give it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tenfold.core.types import ImageDataset

Transform = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]
"""(images float B x C x H x W in [-1, 1], soft labels B x K, generator) -> the same two, changed."""

Auxiliary = Callable[[Tensor, torch.Generator], Tensor]
"""(features B x F of the classifier's last hidden layer, generator) -> a scalar added to the loss."""


@dataclass(frozen=True, eq=False)
class Recipe:
    """What one arm adds to the real images; empty for `raw`."""

    extra: ImageDataset | None = None
    """More labelled images, trained on beside the real ones."""
    transforms: tuple[Transform, ...] = ()
    """Applied to every batch, in order."""
    init: Mapping[str, Tensor] | None = None
    """Starting weights of the classifier."""
    auxiliary: Auxiliary | None = None
    """One more term of the loss."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What the method wants recorded with the trial; plain JSON values."""

    def __add__(self, other: Recipe) -> Recipe:
        """Both recipes at once: `classical+cgan` trains on generated images and augments them.

        Raises:
            ValueError: both bring starting weights, or both an auxiliary loss: only one can be obeyed.
        """
        if self.init is not None and other.init is not None:
            raise ValueError("two methods bring starting weights; an arm can hold only one of them")
        if self.auxiliary is not None and other.auxiliary is not None:
            raise ValueError("two methods bring an auxiliary loss; an arm can hold only one of them")
        return Recipe(
            extra=_joined(self.extra, other.extra),
            transforms=self.transforms + other.transforms,
            init=self.init if self.init is not None else other.init,
            auxiliary=self.auxiliary or other.auxiliary,
            details={**self.details, **other.details},
        )


def _joined(first: ImageDataset | None, second: ImageDataset | None) -> ImageDataset | None:
    if first is None or second is None:
        return first if second is None else second
    return first.joined(second)
