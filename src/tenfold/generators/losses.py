"""What a critic sees: the same small random shift and change of light for everything that it compares.

Differentiable, so that the generator learns through it, and applied to real and to generated pictures alike, so that
it does not leak into what is drawn (Zhao et al. 2020, DiffAugment). No cutout: that does leak.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

LARGEST_SHIFT = 1 / 8
"""Of the side, at strength 1."""
LIGHT = 0.2
"""Half-width of the factors and of the offsets in half the range, at strength 1."""


TURN, ZOOM = 0.2, 0.1
"""Half-widths of the angle in radians and of the factors of size, at strength 1."""


def disturb(
    pictures: Sequence[Tensor], strength: float, random: torch.Generator, *, resampled: bool = False
) -> list[Tensor]:
    """Several batches of floats, each B x C x H x W, row by row disturbed alike; strength 0 changes nothing.

    With `resampled` they are turned and scaled a little too, which blurs all of them alike: of a generator that moves
    pixels, the critic would otherwise look at nothing but the blur.

    Strength is where the draws end: shifts by whole pixels up to an eighth of the side, light by a fifth, colours
    (of three channels) by two fifths towards grey or away from it, times `strength`.
    """
    if strength == 0:
        return list(pictures)
    batch, channels, height, width = pictures[0].shape
    device = pictures[0].device
    reach = max(1, round(strength * LARGEST_SHIFT * min(height, width)))
    offset = torch.randint(2 * reach + 1, (2, batch), generator=random, device=random.device).to(device)
    light = ((torch.rand(3, batch, 1, 1, 1, generator=random, device=random.device) * 2 - 1) * LIGHT * strength).to(
        device
    )
    rows = (offset[0][:, None] + torch.arange(height, device=device))[:, :, None]
    columns = (offset[1][:, None] + torch.arange(width, device=device))[:, None, :]
    every = torch.arange(batch, device=device)[:, None, None]
    grid = None
    if resampled:
        turn, zoom = (torch.rand(2, batch, generator=random, device=random.device) * 2 - 1).to(device) * strength
        across, along = (turn * TURN).cos() * (zoom * ZOOM).exp(), (turn * TURN).sin() * (zoom * ZOOM).exp()
        nowhere = torch.zeros_like(across)
        matrix = torch.stack([across, -along, nowhere, along, across, nowhere], 1).unflatten(1, (2, 3))
        grid = F.affine_grid(matrix, [batch, 1, height, width], align_corners=False)
    disturbed = []
    for one in pictures:
        if grid is not None:
            one = F.grid_sample(one, grid, padding_mode="border", align_corners=False)
        padded = F.pad(one, (reach,) * 4, mode="replicate")
        moved = padded.permute(0, 2, 3, 1)[every, rows, columns].permute(0, 3, 1, 2)
        if channels == 3:
            grey = moved.mean(1, keepdim=True)
            moved = grey + (moved - grey) * (1 + 2 * light[2])
        disturbed.append(moved * (1 + light[0]) + light[1])
    return disturbed
