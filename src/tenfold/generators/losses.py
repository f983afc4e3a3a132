"""Losses of adversarial trainings, and the augmentation through which a critic sees all images alike.

The augmentation is differentiable, so that the generator learns through it, and applied to real and to generated
images alike, so that it does not leak into what is drawn (Zhao et al. 2020, DiffAugment). No cutout: that does leak.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.training.distributed import current_ranks

Loss = Literal["relativistic", "binary", "wasserstein"]

LARGEST_SHIFT = 1 / 8
"""Of the side, at strength 1."""
LIGHT = 0.2
"""Half-width of the factors and of the offsets in half the range, at strength 1."""
TURN, ZOOM = 0.2, 0.1
"""Half-widths of the angle in radians and of the factors of size, at strength 1."""


def critic_loss(kind: Loss, real: Tensor, fake: Tensor) -> Tensor:
    """What the critic lowers, from its scores of as many real as generated images, both B."""
    if kind == "relativistic":  # Jolicoeur-Martineau 2018; a pair shares its condition
        return F.softplus(fake - real).mean()
    if kind == "binary":
        return (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2
    return (fake - real).mean()


def generator_loss(kind: Loss, real: Tensor | None, fake: Tensor) -> Tensor:
    """What the generator lowers; only the relativistic loss looks at real images too."""
    if kind == "relativistic":
        assert real is not None
        return F.softplus(real - fake).mean()
    if kind == "binary":
        return F.softplus(-fake).mean()
    return -fake.mean()


def slope_penalty(scores: Tensor, images: Tensor) -> Tensor:
    """Mean squared slope of the critic at these images: towards 0, so that it stays flat where data are."""
    (slope,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return slope.square().sum((1, 2, 3)).mean()


def unit_slope_penalty(
    critic: nn.Module, real: Tensor, fake: Tensor, condition: Tensor, fade: float, random: torch.Generator
) -> Tensor:
    """Between real and generated images the slope's norm, over all values of an image, is driven to 1.

    Source: Gulrajani et al. 2017, WGAN-GP.
    """
    ranks = current_ranks()
    drawn = torch.rand(len(real) * ranks.count, 1, 1, 1, generator=random, device=random.device)
    share = ranks.share(drawn).to(real.device)
    between = (share * real + (1 - share) * fake).detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(between, condition, fade).sum(), between, create_graph=True)
    return (slope.square().sum((1, 2, 3)).add(1e-12).sqrt() - 1).square().mean()


def diffaugment(
    images: Sequence[Tensor], strength: float, random: torch.Generator, *, resampled: bool = False
) -> list[Tensor]:
    """Several batches of floats, each B x C x H x W, row by row changed alike; strength 0 changes nothing.

    With `resampled` they are turned and scaled a little too, which blurs all of them alike: of a generator that moves
    pixels, the critic would otherwise look at nothing but the blur.

    Strength is where the draws end: shifts by whole pixels up to an eighth of the side, light by a fifth, colours
    (of three channels) by two fifths towards grey or away from it, times `strength`.
    """
    if strength == 0:
        return list(images)
    batch, channels, height, width = images[0].shape
    device, ranks = images[0].device, current_ranks()
    together = batch * ranks.count
    reach = max(1, round(strength * LARGEST_SHIFT * min(height, width)))
    offset = torch.randint(2 * reach + 1, (2, together), generator=random, device=random.device)
    light = (torch.rand(3, together, 1, 1, 1, generator=random, device=random.device) * 2 - 1) * LIGHT * strength
    offset, light = (ranks.share(drawn, dim=1).to(device) for drawn in (offset, light))
    rows = (offset[0][:, None] + torch.arange(height, device=device))[:, :, None]
    columns = (offset[1][:, None] + torch.arange(width, device=device))[:, None, :]
    every = torch.arange(batch, device=device)[:, None, None]
    grid = None
    if resampled:
        drawn = torch.rand(2, together, generator=random, device=random.device) * 2 - 1
        turn, zoom = ranks.share(drawn, dim=1).to(device) * strength
        across, along = (turn * TURN).cos() * (zoom * ZOOM).exp(), (turn * TURN).sin() * (zoom * ZOOM).exp()
        nowhere = torch.zeros_like(across)
        matrix = torch.stack([across, -along, nowhere, along, across, nowhere], 1).unflatten(1, (2, 3))
        grid = F.affine_grid(matrix, [batch, 1, height, width], align_corners=False)
    changed = []
    for one in images:
        if grid is not None:
            one = F.grid_sample(one, grid, padding_mode="border", align_corners=False)
        padded = F.pad(one, (reach,) * 4, mode="replicate")
        moved = padded.permute(0, 2, 3, 1)[every, rows, columns].permute(0, 3, 1, 2)
        if channels == 3:
            grey = moved.mean(1, keepdim=True)
            moved = grey + (moved - grey) * (1 + 2 * light[2])
        changed.append(moved * (1 + light[0]) + light[1])
    return changed
