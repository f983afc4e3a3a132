"""Who is mixed with whom: random permutations of a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from tenfold.transforms.draws import uniform


def any_partner(count: int, generator: torch.Generator) -> Tensor:
    """A random permutation of the batch, on the generator's device; some images may stay with themselves."""
    return torch.randperm(count, generator=generator, device=generator.device)


def same_class_partner(numbers: Tensor, generator: torch.Generator) -> Tensor:
    """A random permutation of each class among itself; an image alone in its class stays with itself.

    Both orders list the classes one after the other, so that what stands at one place is of one class; only the
    second is shuffled within the classes.

    Args:
        numbers: the class number of each image, B.
    """
    in_order = numbers.argsort(stable=True)
    shuffled = uniform((len(numbers),), generator).argsort().to(numbers.device)
    by_class = shuffled.index_select(0, numbers.index_select(0, shuffled).argsort(stable=True))
    return torch.empty_like(in_order).index_copy_(0, in_order, by_class)
