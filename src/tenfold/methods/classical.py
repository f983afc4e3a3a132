"""Classical augmentation: each image in the batch is turned, moved, scaled and lit with a draw of its own.

Arms use it online (`fit`), `grow` writes its pictures to files. One warp does all the geometry, so that a
picture is resampled once. What the warp uncovers takes the median colour of the picture's own border: black
would put a frame around a bright picture, and repeating the edge would smear a stroke that touches it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor

from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.methods import base
from tenfold.train.recipe import Recipe
from tenfold.transforms.pixels import to_float, to_uint8


@dataclass(frozen=True)
class Config:
    """Flips and quarter turns are off unless asked for: they turn letters and digits into others."""

    policy: Literal["light", "standard", "strong"] = "standard"
    flips: bool = False
    """Mirror left-right and up-down, each with probability 1/2."""
    quarter_turns: bool = False
    """Turn by a random multiple of 90 degrees."""


@dataclass(frozen=True)
class Ranges:
    """Half-widths of the uniform draws."""

    degrees: float
    shift: float
    """Share of the side."""
    zoom: float
    """Scale factor exp(+-zoom), drawn for each axis about a common one."""
    shear: float
    light: float
    """Brightness, in units of the range -1..1, and contrast as a factor exp(+-light)."""
    noise: float
    """Largest standard deviation of Gaussian noise, same unit; each image draws its own."""
    erase: float
    """Probability that a box of 5..20 % of the picture is blanked."""


RANGES = {
    "light": Ranges(degrees=0, shift=0.07, zoom=0, shear=0, light=0, noise=0.05, erase=0),
    "standard": Ranges(degrees=15, shift=0.1, zoom=0.2, shear=0.2, light=0.1, noise=0.05, erase=0),
    "strong": Ranges(degrees=25, shift=0.15, zoom=0.3, shear=0.3, light=0.3, noise=0.1, erase=0.5),
}


@final
class Method(base.Method):
    Config = Config

    def fit(self, train: ImageDataset, reserve: ImageDataset | None, key: Key) -> Recipe:
        def transform(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
            return augment(images, self.config, generator), labels

        return Recipe(transforms=(transform,))

    def grow(self, train: ImageDataset, times: float, key: Key) -> base.Grown:
        parents = base.spread(times, len(train))
        images = []
        for start in range(0, len(parents), 256):
            batch = to_float(torch.tensor(train.images[parents[start : start + 256]]))
            images.append(augment(batch, self.config, (key / start).torch_generator()))
        return base.Grown(
            images=to_uint8(torch.cat(images)),
            labels=train.labels[parents],
            parents=tuple((int(parent),) for parent in parents),
            seeds=tuple((key / (i // 256 * 256)).seed for i in range(len(parents))),
        )


def augment(images: Tensor, config: Config, generator: torch.Generator) -> Tensor:
    """A changed copy of each picture.

    Args:
        images: float B x C x H x W in [-1, 1]; square when quarter turns are asked for.
        generator: on the same device as the images.

    Returns:
        The same shape, in [-1, 1].
    """
    ranges = RANGES[config.policy]
    batch, device = len(images), images.device

    def symmetric(half_width: float) -> Tensor:
        return (torch.rand(batch, generator=generator, device=device) * 2 - 1) * half_width

    angle = symmetric(math.radians(ranges.degrees))
    if config.quarter_turns:
        angle = angle + torch.randint(4, (batch,), generator=generator, device=device) * (math.pi / 2)
    both, each = symmetric(ranges.zoom), symmetric(ranges.zoom / 2)
    zoom_x, zoom_y = torch.exp(both + each), torch.exp(both - each)
    if config.flips:
        signs = torch.randint(2, (2, batch), generator=generator, device=device) * 2 - 1
        zoom_x, zoom_y = zoom_x * signs[0], zoom_y * signs[1]
    shear = symmetric(ranges.shear)
    cosine, sine = angle.cos(), angle.sin()
    matrix = torch.stack(
        [
            torch.stack([zoom_x * cosine, zoom_y * (shear * cosine - sine), symmetric(2 * ranges.shift)], 1),
            torch.stack([zoom_x * sine, zoom_y * (shear * sine + cosine), symmetric(2 * ranges.shift)], 1),
        ],
        1,
    )
    warped = warp(images, matrix)
    if ranges.light:
        contrast, brightness = torch.exp(symmetric(ranges.light)), symmetric(ranges.light)
        warped = warped.mul_(contrast.view(-1, 1, 1, 1)).add_(brightness.view(-1, 1, 1, 1))
    if ranges.noise:
        noise = torch.randn(images.shape, generator=generator, device=device)
        warped = warped.add_(noise.mul_(symmetric(ranges.noise).view(-1, 1, 1, 1)))
    if ranges.erase:
        warped = _erase(warped, ranges.erase, generator)
    return warped.clamp_(-1, 1)


def warp(images: Tensor, matrix: Tensor) -> Tensor:
    """Resample each picture through its own affine map from output to input coordinates (-1..1).

    Args:
        images: float B x C x H x W.
        matrix: B x 2 x 3.
    """
    fill = border_colour(images)
    return F.grid_sample(images - fill, affine_grid(matrix, *images.shape[2:]), align_corners=False).add_(fill)


def affine_grid(matrix: Tensor, height: int, width: int) -> Tensor:
    """B x H x W x 2, as two broadcast sums: torch's own builds it by a matrix product and is far slower."""
    xs = (torch.arange(width, device=matrix.device) * 2 + 1) / width - 1
    ys = (torch.arange(height, device=matrix.device) * 2 + 1) / height - 1
    along_x = matrix[:, None, None, :, 0] * xs[None, None, :, None]
    along_y = matrix[:, None, None, :, 1] * ys[None, :, None, None] + matrix[:, None, None, :, 2]
    return along_x + along_y


def border_colour(images: Tensor) -> Tensor:
    """The median of each picture's outermost pixels: B x C x 1 x 1."""
    edges = (images[:, :, 0], images[:, :, -1], images[:, :, :, 0], images[:, :, :, -1])
    return torch.cat(edges, dim=2).median(dim=2).values[:, :, None, None]


def _erase(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Blank one box an image with grey, after Zhong et al. 2017 (Random Erasing), on the whole batch at once."""
    batch, _, height, width = images.shape
    draw = torch.rand(5, batch, 1, 1, 1, generator=generator, device=images.device)
    area, aspect = 0.05 + 0.15 * draw[0], torch.exp(draw[1] * 2 - 1)
    half_height, half_width = (area * aspect).sqrt() * height / 2, (area / aspect).sqrt() * width / 2
    rows = torch.arange(height, device=images.device).view(1, 1, -1, 1)
    columns = torch.arange(width, device=images.device).view(1, 1, 1, -1)
    inside = ((rows - draw[2] * height).abs() < half_height) & ((columns - draw[3] * width).abs() < half_width)
    return images.masked_fill(inside & (draw[4] < probability), 0.0)
