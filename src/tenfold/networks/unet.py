"""A network that makes an image into another of its class by moving its pixels, and a critic of such pairs.

Both read images at 40 pixels or less; the deformation is applied to images of any size.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.augment.operations import warp
from tenfold.networks.blocks import Residual, padded, with_gain

LARGEST_SIDE = 40
"""Larger images are read and judged at half the side or less; the deformation is applied at full size."""
REACH = 0.22
"""Largest displacement of a knot, in half sides."""
LEAN = 0.3
"""Largest entry of the affine part."""
FIELD = 8
"""Knots of the displacement along each side, about."""

Head = Literal["deform", "pixels", "both"]


class Generator(nn.Module):
    """(noise B x Z, images B x C x H x W of any size) -> images of the same size and kind, in [-1, 1]."""

    def __init__(self, shape: tuple[int, int, int], width: int, noise_size: int, head: Head) -> None:
        """
        Args:
            shape: C, H, W of the images as they are read.
            width: channels of the largest map.
            noise_size: Z.
            head: give a deformation, new pixels, or the deformed image and a residual in pixels.
        """
        super().__init__()
        channels, side, w = shape[0], max(shape[1:]), width
        self.side, self.sides, self.head = side, map_sides(side), head
        self.field_depth = max(depth for depth, s in enumerate(self.sides) if s >= min(FIELD - 1, side // 2))
        # From the smallest map to the one below the image's size, or only to where the field is read off.
        self.depths = range(len(self.sides) - 1, self.field_depth - 1 if head == "deform" else 0, -1)
        widths = [w, *(2 * w for _ in self.sides[2:]), 4 * w][: len(self.sides)]
        self.stem = nn.Conv2d(channels, w, 3, padding=1)
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths))
        self.down_norms = nn.ModuleList(nn.GroupNorm(4, b) for b in widths)
        self.noises = nn.ModuleList()
        self.ups = nn.ModuleList()
        self.up_norms = nn.ModuleList()
        above = 0
        for depth in self.depths:
            maps = 2 ** min(3, depth)
            self.noises.append(nn.Linear(noise_size, maps * self.sides[depth] ** 2))
            self.ups.append(nn.Conv2d(above + widths[depth] + maps, above := widths[max(1, depth - 1)], 3, padding=1))
            self.up_norms.append(nn.GroupNorm(4, above))
        field_width = widths[max(1, self.field_depth - 1)]
        if head != "pixels":
            self.field = with_gain(nn.Conv2d(field_width, 2, 3, padding=1), 0.1)
            self.affine = with_gain(nn.Linear(widths[-1] * self.sides[-1] ** 2 + noise_size, 6), 0.0)
        if head != "deform":
            self.last = nn.Conv2d(above + w + channels, w, 3, padding=1)
            self.residual = with_gain(nn.Conv2d(w, channels, 3, padding=1), 1.0 if head == "pixels" else 0.0)

    def forward(self, noise: Tensor, images: Tensor, fade: float = 1.0) -> Tensor:
        read = read_at(images)
        if max(read.shape[2:]) != self.side:  # of another set than it learned from
            read = F.interpolate(read, size=(self.side, self.side), mode="bilinear", align_corners=False)
        size, read = read.shape[2:], padded(read, self.sides[0], self.sides[0])
        maps = [F.leaky_relu(self.down_norms[0](self.stem(read)), 0.2)]
        for down, norm in zip(self.downs, self.down_norms[1:], strict=True):
            maps.append(F.leaky_relu(norm(down(maps[-1])), 0.2))
        hidden: Tensor | None = None
        for depth, noisy, up, norm in zip(self.depths, self.noises, self.ups, self.up_norms, strict=True):
            side = self.sides[depth]
            parts = [maps[depth], noisy(noise).unflatten(1, (-1, side, side))]
            if hidden is not None:
                parts.append(F.interpolate(hidden, scale_factor=2.0))
            hidden = F.leaky_relu(norm(up(torch.cat(parts, 1))), 0.2)
            if depth == self.field_depth:
                knots = hidden
        result = images
        if self.head != "pixels":
            affine = self.affine(torch.cat([maps[-1].flatten(1), noise], 1))
            result = deformed(images, self.field(knots).float(), affine.float())
        if self.head != "deform":
            assert hidden is not None
            hidden = torch.cat([F.interpolate(hidden, scale_factor=2.0), maps[0], read], 1)
            change = self.residual(F.leaky_relu(self.last(hidden), 0.2)).float()
            result = _with_residual(result, change, size, self.head)
        return result


class Critic(nn.Module):
    """(images, images of the same class) -> how much each pair looks like two real images of one class: B."""

    def __init__(self, shape: tuple[int, int, int], width: int) -> None:
        """
        Args:
            shape: C, H, W of each image as it is read.
            width: channels of the largest map.
        """
        super().__init__()
        w = width
        self.sides = map_sides(max(shape[1:]))
        widths = [w, *(2 * w for _ in self.sides[2:]), 4 * w][: len(self.sides)]
        self.stem = nn.Conv2d(2 * shape[0], widths[0], 3, padding=1)
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths))
        self.blocks = nn.ModuleList(Residual(b, b) for b in widths[1:])
        self.features = nn.Linear(widths[-1] * self.sides[-1] ** 2, 128)
        self.score = nn.Linear(128, 1)

    def forward(self, images: Tensor, others: Tensor, fade: float = 1.0) -> Tensor:
        hidden = self.stem(padded(torch.cat([images, others], 1), self.sides[0], self.sides[0]))
        for down, block in zip(self.downs, self.blocks, strict=True):
            hidden = block(down(F.leaky_relu(hidden, 0.2)))
        hidden = F.leaky_relu(self.features(F.leaky_relu(hidden, 0.2).flatten(1)), 0.2)
        score: Tensor = self.score(hidden).squeeze(1)
        return score


def deformed(images: Tensor, field: Tensor, affine: Tensor) -> Tensor:
    """Images B x C x H x W moved by a field B x 2 x h x w and an affine part B x 6, both before their bounds."""
    height, width = images.shape[2:]
    smooth = F.interpolate(torch.tanh(field) * REACH, size=(height, width), mode="bicubic", align_corners=False)
    matrix = torch.eye(2, 3, device=images.device) + torch.tanh(affine).unflatten(1, (2, 3)) * LEAN
    # Not `sampling_grid`, which writes in place and lets no slopes through.
    with torch.autocast(images.device.type, enabled=False):  # eight bits are too few for where a pixel lies
        grid = (_places(height, width, images.device) @ matrix.float().mT).unflatten(1, (height, width))
    return warp(images.float(), grid + smooth.movedim(1, -1))


@cache
def _places(height: int, width: int, device: torch.device) -> Tensor:
    """Where each pixel lies, in half sides from the centre: H * W x (across, down, 1)."""
    with torch.inference_mode(False):  # kept, and met again by a training
        down, across = ((torch.arange(side, device=device) + 0.5) / side * 2 - 1 for side in (height, width))
        down, across = torch.meshgrid(down, across, indexing="ij")
        return torch.stack([across, down, torch.ones_like(down)], -1).flatten(0, 1)


def _with_residual(images: Tensor, change: Tensor, read: torch.Size, head: str) -> Tensor:
    """The change was found where the network reads; larger images take it enlarged."""
    change = change[:, :, : read[0], : read[1]]
    if change.shape[2:] != images.shape[2:]:
        change = F.interpolate(change, size=images.shape[2:], mode="bilinear", align_corners=False)
    if head == "pixels":
        return torch.tanh(change)
    return (images + 2 * torch.tanh(change)).clamp(-1, 1)


def map_sides(side: int) -> list[int]:
    """The sides of the networks' maps, from one that holds the image down to 4..7."""
    sides = [side]
    while sides[-1] > 7:
        sides.append(-(-sides[-1] // 2))
    return [sides[-1] * 2**k for k in range(len(sides) - 1, -1, -1)] if len(sides) > 1 else [2 * side, side]


def read_at(images: Tensor) -> Tensor:
    """Float images as the networks see them: halved until no side is over 40 pixels."""
    while max(images.shape[2:]) > LARGEST_SIDE:
        images = F.avg_pool2d(images, 2, ceil_mode=True)
    return images
