"""Changes of tone, each image of a batch with a strength of its own: what Pillow does to an image of 8 bits.

Images are floats, B x C x H x W, within a value range, and are changed IN PLACE: that takes half the time. What
counts grey levels (`posterize`, `solarize`, `equalize`) reads each value as the nearest of 256; the rest does not
round.

Products and sums are calls of their own. Fused ones round otherwise at the end of a piece of work, and so otherwise
on another number of threads.
"""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from tenfold.augment.tensors import Range

OUTSIDE = 8.0
"""Added to a coordinate, in half sides, this leads outside of any image."""

KNOTS = 4
"""Elastic bending is given by a displacement at each of KNOTS x KNOTS points, with a smooth surface between."""


class Grid:
    """From where each pixel of each image is taken, as the two factors of a product.

    Every part of it is a sum of products of something that depends on the row and something that depends on the
    column, so that a whole batch is one product of thin matrices: several times faster than torch's affine_grid.

    Args:
        matrix: B x 2 x 3; output to input coordinates, in pixels from the image's centre, x before y.
        bend: B x 2 x KNOTS x KNOTS displacements in pixels, x before y; knots run down, then across.
        boxes: B x 4; centre x, centre y, half width, half height of a box that is taken from outside of the
            image, in pixels from its centre. A half width below 0 is no box.
    """

    def __init__(
        self, matrix: Tensor, height: int, width: int, *, bend: Tensor | None = None, boxes: Tensor | None = None
    ) -> None:
        batch, device = len(matrix), matrix.device
        x, y, halves = _from_centre(width, device), _from_centre(height, device), _halves(height, width, device)
        matrix = matrix * halves
        terms = 2 + (KNOTS if bend is not None else 0) + (boxes is not None)
        rows, columns = (
            torch.empty(batch, height, terms, device=device),
            torch.empty(batch, terms, width, 2, device=device),
        )
        rows[:, :, 0], rows[:, :, 1] = 1, y
        torch.addcmul(matrix[:, None, :, 2], x[:, None], matrix[:, None, :, 0], out=columns[:, 0])
        columns[:, 1] = matrix[:, None, :, 1]
        if bend is not None:
            rows[:, :, 2 : 2 + KNOTS] = _spline(height, device)
            columns[:, 2 : 2 + KNOTS] = ((bend * halves[..., None]) @ _spline(width, device).T).movedim(1, -1)
        if boxes is not None:
            centre_x, centre_y, half_width, half_height = boxes[:, :, None].unbind(1)
            rows[:, :, -1] = (y - centre_y).abs_() < half_height
            columns[:, -1, :, 0] = ((x - centre_x).abs_() < half_width) * OUTSIDE
            columns[:, -1, :, 1] = 0  # to the side is enough
        self._rows, self._columns = rows, columns.flatten(2)
        self._shape = (height, width, 2)

    def of(self, images: slice) -> Tensor:
        """For some of the images as `F.grid_sample` reads it: B x height x width x 2, in half sides."""
        return torch.bmm(self._rows[images], self._columns[images]).view(-1, *self._shape)


def sampling_grid(
    matrix: Tensor, height: int, width: int, *, bend: Tensor | None = None, boxes: Tensor | None = None
) -> Tensor:
    """The whole `Grid` of a batch: B x height x width x 2, in half sides from the centre."""
    return Grid(matrix, height, width, bend=bend, boxes=boxes).of(slice(None))


def warp(images: Tensor, grid: Tensor) -> Tensor:
    """Images of floats, B x C x H x W, taken bilinearly from where the grid says."""
    fill = border_colour(images)
    return F.grid_sample(images - fill, grid, align_corners=False).add_(fill)


def border_colour(images: Tensor) -> Tensor:
    """The median of about 20 pixels spread along each image's border: B x C x 1 x 1."""
    down, across = (max(1, math.ceil(side / 5)) for side in images.shape[2:])
    edges = (
        images[:, :, 0, ::across],
        images[:, :, -1, ::across],
        images[:, :, ::down, 0],
        images[:, :, ::down, -1],
    )
    return torch.cat(edges, dim=2).median(dim=2).values[:, :, None, None]


@cache
def _from_centre(side: int, device: torch.device) -> Tensor:
    return torch.arange(side, device=device) - (side - 1) / 2


@cache
def _halves(height: int, width: int, device: torch.device) -> Tensor:
    """Half sides in a pixel, across and down: 2 x 1."""
    return torch.tensor(((2 / width,), (2 / height,)), device=device)


@cache
def _spline(side: int, device: torch.device) -> Tensor:
    """side x KNOTS: cubic B-splines about evenly spaced knots, whose weights sum to 1 between the outer ones."""
    position = (torch.arange(side, device=device) + 0.5) / side * (KNOTS - 1)
    distance = (position[:, None] - torch.arange(KNOTS, device=device)).abs()
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = (2 - distance).clamp(min=0) ** 3 / 6
    return torch.where(distance < 1, near, far)


LUMA = (0.299, 0.587, 0.114)
"""What red, green and blue add to brightness (ITU-R BT.601)."""


def brighten(images: Tensor, factor: Tensor, value_range: Range) -> None:
    """Scale the distance from black by a factor for each image; 1 leaves it as it is."""
    _scale_from(value_range[0], images, factor, value_range)


def change_contrast(images: Tensor, factor: Tensor, value_range: Range) -> None:
    """Scale the distance from the image's mean grey."""
    # Two means: one over a whole image would be summed in another order on another number of threads.
    _scale_from(_grey(images.mean(3, keepdim=True).mean(2, keepdim=True)), images, factor, value_range)


def saturate(images: Tensor, factor: Tensor, value_range: Range) -> None:
    """Scale each pixel's distance from its own grey: the weighted mean of red, green and blue, else the plain one."""
    _scale_from(_grey(images), images, factor, value_range)


def sharpen(images: Tensor, factor: Tensor, value_range: Range) -> None:
    """Scale the distance from a smoothed image: below 1 it blurs, above 1 it sharpens.

    A pixel of the smoothed image has 5 parts of its own value and 1 of each neighbour's. The outermost pixels
    have no 8 neighbours and stay as they are.
    """
    if min(images.shape[2:]) < 3:
        return
    centre = images[:, :, 1:-1, 1:-1]
    rows = (images[:, :, :-2] + images[:, :, 1:-1]).add_(images[:, :, 2:])
    smooth = (rows[..., :-2] + rows[..., 1:-1]).add_(rows[..., 2:]).add_(centre * 4).mul_(1 / 13)
    _scale_from(smooth, centre, factor, value_range)


def posterize(images: Tensor, bits: Tensor, value_range: Range) -> None:
    """Keep the highest `bits` bits of each grey level, 0..8, and make the others 0."""
    step = torch.exp2(8 - bits.to(images)).view(-1, 1, 1, 1)
    _as_values(_as_levels(images, value_range).div_(step).floor_().mul_(step), value_range)


def solarize(images: Tensor, threshold: Tensor, value_range: Range) -> None:
    """Turn the grey levels from `threshold` on (0..256) into their negative."""
    low, high = value_range
    darkest_turned = low + (threshold.ceil() - 0.5) * ((high - low) / 255)
    bright = images >= darkest_turned.to(images).view(-1, 1, 1, 1)
    images.copy_(torch.where(bright, (low + high) - images, images))


def autocontrast(images: Tensor, value_range: Range) -> None:
    """Stretch each channel until its darkest value is black and its lightest is full light."""
    low, high = value_range
    darkest, lightest = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    flat = darkest == lightest
    scale = ((high - low) / (lightest - darkest)).masked_fill_(flat, 1)
    images.sub_(darkest.masked_fill(flat, 0)).mul_(scale).add_(torch.full_like(scale, low).masked_fill_(flat, 0))
    images.clamp_(low, high)


def equalize(images: Tensor, value_range: Range) -> None:
    """Spread the grey levels of each channel so that each is taken by about as many pixels.

    Level v becomes (pixels darker than v + step / 2) / step, where step is a 255th of the pixels below the
    lightest level. Where that is less than one pixel nothing is changed: of images below 256 pixels, always.
    """
    batch, channels, height, width = images.shape
    maps = batch * channels
    levels = torch.arange(256, device=images.device)
    place = _as_levels(images.clone(), value_range).clamp_(0, 255).long().view(maps, -1)
    place.add_(torch.arange(maps, device=images.device)[:, None] * 256)
    # `bincount` would look at the values first, for which the host waits on a GPU.
    ones = torch.ones((), dtype=torch.int64, device=images.device).expand(place.numel())
    histogram = ones.new_zeros(maps * 256).index_add_(0, place.flatten(), ones).view(maps, 256)
    lightest = levels.where(histogram > 0, 0).amax(1, keepdim=True)
    step = (height * width - histogram.gather(1, lightest)) // 255
    darker = histogram.cumsum(1).sub_(histogram)
    # Floats, whose division is many times faster, hold the counts of 16 million pixels, and 255 quotients apart.
    spread = (darker + step // 2).float().div_(step.clamp_min(1)).floor_().clamp_max_(255)
    values = _as_values(spread.to(images), value_range)
    equalized = values.flatten().index_select(0, place.flatten()).view(images.shape)
    images.copy_(torch.where((step > 0).view(batch, channels, 1, 1), equalized, images))


def _scale_from(anchor: Tensor | float, images: Tensor, factor: Tensor, value_range: Range) -> None:
    images.sub_(anchor).mul_(factor.to(images).view(-1, 1, 1, 1)).add_(anchor).clamp_(*value_range)


def _grey(images: Tensor) -> Tensor:
    """B x 1 x H x W."""
    if images.shape[1] != 3:
        return images.mean(1, keepdim=True)
    red, green, blue = (images[:, channel, None] * weight for channel, weight in enumerate(LUMA))
    return red.add_(green).add_(blue)


def _as_levels(values: Tensor, value_range: Range) -> Tensor:
    low, high = value_range
    return (values.sub_(low) if low else values).mul_(255 / (high - low)).round_()


def _as_values(levels: Tensor, value_range: Range) -> Tensor:
    low, high = value_range
    levels.mul_((high - low) / 255)
    return levels.add_(low) if low else levels
