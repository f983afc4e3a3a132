"""Weighted sums of the rows of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tenfold.transforms.pixels import Range

VALUES_IN_CACHE = 2**18
"""Values that a thread blends in one go: what is converted is still in the cache when it is weighted."""


def blend(rows: Tensor, partners: Sequence[Tensor], weights: Tensor) -> Tensor:
    """Each row of floats times its first weight, plus its partners times theirs; the rows keep their shape.

    Args:
        rows: float B x anything.
        partners: for each further weight the number of the other row, B.
        weights: B x (1 + number of partners), rows summing to 1.
    """
    own, *rest = weights.to(rows.dtype).view(*weights.shape, *[1] * (rows.dim() - 1)).unbind(1)
    blended = rows * own
    for partner, share in zip(partners, rest, strict=True):
        blended.addcmul_(rows.index_select(0, partner), share)
    return blended


def blend_bytes(images: Tensor, partners: Sequence[Tensor], weights: Tensor, value_range: Range) -> Tensor:
    """The same of uint8 pictures, brought to the range by the way.

    On a processor a few images at a time: a large batch would go through the memory once for each operation.
    """
    rows, (low, high) = images.flatten(1), value_range
    blended = torch.empty(rows.shape, device=rows.device)
    scaled = weights * ((high - low) / 255)
    step = _images_in_cache(rows)
    chosen = zip(*(partner.split(step) for partner in partners), strict=True)
    for total, own, others, shares in zip(
        blended.split(step), rows.split(step), chosen, scaled.split(step), strict=True
    ):
        first, *rest = shares.split(1, dim=1)
        total.copy_(own).mul_(first)
        for other, share in zip(others, rest, strict=True):
            total.addcmul_(rows.index_select(0, other).float(), share)
        if low:
            total.add_(low)
    return blended.view(images.shape)


def _images_in_cache(rows: Tensor) -> int:
    if rows.device.type != "cpu":
        return len(rows)
    return max(1, VALUES_IN_CACHE * torch.get_num_threads() // max(1, rows.shape[1]))
